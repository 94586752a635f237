/* SPDX-License-Identifier: Apache-2.0
 *
 * Building and searching flat sets of networks. Order of the ranges: all of IPv4, then
 * all of IPv6, each ascending. So ::/0 and 10.0.0.0/8 stay two ranges although the first
 * one surrounds the second as a number, and "all of IPv6" does not admit an IPv4 address.
 */
#include "cidrset.h"

#include <stdlib.h>
#include <string.h>

/* An address as a number and its family: together its place in the order. */
typedef struct {
    unsigned __int128 number;
    bool v6;
} place_t;

static inline uint64_t load_be64(const uint8_t *bytes)
{
    uint64_t word;
    memcpy(&word, bytes, sizeof word);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

static inline place_t place_of(const l7s_addr_t *addr)
{
    uint64_t hi = load_be64(addr->bytes), lo = load_be64(addr->bytes + 8);
    return (place_t){.number = (unsigned __int128)hi << 64 | lo,
                     .v6 = (hi | (lo >> 32 ^ 0xffff)) != 0};
}

static inline bool before(place_t a, place_t b)
{
    return a.v6 != b.v6 ? b.v6 : a.number < b.number;
}

static int compare(const void *left, const void *right)
{
    const l7s_cidr_t *a = left, *b = right;
    place_t at = place_of(&a->base), bt = place_of(&b->base);
    if (before(at, bt)) {
        return -1;
    }
    if (before(bt, at)) {
        return 1;
    }
    return (a->prefix > b->prefix) - (a->prefix < b->prefix);
}

static l7s_addr_t last_of(const l7s_cidr_t *network)
{
    l7s_addr_t last = network->base;
    for (unsigned bit = network->prefix; bit < 128; bit++) {
        last.bytes[bit / 8] |= (uint8_t)(0x80 >> (bit % 8));
    }
    return last;
}

/* Does `next` begin inside `range` or right behind it, in the same family? */
static bool touches(const l7s_addr_range_t *range, const l7s_addr_t *next)
{
    place_t begin = place_of(next);
    if (begin.v6 != place_of(&range->first).v6) {
        return false;
    }
    unsigned __int128 last = place_of(&range->last).number;
    return begin.number <= last || begin.number - last == 1;
}

size_t l7s_cidrset_build(l7s_cidr_t *networks, size_t count, l7s_addr_range_t *out)
{
    size_t ranges = 0;
    if (count > 0) {
        qsort(networks, count, sizeof *networks, compare);
    }
    for (size_t i = 0; i < count; i++) {
        l7s_addr_t last = last_of(&networks[i]);
        l7s_addr_range_t *range = ranges > 0 ? &out[ranges - 1] : NULL;
        if (range == NULL || !touches(range, &networks[i].base)) {
            out[ranges++] = (l7s_addr_range_t){networks[i].base, last};
        } else if (memcmp(&range->last, &last, sizeof last) < 0) {
            range->last = last;
        }
    }
    return ranges;
}

bool l7s_cidrset_contains(const l7s_addr_range_t *ranges, size_t count,
                          const l7s_addr_t *addr)
{
    place_t place = place_of(addr);
    size_t low = 0;
    while (count > 0) {
        size_t half = count / 2;
        if (before(place, place_of(&ranges[low + half].first))) {
            count = half;
        } else {
            low += half + 1;
            count -= half + 1;
        }
    }
    if (low == 0) {
        return false;
    }
    const l7s_addr_range_t *range = &ranges[low - 1];
    return place_of(&range->first).v6 == place.v6 &&
           memcmp(addr, &range->last, sizeof *addr) <= 0;
}

static inline uint32_t load_be32(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] << 24 | (uint32_t)bytes[1] << 16 | (uint32_t)bytes[2] << 8 |
           bytes[3];
}

size_t l7s_cidrset_split4(const l7s_addr_range_t *ranges, size_t count, l7s_range4_t *out)
{
    size_t fours = 0;
    while (fours < count && l7s_addr_is_v4(&ranges[fours].first)) {
        out[fours] = (l7s_range4_t){load_be32(ranges[fours].first.bytes + 12),
                                    load_be32(ranges[fours].last.bytes + 12)};
        fours++;
    }
    return fours;
}

bool l7s_cidrset_contains4(const l7s_range4_t *ranges, size_t count,
                           const l7s_addr_t *addr)
{
    uint32_t number = load_be32(addr->bytes + 12);
    if (count == 0) {
        return false;
    }
    while (count > 1) {
        size_t half = count / 2;
        ranges += ranges[half].first <= number ? half : 0;
        count -= half;
    }
    return ranges->first <= number && number <= ranges->last;
}

/* Without a branch that a client's address decides: such are guessed wrong half of the
 * time. */
bool l7s_cidrset_contains6(const l7s_addr_range_t *ranges, size_t count,
                           const l7s_addr_t *addr)
{
    uint64_t hi = load_be64(addr->bytes), lo = load_be64(addr->bytes + 8);
    if (count == 0) {
        return false;
    }
    while (count > 1) {
        size_t half = count / 2;
        uint64_t first_hi = load_be64(ranges[half].first.bytes);
        uint64_t first_lo = load_be64(ranges[half].first.bytes + 8);
        size_t behind = (first_hi < hi) | ((first_hi == hi) & (first_lo <= lo));
        ranges += half & -behind;
        count -= half;
    }
    return memcmp(&ranges->first, addr, sizeof *addr) <= 0 &&
           memcmp(addr, &ranges->last, sizeof *addr) <= 0;
}
