/* SPDX-License-Identifier: Apache-2.0
 *
 * Hub and subscribers (hub.h). One lock guards ring, list and sleepers; nothing slow is
 * done under it but copying bytes: queries run without it.
 */
#include "hub.h"

#include "../fleet/kill_switch.h"
#include "../store/event_log.h"
#include "../worker.h"
#include "config_events.h"
#include "event_text.h"
#include "reader.h"
#include <stdlib.h>
#include <time.h>

#define HEARTBEAT_MS 15000
#define BEAT_MS 1000
/* Events that come faster than this are told together. */
#define PAUSE_MS 20
#define LOAD_MAX 256
#define CATCH_UP_ROUNDS 8
#define CLOSE_SECONDS 2

struct admin_subscriber {
    admin_hub_t *hub;
    admin_subscriber_t *previous, *next;
    admin_reader_t reader;
    uint64_t wake_ms;
    bool asleep, woken;
    const admin_sleep_t *sleep;
    void *connection; /* while it is asleep */
};

struct admin_hub {
    admin_daemon_t *daemon;
    admin_worker_t worker; /* its lock guards all of this */
    bool notified, closing;
    unsigned count;
    pthread_cond_t left; /* after each that leaves while closing */
    admin_subscriber_t *subscribers;
    /* What was rendered before the newest change of the configuration is shown to nobody
     * until the settings have been read again. */
    uint64_t config_changes, config_read;
    admin_privacy_t privacy;
    admin_ring_t ring;
};

/* ---- waking ---- */

static void wake(admin_subscriber_t *subscriber)
{
    subscriber->asleep = false;
    subscriber->woken = true;
    subscriber->sleep->resume(subscriber->connection);
}

static bool is_stale(const admin_hub_t *hub)
{
    return hub->config_read != hub->config_changes;
}

static bool has_news(const admin_subscriber_t *subscriber)
{
    const admin_ring_t *ring = &subscriber->hub->ring;
    const admin_reader_t *reader = &subscriber->reader;
    return !is_stale(subscriber->hub) && reader->after < ring->head &&
           (reader->after < ring->base ||
            admin_ring_next(ring, reader->after, reader->types) != NULL);
}

/* Those for whom there is an event, or whose time has come. */
static void wake_due(admin_hub_t *hub, uint64_t mono_ms)
{
    for (admin_subscriber_t *one = hub->subscribers; one != NULL; one = one->next) {
        /* One that is awake may be moving on at this moment, without the lock. */
        if (one->asleep && (hub->closing || mono_ms >= one->wake_ms || has_news(one))) {
            wake(one);
        }
    }
}

/* Under the lock; false: it must not sleep now. */
static bool fall_asleep(admin_subscriber_t *subscriber, const admin_sleep_t *sleep,
                        void *connection, uint64_t until_ms)
{
    if (subscriber->hub->closing || admin_mono_ms() >= until_ms || has_news(subscriber)) {
        return false;
    }
    subscriber->asleep = true;
    subscriber->woken = false;
    subscriber->wake_ms = until_ms;
    subscriber->sleep = sleep;
    subscriber->connection = connection;
    sleep->suspend(connection);
    return true;
}

bool admin_hub_sleep(admin_subscriber_t *subscriber, const admin_sleep_t *sleep,
                     void *connection, uint64_t until_ms)
{
    admin_hub_t *hub = subscriber->hub;
    pthread_mutex_lock(&hub->worker.lock);
    bool slept = fall_asleep(subscriber, sleep, connection, until_ms);
    pthread_mutex_unlock(&hub->worker.lock);
    return slept;
}

/* ---- the thread: from the event log into the ring ---- */

static bool take_event(void *context, const admin_event_t *event)
{
    admin_hub_t *hub = context;
    admin_frame_t frame = {.id = event->id, .type = 1u << event->type};
    frame.text = admin_event_frame(event, &hub->privacy, &frame.size);
    if (frame.text != NULL) { /* else passed over: nobody must wait for it for ever */
        pthread_mutex_lock(&hub->worker.lock);
        admin_ring_add(&hub->ring, &frame);
        pthread_mutex_unlock(&hub->worker.lock);
    }
    return true;
}

/* What was rendered under other rules must not be shown any more. */
static void follow_privacy(admin_hub_t *hub)
{
    admin_privacy_t privacy;
    pthread_mutex_lock(&hub->worker.lock);
    uint64_t changes = hub->config_changes;
    pthread_mutex_unlock(&hub->worker.lock);
    if (admin_privacy_read(hub->daemon->store, &privacy) != L7S_OK) {
        return; /* tried again at the next beat */
    }
    pthread_mutex_lock(&hub->worker.lock);
    if (privacy.addresses != hub->privacy.addresses ||
        privacy.queries != hub->privacy.queries) {
        admin_ring_clear(&hub->ring);
        hub->privacy = privacy;
    }
    hub->config_read = changes;
    pthread_mutex_unlock(&hub->worker.lock);
}

static void load(admin_hub_t *hub)
{
    bool more = true;
    int64_t after = hub->ring.head;
    follow_privacy(hub);
    while (more && admin_event_each(hub->daemon->store, ADMIN_EVENT_ALL, LOAD_MAX, &after,
                                    &more, take_event, hub) == L7S_OK) {
    }
}

/* True: there is more to tell. */
static bool tell(admin_hub_t *hub)
{
    bool more = false;
    admin_store_t *store = hub->daemon->store;
    uint64_t now_ms = admin_wall_ms();
    /* What fails is tried again at the next beat; the store has logged why. */
    if (admin_config_events_tell(store, now_ms, &more) != L7S_OK ||
        admin_kill_switch_tell_end(store, now_ms) != L7S_OK) {
        return false;
    }
    return more;
}

static void *run(void *context)
{
    admin_hub_t *hub = context;
    admin_worker_t *worker = &hub->worker;
    pthread_mutex_lock(&worker->lock);
    while (!worker->stopping) {
        hub->notified = false;
        pthread_mutex_unlock(&worker->lock);
        bool more = tell(hub);
        load(hub);
        pthread_mutex_lock(&worker->lock);
        uint64_t mono_ms = admin_mono_ms();
        wake_due(hub, mono_ms);
        /* A pause even when there is news: a flood of events wakes everybody 50 times a
         * second and not for each of them. */
        uint64_t pause_ms = mono_ms + PAUSE_MS, beat_ms = mono_ms + BEAT_MS;
        while (!worker->stopping && !hub->closing && admin_mono_ms() < pause_ms) {
            admin_worker_sleep(worker, pause_ms);
        }
        while (!worker->stopping && !hub->notified && !more &&
               admin_mono_ms() < beat_ms) {
            admin_worker_sleep(worker, beat_ms);
        }
    }
    pthread_mutex_unlock(&worker->lock);
    return NULL;
}

/* The store's listener: in any thread, after its commit. */
static void notify(void *context, admin_file_t file)
{
    admin_hub_t *hub = context;
    pthread_mutex_lock(&hub->worker.lock);
    hub->notified = true;
    hub->config_changes += file == ADMIN_CONFIG_DB ? 1 : 0;
    pthread_cond_signal(&hub->worker.wake);
    pthread_mutex_unlock(&hub->worker.lock);
}

/* ---- life cycle ---- */

static l7s_status_t prepare(admin_hub_t *hub)
{
    int64_t first, last;
    admin_store_t *store = hub->daemon->store;
    l7s_status_t status = admin_privacy_begin(store);
    if (status == L7S_OK) {
        status = admin_config_events_begin(store);
    }
    if (status == L7S_OK) {
        status = admin_event_range(store, &first, &last);
    }
    if (status == L7S_OK) {
        status = admin_privacy_read(store, &hub->privacy);
    }
    if (status == L7S_OK) {
        admin_ring_begin(&hub->ring, last);
    }
    return status;
}

l7s_status_t admin_hub_start(admin_daemon_t *daemon, admin_hub_t **out)
{
    pthread_condattr_t attributes;
    admin_hub_t *hub = calloc(1, sizeof(*hub));
    *out = NULL;
    if (hub == NULL) {
        return L7S_NO_MEMORY;
    }
    hub->daemon = daemon;
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&hub->left, &attributes);
    pthread_condattr_destroy(&attributes);
    l7s_status_t status = prepare(hub);
    if (status == L7S_OK) {
        /* Before the thread is there, which writes, too. */
        admin_store_listen(daemon->store, notify, hub);
        status = admin_worker_start(&hub->worker, run, hub);
    }
    if (status != L7S_OK) {
        admin_store_listen(daemon->store, NULL, NULL);
        pthread_cond_destroy(&hub->left);
        free(hub);
        return status;
    }
    *out = hub;
    return L7S_OK;
}

void admin_hub_close(admin_hub_t *hub)
{
    if (hub == NULL) {
        return;
    }
    uint64_t due_ms = admin_mono_ms() + CLOSE_SECONDS * 1000;
    struct timespec due = {.tv_sec = (time_t)(due_ms / 1000),
                           .tv_nsec = (long)(due_ms % 1000) * 1000000};
    pthread_mutex_lock(&hub->worker.lock);
    hub->closing = true;
    wake_due(hub, due_ms);
    int waited = 0;
    while (hub->count > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&hub->left, &hub->worker.lock, &due);
    }
    pthread_mutex_unlock(&hub->worker.lock);
}

void admin_hub_stop(admin_hub_t *hub)
{
    if (hub != NULL) {
        admin_worker_stop(&hub->worker);
        admin_store_listen(hub->daemon->store, NULL, NULL);
        admin_ring_clear(&hub->ring);
        pthread_cond_destroy(&hub->left);
        free(hub);
    }
}

/* ---- subscribers ---- */

admin_subscriber_t *admin_hub_join(admin_hub_t *hub, unsigned types, int64_t after)
{
    admin_subscriber_t *subscriber = calloc(1, sizeof(*subscriber));
    if (subscriber == NULL) {
        return NULL;
    }
    *subscriber =
        (admin_subscriber_t){.hub = hub, .reader = {.types = types, .after = after}};
    pthread_mutex_lock(&hub->worker.lock);
    bool room = hub->count < ADMIN_SUBSCRIBERS_MAX && !hub->closing;
    if (room) {
        subscriber->next = hub->subscribers;
        if (subscriber->next != NULL) {
            subscriber->next->previous = subscriber;
        }
        hub->subscribers = subscriber;
        hub->count++;
    }
    pthread_mutex_unlock(&hub->worker.lock);
    if (!room) {
        free(subscriber);
        return NULL;
    }
    return subscriber;
}

void admin_hub_leave(admin_subscriber_t *subscriber)
{
    admin_hub_t *hub = subscriber->hub;
    pthread_mutex_lock(&hub->worker.lock);
    if (subscriber->previous != NULL) {
        subscriber->previous->next = subscriber->next;
    } else {
        hub->subscribers = subscriber->next;
    }
    if (subscriber->next != NULL) {
        subscriber->next->previous = subscriber->previous;
    }
    hub->count--;
    pthread_cond_signal(&hub->left);
    pthread_mutex_unlock(&hub->worker.lock);
    free(subscriber);
}

int64_t admin_hub_position(const admin_subscriber_t *subscriber)
{
    return subscriber->reader.after;
}

void admin_hub_move(admin_subscriber_t *subscriber, int64_t after)
{
    if (subscriber != NULL) {
        pthread_mutex_lock(&subscriber->hub->worker.lock);
        subscriber->reader.after = after;
        pthread_mutex_unlock(&subscriber->hub->worker.lock);
    }
}

/* ---- the stream of one subscriber ---- */

void admin_hub_reset(admin_subscriber_t *subscriber, int64_t first, int64_t last)
{
    admin_reader_reset(&subscriber->reader, first, last);
}

/* Under the lock. False: the event log has to be asked. */
static bool put_shared(admin_subscriber_t *subscriber, admin_outlet_t *outlet)
{
    const admin_hub_t *hub = subscriber->hub;
    admin_reader_t *reader = &subscriber->reader;
    if (is_stale(hub) || admin_reader_pending(reader, outlet)) {
        return true;
    }
    if (reader->after < hub->ring.base) {
        return false;
    }
    admin_reader_follow(reader, &hub->ring, outlet);
    if (outlet->used == 0 && subscriber->woken &&
        admin_mono_ms() >= subscriber->wake_ms) {
        admin_reader_heartbeat(reader, outlet);
    }
    subscriber->woken = false;
    return true;
}

int64_t admin_hub_read(admin_subscriber_t *subscriber, const admin_sleep_t *sleep,
                       void *connection, char *out, size_t size)
{
    admin_hub_t *hub = subscriber->hub;
    admin_reader_t *reader = &subscriber->reader;
    admin_outlet_t outlet = {out, size, 0};
    bool asleep = false, good = true;
    pthread_mutex_lock(&hub->worker.lock);
    admin_privacy_t privacy = hub->privacy;
    for (unsigned round = 0; good && !hub->closing && !asleep && outlet.used == 0;
         round++) {
        if (round == CATCH_UP_ROUNDS) {
            /* A rare type: others shall have their turn. */
            admin_reader_heartbeat(reader, &outlet);
        } else if (!put_shared(subscriber, &outlet)) {
            /* Who is this far behind shares nothing. */
            pthread_mutex_unlock(&hub->worker.lock);
            good = admin_reader_catch_up(reader, hub->daemon->store, &privacy, &outlet) ==
                   L7S_OK;
            pthread_mutex_lock(&hub->worker.lock);
        } else if (outlet.used == 0) {
            asleep = fall_asleep(subscriber, sleep, connection,
                                 admin_mono_ms() + HEARTBEAT_MS);
        }
    }
    pthread_mutex_unlock(&hub->worker.lock);
    return outlet.used > 0 ? (int64_t)outlet.used : asleep ? 0 : ADMIN_HUB_END;
}
