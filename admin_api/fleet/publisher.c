/* SPDX-License-Identifier: Apache-2.0
 *
 * The publisher's thread (publisher.h). Others only set flags and queue ban log entries;
 * the thread alone talks to the bus. What could not be written stays due and is tried
 * again with the next beat, so an outage of memcached needs no special path.
 */
#include "publisher.h"

#include "../log.h"
#include "../worker.h"
#include "ban_record.h"
#include "bus_copy.h"
#include "keys.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BEAT_MS 1000 /* looks whether memcached still has everything */
#define BANS_DEBOUNCE_MS 200
#define BANS_SHARE 10 /* publishing many bans takes at most this part of the time */
#define RETRY_MS 100
#define QUEUE_MAX 256 /* beyond it the bans part alone carries the change */
#define APPEND_TRIES 1024
/* New bus epochs make the whole fleet say everything again, so not too often. */
#define RENEW_PAUSE_MS 10000

struct admin_publisher {
    admin_daemon_t *daemon;
    admin_worker_t worker;
    /* Under worker.lock. */
    bool kicked, log_lost, mode_spoken;
    uint64_t bans_due_ms;  /* monotonic; 0: nothing to do */
    uint64_t bans_cost_ms; /* what the last publication of bans took */
    size_t queued;
    json_t *queue[QUEUE_MAX];
    atomic_uint_least32_t servers_up; /* one bit per server, as last asked */
    /* The thread's own. */
    admin_bus_t *bus;
    admin_snapshot_t *snapshot;
    admin_bus_copy_t copy; /* of the snapshot, on the bus */
    uint64_t ban_log_end;  /* where the next entry probably belongs */
    bool greeted; /* since the last outage the bus was looked at before it was written */
    bool renew_wanted;
    uint64_t renewed_ms; /* monotonic; 0: never */
    bool config_read, bans_read;
    bool ever_published;
    bool complaining; /* the outage has been logged */
};

/* ---- what lies on the bus ---- */

static void complain(admin_publisher_t *publisher, l7s_status_t status)
{
    if (!publisher->complaining) {
        admin_log(
            ADMIN_ERROR, "L7S3501",
            "The bus cannot be written (%s): nodes keep what they have. It is tried "
            "again until memcached answers.",
            l7s_status_name(status));
    }
    publisher->complaining = true;
    publisher->greeted = false; /* it may come back empty */
}

static void publish(admin_publisher_t *publisher, uint64_t now_ms)
{
    l7s_status_t status = admin_bus_copy_write(&publisher->copy, now_ms);
    if (status != L7S_OK) {
        complain(publisher, status);
        return;
    }
    if (publisher->complaining) {
        admin_log(ADMIN_INFO, "L7S3502",
                  "The bus can be written again; revision %llu is on it.",
                  (unsigned long long)admin_snapshot_revision(publisher->snapshot));
    }
    publisher->complaining = false;
    publisher->ever_published = true;
}

/* What is missing means that logs lost entries, too; what was overwritten does not. */
static void look(admin_publisher_t *publisher, uint64_t now_ms)
{
    const char *what;
    l7s_status_t status = admin_bus_copy_look(&publisher->copy, now_ms, &what);
    if (status == L7S_OK) {
        return;
    }
    admin_bus_copy_forget(&publisher->copy);
    if (status == L7S_NOT_FOUND || status == L7S_UNTRUSTED) {
        admin_log(
            ADMIN_WARN, "L7S3503", "memcached %s the %s; publishing everything anew.",
            status == L7S_NOT_FOUND ? "lost" : "has something else instead of", what);
        publisher->renew_wanted |= status == L7S_NOT_FOUND;
    } else {
        complain(publisher, status);
    }
}

/* Begins a new bus epoch when one is wanted and the last one is not too young. */
static void renew(admin_publisher_t *publisher)
{
    char epoch[ADMIN_BUS_EPOCH_TEXT];
    uint64_t mono_ms = admin_mono_ms();
    bool young =
        publisher->renewed_ms != 0 && mono_ms - publisher->renewed_ms < RENEW_PAUSE_MS;
    if (!publisher->renew_wanted || young ||
        admin_bus_epoch_renew(publisher->daemon->store, epoch) != L7S_OK) {
        return;
    }
    admin_log(ADMIN_INFO, "L7S3505", "The bus begins anew as epoch %s.", epoch);
    admin_bus_enter(publisher->bus, epoch);
    /* The first one, after the start, makes nobody repeat anything. */
    publisher->renewed_ms = publisher->ever_published ? mono_ms : 0;
    publisher->renew_wanted = false;
    publisher->ban_log_end = 1;
    publisher->bans_read = false; /* with the ban log's new position */
    admin_bus_copy_forget(&publisher->copy);
}

/* Before anything is written after the start or an outage: is the head what we would
 * write? If not, the bus has forgotten us, or never knew. False: nobody answers. */
static bool greet(admin_publisher_t *publisher, uint64_t now_ms)
{
    admin_place_t head = {L7S_ITEM_HEAD, "", 0};
    char *there,
        *ours = admin_snapshot_head(publisher->snapshot, admin_bus_epoch(publisher->bus));
    l7s_status_t status = admin_bus_get(publisher->bus, head, now_ms, &there);
    bool same = status == L7S_OK && ours != NULL && strcmp(there, ours) == 0;
    free(there);
    free(ours);
    if (status != L7S_OK && status != L7S_NOT_FOUND && status != L7S_UNTRUSTED) {
        complain(publisher, status);
        return false;
    }
    publisher->renew_wanted |= !same;
    return true;
}

/* ---- the ban log ---- */

/* Appends one entry: at our idea of the end, or behind what others have added since. */
static l7s_status_t append(admin_publisher_t *publisher, const json_t *entry,
                           uint64_t now_ms)
{
    uint64_t read =
        (uint64_t)admin_number_get(publisher->daemon->store, ADMIN_BAN_LOG_POSITION, 1);
    if (publisher->ban_log_end < read) {
        publisher->ban_log_end = read;
    }
    char *text = json_dumps(entry, JSON_COMPACT);
    l7s_status_t status = text == NULL ? L7S_NO_MEMORY : L7S_CONFLICT;
    for (unsigned tries = 0; status == L7S_CONFLICT && tries < APPEND_TRIES; tries++) {
        admin_place_t end = {L7S_ITEM_BAN, "", publisher->ban_log_end};
        status = admin_bus_add(publisher->bus, end, text, ADMIN_LOG_TTL_SECONDS, now_ms);
        publisher->ban_log_end += status == L7S_CONFLICT || status == L7S_OK ? 1 : 0;
    }
    free(text);
    return status;
}

/* What cannot be appended is not kept: the bans part brings it as soon as the bus is
 * back, and an old entry would only say it twice. */
static void append_all(admin_publisher_t *publisher, json_t **entries, size_t count,
                       uint64_t now_ms)
{
    l7s_status_t status = publisher->greeted ? L7S_OK : L7S_IO;
    for (size_t i = 0; i < count; i++) {
        if (status == L7S_OK) {
            status = append(publisher, entries[i], now_ms);
        }
        json_decref(entries[i]);
    }
    if (status != L7S_OK) {
        complain(publisher, status);
    }
}

/* ---- the thread ---- */

/* What the others left for this round. */
typedef struct {
    bool config, bans, log_lost, mode_spoken;
    size_t count;
    json_t *entries[QUEUE_MAX];
} work_t;

static void take_work(admin_publisher_t *publisher, uint64_t mono_ms, work_t *work)
{
    work->config = publisher->kicked;
    work->bans = publisher->bans_due_ms != 0 && publisher->bans_due_ms <= mono_ms;
    work->count = publisher->queued;
    memcpy(work->entries, publisher->queue, publisher->queued * sizeof(json_t *));
    work->log_lost = publisher->log_lost;
    work->mode_spoken = publisher->mode_spoken;
    publisher->kicked = publisher->log_lost = publisher->mode_spoken = false;
    publisher->queued = 0;
    if (work->bans) {
        publisher->bans_due_ms = 0;
    }
}

/* Reads from the store what changed there. What cannot be read stays due. */
static void refresh(admin_publisher_t *publisher, const work_t *work, uint64_t now_ms)
{
    l7s_status_t status = L7S_OK;
    if (work->mode_spoken) {
        admin_snapshot_mode_spoken(publisher->snapshot);
    }
    if (work->config || !publisher->config_read) {
        status = admin_snapshot_read_config(publisher->snapshot);
        publisher->config_read = status == L7S_OK;
        publisher->copy.complete = false;
    }
    if (status == L7S_OK && (work->bans || !publisher->bans_read)) {
        status = admin_snapshot_read_bans(publisher->snapshot, now_ms);
        publisher->bans_read = status == L7S_OK;
        publisher->copy.complete = false;
    }
    if (status != L7S_OK) {
        admin_log(ADMIN_ERROR, "L7S3504",
                  "The configuration cannot be put into a snapshot (%s): the fleet keeps "
                  "revision %llu.",
                  l7s_status_name(status),
                  (unsigned long long)admin_snapshot_revision(publisher->snapshot));
    }
}

static void write_bus(admin_publisher_t *publisher, uint64_t now_ms)
{
    if (publisher->copy.complete || !publisher->config_read || !publisher->bans_read) {
        return;
    }
    if (publisher->greeted) {
        publish(publisher, now_ms);
    } else {
        /* The kill switch need not wait until the whole bus is back. */
        (void)!admin_bus_copy_write_mode(&publisher->copy, now_ms);
    }
}

/* A rotation moves everything under new names, where nothing has been said yet. */
static void follow_keys(admin_publisher_t *publisher)
{
    (void)!admin_keys_refresh(publisher->daemon->keys);
    admin_bus_refresh(publisher->bus);
    if (admin_bus_outdated(publisher->bus)) {
        publisher->renew_wanted = true;
        publisher->renewed_ms = 0;
    }
}

/* Ban log entries of an outage come with the bans part. */
static void work_round(admin_publisher_t *publisher, work_t *work, bool beat)
{
    uint64_t now_ms = admin_wall_ms();
    publisher->renew_wanted |= work->log_lost;
    if (beat) {
        follow_keys(publisher);
    }
    publisher->greeted = publisher->greeted || greet(publisher, now_ms);
    if (publisher->greeted && beat && publisher->copy.complete) {
        look(publisher, now_ms);
        admin_bus_copy_sweep(&publisher->copy, now_ms);
    }
    if (publisher->greeted) {
        renew(publisher);
    }
    append_all(publisher, work->entries, work->count, now_ms);
    refresh(publisher, work, now_ms);
    write_bus(publisher, now_ms);
    atomic_store(&publisher->servers_up, admin_bus_servers_up(publisher->bus));
}

static uint64_t next_due(const admin_publisher_t *publisher, uint64_t beat_ms,
                         uint64_t mono_ms)
{
    uint64_t due = beat_ms;
    if (publisher->bans_due_ms != 0 && publisher->bans_due_ms < due) {
        due = publisher->bans_due_ms;
    }
    if (!publisher->copy.complete && mono_ms + RETRY_MS < due) {
        due = mono_ms + RETRY_MS;
    }
    return due;
}

static void *run(void *context)
{
    admin_publisher_t *publisher = context;
    admin_worker_t *worker = &publisher->worker;
    uint64_t beat_ms = admin_mono_ms();
    work_t work;
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping) {
        uint64_t mono_ms = admin_mono_ms(), begun_ms = mono_ms;
        bool beat = mono_ms >= beat_ms;
        take_work(publisher, mono_ms, &work);
        pthread_mutex_unlock(&worker->lock);
        work_round(publisher, &work, beat);
        pthread_mutex_lock(&worker->lock);
        mono_ms = admin_mono_ms();
        publisher->bans_cost_ms =
            work.bans ? mono_ms - begun_ms : publisher->bans_cost_ms;
        beat_ms = beat ? mono_ms + BEAT_MS : beat_ms;
        if (!publisher->kicked && !publisher->log_lost && publisher->queued == 0) {
            admin_worker_sleep(worker, next_due(publisher, beat_ms, mono_ms));
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* ---- life cycle and what others call ---- */

static void destroy(admin_publisher_t *publisher)
{
    for (size_t i = 0; i < publisher->queued; i++) {
        json_decref(publisher->queue[i]);
    }
    admin_snapshot_free(publisher->snapshot);
    admin_bus_copy_clear(&publisher->copy);
    admin_bus_close(publisher->bus);
    free(publisher);
}

l7s_status_t admin_publisher_start(admin_daemon_t *daemon, admin_publisher_t **out)
{
    admin_publisher_t *publisher = calloc(1, sizeof(*publisher));
    *out = NULL;
    if (publisher == NULL) {
        return L7S_NO_MEMORY;
    }
    publisher->daemon = daemon;
    publisher->snapshot = admin_snapshot_create(daemon);
    l7s_status_t status = publisher->snapshot == NULL ? L7S_NO_MEMORY : L7S_OK;
    if (status == L7S_OK) {
        status = admin_bus_open(daemon, &publisher->bus);
    }
    publisher->copy =
        (admin_bus_copy_t){.bus = publisher->bus, .snapshot = publisher->snapshot};
    if (status == L7S_OK) {
        status = admin_worker_start(&publisher->worker, run, publisher);
    }
    if (status != L7S_OK) {
        destroy(publisher);
        return status;
    }
    *out = publisher;
    return L7S_OK;
}

void admin_publisher_stop(admin_publisher_t *publisher)
{
    if (publisher != NULL) {
        admin_worker_stop(&publisher->worker);
        destroy(publisher);
    }
}

void admin_publisher_kick(admin_publisher_t *publisher)
{
    pthread_mutex_lock(&publisher->worker.lock);
    publisher->kicked = true;
    pthread_cond_signal(&publisher->worker.wake);
    pthread_mutex_unlock(&publisher->worker.lock);
}

void admin_publisher_mode_spoken(admin_publisher_t *publisher)
{
    pthread_mutex_lock(&publisher->worker.lock);
    publisher->kicked = publisher->mode_spoken = true;
    pthread_cond_signal(&publisher->worker.wake);
    pthread_mutex_unlock(&publisher->worker.lock);
}

void admin_publisher_bans_changed(admin_publisher_t *publisher)
{
    pthread_mutex_lock(&publisher->worker.lock);
    if (publisher->bans_due_ms == 0) {
        uint64_t pause_ms = publisher->bans_cost_ms * BANS_SHARE;
        publisher->bans_due_ms =
            admin_mono_ms() + (pause_ms > BANS_DEBOUNCE_MS ? pause_ms : BANS_DEBOUNCE_MS);
        pthread_cond_signal(&publisher->worker.wake);
    }
    pthread_mutex_unlock(&publisher->worker.lock);
}

/* The array is freed under the lock: no two threads ever hold the same entry. */
void admin_publisher_bans(admin_publisher_t *publisher, json_t *entries)
{
    size_t index;
    json_t *entry;
    pthread_mutex_lock(&publisher->worker.lock);
    json_array_foreach(entries, index, entry)
    {
        if (publisher->queued < QUEUE_MAX) {
            publisher->queue[publisher->queued++] = json_incref(entry);
        }
    }
    json_decref(entries);
    pthread_cond_signal(&publisher->worker.wake);
    pthread_mutex_unlock(&publisher->worker.lock);
    admin_publisher_bans_changed(publisher);
}

void admin_publisher_log_lost(admin_publisher_t *publisher)
{
    pthread_mutex_lock(&publisher->worker.lock);
    publisher->log_lost = true;
    pthread_cond_signal(&publisher->worker.wake);
    pthread_mutex_unlock(&publisher->worker.lock);
}

bool admin_publisher_up(const admin_publisher_t *publisher)
{
    return publisher != NULL && atomic_load(&publisher->servers_up) != 0;
}

bool admin_publisher_server_up(const admin_publisher_t *publisher, size_t index)
{
    return publisher != NULL && index < L7S_SERVERS_MAX &&
           (atomic_load(&publisher->servers_up) >> index & 1) != 0;
}
