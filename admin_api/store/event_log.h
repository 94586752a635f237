/* SPDX-License-Identifier: Apache-2.0
 *
 * The event log in events.db: what happened, under ids that only grow, also over
 * restarts, retention and a restored backup. An event is written in the transaction of
 * what it tells, so neither is ever there without the other. Readers keep nothing but the
 * id of the last event that they saw.
 */
#ifndef ADMIN_EVENT_LOG_H
#define ADMIN_EVENT_LOG_H

#include "store.h"

typedef enum {
    ADMIN_EVENT_INCIDENT_OPENED,
    ADMIN_EVENT_INCIDENT_UPDATED,
    ADMIN_EVENT_INCIDENT_ENDED,
    ADMIN_EVENT_BAN_ADDED,
    ADMIN_EVENT_BAN_LIFTED,
    ADMIN_EVENT_POLICY_CHANGED,
    ADMIN_EVENT_NODE_LOST,
    ADMIN_EVENT_MODE_CHANGED,
    ADMIN_EVENT_GUARD_TRIPPED,
    ADMIN_EVENT_TYPES /* how many */
} admin_event_type_t;

/* One bit per type. */
#define ADMIN_EVENT_ALL ((1u << ADMIN_EVENT_TYPES) - 1)

/* Never more than this, whatever the retention says: an attacker makes events. */
#define ADMIN_EVENTS_MAX 200000

const char *admin_event_type_name(admin_event_type_t type); /* "incident.opened" */
/* The types that `name` means, as bits: one, or all of "incident.*"; 0: none. */
unsigned admin_event_types(const char *name);

typedef struct {
    int64_t id;
    uint64_t at_ms;
    admin_event_type_t type;
    const char *data; /* the document as compact JSON; borrowed */
} admin_event_t;

/* Inside a transaction of ADMIN_EVENTS_DB; it is told when that is committed. */
L7S_MUST_USE l7s_status_t admin_event_write(admin_store_t *store, admin_event_type_t type,
                                            const json_t *data, uint64_t now_ms);

/* The oldest event that is kept, and the last one; first == last + 1: there is none. A
 * position p is sound when first - 1 <= p <= last. */
L7S_MUST_USE l7s_status_t admin_event_range(admin_store_t *store, int64_t *first,
                                            int64_t *last);

/* Looks at no more than `limit` events behind *after and shows those of `types`; `each`
 * returns false when it did not take the event. *after becomes the last one looked at and
 * not refused, so a filter that matches nothing gets on, too. *more: there may be more.
 */
typedef bool (*admin_event_fn)(void *context, const admin_event_t *event);
L7S_MUST_USE l7s_status_t admin_event_each(admin_store_t *store, unsigned types,
                                           size_t limit, int64_t *after, bool *more,
                                           admin_event_fn each, void *context);

/* Retention: deletes at most 1000 events, those older than `before_ms` and the oldest
 * ones beyond `rows_max`. *deleted tells how many. */
L7S_MUST_USE l7s_status_t admin_event_prune(admin_store_t *store, uint64_t before_ms,
                                            uint64_t rows_max, size_t *deleted);

/* At start: after a restored backup the ids go on far behind those that clients may know
 * from the history that is gone. */
L7S_MUST_USE l7s_status_t admin_event_enter_epoch(admin_store_t *store);

#endif
