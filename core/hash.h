/* SPDX-License-Identifier: Apache-2.0
 *
 * Keyed hashing: SipHash-2-4 with 64 and 128 bits of output (Aumasson and Bernstein,
 * "SipHash: a fast short-input PRF", 2012, and the reference code's 128-bit variant).
 * Not for secrecy of content; it keeps outsiders from aiming at a counter or a slot.
 */
#ifndef L7S_HASH_H
#define L7S_HASH_H

#include <stddef.h>
#include <stdint.h>

typedef struct {
    uint64_t k0, k1;
} l7s_hashkey_t;

typedef struct {
    uint64_t lo, hi;
} l7s_hash128_t;

uint64_t l7s_siphash64(const l7s_hashkey_t *key, const void *data, size_t size);
l7s_hash128_t l7s_siphash128(const l7s_hashkey_t *key, const void *data, size_t size);

static inline l7s_hash128_t l7s_hash128_xor(l7s_hash128_t a, l7s_hash128_t b)
{
    return (l7s_hash128_t){a.lo ^ b.lo, a.hi ^ b.hi};
}

/* base64url without padding: 22 characters and a NUL, safe as part of a memcached key. */
#define L7S_HASH128_TEXT 23
void l7s_hash128_text(l7s_hash128_t hash, char out[L7S_HASH128_TEXT]);

#endif
