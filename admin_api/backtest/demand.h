/* SPDX-License-Identifier: Apache-2.0
 *
 * How much each key of a limit asked for at its height: the lowest limit of the same
 * shape (period, and burst in proportion) that would never have refused it. From that
 * follows which limit would have touched one key in a hundred.
 *
 * For each key one bucket runs that is never refused: when it overflows, its limit is
 * raised to the next step, and what is in use stays in use. So its use is never below
 * that of the bucket that it ends with, which therefore would not have overflowed either:
 * a threshold taken from here touches at most the share that it is said to. It may be
 * higher than needed: what was in use when the limit was raised, at most one limit, makes
 * it up to twice as high in the worst case (a long steady stream right at the limit, then
 * a burst), and steps are 9 % apart.
 */
#ifndef ADMIN_DEMAND_H
#define ADMIN_DEMAND_H

#include "../../core/count/bucket.h"
#include "sample.h"

typedef struct admin_demand admin_demand_t;

/* `max`: as in admin_sample_create. NULL: no memory. */
admin_demand_t *admin_demand_create(const l7s_rate_t *rate, uint32_t max);
void admin_demand_free(admin_demand_t *demand);

/* The key asked for `tokens` at this time, which does not go back. */
void admin_demand_add(admin_demand_t *demand, uint64_t key, uint64_t now_us,
                      uint64_t tokens);

typedef struct {
    uint64_t requests, burst; /* the limit */
    uint64_t touched;         /* keys that ask for more */
} admin_threshold_t;

/* The lowest step that touches at most `most` keys. */
admin_threshold_t admin_demand_threshold(const admin_demand_t *demand, uint64_t most);
uint64_t admin_demand_keys(const admin_demand_t *demand);
/* 1: every key was seen, else one in so many. */
uint64_t admin_demand_weight(const admin_demand_t *demand);

#endif
