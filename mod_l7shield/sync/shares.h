/* SPDX-License-Identifier: Apache-2.0
 *
 * Shares of failing answers among the counters that travel: both tallies of a key as one
 * number (core/decide/share.h). What push.c and total.c do with a bucket is done here
 * with them. While the store is away each node judges by what it saw: unlike a rate, a
 * share need not be divided among nodes.
 *
 * The counter is that of what was answered.
 */
#ifndef SYNC_SHARES_H
#define SYNC_SHARES_H

#include "../../core/bus/meta.h"
#include "../../core/decide/share.h"
#include "counter.h"

/* What is to travel; 0: nothing does. */
uint64_t sync_share_take(const sync_counter_t *counter);
/* It could not leave. */
void sync_share_put_back(const sync_counter_t *counter, uint64_t delta);

/* The number of `period` is what `op` says, which began, or was last seen by the slot of
 * another period, `elapsed_ms` ago. Tells other nodes, if that is worth it. */
void sync_share_learn(const sync_counter_t *counter, uint32_t period, uint64_t elapsed_ms,
                      const l7s_meta_op_t *op);

/* Takes in what another node told; the counter's slot is looked up. */
void sync_share_hear(const sync_counter_t *counter, const l7s_fleet_news_t *news);

#endif
