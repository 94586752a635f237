/* SPDX-License-Identifier: Apache-2.0
 *
 * The one path normaliser: decode percent escapes once, merge slashes, remove dot
 * segments (RFC 3986, 5.2.4), cut the query. Every stage matches its result, so that no
 * spelling of a path walks past a policy. And the globs that match it.
 */
#ifndef L7S_PATH_H
#define L7S_PATH_H

#include "status.h"
#include <stdint.h>

#define L7S_PATH_MAX 1024

/* Writes the normalised path of `raw` (the request target's path as received, up to its
 * '?' or end) with a NUL. Always starts with '/'. A path that is longer than the buffer
 * is cut at a whole byte and *cut is set: rules on its beginning still hold. "%00" and
 * invalid escapes stay as they were written, since httpd refuses them itself. */
size_t l7s_path_normalise(const char *raw, char *out, size_t capacity, bool *cut);

/* Where a normalised path may be cut: bit n of `ends` says that a prefix of n bytes ends
 * in front of a slash or at the path's end, bit 63 stands for all from 63 bytes on. */
typedef struct {
    size_t length;
    uint64_t ends;
} l7s_path_shape_t;
l7s_path_shape_t l7s_path_shape(const char *path);

/* The same path: `raw` itself where it is normal from its beginning to its end, which
 * costs no copy, else `out`. And its shape. */
const char *l7s_path_read(const char *raw, char *out, size_t capacity,
                          l7s_path_shape_t *shape);

/* Glob over a normalised path: '*' is any run inside one segment, a last "/ **" (without
 * the blank) is everything below and the path itself. Linear time, no recursion. */
bool l7s_path_matches(const char *glob, const char *path);

/* NULL when `glob` is acceptable, else the sentence that says why it is not. */
const char *l7s_path_glob_error(const char *glob);

/* Host patterns: exact, or "*." and a domain (which does not match the domain itself).
 * Both sides are lower case already. */
bool l7s_host_matches(const char *pattern, const char *host);

#endif
