/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports to records (incident_record.h).
 */
#include "incident_record.h"
#include "incident_news.h"

#include "../../core/clock.h"
#include "../../core/json/incident.h"
#include "../log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IDLE_MAX 100
#define SUBJECT_MAX 512

/* The signatures of DESIGN, "Naming the layer", each with its layer. */
static const struct {
    const char *signature, *layer;
} signatures[] = {
    {"syn_flood", "transport"},
    {"connection_flood", "transport"},
    {"tls_handshake_flood", "presentation"},
    {"slow_headers", "application"},
    {"slow_body", "application"},
    {"slow_read", "application"},
    {"request_flood", "application"},
    {"distributed_flood", "application"},
    {"cache_busting", "application"},
    {"expensive_request", "application"},
    {"credential_guessing", "application"},
    {"scanning", "application"},
    {"scraping", "application"},
    {"h2_rapid_reset", "application"},
    {"remote_control", "application"},
    {"backend_failure", "application"},
    {"overload", "application"},
    {"unknown", ""},
};

const size_t admin_incident_signatures = sizeof(signatures) / sizeof(signatures[0]);

static const char *text_at(const json_t *object, const char *member, const char *name)
{
    const json_t *inner = member == NULL ? object : json_object_get(object, member);
    return json_string_value(json_object_get(inner, name));
}

static uint64_t time_at(const json_t *record, const char *name)
{
    const char *text = text_at(record, NULL, name);
    uint64_t ms = 0;
    return text != NULL && l7s_time_parse(text, &ms) ? ms : 0;
}

/* What is merged: the policy and the key, or all keys of a campaign. */
static void subject_of(const json_t *report, char out[SUBJECT_MAX])
{
    const char *policy = text_at(report, NULL, "policy");
    bool campaign = json_is_true(json_object_get(report, "campaign"));
    char *key = campaign ? NULL
                         : json_dumps(json_object_get(report, "key"),
                                      JSON_COMPACT | JSON_SORT_KEYS);
    snprintf(out, SUBJECT_MAX, "%s %s", policy == NULL ? "" : policy,
             campaign      ? "campaign"
             : key == NULL ? ""
                           : key);
    free(key);
}

/* The client for which a record is found: its key, or the client of a single sample. */
static bool client_of(const json_t *record, l7s_addr_t *out)
{
    const json_t *source = json_object_get(record, "source");
    const char *text = text_at(source, "key", "client");
    const json_t *samples = json_object_get(record, "samples");
    l7s_cidr_t cidr;
    if (text == NULL && json_array_size(samples) == 1) {
        text = text_at(json_array_get(samples, 0), NULL, "client");
    }
    if (text == NULL || l7s_cidr_parse(text, &cidr) == L7S_INVALID) {
        return false;
    }
    *out = cidr.base;
    return true;
}

/* Any of the record's reports: they all have the record's subject. */
static const json_t *any_report(const json_t *record)
{
    json_t *reports = json_object_get(record, "_reports");
    return json_object_iter_value(json_object_iter(reports));
}

l7s_status_t admin_incident_store(admin_store_t *store, json_t *record)
{
    l7s_addr_t client;
    char subject[SUBJECT_MAX];
    subject_of(any_report(record), subject);
    admin_incident_t incident = {
        .id = text_at(record, NULL, "id"),
        .subject = subject,
        .state = text_at(record, NULL, "state"),
        .policy = text_at(record, "policy", "name"),
        .app = text_at(record, NULL, "app"),
        .kind = text_at(record, NULL, "kind"),
        .severity = text_at(record, NULL, "severity"),
        .signature = text_at(record, "layer", "signature"),
        .action = text_at(record, "action", "type"),
        .client = client_of(record, &client) ? &client : NULL,
        .started_ms = time_at(record, "started_at"),
        .last_seen_ms = time_at(record, "last_seen_at"),
        .ended_ms = time_at(record, "ended_at"),
        .doc = record,
    };
    return admin_incident_put(store, &incident);
}

/* The record that this report continues; NULL: none. New reference. */
static json_t *record_for(admin_store_t *store, const json_t *report)
{
    char subject[SUBJECT_MAX];
    json_t *record = admin_incident_get(store, text_at(report, NULL, "id"));
    if (record != NULL) {
        return record;
    }
    subject_of(report, subject);
    record = admin_incident_of(store, subject);
    if (record != NULL && !l7s_incident_same(record, report)) {
        json_decref(record);
        record = NULL;
    }
    return record;
}

/* The name of the number that counts records of this signature. */
static void counter_of(const char *signature, char out[64])
{
    snprintf(out, 64, "incidents_opened_%.40s", signature);
}

static l7s_status_t count_opened(admin_store_t *store, const json_t *record)
{
    char name[64];
    const char *signature = text_at(record, "layer", "signature");
    if (signature == NULL) {
        return L7S_OK; /* of no layer: nobody attacks */
    }
    counter_of(signature == NULL ? "unknown" : signature, name);
    return admin_number_set(store, name, admin_number_get(store, name, 0) + 1);
}

int64_t admin_incident_opened(admin_store_t *store, size_t index, const char **signature,
                              const char **layer)
{
    char name[64];
    *signature = signatures[index].signature;
    *layer = signatures[index].layer;
    counter_of(*signature, name);
    return admin_number_get(store, name, 0);
}

l7s_status_t admin_incident_change(admin_store_t *store, const json_t *before,
                                   json_t *record, uint64_t now_ms)
{
    l7s_status_t status = admin_incident_tell(store, before, record, now_ms);
    return status == L7S_OK ? admin_incident_store(store, record) : status;
}

l7s_status_t admin_incident_take(admin_store_t *store, const json_t *report,
                                 uint64_t now_ms)
{
    json_t *record = record_for(store, report);
    json_t *merged = l7s_incident_merge(record, report);
    l7s_status_t status = merged == NULL
                              ? L7S_INVALID
                              : admin_incident_change(store, record, merged, now_ms);
    if (status == L7S_OK && record == NULL) {
        status = count_opened(store, merged);
    }
    json_decref(merged);
    json_decref(record);
    return status;
}

/* The record after each of its nodes would have reported the end. New reference. */
static json_t *ended(const json_t *record)
{
    const char *id;
    json_t *report;
    json_t *result = json_deep_copy(record);
    json_object_foreach(json_object_get(record, "_reports"), id, report)
    {
        json_t *last = json_deep_copy(report);
        json_object_set_new(last, "state", json_string("ended"));
        json_t *merged = l7s_incident_merge(result, last);
        json_decref(last);
        json_decref(result);
        result = merged;
        if (result == NULL) {
            return NULL;
        }
    }
    return result;
}

static l7s_status_t end_records(admin_store_t *store, uint64_t before_ms, uint64_t now_ms)
{
    size_t index;
    json_t *record;
    l7s_status_t status = L7S_OK;
    json_t *records = admin_incident_idle(store, before_ms, IDLE_MAX);
    json_array_foreach(records, index, record)
    {
        json_t *closed = status == L7S_OK ? ended(record) : NULL;
        if (closed != NULL) {
            status = admin_incident_change(store, record, closed, now_ms);
        }
        json_decref(closed);
    }
    json_decref(records);
    return status;
}

void admin_incident_end_idle(admin_store_t *store, uint64_t idle_ms, uint64_t now_ms)
{
    uint64_t before_ms = now_ms - idle_ms;
    json_t *first = admin_incident_idle(store, before_ms, 1);
    bool any = json_array_size(first) > 0;
    json_decref(first);
    if (!any || admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return;
    }
    l7s_status_t status = end_records(store, before_ms, now_ms);
    if (admin_store_end(store, ADMIN_EVENTS_DB, status) == L7S_OK) {
        admin_log(ADMIN_INFO, "L7S3540",
                  "Incidents were ended whose nodes stopped reporting.");
    }
}
