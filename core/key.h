/* SPDX-License-Identifier: Apache-2.0
 *
 * Names of counters. What is counted is a tuple of parts (client, network, path, …); its
 * canonical encoding, hashed under the fleet's counting key, is the tuple's digest, the
 * same on every node and in the daemon. A limit has an identity (policy name, count,
 * detect, index), hashed under the same key. A counter's key is the exclusive-or of both:
 * policies that count by the same tuple share one hash per request, and since both halves
 * are PRF outputs an outsider can neither predict a key nor make two collide.
 *
 * Encoding of a part: one byte kind (l7s_part_t), for header the lower-case name, for
 * cookie its name, and a NUL, then two bytes length (little endian) and the value.
 * Absent: length 0xffff. The vectors in tests/core/key-vectors.json pin it.
 */
#ifndef L7S_KEY_H
#define L7S_KEY_H

#include "addr.h"
#include "hash.h"

typedef enum {
    L7S_PART_CLIENT = 1, /* value: 17 bytes, the client's CIDR (16 bytes and prefix) */
    L7S_PART_NETWORK,    /* value: 17 bytes, the masked CIDR */
    L7S_PART_PATH,       /* value: the normalised path */
    L7S_PART_HOST,       /* value: the normalised host */
    L7S_PART_HEADER,     /* value: the header's bytes; longer than 1 KiB: its first KiB */
    L7S_PART_GLOBAL,     /* value: empty */
    L7S_PART_APP,        /* value: the application's name */
    L7S_PART_COOKIE,     /* value: the cookie's bytes, like a header's */
    L7S_PART_ASN,        /* value: the number in decimal */
    L7S_PART_COUNTRY,    /* value: its two capitals */
    L7S_PART_USER,       /* value: the authenticated user's name, cut like a header */
    L7S_PART_MAX
} l7s_part_t;

#define L7S_KEY_PARTS_MAX 4
#define L7S_KEY_ENCODING_MAX 4608

/* A tuple under construction, on the caller's stack. `size` bytes of `bytes` are valid;
 * the rest is never initialised, since this lives on the request path. */
typedef struct {
    size_t size;
    uint8_t bytes[L7S_KEY_ENCODING_MAX];
} l7s_key_t;

void l7s_key_begin(l7s_key_t *key);
/* Appends one part. `name` only for headers and cookies. `value` NULL means absent. */
void l7s_key_add(l7s_key_t *key, l7s_part_t part, const char *name, const void *value,
                 size_t size);
void l7s_key_add_cidr(l7s_key_t *key, l7s_part_t part, const l7s_cidr_t *cidr);
l7s_hash128_t l7s_key_digest(const l7s_hashkey_t *count_key, const l7s_key_t *key);

/* The identity of one limit. `spec` is the canonical JSON text (sorted keys, no blanks)
 * of the policy's {"count":…,"detect":…}; `index` the rate's place in its list. */
l7s_hash128_t l7s_limit_identity(const l7s_hashkey_t *count_key, const char *policy,
                                 const char *spec, unsigned index);

/* The digest of a client or network tuple on its own: what bans, lifting and the daemon
 * need. */
l7s_hash128_t l7s_key_digest_cidr(const l7s_hashkey_t *count_key, l7s_part_t part,
                                  const l7s_cidr_t *cidr);

#endif
