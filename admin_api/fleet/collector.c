/* SPDX-License-Identifier: Apache-2.0
 *
 * The collector's thread (collector.h): when to read what. The reading itself is done by
 * seats.c, ban_log.c and incident_log.c. One thread and one pool for all three, so a slow
 * memcached delays them together but never an API call.
 */
#include "collector.h"
#include "../../core/schema/schema.h"

#include "../http/trail.h"
#include "../log.h"
#include "../store/event_log.h"
#include "../store/store_events.h"
#include "../store/store_objects.h"
#include "../store/store_stats.h"
#include "../worker.h"
#include "ban_log.h"
#include "fleet.h"
#include "incident_log.h"
#include "incident_record.h"
#include "keys.h"
#include "publisher.h"
#include "seats.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define SEATS_EVERY_MS 500
#define SEATS_QUICK_MS 20 /* while somebody waits for a rollout */
#define BANS_EVERY_MS 30  /* a ban that holds on the other node is in the list, too */
#define INCIDENTS_EVERY_MS 200
#define IDLE_EVERY_MS 5000
#define PRUNE_EVERY_MS 60000
#define AUDIT_EVERY_MS 1000
#define PRUNE_ROUNDS_MAX 10
#define DAY_MS ((uint64_t)86400000)
#define RETENTION_DAYS 30
#define RETENTION_ROWS 1000000

/* When each task is due, by the monotonic clock. */
typedef struct {
    uint64_t seats, seats_quick, bans, incidents, idle, prune, audit;
} due_t;

struct admin_collector {
    admin_daemon_t *daemon;
    admin_fleet_t *fleet; /* guards itself */
    admin_worker_t worker;
    /* Under worker.lock. */
    unsigned waiting;      /* calls that wait for a rollout */
    uint64_t looks;        /* at the seats, so far */
    pthread_cond_t looked; /* after each of them */
    /* The thread's own. */
    admin_bus_t *bus;
    admin_seats_t *seats;
    admin_ban_log_t *ban_log;
    admin_incident_log_t *incident_log;
    due_t due;
};

/* ---- housekeeping ---- */

static uint64_t setting(const json_t *retention, const char *name, uint64_t otherwise)
{
    int64_t number = l7s_json_integer_or(json_object_get(retention, name), 0);
    return number > 0 ? (uint64_t)number : otherwise;
}

static void read_retention(admin_store_t *store, uint64_t *days, uint64_t *rows)
{
    admin_object_t settings;
    *days = RETENTION_DAYS;
    *rows = RETENTION_ROWS;
    if (admin_object_get(store, "settings", "settings", &settings) == L7S_OK) {
        const json_t *retention = json_object_get(settings.spec, "retention");
        *days = setting(retention, "days", RETENTION_DAYS);
        *rows = setting(retention, "rows", RETENTION_ROWS);
        admin_object_clear(&settings);
    }
}

/* One chunk of what has outlived its use. True: there may be more. */
static bool prune_once(admin_store_t *store, uint64_t days, uint64_t rows,
                       uint64_t now_ms)
{
    size_t incidents = 0, bans = 0, events = 0;
    uint64_t before_ms = days > now_ms / DAY_MS ? 0 : now_ms - days * DAY_MS;
    if (admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return false;
    }
    if (admin_incident_prune(store, before_ms, rows, &incidents) != L7S_OK ||
        admin_ban_prune(store, now_ms, &bans) != L7S_OK ||
        admin_event_prune(store, before_ms, rows, &events) != L7S_OK ||
        admin_stats_prune(store, before_ms, rows) != L7S_OK) {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
        return false;
    }
    return admin_store_commit(store, ADMIN_EVENTS_DB) == L7S_OK && incidents + events > 0;
}

static void prune(admin_store_t *store, uint64_t now_ms)
{
    uint64_t days, rows;
    read_retention(store, &days, &rows);
    for (unsigned i = 0; i < PRUNE_ROUNDS_MAX && prune_once(store, days, rows, now_ms);
         i++) {
    }
}

/* ---- the thread ---- */

/* Is it time? Then the next time is `every` from now. */
static bool is_due(uint64_t *due_ms, uint64_t every_ms, uint64_t mono_ms)
{
    if (mono_ms < *due_ms) {
        return false;
    }
    *due_ms = mono_ms + every_ms;
    return true;
}

static void look_at_seats(admin_collector_t *collector, bool quick, uint64_t now_ms)
{
    admin_seats_read(collector->seats, quick, now_ms);
    pthread_mutex_lock(&collector->worker.lock);
    collector->looks++;
    pthread_cond_broadcast(&collector->looked);
    pthread_mutex_unlock(&collector->worker.lock);
    if (!quick) {
        admin_seats_keep(collector->seats, now_ms);
    }
}

/* The publisher begins a new bus epoch when memcached lost something. */
static void follow_epoch(admin_collector_t *collector)
{
    char epoch[ADMIN_BUS_EPOCH_TEXT];
    admin_bus_epoch_read(collector->daemon->store, epoch);
    admin_bus_refresh(collector->bus);
    if (strcmp(epoch, admin_bus_epoch(collector->bus)) != 0) {
        admin_bus_enter(collector->bus, epoch);
        admin_ban_log_begin(collector->ban_log);
    }
}

static void read_bans(admin_collector_t *collector, uint64_t now_ms)
{
    admin_publisher_t *publisher = collector->daemon->publisher;
    bool lost = false;
    if (admin_ban_log_read(collector->ban_log, now_ms, &lost)) {
        admin_publisher_bans_changed(publisher);
    }
    if (lost) {
        admin_publisher_log_lost(publisher);
    }
}

static void work_round(admin_collector_t *collector, bool quick, uint64_t mono_ms)
{
    due_t *due = &collector->due;
    uint64_t now_ms = admin_wall_ms();
    if (is_due(&due->seats, SEATS_EVERY_MS, mono_ms)) {
        look_at_seats(collector, false, now_ms);
    } else if (quick && is_due(&due->seats_quick, SEATS_QUICK_MS, mono_ms)) {
        look_at_seats(collector, true, now_ms);
    }
    if (is_due(&due->bans, BANS_EVERY_MS, mono_ms)) {
        follow_epoch(collector);
        read_bans(collector, now_ms);
    }
    if (is_due(&due->incidents, INCIDENTS_EVERY_MS, mono_ms)) {
        admin_incident_log_read(collector->incident_log, now_ms);
    }
    if (is_due(&due->idle, IDLE_EVERY_MS, mono_ms)) {
        admin_incident_end_idle(collector->daemon->store, ADMIN_INCIDENT_IDLE_MS, now_ms);
    }
    if (is_due(&due->prune, PRUNE_EVERY_MS, mono_ms)) {
        prune(collector->daemon->store, now_ms);
        admin_trail_prune(collector->daemon->trail, now_ms);
    }
    if (is_due(&due->audit, AUDIT_EVERY_MS, mono_ms)) {
        admin_trail_flush(collector->daemon->trail, now_ms);
    }
}

static uint64_t earlier(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

static uint64_t next_due(const due_t *due, bool quick)
{
    uint64_t next = earlier(earlier(due->seats, due->bans), due->incidents);
    next = earlier(next, earlier(due->idle, earlier(due->prune, due->audit)));
    return quick ? earlier(next, due->seats_quick) : next;
}

static void *run(void *context)
{
    admin_collector_t *collector = context;
    admin_worker_t *worker = &collector->worker;
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping) {
        bool quick = collector->waiting > 0;
        pthread_mutex_unlock(&worker->lock);
        work_round(collector, quick, admin_mono_ms());
        pthread_mutex_lock(&worker->lock);
        admin_worker_sleep(worker, next_due(&collector->due, collector->waiting > 0));
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* ---- life cycle ---- */

static void destroy(admin_collector_t *collector)
{
    admin_incident_log_free(collector->incident_log);
    admin_ban_log_free(collector->ban_log);
    admin_seats_free(collector->seats);
    admin_bus_close(collector->bus);
    admin_fleet_free(collector->fleet);
    pthread_cond_destroy(&collector->looked);
    free(collector);
}

static l7s_status_t build(admin_collector_t *collector)
{
    admin_daemon_t *daemon = collector->daemon;
    collector->fleet = admin_fleet_create();
    if (collector->fleet == NULL) {
        return L7S_NO_MEMORY;
    }
    l7s_status_t status = admin_bus_open(daemon, &collector->bus);
    if (status != L7S_OK) {
        return status;
    }
    collector->seats = admin_seats_create(daemon, collector->bus, collector->fleet);
    collector->ban_log = admin_ban_log_create(daemon, collector->bus, collector->fleet);
    collector->incident_log =
        admin_incident_log_create(daemon, collector->bus, collector->fleet);
    return collector->seats == NULL || collector->ban_log == NULL ||
                   collector->incident_log == NULL
               ? L7S_NO_MEMORY
               : admin_worker_start(&collector->worker, run, collector);
}

l7s_status_t admin_collector_start(admin_daemon_t *daemon, admin_collector_t **out)
{
    pthread_condattr_t attributes;
    admin_collector_t *collector = calloc(1, sizeof(*collector));
    *out = NULL;
    if (collector == NULL) {
        return L7S_NO_MEMORY;
    }
    collector->daemon = daemon;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&collector->looked, &attributes);
    pthread_condattr_destroy(&attributes);
    l7s_status_t status = build(collector);
    if (status != L7S_OK) {
        destroy(collector);
        return status;
    }
    *out = collector;
    return L7S_OK;
}

void admin_collector_stop(admin_collector_t *collector)
{
    if (collector != NULL) {
        admin_worker_stop(&collector->worker);
        destroy(collector);
    }
}

/* ---- what others ask ---- */

static bool holds(const json_t *array, const json_t *wanted)
{
    size_t index;
    json_t *value;
    json_array_foreach(array, index, value)
    {
        if (json_equal(value, wanted) != 0) {
            return true;
        }
    }
    return false;
}

/* Which of our secrets the node has not got yet: what a rotation waits for. */
static void add_lacking(json_t *node, const json_t *ids)
{
    json_t *status = json_object_get(node, "status"), *lacking = json_array(), *id;
    size_t index;
    json_array_foreach(ids, index, id)
    {
        if (!holds(json_object_get(status, "secret_ids"), id)) {
            json_array_append(lacking, id);
        }
    }
    json_object_set_new(status, "lacking_secret_ids", lacking);
}

json_t *admin_collector_nodes(admin_collector_t *collector)
{
    json_t *nodes = admin_fleet_nodes(collector->fleet), *node;
    json_t *ids = admin_keys_ids(collector->daemon->keys);
    size_t index;
    json_array_foreach(nodes, index, node)
    {
        add_lacking(node, ids);
    }
    json_decref(ids);
    return nodes;
}

json_t *admin_collector_node(admin_collector_t *collector, const char *name)
{
    json_t *node = admin_fleet_node(collector->fleet, name);
    if (node != NULL) {
        json_t *ids = admin_keys_ids(collector->daemon->keys);
        add_lacking(node, ids);
        json_decref(ids);
    }
    return node;
}

void admin_collector_seats(admin_collector_t *collector, admin_seat_fn visit,
                           void *context)
{
    admin_fleet_visit(collector->fleet, visit, context);
}

l7s_status_t admin_collector_forget(admin_collector_t *collector, const char *name)
{
    admin_store_t *store = collector->daemon->store;
    l7s_status_t status = admin_fleet_forget(collector->fleet, name);
    if (status != L7S_OK) {
        return status;
    }
    status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    status = admin_node_delete(store, name);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
        return status;
    }
    return admin_store_commit(store, ADMIN_EVENTS_DB);
}

static bool is_complete(admin_rollout_t rollout, unsigned min_nodes)
{
    return rollout.live >= min_nodes && rollout.applied == rollout.live;
}

static void wait_for_look(admin_collector_t *collector, uint64_t due_ms)
{
    struct timespec due = {.tv_sec = (time_t)(due_ms / 1000),
                           .tv_nsec = (long)(due_ms % 1000) * 1000000};
    pthread_cond_timedwait(&collector->looked, &collector->worker.lock, &due);
}

admin_rollout_t admin_collector_rollout(admin_collector_t *collector, uint64_t revision,
                                        unsigned min_nodes, unsigned wait_ms)
{
    uint64_t config_epoch = admin_store_config_epoch(collector->daemon->store);
    uint64_t due_ms = admin_mono_ms() + wait_ms;
    pthread_mutex_lock(&collector->worker.lock);
    collector->waiting++;
    pthread_cond_signal(&collector->worker.wake);
    for (;;) {
        admin_rollout_t rollout =
            admin_fleet_rollout(collector->fleet, config_epoch, revision);
        /* Before the first look an empty fleet means nothing. */
        if ((collector->looks > 0 && is_complete(rollout, min_nodes)) ||
            admin_mono_ms() >= due_ms || atomic_load(&collector->daemon->stopping)) {
            collector->waiting--;
            pthread_mutex_unlock(&collector->worker.lock);
            return rollout;
        }
        wait_for_look(collector, due_ms);
    }
}
