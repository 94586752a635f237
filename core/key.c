/* SPDX-License-Identifier: Apache-2.0
 *
 * Canonical encodings and their digests. Nothing here fails: what is too long is cut at a
 * fixed place, the same on every node, so two requests may share a counter but a key is
 * never without one. Four parts at their maximum fill the buffer exactly.
 */
#include "key.h"

#include <string.h>

#define ABSENT 0xffff
#define NAME_MAX_BYTES 124
#define VALUE_MAX_BYTES 1024
#define CIDR_BYTES 17
#define PART_MAX_BYTES (1 + NAME_MAX_BYTES + 1 + 2 + VALUE_MAX_BYTES)

_Static_assert(L7S_KEY_PARTS_MAX *PART_MAX_BYTES <= L7S_KEY_ENCODING_MAX,
               "four parts of any size fit");

/* No part has this kind, so an identity never equals a tuple's encoding. */
#define IDENTITY_KIND 0x80

void l7s_key_begin(l7s_key_t *key)
{
    key->size = 0;
}

void l7s_key_add(l7s_key_t *key, l7s_part_t part, const char *name, const void *value,
                 size_t size)
{
    if (L7S_KEY_ENCODING_MAX - key->size < PART_MAX_BYTES) {
        return; /* a fifth part: the compiler of policies refuses it */
    }
    uint8_t *at = key->bytes + key->size;
    *at++ = (uint8_t)part;
    if (name != NULL) {
        size_t length = strnlen(name, NAME_MAX_BYTES);
        memcpy(at, name, length);
        at += length;
        *at++ = '\0';
    }
    size_t kept = size < VALUE_MAX_BYTES ? size : VALUE_MAX_BYTES;
    size_t length = value != NULL ? kept : ABSENT;
    *at++ = (uint8_t)length;
    *at++ = (uint8_t)(length >> 8);
    if (value != NULL) {
        memcpy(at, value, kept);
        at += kept;
    }
    key->size = (size_t)(at - key->bytes);
}

static void encode_cidr(uint8_t out[CIDR_BYTES], const l7s_cidr_t *cidr)
{
    memcpy(out, cidr->base.bytes, sizeof cidr->base.bytes);
    out[CIDR_BYTES - 1] = cidr->prefix;
}

void l7s_key_add_cidr(l7s_key_t *key, l7s_part_t part, const l7s_cidr_t *cidr)
{
    uint8_t value[CIDR_BYTES];
    encode_cidr(value, cidr);
    l7s_key_add(key, part, NULL, value, sizeof value);
}

l7s_hash128_t l7s_key_digest(const l7s_hashkey_t *count_key, const l7s_key_t *key)
{
    return l7s_siphash128(count_key, key->bytes, key->size);
}

l7s_hash128_t l7s_key_digest_cidr(const l7s_hashkey_t *count_key, l7s_part_t part,
                                  const l7s_cidr_t *cidr)
{
    uint8_t bytes[3 + CIDR_BYTES] = {(uint8_t)part, CIDR_BYTES, 0};
    encode_cidr(bytes + 3, cidr);
    return l7s_siphash128(count_key, bytes, sizeof bytes);
}

static uint8_t *append_le64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++) {
        *at++ = (uint8_t)(value >> (8 * i));
    }
    return at;
}

/* Name and spec have any length and nothing is allocated here: their digests are hashed.
 */
l7s_hash128_t l7s_limit_identity(const l7s_hashkey_t *count_key, const char *policy,
                                 const char *spec, unsigned index)
{
    l7s_hash128_t name = l7s_siphash128(count_key, policy, strlen(policy));
    l7s_hash128_t text = l7s_siphash128(count_key, spec, strlen(spec));
    uint8_t bytes[1 + 5 * 8] = {IDENTITY_KIND};
    uint8_t *at = append_le64(bytes + 1, name.lo);
    at = append_le64(at, name.hi);
    at = append_le64(at, text.lo);
    at = append_le64(at, text.hi);
    at = append_le64(at, index);
    return l7s_siphash128(count_key, bytes, (size_t)(at - bytes));
}
