/* SPDX-License-Identifier: Apache-2.0
 *
 * What report (incident_report.c) and record (incident.c) share; private to them.
 */
#ifndef L7S_INCIDENT_PARTS_H
#define L7S_INCIDENT_PARTS_H

#include <jansson.h>
#include <stdint.h>

/* Members of a report; "" and 0 stand for absent ones. */
const char *l7s_report_text(const json_t *report, const char *name);
uint64_t l7s_report_count(const json_t *report, const char *name);

/* The members that a record keeps of a report, and nothing else. New reference. */
json_t *l7s_report_copy(const json_t *report);

#endif
