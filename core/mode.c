/* SPDX-License-Identifier: Apache-2.0
 *
 * The texts of modes and of the switches that set them: one table each, used by JSON,
 * logs and the mode file alike.
 */
#include "mode.h"

#include <stddef.h>
#include <string.h>

static const char *const modes[] = {"off", "observe", "enforce"};

static const char *const switches[] = {"default", "directive", "mode_file", "mode_item",
                                       "settings"};

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

const char *l7s_mode_name(l7s_mode_t mode)
{
    return (size_t)mode < COUNT(modes) ? modes[mode] : "unknown";
}

const char *l7s_because_name(l7s_because_t because)
{
    return (size_t)because < COUNT(switches) ? switches[because] : "unknown";
}

bool l7s_mode_parse(const char *text, l7s_mode_t *out)
{
    for (size_t i = 0; i < COUNT(modes); i++) {
        if (strcmp(text, modes[i]) == 0) {
            *out = (l7s_mode_t)i;
            return true;
        }
    }
    return false;
}
