/* SPDX-License-Identifier: Apache-2.0
 *
 * The answers of memcached's meta protocol that a compare-and-swap needs, and no others.
 * Pure, strict and bounded like meta_reply.h: a stream that is misread once is misread
 * for ever, and a server may be hostile.
 */
#ifndef SYNC_STRICT_REPLY_H
#define SYNC_STRICT_REPLY_H

#include <stddef.h>
#include <stdint.h>

#define SYNC_STRICT_REPLY_MAX 64 /* no reply is longer */

typedef enum {
    SYNC_STRICT_MORE = 0,
    SYNC_STRICT_VALUE,  /* "VA <size> c<cas>\r\n<tat>\r\n" */
    SYNC_STRICT_ABSENT, /* "EN\r\n" of a read, "NF\r\n" of a write or a delete */
    SYNC_STRICT_DONE,   /* "HD\r\n": written or deleted */
    SYNC_STRICT_RACED,  /* "EX\r\n", "NS\r\n": somebody else was faster */
    SYNC_STRICT_NOOP,   /* "MN\r\n" */
    SYNC_STRICT_BAD
} sync_strict_kind_t;

typedef struct {
    sync_strict_kind_t kind;
    uint64_t tat, cas; /* of a VALUE */
} sync_strict_reply_t;

/* The reply at the head of `bytes`; returns its size, 0 for MORE and BAD. MORE never
 * comes of SYNC_STRICT_REPLY_MAX bytes or more. */
size_t sync_strict_reply_parse(const char *bytes, size_t size, sync_strict_reply_t *out);

#endif
