/* SPDX-License-Identifier: Apache-2.0
 *
 * Media types in headers (RFC 9110, 8.3 and 12.5.1), as far as this API needs them.
 */
#ifndef ADMIN_MEDIA_H
#define ADMIN_MEDIA_H

#include <stdbool.h>

/* Is `type` ("application/json", lower case) in the Accept header, by name or by a range,
 * with a quality above 0? */
bool admin_media_accepts(const char *accept, const char *type);

/* Does the Accept header name `type`, and rather than `other`: with a greater quality, or
 * the same and before it? `accept` may be NULL: no. */
bool admin_media_prefers(const char *accept, const char *type, const char *other);

/* Does the Content-Type header name `type`, with or without parameters? */
bool admin_media_is(const char *value, const char *type);

#endif
