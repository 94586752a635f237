/* SPDX-License-Identifier: Apache-2.0
 *
 * What the fleet is to have, read from the store and put into the form in which it
 * travels (core/bus/manifest.h): parts, chunks, manifest, mode item. Does not touch the
 * bus. Not thread-safe: it belongs to the publisher.
 */
#ifndef ADMIN_SNAPSHOT_H
#define ADMIN_SNAPSHOT_H

#include "../daemon.h"
#include "snapshot_parts.h"

typedef struct admin_snapshot admin_snapshot_t;

admin_snapshot_t *admin_snapshot_create(const admin_daemon_t *daemon); /* or NULL */
void admin_snapshot_free(admin_snapshot_t *snapshot);

/* Reads policies, lists, apps, responses and settings, or the bans, anew. On failure the
 * snapshot is as it was. */
L7S_MUST_USE l7s_status_t admin_snapshot_read_config(admin_snapshot_t *snapshot);
L7S_MUST_USE l7s_status_t admin_snapshot_read_bans(admin_snapshot_t *snapshot,
                                                   uint64_t now_ms);

/* Calls `store` for every chunk that is not known to be in memcached, until one fails. */
L7S_MUST_USE l7s_status_t admin_snapshot_store(admin_snapshot_t *snapshot,
                                               admin_chunk_fn store, void *context);
/* Nothing is known to be in memcached any more. */
void admin_snapshot_lost(admin_snapshot_t *snapshot);
/* One chunk after another, round and round, to look whether it is still there. NULL:
 * there are none. Borrowed until the next read. */
const l7s_chunk_t *admin_snapshot_next_chunk(admin_snapshot_t *snapshot);

/* A chunk that no part has used for half a minute, so that no node can be about to read
 * it, and that should be deleted. False: there is none (now). */
bool admin_snapshot_retired(admin_snapshot_t *snapshot, uint64_t mono_ms,
                            char hash[L7S_SHA256_TEXT]);

size_t admin_snapshot_chunks(const admin_snapshot_t *snapshot); /* how many there are */

/* malloc'ed texts, owned by the caller; NULL: no memory. */
char *admin_snapshot_manifest(const admin_snapshot_t *snapshot, const char *secret_id,
                              uint64_t now_ms);
char *admin_snapshot_head(const admin_snapshot_t *snapshot, const char *bus_epoch);
/* The payload of the mode item, "" before the first read; borrowed. It differs from the
 * one before only when the kill switch was touched. */
const char *admin_snapshot_mode(const admin_snapshot_t *snapshot);
/* Another mode item than ours lies on the bus. True: it is the later one and ours from
 * now on (kill_switch.h). */
bool admin_snapshot_adopt_mode(admin_snapshot_t *snapshot, const l7s_mode_item_t *there);
/* The next read takes the mode in the settings for said just now. */
void admin_snapshot_mode_spoken(admin_snapshot_t *snapshot);
uint64_t admin_snapshot_revision(const admin_snapshot_t *snapshot);

#endif
