/* SPDX-License-Identifier: Apache-2.0
 *
 * The incident logs' reader (incident_log.h). Each round: read what is new from every
 * node's log, store all of it in one transaction, then acknowledge. No transaction is
 * open while the network is waited for.
 *
 * What is not there yet is waited for, since the node adds it again; what is there but
 * not the node's is deleted, since it would keep the node from adding it.
 */
#include "incident_log.h"

#include "../../core/json/config.h"
#include "../../core/json/incident.h"
#include "../log.h"
#include "../worker.h"
#include "incident_record.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define READ_MAX 64   /* entries of one node in one round */
#define ROUND_MAX 512 /* of all nodes */
#define ACK_AGAIN_MS 1000
#define COMPLAIN_EVERY_MS 10000

typedef struct {
    char name[ADMIN_NODE_NAME_MAX];
    uint64_t position;    /* next entry to read; as in the store, 0: unknown */
    uint64_t read_to;     /* what the next commit makes the position */
    uint64_t first, next; /* what the node's seat says: oldest unacknowledged, end */
    uint64_t acked_ms;    /* monotonic; when the acknowledgement was last written */
    bool live;
} reader_t;

struct admin_incident_log {
    const admin_daemon_t *daemon;
    admin_bus_t *bus;
    admin_fleet_t *fleet;
    size_t count;
    reader_t readers[ADMIN_NODES_MAX];
    uint64_t now_ms, mono_ms, complained_ms;
    /* The round that is under way: reports of all nodes, in the order of their logs. */
    size_t report_count;
    json_t *reports[ROUND_MAX];
    /* The look that is under way. */
    reader_t *reader;
    uint64_t first;
    bool garbage[READ_MAX];
    json_t *entries[READ_MAX];
    bool present[READ_MAX];
};

/* ---- positions ---- */

/* NULL: the table is full. */
static reader_t *reader_of(admin_incident_log_t *log, const char *name)
{
    for (size_t i = 0; i < log->count; i++) {
        if (strcmp(log->readers[i].name, name) == 0) {
            return &log->readers[i];
        }
    }
    if (log->count == ADMIN_NODES_MAX) {
        return NULL;
    }
    reader_t *reader = &log->readers[log->count++];
    *reader = (reader_t){.position = 0};
    snprintf(reader->name, sizeof(reader->name), "%s", name);
    return reader;
}

static bool restore(void *context, const admin_node_t *node)
{
    reader_t *reader =
        strlen(node->name) < ADMIN_NODE_NAME_MAX ? reader_of(context, node->name) : NULL;
    if (reader != NULL && node->position > 0) {
        reader->position = (uint64_t)node->position;
    }
    return true;
}

admin_incident_log_t *admin_incident_log_create(const admin_daemon_t *daemon,
                                                admin_bus_t *bus, admin_fleet_t *fleet)
{
    admin_incident_log_t *log = calloc(1, sizeof(*log));
    if (log == NULL) {
        return NULL;
    }
    log->daemon = daemon;
    log->bus = bus;
    log->fleet = fleet;
    if (admin_node_each(daemon->store, restore, log) != L7S_OK) {
        admin_log(ADMIN_WARN, "L7S3550",
                  "How far incident logs were read is unknown: they are read again.");
    }
    return log;
}

void admin_incident_log_free(admin_incident_log_t *log)
{
    free(log);
}

static uint64_t count_of(const json_t *object, const char *name)
{
    json_int_t value = json_integer_value(json_object_get(object, name));
    return value > 0 ? (uint64_t)value : 0;
}

/* Only a live seat says where its log stands: an old one would throw the position back.
 */
static void note_seat(void *context, const admin_seat_t *seat)
{
    admin_incident_log_t *log = context;
    reader_t *reader = reader_of(log, seat->name);
    const json_t *bounds = json_object_get(seat->seat, "incident_log");
    if (reader == NULL) {
        return;
    }
    reader->live = seat->live;
    reader->first = reader->next = 0;
    if (seat->live) {
        reader->first = count_of(bounds, "first");
        reader->next = count_of(bounds, "next");
        if (reader->position < reader->first || reader->position > reader->next) {
            reader->position = reader->first;
        }
        reader->live = reader->next >= reader->first;
    }
    reader->read_to = reader->position;
}

/* ---- reading one log ---- */

static void complain(admin_incident_log_t *log, uint64_t index, const char *why)
{
    if (log->complained_ms == 0 ||
        log->mono_ms - log->complained_ms >= COMPLAIN_EVERY_MS) {
        admin_log(ADMIN_WARN, "L7S3551",
                  "Entry %" PRIu64 " of the incident log of %s: %s.", index,
                  log->reader->name, why);
        log->complained_ms = log->mono_ms;
    }
}

static void found(void *context, uint64_t index, l7s_status_t opened,
                  const l7s_item_t *item)
{
    admin_incident_log_t *log = context;
    size_t slot = (size_t)(index - log->first);
    log->present[slot] = true;
    if (opened == L7S_STALE) {
        /* From the future: it becomes readable as time goes by. */
        log->present[slot] = false;
        complain(log, index, "it is from the future, its node's clock is wrong");
    } else if (opened != L7S_OK || strcmp(item->sender, log->reader->name) != 0) {
        log->garbage[slot] = true;
    } else {
        log->entries[slot] = l7s_json_read(item->payload, item->size, NULL);
    }
}

/* Takes one entry over into the round. A report that makes no sense is passed over: the
 * node said it, and would only say it again. */
static void take_entry(admin_incident_log_t *log, size_t slot)
{
    json_t *report = log->entries[slot];
    log->entries[slot] = NULL;
    log->reader->read_to++;
    const char *node = json_string_value(json_object_get(report, "node"));
    if (report != NULL && l7s_incident_report_check(report) == L7S_OK &&
        strcmp(node, log->reader->name) == 0) {
        log->reports[log->report_count++] = report;
        return;
    }
    complain(log, log->first + slot, "the report makes no sense and is passed over");
    json_decref(report);
}

static void read_log(admin_incident_log_t *log, reader_t *reader)
{
    uint64_t waiting = reader->next - reader->position;
    size_t room = ROUND_MAX - log->report_count;
    size_t count = waiting < READ_MAX ? (size_t)waiting : READ_MAX;
    count = count < room ? count : room;
    if (count == 0) {
        return;
    }
    log->reader = reader;
    log->first = reader->position;
    memset(log->present, 0, sizeof(log->present));
    memset(log->garbage, 0, sizeof(log->garbage));
    admin_place_t place = {L7S_ITEM_INCIDENT, reader->name, reader->position};
    if (admin_bus_range(log->bus, place, count, log->now_ms, found, log) == L7S_OK) {
        for (size_t i = 0; i < count && log->present[i] && !log->garbage[i]; i++) {
            take_entry(log, i);
        }
    }
    for (size_t i = 0; i < count; i++) {
        json_decref(log->entries[i]);
        log->entries[i] = NULL;
        if (log->garbage[i]) {
            place.index = log->first + i;
            complain(log, place.index, "it is not the node's and is deleted");
            (void)!admin_bus_delete(log->bus, place, log->now_ms);
        }
    }
}

/* ---- storing and acknowledging ---- */

static l7s_status_t store_round(admin_incident_log_t *log)
{
    admin_store_t *store = log->daemon->store;
    l7s_status_t status = L7S_OK;
    for (size_t i = 0; i < log->report_count && status == L7S_OK; i++) {
        status = admin_incident_take(store, log->reports[i], log->now_ms);
        /* It cannot be merged and never will. */
        status = status == L7S_INVALID ? L7S_OK : status;
    }
    for (size_t i = 0; i < log->count && status == L7S_OK; i++) {
        const reader_t *reader = &log->readers[i];
        if (reader->read_to != reader->position) {
            status = admin_node_position(store, reader->name, (int64_t)reader->read_to);
        }
    }
    return status;
}

static bool commit_round(admin_incident_log_t *log)
{
    admin_store_t *store = log->daemon->store;
    if (admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return false;
    }
    return admin_store_end(store, ADMIN_EVENTS_DB, store_round(log)) == L7S_OK;
}

static void acknowledge(admin_incident_log_t *log, reader_t *reader)
{
    char payload[128];
    admin_place_t place = {L7S_ITEM_ACK, reader->name, 0};
    snprintf(payload, sizeof(payload), "{\"node\":\"%s\",\"sequence\":%" PRIu64 "}",
             reader->name, reader->position - 1);
    if (admin_bus_put(log->bus, place, payload, log->now_ms) == L7S_OK) {
        reader->acked_ms = log->mono_ms;
    }
}

/* Acknowledges what was just committed, and again what the node seems not to have heard:
 * acknowledgements get lost with memcached, too. */
static void acknowledge_all(admin_incident_log_t *log, bool committed)
{
    for (size_t i = 0; i < log->count; i++) {
        reader_t *reader = &log->readers[i];
        bool moved = committed && reader->read_to != reader->position;
        if (moved) {
            reader->position = reader->read_to;
        }
        bool unheard = reader->live && reader->first < reader->position &&
                       log->mono_ms - reader->acked_ms >= ACK_AGAIN_MS;
        if (moved || unheard) {
            acknowledge(log, reader);
        }
    }
}

void admin_incident_log_read(admin_incident_log_t *log, uint64_t now_ms)
{
    bool anything = false, committed = false;
    log->now_ms = now_ms;
    log->mono_ms = admin_mono_ms();
    log->report_count = 0;
    admin_fleet_visit(log->fleet, note_seat, log);
    for (size_t i = 0; i < log->count; i++) {
        if (log->readers[i].live) {
            read_log(log, &log->readers[i]);
            anything |= log->readers[i].read_to != log->readers[i].position;
        }
    }
    if (anything) {
        committed = commit_round(log);
    }
    for (size_t i = 0; i < log->report_count; i++) {
        json_decref(log->reports[i]);
    }
    acknowledge_all(log, committed);
}
