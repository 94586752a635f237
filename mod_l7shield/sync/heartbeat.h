/* SPDX-License-Identifier: Apache-2.0
 *
 * The text of a seat: what a node says about itself once a second, as JSON. Reads the
 * segment, changes nothing.
 */
#ifndef SYNC_HEARTBEAT_H
#define SYNC_HEARTBEAT_H

#include "seat.h"

#define SYNC_INSTANCE_TEXT 17

typedef struct {
    const l7s_shared_t *shared;
    const sync_bus_t *bus;
    const char *node, *instance;
    uint64_t started_ms;
    const sync_seat_report_t *report;
} sync_heartbeat_t;

/* malloc'ed, owned by the caller; NULL: no memory. */
char *sync_heartbeat_text(const sync_heartbeat_t *beat);

#endif
