/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of memcached's meta protocol that the counters need, and no others. Pure:
 * bytes in, one reply out. Strict, because a stream that is misread once is misread for
 * ever; bounded, because a server may be hostile.
 */
#ifndef L7S_META_REPLY_H
#define L7S_META_REPLY_H

#include <stddef.h>
#include <stdint.h>

#define SYNC_REPLY_MAX 48 /* no reply is longer */

typedef enum {
    SYNC_REPLY_MORE = 0,
    SYNC_REPLY_VALUE, /* "VA <size> t<seconds left>\r\n<number>\r\n" */
    SYNC_REPLY_MISS,  /* "EN\r\n" */
    SYNC_REPLY_NOOP,  /* "MN\r\n" */
    SYNC_REPLY_BAD
} sync_reply_t;

typedef struct {
    uint64_t number;
    uint64_t left_s; /* until the server forgets it */
} sync_value_t;

/* The reply at the head of `bytes`. *used is set for all but MORE and BAD, *value for
 * VALUE. MORE: it may still become a reply (never with SYNC_REPLY_MAX bytes or more). */
sync_reply_t sync_reply_parse(const char *bytes, size_t size, size_t *used,
                              sync_value_t *value);

#endif
