/* SPDX-License-Identifier: Apache-2.0
 *
 * Reads the ban log: what nodes banned becomes rows of events.db and thereby part of the
 * next snapshot. The daemon's own entries are in the store already. Belongs to the
 * collector's thread.
 */
#ifndef ADMIN_BAN_LOG_H
#define ADMIN_BAN_LOG_H

#include "bus.h"
#include "fleet.h"

typedef struct admin_ban_log admin_ban_log_t;

/* NULL: no memory. `fleet` is told whose bans are refused. */
admin_ban_log_t *admin_ban_log_create(const admin_daemon_t *daemon, admin_bus_t *bus,
                                      admin_fleet_t *fleet);
void admin_ban_log_free(admin_ban_log_t *log);

/* Goes on where the store says; to be called after the bus entered another epoch. */
void admin_ban_log_begin(admin_ban_log_t *log);
/* Reads on. True when the bans in the store changed. *lost: the log goes on behind a gap
 * that will not be filled; nothing behind it is read. */
bool admin_ban_log_read(admin_ban_log_t *log, uint64_t now_ms, bool *lost);

#endif
