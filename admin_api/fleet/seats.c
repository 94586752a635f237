/* SPDX-License-Identifier: Apache-2.0
 *
 * The seats (seats.h). A seat is parsed only when it changed, so that polling them every
 * 20 ms during a rollout costs a read and a seal each.
 */
#include "seats.h"

#include "../../core/json/config.h"
#include "../log.h"
#include "../store/event_log.h"
#include "../store/store_events.h"
#include "../store/store_objects.h"
#include "../store/store_stats.h"
#include "../worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define KEEP_EVERY_MS 10000
#define KEEP_MAX 64 /* rows of one transaction */
#define QUICK_MARGIN 8
#define COMPLAIN_EVERY_MS 10000
#define AHEAD_EVERY_MS 60000

struct admin_seats {
    const admin_daemon_t *daemon;
    admin_bus_t *bus;
    admin_fleet_t *fleet;
    size_t used; /* 1 + the highest seat taken at the last full look */
    struct {
        char name[ADMIN_NODE_NAME_MAX];
        uint64_t sealed_at_ms;
    } known[ADMIN_SEATS];
    uint64_t complained_ms, ahead_ms;
    uint64_t begun_ms; /* monotonic */
    /* Of the look that is under way. */
    uint64_t now_ms;
    size_t highest;
    /* When each node's row was written; by name, bounded like the fleet. */
    size_t kept_count;
    struct {
        char name[ADMIN_NODE_NAME_MAX];
        uint64_t last_seen_ms;
    } kept[ADMIN_NODES_MAX];
};

static bool restore(void *context, const admin_node_t *node)
{
    admin_seats_t *seats = context;
    l7s_status_t status =
        admin_fleet_restore(seats->fleet, node->name, node->seat, node->last_seen_ms);
    return status != L7S_TOO_BIG;
}

admin_seats_t *admin_seats_create(const admin_daemon_t *daemon, admin_bus_t *bus,
                                  admin_fleet_t *fleet)
{
    admin_seats_t *seats = calloc(1, sizeof(*seats));
    if (seats == NULL) {
        return NULL;
    }
    seats->daemon = daemon;
    seats->bus = bus;
    seats->fleet = fleet;
    seats->begun_ms = admin_mono_ms();
    if (admin_node_each(daemon->store, restore, seats) != L7S_OK) {
        admin_log(ADMIN_WARN, "L7S3520", "The nodes seen earlier cannot be read.");
    }
    return seats;
}

void admin_seats_free(admin_seats_t *seats)
{
    free(seats);
}

/* ---- reading ---- */

static void complain(admin_seats_t *seats, uint64_t index, const char *why)
{
    uint64_t mono_ms = admin_mono_ms();
    if (seats->complained_ms == 0 ||
        mono_ms - seats->complained_ms >= COMPLAIN_EVERY_MS) {
        admin_log(ADMIN_WARN, "L7S3521", "Seat %llu of the bus is ignored: %s.",
                  (unsigned long long)index, why);
        seats->complained_ms = mono_ms;
    }
}

static void take_seat(admin_seats_t *seats, uint64_t index, const l7s_item_t *item)
{
    json_t *seat = l7s_json_read(item->payload, item->size, NULL);
    l7s_status_t status = seat == NULL
                              ? L7S_INVALID
                              : admin_fleet_heartbeat(seats->fleet, item->sender, seat,
                                                      item->sealed_at_ms, seats->now_ms);
    json_decref(seat);
    if (status == L7S_OK) {
        snprintf(seats->known[index].name, ADMIN_NODE_NAME_MAX, "%s", item->sender);
        seats->known[index].sealed_at_ms = item->sealed_at_ms;
    } else if (status != L7S_STALE) {
        complain(seats, index, l7s_status_name(status));
    }
}

static void found(void *context, uint64_t index, l7s_status_t opened,
                  const l7s_item_t *item)
{
    admin_seats_t *seats = context;
    if (opened != L7S_OK) {
        complain(seats, index,
                 opened == L7S_STALE ? "its node's clock is more than 30 s off"
                                     : "its seal does not hold");
        return;
    }
    seats->highest = index + 1 > seats->highest ? index + 1 : seats->highest;
    if (seats->known[index].sealed_at_ms == item->sealed_at_ms &&
        strcmp(seats->known[index].name, item->sender) == 0) {
        admin_fleet_touch(seats->fleet, item->sender, seats->now_ms);
    } else {
        take_seat(seats, index, item);
    }
}

typedef struct {
    uint64_t config_epoch, revision; /* the store's */
    char name[ADMIN_NODE_NAME_MAX];  /* "" until a node is found that is ahead */
    uint64_t node_epoch, node_revision;
} ahead_t;

static uint64_t number(const json_t *seat, const char *member)
{
    json_int_t value = json_integer_value(json_object_get(seat, member));
    return value < 0 ? 0 : (uint64_t)value;
}

static void find_ahead(void *context, const admin_seat_t *seat)
{
    ahead_t *ahead = context;
    uint64_t epoch = number(seat->seat, "config_epoch");
    uint64_t revision = number(seat->seat, "revision");
    if (seat->live &&
        l7s_revision_compare(epoch, revision, ahead->config_epoch, ahead->revision) > 0) {
        snprintf(ahead->name, sizeof(ahead->name), "%s", seat->name);
        ahead->node_epoch = epoch;
        ahead->node_revision = revision;
    }
}

/* A node cannot be ahead of its daemon, unless the daemon went back in time. */
static void look_for_restored_backup(admin_seats_t *seats)
{
    uint64_t mono_ms = admin_mono_ms();
    if (seats->ahead_ms != 0 && mono_ms - seats->ahead_ms < AHEAD_EVERY_MS) {
        return;
    }
    admin_store_t *store = seats->daemon->store;
    ahead_t ahead = {.config_epoch = admin_store_config_epoch(store),
                     .revision = (uint64_t)admin_store_revision(store)};
    admin_fleet_visit(seats->fleet, find_ahead, &ahead);
    if (ahead.name[0] != '\0') {
        seats->ahead_ms = mono_ms;
        admin_log(
            ADMIN_ERROR, "L7S3524",
            "Node %s has revision %llu of config epoch %llu, and this daemon has got "
            "to %llu of %llu only: nodes refuse what it says. Was a backup put back? "
            "Then stop it and say \"l7shieldd new-epoch\".",
            ahead.name, (unsigned long long)ahead.node_revision,
            (unsigned long long)ahead.node_epoch, (unsigned long long)ahead.revision,
            (unsigned long long)ahead.config_epoch);
    }
}

static void log_change(void *context, const admin_seat_t *seat)
{
    (void)context;
    if (seat->live) {
        admin_log(ADMIN_INFO, "L7S3522", "Node %s is live.", seat->name);
    } else {
        admin_log(ADMIN_WARN, "L7S3523", "Node %s is lost: its heartbeat stopped.",
                  seat->name);
    }
}

/* ---- telling who was lost ---- */

static l7s_status_t tell_lost(admin_seats_t *seats, const char *name)
{
    admin_store_t *store = seats->daemon->store;
    json_t *document = admin_fleet_node(seats->fleet, name);
    if (document == NULL) {
        return L7S_OK; /* forgotten meanwhile */
    }
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status == L7S_OK) {
        status = admin_event_write(store, ADMIN_EVENT_NODE_LOST, document, seats->now_ms);
        if (status == L7S_OK) {
            status = admin_node_lost(store, name);
        }
        status = admin_store_end(store, ADMIN_EVENTS_DB, status);
    }
    json_decref(document);
    return status;
}

/* Asks the store, so that a node that was lost while the daemon was away is told of, too,
 * and none of them twice. After the start every node gets the time to show itself. */
static void tell_all_lost(admin_seats_t *seats)
{
    size_t index;
    json_t *name;
    if (admin_mono_ms() - seats->begun_ms < ADMIN_NODE_LIVE_MS) {
        return;
    }
    json_t *names = admin_node_untold(seats->daemon->store);
    json_array_foreach(names, index, name)
    {
        const char *text = json_string_value(name);
        if (!admin_fleet_is_live(seats->fleet, text) &&
            tell_lost(seats, text) != L7S_OK) {
            break; /* the next look tries again */
        }
    }
    json_decref(names);
}

void admin_seats_read(admin_seats_t *seats, bool quick, uint64_t now_ms)
{
    size_t count = ADMIN_SEATS;
    if (quick && seats->used + QUICK_MARGIN < ADMIN_SEATS) {
        count = seats->used + QUICK_MARGIN;
    }
    seats->now_ms = now_ms;
    seats->highest = 0;
    l7s_status_t status = admin_bus_range(
        seats->bus, (admin_place_t){L7S_ITEM_SEAT, "", 0}, count, now_ms, found, seats);
    if (!quick && status == L7S_OK) {
        seats->used = seats->highest;
    }
    admin_fleet_settle(seats->fleet, status == L7S_OK, now_ms, log_change, NULL);
    if (!quick) {
        look_for_restored_backup(seats);
        tell_all_lost(seats);
    }
}

/* ---- keeping ---- */

typedef struct {
    admin_seats_t *seats;
    uint64_t now_ms;
    size_t count;
    struct {
        size_t kept; /* place in seats->kept */
        char name[ADMIN_NODE_NAME_MAX];
        uint64_t last_seen_ms;
        json_t *seat;
    } due[KEEP_MAX];
} keep_t;

/* The place of a node in `kept`; a new one is added. ADMIN_NODES_MAX: no room. */
static size_t kept_place(admin_seats_t *seats, const char *name)
{
    for (size_t i = 0; i < seats->kept_count; i++) {
        if (strcmp(seats->kept[i].name, name) == 0) {
            return i;
        }
    }
    if (seats->kept_count == ADMIN_NODES_MAX) {
        /* Names came and went; begin anew, which only writes rows once too often. */
        seats->kept_count = 0;
    }
    size_t place = seats->kept_count++;
    snprintf(seats->kept[place].name, ADMIN_NODE_NAME_MAX, "%s", name);
    seats->kept[place].last_seen_ms = 0;
    return place;
}

static void note_due(void *context, const admin_seat_t *seat)
{
    keep_t *keep = context;
    if (!seat->live || keep->count == KEEP_MAX) {
        return;
    }
    size_t place = kept_place(keep->seats, seat->name);
    if (seat->last_seen_ms - keep->seats->kept[place].last_seen_ms < KEEP_EVERY_MS) {
        return;
    }
    keep->due[keep->count].kept = place;
    memcpy(keep->due[keep->count].name, keep->seats->kept[place].name,
           ADMIN_NODE_NAME_MAX);
    keep->due[keep->count].last_seen_ms = seat->last_seen_ms;
    keep->due[keep->count++].seat = json_incref(seat->seat);
}

static l7s_status_t write_rows(keep_t *keep)
{
    admin_store_t *store = keep->seats->daemon->store;
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    for (size_t i = 0; i < keep->count && status == L7S_OK; i++) {
        admin_node_t node = {.name = keep->due[i].name,
                             .first_seen_ms = keep->now_ms,
                             .last_seen_ms = keep->due[i].last_seen_ms,
                             .position = 0,
                             .seat = keep->due[i].seat};
        status = admin_stats_take(store, node.name, node.seat, keep->now_ms);
        if (status == L7S_OK) {
            status = admin_node_put(store, &node);
        }
    }
    return admin_store_end(store, ADMIN_EVENTS_DB, status);
}

void admin_seats_keep(admin_seats_t *seats, uint64_t now_ms)
{
    keep_t keep = {.seats = seats, .now_ms = now_ms};
    admin_fleet_visit(seats->fleet, note_due, &keep);
    bool written = keep.count > 0 && write_rows(&keep) == L7S_OK;
    for (size_t i = 0; i < keep.count; i++) {
        if (written) {
            seats->kept[keep.due[i].kept].last_seen_ms = keep.due[i].last_seen_ms;
        }
        json_decref(keep.due[i].seat);
    }
}
