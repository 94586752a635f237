/* SPDX-License-Identifier: Apache-2.0
 *
 * Keeps the counters' table clean: walks a part of it each tick, releases what tells no
 * more than an absent counter would, and frees what a killed worker left half claimed.
 * Also says in the log when one of the node's fixed tables was too small.
 */
#ifndef SYNC_SWEEPER_H
#define SYNC_SWEEPER_H

#include "../../core/image/image.h"
#include "../../core/segment/segment.h"

typedef struct sync_sweeper sync_sweeper_t;

/* `fleet`: totals of the fleet are kept in the slots and are worth keeping for a while.
 */
L7S_MUST_USE l7s_status_t sync_sweeper_create(const l7s_shared_t *shared,
                                              uint32_t tick_ms, bool fleet,
                                              sync_sweeper_t **out);
void sync_sweeper_free(sync_sweeper_t *sweeper);
void sync_sweeper_tick(sync_sweeper_t *sweeper, const l7s_image_t *image, l7s_now_t now);

#endif
