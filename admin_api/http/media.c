/* SPDX-License-Identifier: Apache-2.0
 *
 * Accept and Content-Type (media.h).
 */
#include "media.h"
#include "../../core/accept.h"

#include <string.h>
#include <strings.h>

bool admin_media_accepts(const char *accept, const char *type)
{
    return l7s_accept_type(accept, type).weight > 0;
}

bool admin_media_prefers(const char *accept, const char *type, const char *other)
{
    if (accept == NULL) {
        return false;
    }
    l7s_accepted_t a = l7s_accept_type(accept, type);
    l7s_accepted_t b = l7s_accept_type(accept, other);
    if (!a.named || a.weight == 0 || a.weight != b.weight) {
        return a.named && a.weight > b.weight;
    }
    return !b.named || a.place < b.place;
}

bool admin_media_is(const char *value, const char *type)
{
    size_t size = strlen(type);
    return strncasecmp(value, type, size) == 0 &&
           (value[size] == '\0' || value[size] == ';' || value[size] == ' ');
}
