/* SPDX-License-Identifier: Apache-2.0
 *
 * See seat.h. Whether a seat is alive is left to memcached: it was written less than its
 * time to live ago, or it would not be there. The node is known by an instance, a hash of
 * a secret of the segment, so a restarted sync process takes its own seat again.
 */
#include "seat.h"
#include "../../core/json/config.h"
#include "file.h"
#include "heartbeat.h"
#include "log.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TTL_SECONDS 5
#define REFRESH_MS 1000
#define LOG_INTERVAL_MS 60000
/* The store lost seats with everything else: so long until all nodes sit again. */
#define SETTLE_MS 3000
#define NO_SEAT SYNC_SEATS
#define NODES_TEXT_MAX 16

struct sync_seat {
    const l7s_shared_t *shared;
    sync_bus_t *bus;
    const sync_options_t *options;
    char instance[SYNC_INSTANCE_TEXT];
    uint64_t started_ms;
    unsigned index; /* NO_SEAT: none */
    uint64_t turn;
    uint64_t scan_at_ms, refresh_at_ms;
    uint64_t lost_at_ms;  /* 0: never */
    uint32_t noted_nodes; /* what the file says */
    char path[4096];      /* "": no file */
    /* what the seat said last */
    uint64_t revision, config_epoch, incident_first, incident_next;
    uint32_t mode;
    sync_log_gate_t duplicate_gate, full_gate;
};

/* ---- the number of nodes, over a cold start ---- */

/* A node that starts while the store is away divides its limits by what it knew last. */
static void recall_nodes(sync_seat_t *seat, l7s_now_t now)
{
    l7s_segment_t *header = seat->shared->header;
    char *text = NULL;
    size_t size = 0;

    if (seat->path[0] == '\0' || atomic_load(&header->image_generation) != 0 ||
        sync_file_read(seat->path, NODES_TEXT_MAX, &text, &size) != L7S_OK) {
        return;
    }
    unsigned long nodes = strtoul(text, NULL, 10);
    free(text);
    if (nodes >= 1 && nodes <= SYNC_SEATS) {
        seat->noted_nodes = (uint32_t)nodes;
        seat->lost_at_ms = sync_mono_ms(now);
        atomic_store(&header->live_nodes, seat->noted_nodes);
    }
}

static void note_nodes(sync_seat_t *seat, uint32_t nodes)
{
    char text[NODES_TEXT_MAX];

    if (seat->path[0] == '\0' || nodes == seat->noted_nodes) {
        return;
    }
    int size = snprintf(text, sizeof text, "%u\n", (unsigned)nodes);
    if (sync_file_write(seat->path, text, (size_t)size) == L7S_OK) {
        seat->noted_nodes = nodes; /* else with the next look */
    }
}

l7s_status_t sync_seat_create(const l7s_shared_t *shared, sync_bus_t *bus,
                              const sync_options_t *options, l7s_now_t now,
                              sync_seat_t **out)
{
    static const char label[] = "instance";
    sync_seat_t *seat = calloc(1, sizeof *seat);

    if (seat == NULL) {
        return L7S_NO_MEMORY;
    }
    seat->shared = shared;
    seat->bus = bus;
    seat->options = options;
    seat->started_ms = now.wall_ms;
    seat->index = NO_SEAT;
    (void)snprintf(seat->instance, sizeof seat->instance, "%016" PRIx64,
                   l7s_siphash64(&shared->header->mint_key, label, sizeof label - 1));
    if (options->state_dir[0] != '\0') {
        (void)snprintf(seat->path, sizeof seat->path, "%s/nodes", options->state_dir);
    }
    recall_nodes(seat, now);
    *out = seat;
    return L7S_OK;
}

void sync_seat_free(sync_seat_t *seat)
{
    free(seat);
}

/* ---- who is there ---- */

typedef struct {
    sync_seat_t *seat;
    char names[SYNC_SEATS][L7S_ITEM_NAME_MAX];
    bool taken[SYNC_SEATS];
    unsigned live;
    unsigned mine;  /* where this instance sits */
    bool duplicate; /* another instance has our name */
} scan_t;

static void take_seat(void *context, size_t index, const void *value, size_t size)
{
    scan_t *scan = context;
    sync_seat_t *seat = scan->seat;
    l7s_item_t item;

    scan->taken[index] = true;
    if (sync_bus_open(seat->bus, L7S_ITEM_SEAT, scan->names[index], value, size, &item) !=
        L7S_OK) {
        return;
    }
    json_t *json = l7s_json_read(item.payload, item.size, NULL);
    const char *name = json_string_value(json_object_get(json, "name"));
    const char *instance = json_string_value(json_object_get(json, "instance"));
    if (name != NULL && instance != NULL) {
        bool same_name = strcmp(name, seat->options->node) == 0;
        bool same_instance = strcmp(instance, seat->instance) == 0;
        scan->live++;
        scan->duplicate |= same_name && !same_instance;
        if (same_name && same_instance) {
            scan->mine = (unsigned)index;
        }
    }
    json_decref(json);
}

/* By how many limits are divided when the store is away must not fall because seats went
 * with it: a seat of ours that is not there, or a server that did not answer, says that
 * others are missing as well. So does an empty store to a process that has just begun. */
static void count_nodes(sync_seat_t *seat, const scan_t *scan, bool complete,
                        l7s_now_t now)
{
    _Atomic uint32_t *nodes = &seat->shared->header->live_nodes;
    unsigned live = scan->live + (scan->mine == NO_SEAT ? 1 : 0);

    if (!complete || (scan->mine == NO_SEAT && !scan->duplicate)) {
        seat->lost_at_ms = sync_mono_ms(now);
    }
    bool settled =
        seat->lost_at_ms == 0 || sync_mono_ms(now) - seat->lost_at_ms >= SETTLE_MS;
    if (complete && (settled || live > atomic_load(nodes))) {
        atomic_store(nodes, live);
        note_nodes(seat, live);
    }
}

/* Returns whether the picture is complete. */
static bool look_around(sync_seat_t *seat, scan_t *scan, l7s_now_t now)
{
    scan->seat = seat;
    scan->mine = NO_SEAT;
    for (unsigned i = 0; i < SYNC_SEATS; i++) {
        sync_bus_name(seat->bus, L7S_ITEM_SEAT, "", i, scan->names[i]);
    }
    bool complete =
        sync_bus_read(seat->bus, scan->names, SYNC_SEATS, take_seat, scan) == L7S_OK;
    count_nodes(seat, scan, complete, now);
    return complete;
}

/* ---- our own ---- */

static l7s_status_t write_seat(sync_seat_t *seat, unsigned index, bool replace,
                               const sync_seat_report_t *report, l7s_now_t now)
{
    sync_bus_place_t place = {.kind = L7S_ITEM_SEAT,
                              .detail = "",
                              .index = index,
                              .ttl_seconds = TTL_SECONDS,
                              .replace = replace};
    sync_heartbeat_t beat = {.shared = seat->shared,
                             .bus = seat->bus,
                             .node = seat->options->node,
                             .instance = seat->instance,
                             .started_ms = seat->started_ms,
                             .report = report};
    char *text = sync_heartbeat_text(&beat);

    if (text == NULL) {
        return L7S_NO_MEMORY;
    }
    l7s_status_t status = sync_bus_write(seat->bus, &place, text, strlen(text));
    free(text);
    if (status == L7S_OK) {
        l7s_segment_t *header = seat->shared->header;
        seat->index = index;
        seat->refresh_at_ms = sync_mono_ms(now) + REFRESH_MS;
        seat->config_epoch = atomic_load(&header->config_epoch);
        seat->revision = atomic_load(&header->revision);
        seat->mode = atomic_load(&header->mode);
        seat->incident_first = report->incident_first;
        seat->incident_next = report->incident_next;
    }
    return status;
}

static void claim(sync_seat_t *seat, const scan_t *scan, const sync_seat_report_t *report,
                  l7s_now_t now)
{
    for (unsigned i = 0; i < SYNC_SEATS && sync_bus_has_time(seat->bus); i++) {
        if (scan->taken[i]) {
            continue;
        }
        l7s_status_t status = write_seat(seat, i, false, report, now);
        if (status != L7S_CONFLICT) {
            return;
        }
    }
    if (sync_bus_has_time(seat->bus) &&
        sync_log_gate(&seat->full_gate, sync_mono_ms(now), LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_ERROR, "L7S2091",
                 "all %d seats of the fleet are taken; this node works and is not seen",
                 SYNC_SEATS);
    }
}

/* Once a second: who is there, and do we still sit where we think? */
static void scan_seats(sync_seat_t *seat, const sync_seat_report_t *report, l7s_now_t now)
{
    scan_t *scan = calloc(1, sizeof *scan);

    if (scan == NULL) {
        return;
    }
    if (look_around(seat, scan, now)) {
        seat->index = scan->mine;
        if (scan->duplicate && sync_log_gate(&seat->duplicate_gate, sync_mono_ms(now),
                                             LOG_INTERVAL_MS, NULL)) {
            sync_log(
                SYNC_ERROR, "L7S2090",
                "another living node is called \"%s\"; this one works and is not seen "
                "until it has a name of its own (L7ShieldNode)",
                seat->options->node);
        }
        if (seat->index == NO_SEAT && !scan->duplicate) {
            claim(seat, scan, report, now);
        }
    }
    free(scan);
}

static bool has_news(const sync_seat_t *seat, const sync_seat_report_t *report)
{
    l7s_segment_t *header = seat->shared->header;

    return seat->config_epoch != atomic_load(&header->config_epoch) ||
           seat->revision != atomic_load(&header->revision) ||
           seat->mode != atomic_load(&header->mode) ||
           seat->incident_first != report->incident_first ||
           seat->incident_next != report->incident_next;
}

void sync_seat_tick(sync_seat_t *seat, const sync_seat_report_t *report, l7s_now_t now)
{
    uint64_t now_ms = sync_mono_ms(now);

    if (sync_bus_epoch(seat->bus)[0] == '\0' || sync_bus_trust(seat->bus) == NULL) {
        return;
    }
    if (seat->turn != sync_bus_turn(seat->bus)) {
        seat->turn = sync_bus_turn(seat->bus);
        if (seat->index != NO_SEAT) {
            seat->lost_at_ms = now_ms; /* nobody has a seat in the new epoch yet */
        }
        seat->index = NO_SEAT;
        seat->scan_at_ms = 0;
    }
    if (now_ms >= seat->scan_at_ms) {
        seat->scan_at_ms = now_ms + REFRESH_MS;
        scan_seats(seat, report, now);
    }
    if (seat->index != NO_SEAT &&
        (now_ms >= seat->refresh_at_ms || has_news(seat, report))) {
        l7s_status_t status = write_seat(seat, seat->index, true, report, now);
        (void)status; /* the next tick tries again */
    }
}

void sync_seat_leave(sync_seat_t *seat)
{
    if (seat->index != NO_SEAT) {
        sync_bus_delete(seat->bus, L7S_ITEM_SEAT, "", seat->index);
        seat->index = NO_SEAT;
    }
}
