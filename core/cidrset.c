/* SPDX-License-Identifier: Apache-2.0
 *
 * Building and searching flat sets of networks. Order of the ranges: all of IPv4, then
 * all of IPv6, each ascending. So ::/0 and 10.0.0.0/8 stay two ranges although the first
 * one surrounds the second as a number, and "all of IPv6" does not admit an IPv4 address.
 */
#include "cidrset.h"

#include <stdlib.h>
#include <string.h>

/* An address as three words that compare like its place in the order. */
typedef struct {
    uint64_t family, hi, lo;
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
    place_t place = {.hi = load_be64(addr->bytes), .lo = load_be64(addr->bytes + 8)};
    place.family = place.hi != 0 || place.lo >> 32 != 0xffff;
    return place;
}

static inline bool before(place_t a, place_t b)
{
    if (a.family != b.family) {
        return a.family < b.family;
    }
    return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
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
    place_t first = place_of(&range->first), last = place_of(&range->last);
    place_t begin = place_of(next);
    if (begin.family != first.family) {
        return false;
    }
    last.family = first.family; /* of a wide IPv6 network the end may look like IPv4 */
    if (!before(last, begin)) {
        return true;
    }
    last.lo++;
    last.hi += last.lo == 0;
    return last.hi == begin.hi && last.lo == begin.lo;
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
    return place_of(&range->first).family == place.family &&
           memcmp(addr, &range->last, sizeof *addr) <= 0;
}
