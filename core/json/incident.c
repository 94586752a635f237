/* SPDX-License-Identifier: Apache-2.0
 *
 * Reports of several nodes become one record. The record keeps the newest report of every
 * episode and is computed anew from all of them each time, so neither the order of
 * arrival nor a report that arrives twice changes a count. Only the record's id is that
 * of the first report that arrived, since clients may know it by then.
 */
#include "incident.h"
#include "../clock.h"
#include "../schema/schema.h"
#include "incident_parts.h"
#include "json_time.h"
#include <string.h>

/* A record that has grown to this many episodes is full; the next one opens another. */
enum { REPORTS_MAX = 256, SAMPLES_MAX = 10 };

/* --- one report --- */

/* Reports of an episode only grow. */
static bool is_newer(const json_t *report, const json_t *than)
{
    uint64_t requests = l7s_report_count(report, "requests");
    uint64_t before = l7s_report_count(than, "requests");
    uint64_t last = l7s_report_count(report, "last_ms");
    uint64_t last_before = l7s_report_count(than, "last_ms");

    if (requests != before) {
        return requests > before;
    }
    if (last != last_before) {
        return last > last_before;
    }
    return strcmp(l7s_report_text(than, "state"), "ended") != 0;
}

/* Puts `report` among the others unless a newer one of its episode is there. The time of
 * the peak is not in a report: it is when the report that raised it was made. */
static void keep_report(json_t *reports, const json_t *report)
{
    const char *id = l7s_report_text(report, "id");
    const json_t *old = json_object_get(reports, id);
    json_t *copy = NULL;
    uint64_t peak_ms = l7s_report_count(report, "last_ms");

    if (old != NULL && !is_newer(report, old)) {
        return;
    }
    if (old != NULL && l7s_report_count(old, "peak_per_second") >=
                           l7s_report_count(report, "peak_per_second")) {
        peak_ms = l7s_report_count(old, "peak_ms");
    }
    copy = l7s_report_copy(report);
    json_object_set_new(copy, "peak_ms", json_integer((json_int_t)peak_ms));
    json_object_set_new(reports, id, copy);
}

/* --- the parts of a record --- */

static json_t *text_or_null(const char *text)
{
    return text == NULL || *text == '\0' ? json_null() : json_string(text);
}

static json_t *count_or_null(uint64_t count)
{
    return count == 0 ? json_null() : json_integer((json_int_t)count);
}

/* "normal" is what the policy allows, as long as no baseline says better. */
static json_t *evidence_of(const l7s_total_t *total)
{
    uint64_t limit = l7s_report_count(total->newest, "limit");
    uint64_t seconds = l7s_report_count(total->newest, "per_seconds");
    uint64_t normal = seconds == 0 ? 0 : (limit + seconds - 1) / seconds;

    if (l7s_total_is_share(total)) {
        return json_pack("[{s:s, s:I, s:o}]", "metric", "failing_responses_percent",
                         "observed", (json_int_t)l7s_total_share(total), "normal",
                         count_or_null(limit));
    }
    return json_pack("[{s:s, s:I, s:o}]", "metric", "requests_per_second", "observed",
                     (json_int_t)total->peak, "normal", count_or_null(normal));
}

static json_t *layer_of(const l7s_total_t *total)
{
    if (total->notice) {
        return json_null();
    }
    bool flood = l7s_report_count(total->newest, "limit") != 0 || total->peak >= 10;
    const char *signature = l7s_total_is_share(total) ? "unknown" /* not how many */
                            : total->campaign         ? "distributed_flood"
                            : flood                   ? "request_flood"
                                                      : "unknown";

    return json_pack("{s:i, s:s, s:s, s:i, s:o}", "osi", 7, "name", "application",
                     "signature", signature, "confidence_percent",
                     l7s_total_confidence(total), "evidence", evidence_of(total));
}

/* The network that a client or network key belongs to. */
static json_t *network_of(const l7s_total_t *total)
{
    const json_t *key = json_object_get(total->first, "key");
    const char *network = json_string_value(json_object_get(key, "network"));
    char text[L7S_CIDR_TEXT];
    l7s_cidr_t cidr;
    l7s_addr_t addr;

    if (network != NULL) {
        return json_string(network);
    }
    if (json_object_get(key, "client") == NULL ||
        !l7s_addr_parse(l7s_report_text(total->first, "client"), &addr)) {
        return json_null();
    }
    cidr.prefix = l7s_addr_is_v4(&addr) ? 96 + 24 : 48;
    cidr.base = l7s_addr_mask(&addr, cidr.prefix);
    l7s_cidr_text(&cidr, text);
    return json_string(text);
}

/* A campaign comes from many places. */
static json_t *asn_of(const l7s_total_t *total)
{
    uint64_t asn = l7s_report_count(total->first, "asn");

    return total->campaign || asn == 0 ? json_null() : json_integer((json_int_t)asn);
}

static json_t *country_of(const l7s_total_t *total)
{
    const char *country = l7s_report_text(total->first, "country");

    return total->campaign || *country == '\0' ? json_null() : json_string(country);
}

static json_t *source_of(const l7s_total_t *total)
{
    json_t *key = total->campaign ? json_object()
                                  : json_incref(json_object_get(total->first, "key"));

    return json_pack("{s:o, s:o, s:o, s:o, s:I}", "key", key, "network",
                     total->campaign ? json_null() : network_of(total), "asn",
                     asn_of(total), "country", country_of(total), "distinct_clients",
                     (json_int_t)l7s_total_clients(total));
}

static json_t *target_of(const l7s_total_t *total)
{
    bool one_path = !total->campaign &&
                    json_object_get(json_object_get(total->first, "key"), "path") != NULL;

    return json_pack("{s:o, s:o, s:o, s:o}", "host",
                     text_or_null(l7s_report_text(total->first, "host")), "path",
                     text_or_null(l7s_report_text(total->first, "path")), "method",
                     text_or_null(l7s_report_text(total->first, "method")),
                     "distinct_paths", count_or_null(one_path));
}

static json_t *measure_of(const l7s_total_t *total)
{
    uint64_t seconds = l7s_report_count(total->newest, "per_seconds");
    uint64_t observed = seconds == 0 ? total->requests : l7s_total_per_period(total);
    const char *unit = l7s_report_text(total->newest, "unit");

    if (strcmp(l7s_report_text(total->newest, "detector"), "concurrency") == 0) {
        uint64_t limit = l7s_report_count(total->newest, "limit");
        /* One more than may be: nobody looks further. */
        return json_pack("{s:I, s:I, s:n, s:s}", "observed", (json_int_t)limit + 1,
                         "limit", (json_int_t)limit, "per_seconds", "unit",
                         "requests_in_flight");
    }
    if (l7s_total_is_share(total)) {
        observed = l7s_total_share(total);
    }
    return json_pack("{s:I, s:o, s:o, s:s}", "observed", (json_int_t)observed, "limit",
                     count_or_null(l7s_report_count(total->newest, "limit")),
                     "per_seconds", count_or_null(seconds), "unit",
                     *unit == '\0' ? "requests" : unit);
}

/* Of what no client caused, its length. */
static json_t *length_of(const l7s_total_t *total)
{
    return json_pack("{s:I, s:n, s:n, s:s}", "observed",
                     (json_int_t)(total->last_ms - total->started_ms) / 1000, "limit",
                     "per_seconds", "unit", "seconds");
}

/* An episode begins with the first request that trips, which is refused at once. */
static json_t *action_of(const l7s_total_t *total)
{
    return json_pack("{s:s, s:o, s:o, s:o}", "type",
                     l7s_report_text(total->newest, "action"), "ban_id",
                     total->campaign ? json_null() : text_or_null(total->ban_id), "until",
                     l7s_json_time(total->ban_until_ms), "first_acted_ms",
                     total->acted > 0 ? json_integer(0) : json_null());
}

static json_t *counts_of(const l7s_total_t *total)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "requests", (json_int_t)total->requests,
                     "acted", (json_int_t)total->acted, "passed",
                     (json_int_t)total->passed, "peak_per_second",
                     (json_int_t)total->peak);
}

static json_t *policy_of(const l7s_total_t *total)
{
    if (*l7s_report_text(total->newest, "policy") == '\0') {
        return json_null();
    }
    return json_pack("{s:s, s:I, s:s}", "name", l7s_report_text(total->newest, "policy"),
                     "revision", (json_int_t)l7s_report_count(total->newest, "revision"),
                     "mode", l7s_report_text(total->newest, "mode"));
}

/* Without a query where there was none, or the settings of its time left it out. */
static json_t *sample_of(const json_t *report)
{
    return json_pack(
        "{s:o, s:s, s:s, s:s, s:s, s:s, s:s*, s:s}", "at",
        l7s_json_time(l7s_report_count(report, "started_ms")), "node",
        l7s_report_text(report, "node"), "client", l7s_report_text(report, "client"),
        "method", l7s_report_text(report, "method"), "host",
        l7s_report_text(report, "host"), "path", l7s_report_text(report, "path"), "query",
        json_string_value(json_object_get(report, "query")), "user_agent",
        l7s_report_text(report, "user_agent"));
}

static bool holds_text(const json_t *array, const char *text)
{
    for (size_t i = 0; i < json_array_size(array); i++) {
        if (strcmp(json_string_value(json_array_get(array, i)), text) == 0) {
            return true;
        }
    }
    return false;
}

/* Inserts in order, once. */
static void insert_text(json_t *array, const char *text)
{
    size_t at = 0;

    if (holds_text(array, text)) {
        return;
    }
    while (at < json_array_size(array) &&
           strcmp(json_string_value(json_array_get(array, at)), text) < 0) {
        at++;
    }
    json_array_insert_new(array, at, json_string(text));
}

static void set_members(json_t *record, const json_t *reports, const char *id)
{
    json_t *nodes = json_array(), *aliases = json_array(), *samples = json_array();
    const char *report_id = NULL;
    json_t *report = NULL;

    json_object_foreach((json_t *)reports, report_id, report)
    {
        insert_text(nodes, l7s_report_text(report, "node"));
        if (strcmp(report_id, id) != 0) {
            insert_text(aliases, report_id);
        }
        if (json_array_size(samples) < SAMPLES_MAX &&
            !l7s_incident_is_notice(l7s_report_text(report, "detector"))) {
            json_array_append_new(samples, sample_of(report));
        }
    }
    json_object_set_new(record, "aliases", aliases);
    json_object_set_new(record, "nodes", nodes);
    json_object_set_new(record, "samples", samples);
}

/* Every member in the order of API.md; what people set later begins empty. */
static json_t *record_new(const char *id)
{
    return json_pack(
        "{s:s, s:[], s:s, s:s, s:s, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n, s:n,"
        " s:n, s:n, s:{s:[],s:[],s:[],s:[],s:[],s:[]}, s:{s:n,s:n}, s:[], s:[], s:n, s:s,"
        " s:{}, s:{}}",
        "id", id, "aliases", "state", "active", "kind", "rate", "severity", "low",
        "layer", "started_at", "peak_at", "last_seen_at", "ended_at", "app", "tier",
        "policy", "source", "target", "measure", "action", "counts", "top", "clients",
        "networks", "paths", "user_agents", "ja4", "signals", "effect",
        "passed_per_second_before", "passed_per_second_after", "nodes", "samples", "ack",
        "note", "", "labels", "_reports");
}

static void set_record(json_t *record, const l7s_total_t *total)
{
    json_object_set_new(record, "state", json_string(total->active ? "active" : "ended"));
    json_object_set_new(record, "kind",
                        json_string(l7s_report_text(total->newest, "detector")));
    json_object_set_new(record, "severity", json_string(l7s_total_severity(total)));
    json_object_set_new(record, "layer", layer_of(total));
    json_object_set_new(record, "started_at", l7s_json_time(total->started_ms));
    json_object_set_new(record, "peak_at", l7s_json_time(total->peak_ms));
    json_object_set_new(record, "last_seen_at", l7s_json_time(total->last_ms));
    json_object_set_new(record, "ended_at",
                        total->active ? json_null() : l7s_json_time(total->last_ms));
    json_object_set_new(record, "app",
                        text_or_null(l7s_report_text(total->first, "app")));
    json_object_set_new(record, "policy", policy_of(total));
    json_object_set_new(record, "source", source_of(total));
    json_object_set_new(record, "target", target_of(total));
    json_object_set_new(record, "measure",
                        total->notice ? length_of(total) : measure_of(total));
    json_object_set_new(record, "action", action_of(total));
    json_object_set_new(record, "counts", counts_of(total));
}

/* A back end or a module that knows the request said so: that is better evidence than any
 * count, and of more than a flood. */
static json_t *signalled_layer(const json_t *top, const l7s_total_t *total)
{
    const char *signature = l7s_signals_signature(top);
    json_int_t observed = 0;
    const json_t *signal = NULL;
    size_t index = 0;

    json_array_foreach(top, index, signal)
    {
        observed += json_integer_value(json_object_get(signal, "count"));
    }
    return json_pack(
        "{s:i, s:s, s:s, s:i, s:[{s:s, s:I, s:o}]}", "osi", 7, "name", "application",
        "signature", signature == NULL ? "unknown" : signature, "confidence_percent",
        signature == NULL ? 50 : 90, "evidence", "metric", "signals", "observed",
        observed, "normal", count_or_null(l7s_report_count(total->newest, "limit")));
}

static void set_signals(json_t *record, const json_t *reports, const l7s_total_t *total)
{
    json_t *top = l7s_signals_top(reports);
    const char *signature = l7s_signals_signature(top);
    const char *severity = l7s_report_text(record, "severity");

    if (strcmp(l7s_report_text(total->newest, "detector"), "signal") == 0) {
        json_object_set_new(record, "layer", signalled_layer(top, total));
    }
    if (signature != NULL && strcmp(signature, "remote_control") == 0 &&
        strcmp(severity, "critical") != 0) {
        json_object_set_new(record, "severity", json_string("high"));
    }
    json_object_set_new(json_object_get(record, "top"), "signals", top);
}

/* --- the interface --- */

static uint64_t time_of(const json_t *record, const char *name)
{
    const char *text = json_string_value(json_object_get(record, name));
    uint64_t ms = 0;

    return text != NULL && l7s_time_parse(text, &ms) ? ms : 0;
}

static bool same_subject(const json_t *known, const json_t *report)
{
    bool campaign = json_is_true(json_object_get(report, "campaign"));

    return strcmp(l7s_report_text(known, "policy"), l7s_report_text(report, "policy")) ==
               0 &&
           json_is_true(json_object_get(known, "campaign")) == campaign &&
           (campaign || l7s_json_equal(json_object_get(known, "key"),
                                       json_object_get(report, "key")));
}

bool l7s_incident_same(const json_t *record, const json_t *report)
{
    json_t *reports = json_object_get(record, "_reports");
    const json_t *known = json_object_iter_value(json_object_iter(reports));
    uint64_t ended = time_of(record, "ended_at");

    if (json_object_get(reports, l7s_report_text(report, "id")) != NULL) {
        return true;
    }
    if (known == NULL || !same_subject(known, report) ||
        json_object_size(reports) >= REPORTS_MAX) {
        return false;
    }
    return ended == 0 ||
           l7s_report_count(report, "started_ms") < ended + L7S_EPISODE_QUIET_MS;
}

json_t *l7s_incident_merge(const json_t *record, const json_t *report)
{
    json_t *out = record != NULL ? json_deep_copy(record)
                                 : record_new(l7s_report_text(report, "id"));
    json_t *reports = json_object_get(out, "_reports");
    l7s_total_t total = {0};

    if (reports == NULL) {
        json_decref(out);
        return NULL;
    }
    keep_report(reports, report);
    total = l7s_total_of(reports);
    set_record(out, &total);
    set_signals(out, reports, &total);
    set_members(out, reports, json_string_value(json_object_get(out, "id")));
    return out;
}

json_t *l7s_incident_public(const json_t *record)
{
    json_t *out = json_copy((json_t *)record);
    const char *name = NULL;
    json_t *value = NULL;
    void *next = NULL;

    json_object_foreach_safe(out, next, name, value)
    {
        if (name[0] == '_') {
            json_object_del(out, name);
        }
    }
    return out;
}
