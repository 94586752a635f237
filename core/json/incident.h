/* SPDX-License-Identifier: Apache-2.0
 *
 * The incident record (API.md, "The incident record") as JSON: what one node reports
 * about one episode, and how reports of several nodes become one record.
 *
 * A report is cumulative: the newest one of a (node, id) replaces the older ones, so a
 * report that arrives twice changes nothing.
 */
#ifndef L7S_INCIDENT_H
#define L7S_INCIDENT_H

#include "../segment/episode.h"
#include <jansson.h>

/* A node's report of an episode: {"node","id","state","policy","mode","key",…}. New
 * reference. `ended` closes it at last_ms. */
json_t *l7s_incident_report(const char *node, const l7s_episode_t *episode, bool ended);

/* An incident that no client caused: a store that does not answer, a policy that tripped
 * its guard. It has no layer and no samples. */
typedef struct {
    const char *node, *id;
    const char *kind;                 /* "store_degraded", … */
    const char *policy;               /* "": it concerns none */
    l7s_mode_t mode;                  /* of that policy */
    const char *action;               /* what the shield does about it */
    const char *key_name, *key_value; /* what it concerns: "server", "127.0.0.1:11211" */
    uint64_t revision, started_ms, last_ms;
    bool ended;
} l7s_notice_t;

bool l7s_incident_is_notice(const char *kind);

/* A node's report of such an incident, like l7s_incident_report. New reference. */
json_t *l7s_incident_notice(const l7s_notice_t *notice);

/* A report must have the members that a merge reads, with bounded strings. */
L7S_MUST_USE l7s_status_t l7s_incident_report_check(const json_t *report);

/* True when `report` belongs to the episode of `record`: same policy and key, the record
 * still active (or ended less than 60 s before the report's start). */
bool l7s_incident_same(const json_t *record, const json_t *report);

/* The public record after this report. `record` is NULL for the first one, else borrowed.
 * Per-node reports are kept under the private member "_reports". New reference. */
json_t *l7s_incident_merge(const json_t *record, const json_t *report);

/* The record as clients see it: without private members. New reference. */
json_t *l7s_incident_public(const json_t *record);

#endif
