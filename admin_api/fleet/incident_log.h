/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the nodes' incident logs: reports become records in events.db, and only after the
 * commit the node is told so (the acknowledgement), whereupon it drops them. Belongs to
 * the collector's thread.
 */
#ifndef ADMIN_INCIDENT_LOG_H
#define ADMIN_INCIDENT_LOG_H

#include "bus.h"
#include "fleet.h"

/* A node that lives reports the end of an episode 60 s after its last request; one that
 * has not by then is gone, and so is the episode as far as anybody can tell. */
#define ADMIN_INCIDENT_IDLE_MS 120000

typedef struct admin_incident_log admin_incident_log_t;

/* NULL: no memory. */
admin_incident_log_t *admin_incident_log_create(const admin_daemon_t *daemon,
                                                admin_bus_t *bus, admin_fleet_t *fleet);
void admin_incident_log_free(admin_incident_log_t *log);

/* Reads on in the log of every live node. */
void admin_incident_log_read(admin_incident_log_t *log, uint64_t now_ms);

#endif
