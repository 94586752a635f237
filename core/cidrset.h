/* SPDX-License-Identifier: Apache-2.0
 *
 * A set of networks as a flat, sorted array of disjoint ranges: built once, placed in an
 * image at any offset, searched in place by binary search (17 steps for 100,000
 * networks). Membership only; it does not tell which network matched.
 */
#ifndef L7S_CIDRSET_H
#define L7S_CIDRSET_H

#include "addr.h"

typedef struct {
    l7s_addr_t first, last; /* inclusive, compared as big-endian numbers */
} l7s_addr_range_t;

/* Sorts and merges `count` networks into `out` (room for `count` ranges; neighbours and
 * overlaps melt together). Returns the number of ranges. Modifies `networks`' order. */
size_t l7s_cidrset_build(l7s_cidr_t *networks, size_t count, l7s_addr_range_t *out);

bool l7s_cidrset_contains(const l7s_addr_range_t *ranges, size_t count,
                          const l7s_addr_t *addr);

#endif
