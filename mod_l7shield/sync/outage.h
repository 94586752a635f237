/* SPDX-License-Identifier: Apache-2.0
 *
 * Which memcached servers are away, said twice: by a line in the log when one goes and
 * when it is back, and by an incident "store_degraded" of its own for each, from its
 * start to its end, so that the daemon shows it. Short hitches of a busy machine are
 * neither. The incidents wait in the spool like all others while nothing can be told.
 */
#ifndef SYNC_OUTAGE_H
#define SYNC_OUTAGE_H

#include "../../core/segment/segment.h"
#include "bus.h"
#include "spool.h"

typedef struct sync_outage sync_outage_t;

/* All are borrowed. */
L7S_MUST_USE l7s_status_t sync_outage_create(const l7s_shared_t *shared, sync_bus_t *bus,
                                             sync_spool_t *spool, const char *node,
                                             sync_outage_t **out);
void sync_outage_free(sync_outage_t *outage);

/* Looks at all servers once; after the tick's work with them. */
void sync_outage_tick(sync_outage_t *outage, l7s_now_t now);

#endif
