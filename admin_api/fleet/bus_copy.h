/* SPDX-License-Identifier: Apache-2.0
 *
 * The copy of the snapshot that lies on the bus: writing it, and looking whether it is
 * still there. memcached may lose any of it at any time, and anybody who reaches
 * memcached may overwrite it; the store is the truth. Belongs to the publisher's thread.
 */
#ifndef ADMIN_BUS_COPY_H
#define ADMIN_BUS_COPY_H

#include "bus.h"
#include "snapshot.h"

typedef struct {
    admin_bus_t *bus;
    admin_snapshot_t *snapshot;
    bool complete;  /* everything of the snapshot has been written and not been missed */
    char mode[128]; /* payloads as they were written; "" and NULL: not yet */
    char *head, *manifest; /* owned */
} admin_bus_copy_t;

void admin_bus_copy_clear(admin_bus_copy_t *copy);

/* The kill switch alone: it needs nothing else on the bus. */
L7S_MUST_USE l7s_status_t admin_bus_copy_write_mode(admin_bus_copy_t *copy,
                                                    uint64_t now_ms);
/* Writes what is not known to be there, and always manifest and head. Order: the mode
 * item; then chunks, manifest, head, so that a node that sees a manifest finds its
 * chunks, and one that sees a head finds a manifest. */
L7S_MUST_USE l7s_status_t admin_bus_copy_write(admin_bus_copy_t *copy, uint64_t now_ms);

/* Is it all still there? Looks at head, mode item, manifest and one chunk, another one
 * each time. L7S_NOT_FOUND: something is missing. L7S_UNTRUSTED: something else stands in
 * its place. *what names it (static). */
L7S_MUST_USE l7s_status_t admin_bus_copy_look(admin_bus_copy_t *copy, uint64_t now_ms,
                                              const char **what);
/* Deletes chunks that have been replaced for a while: their number must not fill the
 * memory that the fleet's counters need. */
void admin_bus_copy_sweep(admin_bus_copy_t *copy, uint64_t now_ms);
/* Nothing is known to be there any more. */
void admin_bus_copy_forget(admin_bus_copy_t *copy);

#endif
