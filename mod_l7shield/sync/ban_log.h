/* SPDX-License-Identifier: Apache-2.0
 *
 * The ban log on the bus: entries 1, 2, 3, … that every node and the daemon append to
 * with add, so no two writers ever share an entry. Reads on each tick, hands the entries
 * to bans.h and appends what this node's workers banned.
 */
#ifndef SYNC_BAN_LOG_H
#define SYNC_BAN_LOG_H

#include "bans.h"
#include "bus.h"

typedef struct sync_ban_log sync_ban_log_t;

L7S_MUST_USE l7s_status_t sync_ban_log_create(sync_bus_t *bus, sync_bans_t *bans,
                                              sync_ban_log_t **out);
void sync_ban_log_free(sync_ban_log_t *log);

/* Starts anew when the bus did. To be called before a whole set of this turn is used. */
void sync_ban_log_begin(sync_ban_log_t *log);

/* The daemon's whole set contains the entries before `first`: go on from there. */
void sync_ban_log_jump(sync_ban_log_t *log, uint64_t first);

/* Reads to the end, then appends. Nothing is lost when the tick's time runs out. */
void sync_ban_log_tick(sync_ban_log_t *log, l7s_now_t now);

#endif
