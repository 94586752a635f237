/* SPDX-License-Identifier: Apache-2.0
 *
 * Shares of failing answers among the counters that travel: both tallies of a key as one
 * number (core/decide/share.h). What counters.c does with a bucket is done here with
 * them. While the store is away each node judges by what it saw: unlike a rate, a share
 * need not be divided among nodes.
 */
#ifndef SYNC_SHARES_H
#define SYNC_SHARES_H

#include "../../core/bus/meta.h"
#include "../../core/decide/share.h"
#include "../../core/segment/segment.h"
#include "news.h"
#include "told.h"

/* One of them, in one tick. Everything is borrowed. */
typedef struct {
    const l7s_shared_t *shared;
    sync_told_t *told;
    sync_news_t *news;
    uint32_t live_nodes;
    l7s_now_t now;
    const l7s_image_limit_t *limit; /* of what was answered */
    l7s_hash128_t key;              /* of its slot */
} sync_share_t;

/* What is to travel; 0: nothing does. */
uint64_t sync_share_take(const sync_share_t *share);
/* It could not leave. */
void sync_share_put_back(const sync_share_t *share, uint64_t delta);

/* The number of `period` is what `op` says, which began, or was last seen by the slot of
 * another period, `elapsed_ms` ago. Tells other nodes, if that is worth it. */
void sync_share_learn(const sync_share_t *share, uint32_t period, uint64_t elapsed_ms,
                      const l7s_meta_op_t *op);

/* Takes in what another node told. */
void sync_share_hear(const sync_share_t *share, const l7s_fleet_news_t *news);

#endif
