/* SPDX-License-Identifier: Apache-2.0
 *
 * The name of the bus' present life. Logs in memcached have no memory of what was lost,
 * so whenever something was (a flush, a restart, entries that ran out while the daemon
 * was away) a new bus epoch is drawn: every reader and writer then begins its logs anew,
 * and nodes say again what they had said. config.db holds the first one, events.db the
 * later ones, under the config epoch that they belong to.
 */
#ifndef ADMIN_BUS_EPOCH_H
#define ADMIN_BUS_EPOCH_H

#include "../daemon.h"

#define ADMIN_BUS_EPOCH_TEXT 17 /* 16 hex digits and a NUL */

/* Inside a transaction of ADMIN_EVENTS_DB it sees that transaction's. */
void admin_bus_epoch_read(admin_store_t *store, char out[ADMIN_BUS_EPOCH_TEXT]);
/* Draws a new one and sets the ban log's position to its beginning, in one transaction.
 */
L7S_MUST_USE l7s_status_t admin_bus_epoch_renew(admin_store_t *store,
                                                char out[ADMIN_BUS_EPOCH_TEXT]);

#endif
