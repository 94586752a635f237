/* SPDX-License-Identifier: Apache-2.0
 *
 * From the running episodes in the segment to reports: one when an episode opens, at most
 * one a second while it changes, a last one when it has been quiet for 60 s and is
 * closed. An episode also has two lines in the log, one at each end, fleet or no fleet.
 */
#ifndef SYNC_EPISODES_H
#define SYNC_EPISODES_H

#include "../../core/segment/segment.h"
#include "spool.h"

typedef struct sync_episodes sync_episodes_t;

/* `spool` is NULL for a node without a fleet: then there are only the lines. Episodes
 * that began before `told_until_ms` have had their first line from an earlier process. */
L7S_MUST_USE l7s_status_t sync_episodes_create(const l7s_shared_t *shared,
                                               const char *node, sync_spool_t *spool,
                                               uint64_t told_until_ms,
                                               sync_episodes_t **out);
void sync_episodes_free(sync_episodes_t *episodes);
void sync_episodes_tick(sync_episodes_t *episodes, l7s_now_t now);

#endif
