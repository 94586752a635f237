/* SPDX-License-Identifier: Apache-2.0
 *
 * What policies did over time, in events.db: steps of five minutes, the sum of all nodes.
 * Nodes report totals; what is kept of a node (store_events.h) tells what was counted
 * already, so steps and node are written in one transaction and nothing counts twice.
 */
#ifndef ADMIN_STORE_STATS_H
#define ADMIN_STORE_STATS_H

#include "store.h"
#include <jansson.h>

#define ADMIN_STATS_STEP_S 300

typedef struct {
    uint64_t matched, acted, would_act, logged;
} admin_policy_sums_t;

/* Adds what `seat` of this node tells beyond its kept one, to the step of now. Before
 * admin_node_put, in its transaction of ADMIN_EVENTS_DB. A total that is smaller than
 * before began anew. */
L7S_MUST_USE l7s_status_t admin_stats_take(admin_store_t *store, const char *node,
                                           const json_t *seat, uint64_t now_ms);

/* The policy's sums in steps of `step_s` seconds since `since_s`, in their order; those
 * of nothing are left out. */
typedef void (*admin_stats_fn)(void *context, uint64_t at_s,
                               const admin_policy_sums_t *sums);
L7S_MUST_USE l7s_status_t admin_stats_each(admin_store_t *store, const char *policy,
                                           uint64_t since_s, uint64_t step_s,
                                           admin_stats_fn each, void *context);

/* Deletes steps before `before_ms`, and the oldest ones beyond `rows_max` in all. */
L7S_MUST_USE l7s_status_t admin_stats_prune(admin_store_t *store, uint64_t before_ms,
                                            uint64_t rows_max);

#endif
