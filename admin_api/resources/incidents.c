/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/incidents: reading the records, and the three members that people own (ack, note,
 * labels). Records are made and merged by incident_record.c.
 */
#include "../../core/clock.h"
#include "../../core/json/incident.h"
#include "../fleet/incident_record.h"
#include "../http/page.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "../http/scope.h"
#include "../store/privacy.h"
#include "edit.h"
#include "resources.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LABELS_MAX 32

static const char *const columns[] = {"state",    "policy",    "app",    "kind",
                                      "severity", "signature", "action", NULL};

/* ---- list ---- */

typedef struct {
    admin_page_t page;
    admin_privacy_t privacy;
} list_t;

static bool list_one(void *context, uint64_t started_ms, int64_t seq, const json_t *doc)
{
    list_t *list = context;
    char key[48];
    if (!admin_page_labels(list->page.call, doc)) {
        return true;
    }
    snprintf(key, sizeof(key), "%" PRIu64 ".%" PRId64, started_ms, seq);
    json_t *document = l7s_incident_public(doc);
    if (!admin_privacy_apply(&list->privacy, document)) {
        json_decref(document);
        return false;
    }
    return admin_page_add(&list->page, key, document);
}

void admin_incidents_list(admin_call_t *call)
{
    list_t list;
    admin_incident_filter_t filter = {.limit = SIZE_MAX};
    if (!admin_parameter_selection(call, columns, &filter.rows) ||
        !admin_page_begin(call, &list.page)) {
        return;
    }
    if (list.page.after[0] != '\0' &&
        sscanf(list.page.after, "%" SCNu64 ".%" SCNd64, &filter.before_started_ms,
               &filter.before_seq) != 2) {
        admin_page_refuse(&list.page);
        return;
    }
    l7s_status_t status = admin_privacy_read(call->daemon->store, &list.privacy);
    if (status == L7S_OK) {
        status = admin_incident_each(call->daemon->store, &filter, list_one, &list);
    }
    admin_page_reply(&list.page, status);
}

/* ---- one record, and the summary ---- */

static void reply_record(admin_call_t *call, const json_t *record)
{
    admin_call_reply(
        call, 200, admin_privacy_shown(call->daemon->store, l7s_incident_public(record)));
}

void admin_incidents_get(admin_call_t *call)
{
    json_t *record = admin_incident_get(call->daemon->store, call->parameters[0]);
    if (record == NULL) {
        admin_call_problem(call, "not_found", "No incident has this id or alias.");
        return;
    }
    reply_record(call, record);
    json_decref(record);
}

static json_int_t sum_of(const json_t *counts)
{
    json_int_t sum = 0;
    const char *name;
    json_t *count;
    json_object_foreach((json_t *)counts, name, count)
    {
        sum += json_integer_value(count);
    }
    return sum;
}

void admin_incidents_summary(admin_call_t *call)
{
    static const char *const by[] = {"state", "severity", "signature", "policy"};
    admin_incident_filter_t filter = {.limit = SIZE_MAX};
    if (!admin_parameter_selection(call, columns, &filter.rows)) {
        return;
    }
    json_t *reply = json_object();
    for (size_t i = 0; i < sizeof(by) / sizeof(by[0]); i++) {
        json_t *counts = admin_incident_count(call->daemon->store, &filter, by[i]);
        if (counts == NULL) {
            json_decref(reply);
            admin_call_failed(call, L7S_IO);
            return;
        }
        if (i == 0) {
            json_int_t active = json_integer_value(json_object_get(counts, "active"));
            json_object_set_new(reply, "total", json_integer(sum_of(counts)));
            json_object_set_new(reply, "active", json_integer(active));
        }
        json_object_set_new(reply, by[i], counts);
    }
    admin_call_reply(call, 200, reply);
}

/* ---- patch ---- */

static json_t *acknowledged(const admin_call_t *call)
{
    char text[L7S_TIME_TEXT];
    l7s_time_text(call->now_ms, text);
    return json_pack("{s:s, s:s}", "by", call->principal == NULL ? "" : call->principal,
                     "at", text);
}

/* `ack` is true (by whom and when is known better here) or null; what was acknowledged
 * stays as it is, also when the record is sent back as it was read. */
static void patch_ack(const admin_call_t *call, const json_t *value, json_t *record)
{
    if (json_is_null(value) || json_is_false(value)) {
        json_object_set_new(record, "ack", json_null());
    } else if (!json_is_object(json_object_get(record, "ack"))) {
        json_object_set_new(record, "ack", acknowledged(call));
    }
}

/* RFC 7396 within labels: a string sets, null removes. */
static void patch_labels(admin_call_t *call, const json_t *patch, json_t *record)
{
    const json_t *before = json_object_get(record, "labels");
    json_t *labels =
        json_is_null(patch) ? json_object() : admin_edit_merge(before, patch);
    if (json_object_size(labels) > LABELS_MAX) {
        l7s_problems_add(&call->problems, "/labels", "wrong_members",
                         "must have at most %d labels with those that are there",
                         LABELS_MAX);
    }
    json_object_set_new(record, "labels", labels);
}

/* The schema of the body allows nothing else than these. */
static void patch_record(admin_call_t *call, json_t *record)
{
    const json_t *ack = json_object_get(call->body, "ack");
    json_t *note = json_object_get(call->body, "note");
    const json_t *labels = json_object_get(call->body, "labels");
    if (ack != NULL) {
        patch_ack(call, ack, record);
    }
    if (note != NULL) {
        json_object_set_new(record, "note",
                            json_is_null(note) ? json_string("") : json_incref(note));
    }
    if (labels != NULL) {
        patch_labels(call, labels, record);
    }
}

/* Inside the transaction. The record after the patch, new reference; NULL: the call has
 * its problem. */
static json_t *patch_inside(admin_call_t *call, bool *changed)
{
    admin_store_t *store = call->daemon->store;
    json_t *before = admin_incident_get(store, call->parameters[0]);
    if (before == NULL) {
        admin_call_problem(call, "not_found", "No incident has this id or alias.");
        return NULL;
    }
    if (!admin_scope_app(call, json_string_value(json_object_get(before, "app")))) {
        json_decref(before);
        return NULL;
    }
    json_t *record = json_copy(before);
    patch_record(call, record);
    *changed = !json_equal(before, record);
    l7s_status_t status = L7S_OK;
    if (call->problems.count > 0) {
        admin_call_invalid(call);
        status = L7S_INVALID;
    } else if (*changed) {
        status = admin_incident_change(store, before, record, call->now_ms);
        if (status != L7S_OK) {
            admin_call_failed(call, status);
        }
    }
    json_decref(before);
    if (status != L7S_OK) {
        json_decref(record);
        return NULL;
    }
    return record;
}

void admin_incidents_patch(admin_call_t *call)
{
    admin_store_t *store = call->daemon->store;
    bool changed = false;
    l7s_status_t status = admin_store_begin_durable(store);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return;
    }
    json_t *record = patch_inside(call, &changed);
    if (record != NULL && changed && !call->dry_run) {
        status = admin_store_commit(store, ADMIN_EVENTS_DB);
    } else {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
    }
    if (status != L7S_OK) {
        admin_call_failed(call, status);
    } else if (record != NULL) {
        call->changed = changed ? 1 : 0;
        reply_record(call, record);
    }
    json_decref(record);
}
