/* SPDX-License-Identifier: Apache-2.0
 *
 * /metrics: what the daemon knows about the fleet, in Prometheus' text form. Nodes serve
 * their own with more detail; here is what their heartbeats carry, and the daemon itself.
 *
 * The samples of one metric must stand together, so the heartbeats are collected first
 * and every metric walks over them.
 */
#include "../../core/clock.h"
#include "../fleet/collector.h"
#include "../fleet/incident_record.h"
#include "../fleet/publisher.h"
#include "../http/http_stats.h"
#include "../http/problem.h"
#include "../http/tls.h"
#include "../store/store_objects.h"
#include "resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"

typedef struct {
    char name[64];
    json_t *seat; /* owned */
    uint64_t last_seen_ms;
    bool live;
} node_t;

typedef struct {
    size_t count, capacity;
    node_t *items;
} nodes_t;

/* ---- the text form ---- */

static void head(FILE *out, const char *name, const char *type, const char *help)
{
    fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* A label's value: backslash, quote and line feed are escaped. */
static void value(FILE *out, const char *text)
{
    for (const char *at = text; *at != '\0'; at++) {
        if (*at == '\n') {
            fputs("\\n", out);
            continue;
        }
        if (*at == '\\' || *at == '"') {
            fputc('\\', out);
        }
        fputc(*at, out);
    }
}

static void label(FILE *out, const char *before, const char *name, const char *text)
{
    fprintf(out, "%s%s=\"", before, name);
    value(out, text);
    fputc('"', out);
}

/* ---- heartbeats ---- */

static void collect(void *context, const admin_seat_t *seat)
{
    nodes_t *nodes = context;
    if (nodes->count == nodes->capacity) {
        size_t capacity = nodes->capacity == 0 ? 16 : nodes->capacity * 2;
        node_t *grown = realloc(nodes->items, capacity * sizeof(node_t));
        if (grown == NULL) {
            return;
        }
        nodes->items = grown;
        nodes->capacity = capacity;
    }
    node_t *node = &nodes->items[nodes->count++];
    snprintf(node->name, sizeof(node->name), "%s", seat->name);
    node->seat = json_incref(seat->seat);
    node->last_seen_ms = seat->last_seen_ms;
    node->live = seat->live;
}

static void clear(nodes_t *nodes)
{
    for (size_t i = 0; i < nodes->count; i++) {
        json_decref(nodes->items[i].seat);
    }
    free(nodes->items);
}

static void write_liveness(FILE *out, const nodes_t *nodes, uint64_t now_ms)
{
    size_t live = 0;
    head(out, "l7shield_node_up", "gauge", "Whether the node's heartbeat arrives.");
    for (size_t i = 0; i < nodes->count; i++) {
        live += nodes->items[i].live ? 1 : 0;
        label(out, "l7shield_node_up{", "node", nodes->items[i].name);
        fprintf(out, "} %d\n", nodes->items[i].live ? 1 : 0);
    }
    head(out, "l7shield_nodes", "gauge", "Nodes ever seen, by state.");
    fprintf(out, "l7shield_nodes{state=\"live\"} %zu\n", live);
    fprintf(out, "l7shield_nodes{state=\"lost\"} %zu\n", nodes->count - live);
    head(out, "l7shield_node_seen_seconds", "gauge", "Time since the last heartbeat.");
    for (size_t i = 0; i < nodes->count; i++) {
        uint64_t age_ms = now_ms > nodes->items[i].last_seen_ms
                              ? now_ms - nodes->items[i].last_seen_ms
                              : 0;
        label(out, "l7shield_node_seen_seconds{", "node", nodes->items[i].name);
        fprintf(out, "} %.3f\n", (double)age_ms / 1000);
    }
}

/* Numbers that a heartbeat carries as they are. A lost node's are left out. */
static const struct {
    const char *name, *type, *help;
    const char *member; /* of "health", or of the seat itself with `top` */
    bool top, milliseconds;
} numbers[] = {
    {"l7shield_snapshot_revision", "gauge", "Revision that the node has applied.",
     "revision", true, false},
    {"l7shield_keys", "gauge", "Counters in the node's table.", "keys", false, false},
    {"l7shield_key_capacity", "gauge", "Counters that fit into the node's table.",
     "capacity", false, false},
    {"l7shield_live_evictions_total", "counter", "Counters in use that gave way.",
     "live_evictions", false, false},
    {"l7shield_overflowed_total", "counter", "Requests counted on an overflow slot.",
     "overflowed", false, false},
    {"l7shield_strict_misses_total", "counter",
     "Requests of strict policies that memcached gave no verdict on.", "strict_misses",
     false, false},
    {"l7shield_episodes_dropped_total", "counter", "Episodes that found no room.",
     "episodes_dropped", false, false},
    {"l7shield_node_bans", "gauge", "Bans in the node's table.", "bans", false, false},
    {"l7shield_bans_dropped_total", "counter", "Bans that found no room.", "bans_dropped",
     false, false},
    {"l7shield_node_store_up", "gauge", "memcached servers that the node reaches.",
     "store_up", false, false},
    {"l7shield_sync_lag_seconds", "gauge", "Age of the node's last complete tick.",
     "sync_lag_ms", false, true},
};

/* JSON numbers and booleans alike. False: the node does not say. */
static bool number_of(const json_t *object, const char *member, double *out)
{
    const json_t *json = json_object_get(object, member);
    *out = json_is_true(json) ? 1 : json_number_value(json);
    return json_is_number(json) || json_is_boolean(json);
}

static void write_numbers(FILE *out, const nodes_t *nodes)
{
    for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        head(out, numbers[i].name, numbers[i].type, numbers[i].help);
        for (size_t j = 0; j < nodes->count; j++) {
            const node_t *node = &nodes->items[j];
            const json_t *object =
                numbers[i].top ? node->seat : json_object_get(node->seat, "health");
            double number;
            if (node->live && number_of(object, numbers[i].member, &number)) {
                fprintf(out, "%s", numbers[i].name);
                label(out, "{", "node", node->name);
                fprintf(out, "} %.15g\n",
                        numbers[i].milliseconds ? number / 1000 : number);
            }
        }
    }
}

/* 0: that revision is not known here (any more). */
static uint64_t made_at(const admin_call_t *call, int64_t revision)
{
    uint64_t at_ms = 0;
    json_t *document = NULL;
    if (revision > 0 &&
        admin_revision_next(call->daemon->store, revision - 1, 0, &document) == L7S_OK) {
        const char *at = json_string_value(json_object_get(document, "at"));
        bool same = json_integer_value(json_object_get(document, "revision")) == revision;
        at_ms = same && at != NULL && l7s_time_parse(at, &at_ms) ? at_ms : 0;
    }
    json_decref(document);
    return at_ms;
}

static void write_ages(FILE *out, const admin_call_t *call, const nodes_t *nodes)
{
    head(out, "l7shield_snapshot_age_seconds", "gauge",
         "Time since the revision was made that the node has applied.");
    for (size_t i = 0; i < nodes->count; i++) {
        const node_t *node = &nodes->items[i];
        double revision;
        uint64_t at_ms = node->live && number_of(node->seat, "revision", &revision)
                             ? made_at(call, (int64_t)revision)
                             : 0;
        if (at_ms > 0) {
            uint64_t age_ms = call->now_ms > at_ms ? call->now_ms - at_ms : 0;
            label(out, "l7shield_snapshot_age_seconds{", "node", node->name);
            fprintf(out, "} %.3f\n", (double)age_ms / 1000);
        }
    }
}

static void write_workers(FILE *out, const nodes_t *nodes)
{
    head(out, "l7shield_workers", "gauge", "httpd workers by state.");
    for (size_t i = 0; i < nodes->count; i++) {
        const json_t *health = json_object_get(nodes->items[i].seat, "health");
        double busy, total;
        if (nodes->items[i].live && number_of(health, "workers_busy", &busy) &&
            number_of(health, "workers_total", &total)) {
            label(out, "l7shield_workers{", "node", nodes->items[i].name);
            fprintf(out, ",state=\"busy\"} %.15g\n", busy);
            label(out, "l7shield_workers{", "node", nodes->items[i].name);
            fprintf(out, ",state=\"idle\"} %.15g\n", total > busy ? total - busy : 0);
        }
    }
}

/* ---- decisions ---- */

static void write_decision(FILE *out, const char *node, const char *policy,
                           const char *verdict, json_int_t count)
{
    label(out, "l7shield_decisions_total{", "node", node);
    label(out, ",app=\"\",", "policy", policy);
    label(out, ",", "verdict", verdict);
    fprintf(out, "} %lld\n", (long long)count);
}

static void write_policy(FILE *out, const char *node, const char *policy,
                         const json_t *counts)
{
    static const char *const verdicts[] = {NULL, "acted", "would_act", "logged"};
    for (size_t i = 1; i < sizeof(verdicts) / sizeof(verdicts[0]); i++) {
        const json_t *count = json_array_get(counts, i);
        if (json_is_integer(count)) {
            write_decision(out, node, policy, verdicts[i], json_integer_value(count));
        }
    }
}

static void write_decisions(FILE *out, const nodes_t *nodes)
{
    const char *name;
    json_t *counts;
    head(out, "l7shield_decisions_total", "counter",
         "Requests by what was decided; without a policy: of all requests.");
    for (size_t i = 0; i < nodes->count; i++) {
        const node_t *node = &nodes->items[i];
        json_object_foreach(json_object_get(node->seat, "policies"), name, counts)
        {
            write_policy(out, node->name, name, counts);
        }
        json_object_foreach(json_object_get(node->seat, "verdicts"), name, counts)
        {
            if (json_is_integer(counts)) {
                write_decision(out, node->name, "", name, json_integer_value(counts));
            }
        }
    }
    head(out, "l7shield_policy_matches_total", "counter", "Requests that matched.");
    for (size_t i = 0; i < nodes->count; i++) {
        json_object_foreach(json_object_get(nodes->items[i].seat, "policies"), name,
                            counts)
        {
            label(out, "l7shield_policy_matches_total{", "node", nodes->items[i].name);
            label(out, ",", "policy", name);
            fprintf(out, "} %lld\n",
                    (long long)json_integer_value(json_array_get(counts, 0)));
        }
    }
}

/* ---- the daemon ---- */

static void write_bans(FILE *out, const admin_call_t *call)
{
    admin_ban_filter_t filter = {.now_ms = call->now_ms};
    json_t *counts = admin_ban_count(call->daemon->store, &filter, "origin");
    head(out, "l7shield_bans", "gauge", "Bans in force, by who made them.");
    fprintf(out, "l7shield_bans{origin=\"daemon\"} %lld\n",
            (long long)json_integer_value(json_object_get(counts, "daemon")));
    fprintf(out, "l7shield_bans{origin=\"node\"} %lld\n",
            (long long)json_integer_value(json_object_get(counts, "node")));
    json_decref(counts);
}

static void write_incidents(FILE *out, const admin_call_t *call)
{
    admin_incident_filter_t active = {
        .rows = {.term_count = 1,
                 .terms = {{.column = "state", .count = 1, .values = {"active"}}}}};
    json_t *counts = admin_incident_count(call->daemon->store, &active, "state");
    head(out, "l7shield_incidents_active", "gauge", "Incidents that go on.");
    fprintf(out, "l7shield_incidents_active %lld\n",
            (long long)json_integer_value(json_object_get(counts, "active")));
    json_decref(counts);
    head(out, "l7shield_incidents_total", "counter",
         "Incidents opened, by the signature they had then.");
    for (size_t i = 0; i < admin_incident_signatures; i++) {
        const char *signature, *layer;
        int64_t count = admin_incident_opened(call->daemon->store, i, &signature, &layer);
        if (count > 0) {
            fprintf(out, "l7shield_incidents_total{signature=\"%s\",layer=\"%s\"} %lld\n",
                    signature, layer, (long long)count);
        }
    }
}

static void write_daemon(FILE *out, const admin_call_t *call)
{
    const admin_daemon_t *daemon = call->daemon;
    head(out, "l7shieldd_build_info", "gauge", "Always 1; the version is a label.");
    fprintf(out, "l7shieldd_build_info{version=\"%s\"} 1\n", L7S_VERSION);
    head(out, "l7shieldd_start_time_seconds", "gauge", "When the daemon started.");
    fprintf(out, "l7shieldd_start_time_seconds %.3f\n",
            (double)daemon->started_ms / 1000);
    if (daemon->tls != NULL) {
        head(out, "l7shieldd_certificate_not_after_timestamp_seconds", "gauge",
             "When the certificate in use ends.");
        fprintf(out, "l7shieldd_certificate_not_after_timestamp_seconds %lld\n",
                (long long)admin_tls_not_after(daemon->tls));
    }
    head(out, "l7shieldd_revision", "gauge", "Newest revision of the configuration.");
    fprintf(out, "l7shieldd_revision %lld\n",
            (long long)admin_store_revision(daemon->store));
    head(out, "l7shield_store_up", "gauge", "Whether this memcached server answers.");
    for (size_t i = 0; i < daemon->options->server_count; i++) {
        label(out, "l7shield_store_up{", "server", daemon->options->servers[i]);
        fprintf(out, "} %d\n", admin_publisher_server_up(daemon->publisher, i) ? 1 : 0);
    }
}

void admin_metrics_get(admin_call_t *call)
{
    nodes_t nodes = {0, 0, NULL};
    char *text = NULL;
    size_t size;
    FILE *out = open_memstream(&text, &size);
    if (out == NULL) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    admin_collector_seats(call->daemon->collector, collect, &nodes);
    write_daemon(out, call);
    write_liveness(out, &nodes, call->now_ms);
    write_numbers(out, &nodes);
    write_ages(out, call, &nodes);
    write_workers(out, &nodes);
    write_decisions(out, &nodes);
    write_bans(out, call);
    write_incidents(out, call);
    admin_http_stats_write(call->daemon->http_stats, out);
    clear(&nodes);
    if (fclose(out) != 0) {
        free(text);
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    call->status = 200;
    call->text = text;
    call->content_type = CONTENT_TYPE;
}
