/* SPDX-License-Identifier: Apache-2.0
 *
 * Names and values of a query and of a Cookie header, as far as somebody asks for them.
 * A query's are decoded once, like forms: '+' is a blank, %XX a byte; what could not be
 * told from an end, "%00", and what is no escape stay as they were written, as in paths.
 * Cookies are taken as they stand, without the blanks around them.
 *
 * Names are case-sensitive. A name may stand there several times; a pair without '=' has
 * the empty value, a pair without a name is none.
 */
#ifndef L7S_PAIRS_H
#define L7S_PAIRS_H

#include "status.h"
#include <stdint.h>

/* Bytes of a query or a header that are looked at; what is behind is as if it were not
 * there. httpd's own limits let no more in. */
#define L7S_PAIRS_BYTES 8192
#define L7S_PAIRS_MAX (L7S_PAIRS_BYTES / 2) /* no more pairs fit into these */
#define L7S_PAIRS_NAMES_MAX 1024            /* different names that may be asked for */

/* On the caller's stack and never cleared: `count` items and what they refer to. */
typedef struct {
    uint32_t count, used;
    struct {
        uint16_t name, value; /* what `wanted` said; offset of the value in `text` */
    } items[L7S_PAIRS_MAX];
    char text[L7S_PAIRS_BYTES + 2];
} l7s_pairs_t;

/* Which number has this name (with a NUL)? L7S_PAIRS_UNWANTED: nobody asks for it. */
#define L7S_PAIRS_UNWANTED UINT32_MAX
typedef uint32_t (*l7s_wanted_fn)(const void *context, const char *name);

/* `query`: what stands behind a '?'. NULL: no pairs. */
void l7s_pairs_read_query(l7s_pairs_t *pairs, const char *query, l7s_wanted_fn wanted,
                          const void *context);
/* `header`: the value of Cookie, or NULL. */
void l7s_pairs_read_cookies(l7s_pairs_t *pairs, const char *header, l7s_wanted_fn wanted,
                            const void *context);

/* The next value of this name from item *at on, which is moved behind it; NULL: none. */
const char *l7s_pairs_next(const l7s_pairs_t *pairs, uint32_t name, uint32_t *at);

#endif
