/* SPDX-License-Identifier: Apache-2.0
 *
 * This node's seat on the bus: its heartbeat, which says what runs here and how well.
 * Claims the first free one of 256, refuses to be a second node of a living node's name,
 * counts who else is there (live_nodes divides the fleet's limits).
 */
#ifndef SYNC_SEAT_H
#define SYNC_SEAT_H

#include "../../core/segment/segment.h"
#include "bus.h"

#define SYNC_SEATS 256

typedef struct sync_seat sync_seat_t;

L7S_MUST_USE l7s_status_t sync_seat_create(const l7s_shared_t *shared, sync_bus_t *bus,
                                           const sync_options_t *options, l7s_now_t now,
                                           sync_seat_t **out);
void sync_seat_free(sync_seat_t *seat);

/* What only others know and the heartbeat says. */
typedef struct {
    uint64_t incident_first, incident_next;
    uint64_t lag_ms; /* how late the last tick was */
    /* What the daemon published and this node cannot use; 0: nothing. */
    uint64_t refused_epoch, refused_revision;
    const char *refused_why; /* borrowed */
} sync_seat_report_t;

/* Refreshes the seat when a second has passed or when another revision, mode or incident
 * log than the last one must be told. */
void sync_seat_tick(sync_seat_t *seat, const sync_seat_report_t *report, l7s_now_t now);

/* A clean stop: the others need not wait for the heartbeat to run out. */
void sync_seat_leave(sync_seat_t *seat);

#endif
