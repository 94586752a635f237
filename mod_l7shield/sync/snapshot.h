/* SPDX-License-Identifier: Apache-2.0
 *
 * From the daemon's items to this node: reads head, mode item and manifest in one round
 * trip per tick, fetches what a new manifest names, puts it in force in the same tick and
 * keeps the last good snapshot on disk for a start without anybody.
 *
 * Order instead of clocks: manifests go by (config_epoch, revision); the highest seen is
 * kept on disk and nothing lower is ever applied.
 */
#ifndef SYNC_SNAPSHOT_H
#define SYNC_SNAPSHOT_H

#include "ban_log.h"
#include "bus.h"
#include "mode.h"
#include "parts.h"
#include "publish.h"

typedef struct sync_snapshot sync_snapshot_t;

/* What it reads for and from; all borrowed. */
typedef struct {
    sync_bus_t *bus;
    sync_mode_t *mode;
    sync_publisher_t *publisher;
    const l7s_shared_t *shared;
    const char *state_dir;
} sync_snapshot_links_t;

L7S_MUST_USE l7s_status_t sync_snapshot_create(const sync_snapshot_links_t *links,
                                               sync_snapshot_t **out);
void sync_snapshot_free(sync_snapshot_t *snapshot);

/* At the start, before the first tick: the last good snapshot from the disk. */
void sync_snapshot_load(sync_snapshot_t *snapshot, l7s_now_t now);

/* One look at the bus. The bans of a manifest go to `bans` and `ban_log`. */
void sync_snapshot_tick(sync_snapshot_t *snapshot, sync_bans_t *bans,
                        sync_ban_log_t *ban_log, l7s_now_t now);

/* The newest manifest cannot be used: which it is and why, borrowed until the next tick.
 * False: it is in force or on its way. */
bool sync_snapshot_refused(const sync_snapshot_t *snapshot, uint64_t *config_epoch,
                           uint64_t *revision, const char **why);

/* A manifest has been seen that is not in force yet and may be soon. */
bool sync_snapshot_waits(const sync_snapshot_t *snapshot);

#endif
