/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of networks as a flat, sorted array of disjoint ranges: built once, placed in an
 * image at any offset, searched in place by binary search (17 steps for 100,000
 * networks). Membership only; it does not tell which network matched.
 */
#ifndef L7S_CIDRSET_H
#define L7S_CIDRSET_H

#include "../addr.h"

typedef struct {
    l7s_addr_t first, last; /* inclusive, compared as big-endian numbers */
} l7s_addr_range_t;

/* Sorts and merges `count` networks into `out` (room for `count` ranges; neighbours and
 * overlaps melt together). Returns the number of ranges. Modifies `networks`' order. */
size_t l7s_cidrset_build(l7s_cidr_t *networks, size_t count, l7s_addr_range_t *out);

/* IPv4 alone, in host order: an eighth of the memory, for lists of many thousands. */
typedef struct {
    uint32_t first, last; /* inclusive */
} l7s_range4_t;

/* How many of the ranges are of IPv4: they stand in front. Writes them to `out`, which
 * has room for all. */
size_t l7s_cidrset_split4(const l7s_addr_range_t *ranges, size_t count,
                          l7s_range4_t *out);

/* Is the IPv4 address in one of them? `addr` is one. */
bool l7s_cidrset_contains4(const l7s_range4_t *ranges, size_t count,
                           const l7s_addr_t *addr);

/* The same for IPv6: all ranges are of it, and so is `addr`. */
bool l7s_cidrset_contains6(const l7s_addr_range_t *ranges, size_t count,
                           const l7s_addr_t *addr);

bool l7s_cidrset_contains(const l7s_addr_range_t *ranges, size_t count,
                          const l7s_addr_t *addr);

#endif
