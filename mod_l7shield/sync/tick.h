/* SPDX-License-Identifier: Apache-2.0
 *
 * The process' heart: all its parts in the order in which a tick runs them, and the loop
 * that calls them until there is a reason to end.
 */
#ifndef SYNC_TICK_H
#define SYNC_TICK_H

#include "../../core/segment/segment.h"
#include "options.h"

typedef struct sync_tick sync_tick_t;

/* Creates every part and loads what the disk has. The lease is held. */
L7S_MUST_USE l7s_status_t sync_tick_create(const l7s_shared_t *shared,
                                           const sync_options_t *options,
                                           sync_tick_t **out);
void sync_tick_free(sync_tick_t *tick);

typedef enum {
    SYNC_GO_ON = 0,
    SYNC_STOPPED,   /* SIGTERM, or httpd is gone */
    SYNC_SUPERSEDED /* a newer configuration has a sync process of its own */
} sync_end_t;

/* Is there a reason to end? All signals are blocked; pending ones are taken here, waiting
 * up to `wait_ms` for one. */
sync_end_t sync_tick_wait(const l7s_shared_t *shared, const sync_options_t *options,
                          unsigned wait_ms);

/* Ticks until there is. */
sync_end_t sync_tick_run(sync_tick_t *tick);

/* Writes what must survive; `leave` also gives up the seat. */
void sync_tick_end(sync_tick_t *tick, bool leave);

#endif
