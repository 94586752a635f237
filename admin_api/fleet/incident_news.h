/* SPDX-License-Identifier: Apache-2.0
 *
 * Which changes of an incident record are events. A record changes with every report of
 * every node, so an update is told at once only when it says something new; counts alone
 * are told every five seconds at most, and whatever was not told comes with the end.
 */
#ifndef ADMIN_INCIDENT_NEWS_H
#define ADMIN_INCIDENT_NEWS_H

#include "../store/event_log.h"

/* Writes the events, if any, and notes in `record` (private member "_told_ms") when;
 * inside a transaction of ADMIN_EVENTS_DB. `before` NULL: the record is new. */
L7S_MUST_USE l7s_status_t admin_incident_tell(admin_store_t *store, const json_t *before,
                                              json_t *record, uint64_t now_ms);

#endif
