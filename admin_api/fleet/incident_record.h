/* SPDX-License-Identifier: Apache-2.0
 *
 * Incident records in the store: which record a report belongs to, and the columns by
 * which records are found. What a record says is core/json/incident.h's business.
 */
#ifndef ADMIN_INCIDENT_RECORD_H
#define ADMIN_INCIDENT_RECORD_H

#include "../store/store_events.h"

/* Writes a record (borrowed, with its private members); inside a transaction of
 * ADMIN_EVENTS_DB. */
L7S_MUST_USE l7s_status_t admin_incident_store(admin_store_t *store, json_t *record);

/* The same, and writes the events (event_log.h) of what it was (`before`, NULL: it was
 * not) and what it is now. */
L7S_MUST_USE l7s_status_t admin_incident_change(admin_store_t *store,
                                                const json_t *before, json_t *record,
                                                uint64_t now_ms);

/* Merges a checked report into the active record of its policy and key, or begins a new
 * one; inside a transaction. L7S_INVALID: it cannot be merged. */
L7S_MUST_USE l7s_status_t admin_incident_take(admin_store_t *store, const json_t *report,
                                              uint64_t now_ms);

/* Ends the records that nobody has reported on for so long, at most 100 of them. Opens
 * its own transaction. */
void admin_incident_end_idle(admin_store_t *store, uint64_t idle_ms, uint64_t now_ms);

/* How many records were ever begun with signature number `index`, of which there are
 * admin_incident_signatures. *signature and *layer are static texts. */
extern const size_t admin_incident_signatures;
int64_t admin_incident_opened(admin_store_t *store, size_t index, const char **signature,
                              const char **layer);

#endif
