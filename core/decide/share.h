/* SPDX-License-Identifier: Apache-2.0
 *
 * Both tallies of a key of which the share of failing answers is watched (ratio.h): where
 * they are on this node, and how they travel. They travel as one number, what was
 * answered in its lower half and what of it failed in its upper: whoever saw one without
 * the other would take a busy client for one whose every request fails. Each half only
 * grows within a bucket period (fleet.h), and none is filled in one.
 */
#ifndef L7S_SHARE_H
#define L7S_SHARE_H

#include "../count/fleet.h"
#include "../count/ratio.h"
#include "../image/image.h"
#include "../segment/table.h"

typedef struct {
    uint32_t answered, failed;
} l7s_share_t;

uint64_t l7s_share_pack(l7s_share_t share);
l7s_share_t l7s_share_unpack(uint64_t number);

/* --- where they are --- */

/* Whose: the limits of a policy's tallies, borrowed from its image, and the digest of the
 * tuple. */
typedef struct {
    const l7s_table_t *table;
    const l7s_image_limit_t *limits;
    l7s_hash128_t digest;
    l7s_now_t now;
} l7s_share_place_t;

/* NULL: it is not there. A key of which nothing failed has no slot for that. */
l7s_slot_t *l7s_share_slot(const l7s_share_place_t *place, unsigned which);

/* Counts. Returns the slot of what was answered, or NULL: there was no room for it, and
 * what failed means nothing alone. */
l7s_slot_t *l7s_share_add(const l7s_share_place_t *place, l7s_share_t share);

/* Records what must reach the fleet, and takes it: no more than still counts. */
void l7s_share_mark(const l7s_share_place_t *place, l7s_share_t share);
l7s_share_t l7s_share_take(const l7s_share_place_t *place);

/* What counts now, and what of it does not wait for that. */
l7s_share_t l7s_share_used(const l7s_share_place_t *place);
l7s_share_t l7s_share_sent(const l7s_share_place_t *place);

/* --- what a number means --- */

/* Like l7s_fleet_learn: what others counted since the last look, as far as it lies within
 * the last period. `elapsed_ms`: since that look, or, of a number not seen before, since
 * it was begun. */
l7s_share_t l7s_share_learn(const l7s_rate_t *rate, l7s_fleet_view_t *view,
                            uint32_t period, uint64_t total, l7s_share_t pushed,
                            uint64_t elapsed_ms);

/* Is it worth telling others? While half of what would be too much fails, and it has
 * moved by a twelfth since they were last told, or two seconds ago. */
bool l7s_share_must_tell(const l7s_image_limit_t *limits, l7s_share_t used,
                         uint64_t moved, uint64_t silent_ms);

/* Like l7s_fleet_hear; news->used is packed as the total is. `own`: what counts here and
 * the teller may know of. */
l7s_share_t l7s_share_hear(l7s_fleet_view_t *view, const l7s_fleet_news_t *news,
                           l7s_share_t own);

#endif
