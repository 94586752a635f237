/* SPDX-License-Identifier: Apache-2.0
 *
 * Hub and subscribers (hub.h). One lock guards ring, list and sleepers; nothing slow is
 * done under it but copying bytes: queries run without it.
 */
#include "hub.h"

#include "../fleet/kill_switch.h"
#include "../log.h"
#include "../store/event_log.h"
#include "../worker.h"
#include "config_events.h"
#include "event_text.h"
#include "ring.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define HEARTBEAT_MS 15000
#define BEAT_MS 1000
/* Events that come faster than this are told together. */
#define PAUSE_MS 20
#define LOAD_MAX 256
#define CATCH_UP_MAX 256
#define CATCH_UP_ROUNDS 8
#define CLOSE_SECONDS 2
#define PENDING_MAX 192

struct admin_subscriber {
    admin_hub_t *hub;
    admin_subscriber_t *previous, *next;
    unsigned types;
    int64_t after; /* the last event that was passed on or passed over */
    size_t skip;   /* bytes of the next frame that have been sent */
    uint64_t wake_ms;
    bool asleep, woken;
    char pending[PENDING_MAX]; /* goes out before anything else */
    size_t pending_size;
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
    return !is_stale(subscriber->hub) && subscriber->after < ring->head &&
           (subscriber->after < ring->base ||
            admin_ring_next(ring, subscriber->after, subscriber->types) != NULL);
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

/* It is passed over: nobody must wait for it for ever. */
static void complain(const admin_event_t *event)
{
    admin_log(ADMIN_ERROR, "L7S3440",
              "Event %" PRId64 " cannot be shown: it is damaged, or memory ran out.",
              event->id);
}

static bool take_event(void *context, const admin_event_t *event)
{
    admin_hub_t *hub = context;
    admin_frame_t frame = {.id = event->id, .type = 1u << event->type};
    frame.text = admin_event_frame(event, &hub->privacy, &frame.size);
    if (frame.text == NULL) {
        complain(event);
        return true;
    }
    pthread_mutex_lock(&hub->worker.lock);
    admin_ring_add(&hub->ring, &frame);
    pthread_mutex_unlock(&hub->worker.lock);
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
    if (privacy.addresses != hub->privacy.addresses) {
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
    *subscriber = (admin_subscriber_t){.hub = hub, .types = types, .after = after};
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
    return subscriber->after;
}

void admin_hub_move(admin_subscriber_t *subscriber, int64_t after)
{
    if (subscriber != NULL) {
        pthread_mutex_lock(&subscriber->hub->worker.lock);
        subscriber->after = after;
        pthread_mutex_unlock(&subscriber->hub->worker.lock);
    }
}

/* ---- the stream of one subscriber ---- */

static void set_pending(admin_subscriber_t *subscriber, const char *text)
{
    subscriber->pending_size = strlen(text);
    memcpy(subscriber->pending, text, subscriber->pending_size);
}

/* The position is in the frame, so a client that reconnects goes on from here. */
void admin_hub_reset(admin_subscriber_t *subscriber, int64_t first, int64_t last)
{
    char text[PENDING_MAX];
    snprintf(text, sizeof(text),
             "id: %" PRId64 "\nevent: reset\ndata: {\"first_id\":%" PRId64
             ",\"last_id\":%" PRId64 "}\n\n",
             last, first, last);
    set_pending(subscriber, text);
    subscriber->after = last;
    subscriber->skip = 0;
}

/* Where the text goes: what has been written of `size`. */
typedef struct {
    admin_subscriber_t *subscriber;
    const admin_privacy_t *privacy;
    char *out;
    size_t size, used;
} sink_t;

/* False: there is no room for (all of) it. A frame is cut only where it is larger than
 * the whole buffer. */
static bool put_frame(sink_t *sink, int64_t id, const char *text, size_t size)
{
    admin_subscriber_t *subscriber = sink->subscriber;
    size_t skip = subscriber->skip < size ? subscriber->skip : size;
    size_t rest = size - skip, room = sink->size - sink->used;
    if (rest > room && sink->used > 0) {
        return false;
    }
    size_t count = rest < room ? rest : room;
    memcpy(sink->out + sink->used, text + skip, count);
    sink->used += count;
    if (count < rest) {
        subscriber->skip = skip + count;
        return false;
    }
    subscriber->skip = 0;
    subscriber->after = id;
    return true;
}

static bool put_event(void *context, const admin_event_t *event)
{
    sink_t *sink = context;
    size_t size;
    char *frame = admin_event_frame(event, sink->privacy, &size);
    if (frame == NULL) {
        complain(event);
        return true;
    }
    bool put = put_frame(sink, event->id, frame, size);
    free(frame);
    return put;
}

/* From the event log, without the lock: who is this far behind shares nothing. False: the
 * log cannot be read. */
static bool catch_up(sink_t *sink)
{
    int64_t first, last, after = sink->subscriber->after;
    bool more;
    admin_store_t *store = sink->subscriber->hub->daemon->store;
    if (admin_event_range(store, &first, &last) != L7S_OK) {
        return false;
    }
    if (after < first - 1) {
        admin_hub_reset(sink->subscriber, first, last);
        return true;
    }
    if (admin_event_each(store, sink->subscriber->types, CATCH_UP_MAX, &after, &more,
                         put_event, sink) != L7S_OK) {
        return false;
    }
    sink->subscriber->after = after;
    return true;
}

static void put_from_ring(sink_t *sink)
{
    admin_subscriber_t *subscriber = sink->subscriber;
    const admin_ring_t *ring = &subscriber->hub->ring;
    const admin_frame_t *frame;
    do {
        frame = admin_ring_next(ring, subscriber->after, subscriber->types);
    } while (frame != NULL && put_frame(sink, frame->id, frame->text, frame->size));
    if (frame == NULL && subscriber->after < ring->head) {
        subscriber->after = ring->head;
    }
}

static bool put_pending(sink_t *sink)
{
    admin_subscriber_t *subscriber = sink->subscriber;
    size_t size = subscriber->pending_size;
    if (size == 0 || size > sink->size) {
        return false;
    }
    memcpy(sink->out, subscriber->pending, size);
    sink->used = size;
    subscriber->pending_size = 0;
    return true;
}

/* Without data it is no event to a client, but its Last-Event-ID moves on, so that a rare
 * type does not make its position too old. */
static void put_heartbeat(sink_t *sink)
{
    char text[PENDING_MAX];
    snprintf(text, sizeof(text), ":\nid: %" PRId64 "\n\n", sink->subscriber->after);
    set_pending(sink->subscriber, text);
    (void)put_pending(sink);
}

/* Under the lock. False: the event log has to be asked. */
static bool put_shared(sink_t *sink)
{
    admin_subscriber_t *subscriber = sink->subscriber;
    if (is_stale(subscriber->hub) || put_pending(sink)) {
        return true;
    }
    if (subscriber->after < subscriber->hub->ring.base) {
        return false;
    }
    put_from_ring(sink);
    if (sink->used == 0 && subscriber->woken && admin_mono_ms() >= subscriber->wake_ms) {
        put_heartbeat(sink);
    }
    subscriber->woken = false;
    return true;
}

int64_t admin_hub_read(admin_subscriber_t *subscriber, const admin_sleep_t *sleep,
                       void *connection, char *out, size_t size)
{
    admin_hub_t *hub = subscriber->hub;
    pthread_mutex_lock(&hub->worker.lock);
    admin_privacy_t privacy = hub->privacy;
    sink_t sink = {subscriber, &privacy, out, size, 0};
    bool asleep = false, good = true;
    for (unsigned round = 0; good && !hub->closing && !asleep && sink.used == 0;
         round++) {
        if (round == CATCH_UP_ROUNDS) {
            put_heartbeat(&sink); /* a rare type: others shall have their turn */
        } else if (!put_shared(&sink)) {
            pthread_mutex_unlock(&hub->worker.lock);
            good = catch_up(&sink);
            pthread_mutex_lock(&hub->worker.lock);
        } else if (sink.used == 0) {
            asleep = fall_asleep(subscriber, sleep, connection,
                                 admin_mono_ms() + HEARTBEAT_MS);
        }
    }
    pthread_mutex_unlock(&hub->worker.lock);
    return sink.used > 0 ? (int64_t)sink.used : asleep ? 0 : ADMIN_HUB_END;
}
