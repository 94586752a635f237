/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions to events. What changes config.db cannot write to events.db in the same
 * transaction, so the revisions themselves are the outbox: how far they were told stands
 * in events.db and moves in the transaction that writes their events. Each revision is
 * told exactly once, whenever the daemon may have been killed.
 */
#ifndef ADMIN_CONFIG_EVENTS_H
#define ADMIN_CONFIG_EVENTS_H

#include "../store/store.h"

/* Once at start: the revisions of a history that was never told are no news. */
L7S_MUST_USE l7s_status_t admin_config_events_begin(admin_store_t *store);
/* Tells the revisions that have not been told, at most 100 of them. *more: there may be
 * more. */
L7S_MUST_USE l7s_status_t admin_config_events_tell(admin_store_t *store, uint64_t now_ms,
                                                   bool *more);

#endif
