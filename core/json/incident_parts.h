/* SPDX-License-Identifier: Apache-2.0
 *
 * What report (incident_report.c), sums over reports (incident_total.c) and record
 * (incident.c) share; private to them.
 */
#ifndef L7S_INCIDENT_PARTS_H
#define L7S_INCIDENT_PARTS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/* Members of a report; "" and 0 stand for absent ones. */
const char *l7s_report_text(const json_t *report, const char *name);
uint64_t l7s_report_count(const json_t *report, const char *name);

/* The members that a record keeps of a report, and nothing else. New reference. */
json_t *l7s_report_copy(const json_t *report);

#define L7S_CLIENT_BITS 256

/* What all reports of a record amount to. */
typedef struct {
    const json_t *first, *newest; /* by start; by revision, then last request */
    uint64_t requests, acted, passed, units, peak, peak_ms;
    uint64_t started_ms, last_ms, ban_until_ms;
    uint64_t clients[L7S_CLIENT_BITS / 64];
    const char *ban_id;
    bool active, campaign;
    bool notice; /* no client caused it */
} l7s_total_t;

/* Of {"inc_…": report, …}; borrows from it. */
l7s_total_t l7s_total_of(const json_t *reports);
/* An estimate, unless the key is one client. */
uint64_t l7s_total_clients(const l7s_total_t *total);
/* The most that can have been asked within one period; 0: the detector has no rate. */
uint64_t l7s_total_per_period(const l7s_total_t *total);
/* Is its detector a share of answers? Then this is what was observed, in percent. */
bool l7s_total_is_share(const l7s_total_t *total);
uint64_t l7s_total_share(const l7s_total_t *total);
/* incident_signal.c: the signals of all reports, [{"name","detail","count"}], the most
 * frequent first. New reference. */
json_t *l7s_signals_top(const json_t *reports);
/* What kind of attack a list of those stands for, or NULL where that is not known. */
const char *l7s_signals_signature(const json_t *top);

/* "low" … "critical"; 0 … 100. */
const char *l7s_total_severity(const l7s_total_t *total);
int l7s_total_confidence(const l7s_total_t *total);

#endif
