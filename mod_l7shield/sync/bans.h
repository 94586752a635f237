/* SPDX-License-Identifier: Apache-2.0
 *
 * The bans of this node and those of the fleet: applies what the ban log and the daemon's
 * whole set say to the shared table, and finds what this node's workers banned and the
 * fleet does not know yet. Moves nothing over the bus (ban_log.c) and writes no file
 * (ban_file.c).
 *
 * Convergence: the whole set stands for every log entry before its `ban_log`. A ban of
 * the fleet that is in neither has been lifted while nobody looked, and is lifted here.
 */
#ifndef SYNC_BANS_H
#define SYNC_BANS_H

#include "../../core/segment/segment.h"
#include "ban_ledger.h"
#include "publish.h"
#include <jansson.h>

typedef struct sync_bans sync_bans_t;

/* A ban together with what is known of it: what stands in bans.json. */
typedef struct {
    l7s_ban_t ban;
    bool published;
    uint64_t log_index;
} sync_ban_state_t;

L7S_MUST_USE l7s_status_t sync_bans_create(const l7s_shared_t *shared,
                                           const sync_publisher_t *publisher,
                                           sync_bans_t **out);
void sync_bans_free(sync_bans_t *bans);

/* Once per tick, before the others: expiry, and bans under a new counting key. */
void sync_bans_tick(sync_bans_t *bans, l7s_now_t now);

/* An image under another counting key is about to be in force: bans of addresses are put
 * beside themselves under their new names first, so that none is away for a moment. */
void sync_bans_prepare(sync_bans_t *bans, const l7s_hashkey_t *key, l7s_now_t now);

/* One entry of the ban log. A lift that a node wrote is refused. */
void sync_bans_entry(sync_bans_t *bans, const json_t *entry, bool by_daemon,
                     uint64_t log_index, l7s_now_t now);

/* The whole set of the daemon: {"bans":[…]}; it contains the log before `ban_log`. */
void sync_bans_set(sync_bans_t *bans, const json_t *document, uint64_t ban_log,
                   l7s_now_t now);
/* The log has been read to its end: what neither the last set nor the log behind it names
 * is lifted. Does nothing when that has been done for this set. */
void sync_bans_converge(sync_bans_t *bans, l7s_now_t now);

/* Up to `max` bans of this node's workers that the fleet does not know. Only looks when
 * something changed or when there were more the last time. */
size_t sync_bans_unpublished(sync_bans_t *bans, l7s_ban_t *out, size_t max,
                             l7s_now_t now);
/* The fleet has been told: at this place of the log. */
void sync_bans_published(sync_bans_t *bans, const l7s_ban_t *ban, uint64_t log_index);

/* The bus starts anew. */
void sync_bans_turn(sync_bans_t *bans);

/* For the file. `restore` puts a ban back after a cold start. */
typedef void (*sync_bans_each_fn)(void *context, const sync_ban_state_t *state);
void sync_bans_each(sync_bans_t *bans, l7s_now_t now, sync_bans_each_fn each,
                    void *context);
void sync_bans_restore(sync_bans_t *bans, const sync_ban_state_t *state, bool into_table,
                       l7s_now_t now);

#endif
