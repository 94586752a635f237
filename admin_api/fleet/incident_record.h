/* SPDX-License-Identifier: Apache-2.0
 *
 * Incident records in the store: which record a report belongs to, and the columns by
 * which records are found. What a record says is core/incident.h's business.
 */
#ifndef ADMIN_INCIDENT_RECORD_H
#define ADMIN_INCIDENT_RECORD_H

#include "../store/store_events.h"

/* Writes a record (borrowed, with its private members); inside a transaction of
 * ADMIN_EVENTS_DB. */
L7S_MUST_USE l7s_status_t admin_incident_store(admin_store_t *store, json_t *record);

/* Merges a checked report into the active record of its policy and key, or begins a new
 * one; inside a transaction. L7S_INVALID: it cannot be merged. */
L7S_MUST_USE l7s_status_t admin_incident_take(admin_store_t *store, const json_t *report);

/* Ends the records that nobody has reported on since before_ms, at most 100 of them.
 * Opens its own transaction. */
void admin_incident_end_idle(admin_store_t *store, uint64_t before_ms);

/* How many records were ever begun with signature number `index`, of which there are
 * admin_incident_signatures. *signature and *layer are static texts. */
extern const size_t admin_incident_signatures;
int64_t admin_incident_opened(admin_store_t *store, size_t index, const char **signature,
                              const char **layer);

#endif
