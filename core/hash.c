/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-2-4, one loop for both lengths of output. Bytes are read as little-endian
 * words, so results are the same on every host. Inputs here are short (20 to 100 bytes):
 * the loop is not unrolled, the four words stay in registers.
 */
#include "hash.h"

#include <stdbool.h>
#include <string.h>

#define ROTATE(x, bits) (((x) << (bits)) | ((x) >> (64 - (bits))))

typedef struct {
    uint64_t v0, v1, v2, v3;
} sip_t;

static inline __attribute__((always_inline)) sip_t sip_round(sip_t s)
{
    s.v0 += s.v1;
    s.v1 = ROTATE(s.v1, 13) ^ s.v0;
    s.v0 = ROTATE(s.v0, 32);
    s.v2 += s.v3;
    s.v3 = ROTATE(s.v3, 16) ^ s.v2;
    s.v0 += s.v3;
    s.v3 = ROTATE(s.v3, 21) ^ s.v0;
    s.v2 += s.v1;
    s.v1 = ROTATE(s.v1, 17) ^ s.v2;
    s.v2 = ROTATE(s.v2, 32);
    return s;
}

static inline uint64_t load_le64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The last 0…7 bytes and, on top, the length modulo 256. Behind a whole word they are cut
 * from the eight bytes that end the message: no loop over bytes. */
static inline uint64_t last_word(const uint8_t *tail, size_t size)
{
    unsigned rest = size & 7;
    uint64_t word = (uint64_t)size << 56;
    if (rest == 0) {
        return word;
    }
    if (size >= 8) {
        return word | load_le64(tail + rest - 8) >> (64 - 8 * rest);
    }
    for (unsigned i = 0; i < rest; i++) {
        word |= (uint64_t)tail[i] << (8 * i);
    }
    return word;
}

static inline __attribute__((always_inline)) sip_t sip_absorb(sip_t s, uint64_t word)
{
    s.v3 ^= word;
    s = sip_round(sip_round(s));
    s.v0 ^= word;
    return s;
}

static inline __attribute__((always_inline)) sip_t
sip_input(const l7s_hashkey_t *key, const uint8_t *bytes, size_t size, bool wide)
{
    sip_t s = {
        .v0 = key->k0 ^ 0x736f6d6570736575ULL,
        .v1 = key->k1 ^ 0x646f72616e646f6dULL ^ (wide ? 0xee : 0),
        .v2 = key->k0 ^ 0x6c7967656e657261ULL,
        .v3 = key->k1 ^ 0x7465646279746573ULL,
    };
    const uint8_t *tail = bytes + (size & ~(size_t)7);
    for (; bytes != tail; bytes += 8) {
        s = sip_absorb(s, load_le64(bytes));
    }
    return sip_absorb(s, last_word(tail, size));
}

static inline __attribute__((always_inline)) sip_t sip_finish(sip_t s)
{
    return sip_round(sip_round(sip_round(sip_round(s))));
}

static inline uint64_t sip_output(sip_t s)
{
    return s.v0 ^ s.v1 ^ s.v2 ^ s.v3;
}

uint64_t l7s_siphash64(const l7s_hashkey_t *key, const void *data, size_t size)
{
    sip_t s = sip_input(key, data, size, false);
    s.v2 ^= 0xff;
    return sip_output(sip_finish(s));
}

l7s_hash128_t l7s_siphash128(const l7s_hashkey_t *key, const void *data, size_t size)
{
    sip_t s = sip_input(key, data, size, true);
    s.v2 ^= 0xee;
    s = sip_finish(s);
    l7s_hash128_t hash = {.lo = sip_output(s)};
    s.v1 ^= 0xdd;
    hash.hi = sip_output(sip_finish(s));
    return hash;
}

void l7s_hash128_text(l7s_hash128_t hash, char out[L7S_HASH128_TEXT])
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    /* Of the bytes in their order the first bits come first. */
    uint64_t bits = __builtin_bswap64(hash.lo), rest = __builtin_bswap64(hash.hi);
    for (unsigned i = 0; i < L7S_HASH128_TEXT - 1; i++) {
        out[i] = alphabet[bits >> 58];
        bits = bits << 6 | rest >> 58;
        rest <<= 6;
    }
    out[L7S_HASH128_TEXT - 1] = '\0';
}
