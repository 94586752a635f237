/* SPDX-License-Identifier: Apache-2.0
 *
 * Accept and Content-Type (media.h).
 */
#include "media.h"

#include <string.h>
#include <strings.h>

bool admin_media_accepts(const char *accept, const char *type)
{
    size_t major = strcspn(type, "/") + 1;
    while (*accept != '\0') {
        size_t size = strcspn(accept, ",");
        size_t range = strspn(accept, " \t");
        const char *at = accept + range;
        size_t length = strcspn(at, ";, \t");
        bool match = (length == strlen(type) && strncasecmp(at, type, length) == 0) ||
                     (length == 3 && strncmp(at, "*/*", 3) == 0) ||
                     (length == major + 1 && strncasecmp(at, type, major) == 0 &&
                      at[major] == '*');
        const char *quality = memmem(accept, size, "q=0", 3);
        bool zero =
            quality != NULL && strspn(quality + 2, "0.") == strcspn(quality + 2, ",; \t");
        if (match && !zero) {
            return true;
        }
        accept += size;
        accept += *accept == ',';
    }
    return false;
}

bool admin_media_is(const char *value, const char *type)
{
    size_t size = strlen(type);
    return strncasecmp(value, type, size) == 0 &&
           (value[size] == '\0' || value[size] == ';' || value[size] == ' ');
}
