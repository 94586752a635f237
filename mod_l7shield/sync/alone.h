/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting without the store. Tokens that cannot leave are charged here as often as there
 * were living nodes when the store was last heard of, as if every node had used as many:
 * so a limit of the fleet is divided among its nodes, and each holds its share without
 * knowing the others. Workers need no switch for that; their bucket is simply emptier.
 *
 * When the store is back, what of those tokens has not drained yet travels once, and what
 * was charged for the others is set off against what they turn out to have used. Numbers
 * only: no table, no clock, no network.
 */
#ifndef SYNC_ALONE_H
#define SYNC_ALONE_H

#include "../../core/count/fleet.h"
#include "../../core/status.h"
#include <stdbool.h>
#include <stddef.h>

typedef struct sync_alone sync_alone_t;

/* Remembers up to three numbers for each of `slots` places of the table. */
L7S_MUST_USE l7s_status_t sync_alone_create(size_t slots, sync_alone_t **out);
void sync_alone_free(sync_alone_t *alone);

/* Whose numbers: the place, the key in it, and by how many its limit is divided. */
typedef struct {
    uint32_t index;
    uint64_t key_lo;
    uint32_t nodes;
} sync_alone_place_t;

/* How many of `pending` tokens, some of which may have been charged for all nodes, are
 * still in the bucket of which `used` tokens are in use. These travel; the others have
 * drained. */
uint32_t sync_alone_left(sync_alone_t *alone, const sync_alone_place_t *place,
                         uint32_t pending, uint32_t used);

/* `tokens` could not leave: returns what to debit for the other nodes. `inherited`: some
 * of them were waiting already when this process began, and its predecessor may have
 * charged them: then it charges none of them again. */
uint64_t sync_alone_failed(sync_alone_t *alone, const sync_alone_place_t *place,
                           uint32_t tokens, bool inherited);

/* The tokens of sync_alone_left have left. */
void sync_alone_sent(sync_alone_t *alone, const sync_alone_place_t *place,
                     uint64_t now_ms);

/* Others turn out to have used `others`: returns what of it is not charged here yet. */
uint64_t sync_alone_uncharged(sync_alone_t *alone, const sync_alone_place_t *place,
                              uint64_t others, uint64_t now_ms);

#endif
