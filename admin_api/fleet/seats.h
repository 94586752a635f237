/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the seats of the bus into the fleet and keeps in the store which nodes were ever
 * seen. Belongs to the collector's thread.
 */
#ifndef ADMIN_SEATS_H
#define ADMIN_SEATS_H

#include "bus.h"
#include "fleet.h"

#define ADMIN_SEATS 256

typedef struct admin_seats admin_seats_t;

/* Restores the nodes of the store into `fleet`, as lost. NULL: no memory. */
admin_seats_t *admin_seats_create(const admin_daemon_t *daemon, admin_bus_t *bus,
                                  admin_fleet_t *fleet);
void admin_seats_free(admin_seats_t *seats);

/* One look at the seats: at all of them, or with `quick` only as far as any is in use. */
void admin_seats_read(admin_seats_t *seats, bool quick, uint64_t now_ms);
/* Writes nodes that are new, or whose row is older than ten seconds. */
void admin_seats_keep(admin_seats_t *seats, uint64_t now_ms);

#endif
