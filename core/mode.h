/* SPDX-License-Identifier: Apache-2.0
 *
 * How strict the shield is, and who said so. Several switches exist; the least strict one
 * wins, so these values are ordered and combined with a minimum.
 */
#ifndef L7S_MODE_H
#define L7S_MODE_H

#include <stdbool.h>

typedef enum { L7S_MODE_OFF = 0, L7S_MODE_OBSERVE = 1, L7S_MODE_ENFORCE = 2 } l7s_mode_t;

typedef enum {
    L7S_BECAUSE_DEFAULT = 0, /* nothing lowers it */
    L7S_BECAUSE_DIRECTIVE,
    L7S_BECAUSE_MODE_FILE, /* break glass: "mode" in the state directory */
    L7S_BECAUSE_MODE_ITEM, /* the kill switch, straight from the bus */
    L7S_BECAUSE_SETTINGS
} l7s_because_t;

static inline l7s_mode_t l7s_mode_least(l7s_mode_t a, l7s_mode_t b)
{
    return a < b ? a : b;
}

/* "off", "observe", "enforce"; "directive", "mode_file", … */
const char *l7s_mode_name(l7s_mode_t mode);
const char *l7s_because_name(l7s_because_t because);
/* Returns false for any other text. */
bool l7s_mode_parse(const char *text, l7s_mode_t *out);

#endif
