/* SPDX-License-Identifier: Apache-2.0
 *
 * One counter as a tick sees it: its slot in the table, its limit, and what both say at
 * the time of the tick; beside it what all parts of an exchange with the fleet work with.
 * Does not decide: push.h says what travels, total.h what comes back.
 */
#ifndef SYNC_COUNTER_H
#define SYNC_COUNTER_H

#include "../../core/image/image.h"
#include "../../core/segment/segment.h"
#include "alone.h"
#include "news.h"
#include "told.h"

/* Everything is borrowed. */
typedef struct {
    const l7s_shared_t *shared;
    sync_alone_t *alone;
    sync_told_t *told;
    sync_news_t *news;
    uint32_t began_ms; /* mono, of the first tick */
    uint64_t dice;     /* of parcels and of first looks */
    /* Of the running tick: */
    const l7s_image_t *image; /* NULL: no limit is known */
    uint32_t live_nodes;
    l7s_now_t now;
} sync_round_t;

/* NULL: no policy in force has this limit. */
const l7s_image_limit_t *sync_round_limit(const sync_round_t *round, uint32_t id);

/* Any number that differs from call to call and from node to node. */
uint64_t sync_round_roll(sync_round_t *round);

typedef struct {
    sync_round_t *round;
    const l7s_image_limit_t *limit; /* borrowed from the image for the tick */
    l7s_slot_t *slot;               /* NULL: the key is not in the table */
    l7s_hash128_t key;
} sync_counter_t;

/* The counter that the slot at `index` holds now; its limit may be NULL. */
sync_counter_t sync_counter_at(sync_round_t *round, uint32_t index);
uint32_t sync_counter_index(const sync_counter_t *counter);
sync_alone_place_t sync_counter_place(const sync_counter_t *counter);

/* Tokens in use; with debt, up to two buckets. */
uint32_t sync_counter_used(const sync_counter_t *counter);
uint32_t sync_counter_headroom(const sync_counter_t *counter);
/* Near its limit? Of a share whatever counts may matter. */
bool sync_counter_is_near(const sync_counter_t *counter);
bool sync_counter_is_drained(const sync_counter_t *counter);
/* For how long tokens have been waiting to travel. */
uint32_t sync_counter_age_ms(const sync_counter_t *counter);

/* What was last seen of its number in the store. */
l7s_fleet_view_t sync_counter_view(const sync_counter_t *counter);
void sync_counter_set_view(const sync_counter_t *counter, const l7s_fleet_view_t *view);

/* How far that is ahead of what all nodes know, and for how long they heard nothing. */
uint64_t sync_counter_moved(const sync_counter_t *counter);
uint32_t sync_counter_silent_ms(const sync_counter_t *counter);
/* Tells them, with what is in use here (as l7s_fleet_news_t has it). */
void sync_counter_tell(const sync_counter_t *counter, uint64_t used);

#endif
