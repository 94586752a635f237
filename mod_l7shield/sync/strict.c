/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict.h. What happens to a question is in flights.c; here are its thread, and what
 * the tick has to say.
 *
 * The thread sleeps on the mailbox' bell while nothing is on the way, else in poll, which
 * the bell cannot interrupt: it looks into the mailbox at least every POLL_US.
 */
#include "strict.h"
#include "flights.h"
#include "log.h"
#include <pthread.h>
#include <stdlib.h>

#define POLL_US 300
#define IDLE_US 50000
#define SWEEP_US 1000000
#define LOG_INTERVAL_MS 10000

struct sync_strict {
    l7s_mailbox_t mailbox;
    sync_flights_t *flights; /* of the thread; NULL without a store */
    pthread_t thread;
    bool running;
    _Atomic bool stop;
    pthread_mutex_t lock; /* protects the next two */
    l7s_hashkey_t offered_key;
    bool has_key;
    /* of the tick */
    uint64_t missed;
    bool alone_said;
    sync_log_gate_t missed_gate;
};

/* ---- the thread ---- */

static void begin(sync_strict_t *strict, uint64_t now_us)
{
    (void)pthread_mutex_lock(&strict->lock);
    sync_flights_begin(strict->flights, strict->has_key ? &strict->offered_key : NULL,
                       now_us);
    (void)pthread_mutex_unlock(&strict->lock);
}

static void take_mail(sync_strict_t *strict)
{
    uint32_t cursor = 0;
    l7s_mail_t mail;

    while (l7s_mailbox_take(&strict->mailbox, &cursor, &mail)) {
        sync_flights_take(strict->flights, &mail);
    }
}

static void *serve(void *context)
{
    sync_strict_t *strict = context;
    uint64_t swept_us = 0;

    while (!atomic_load(&strict->stop)) {
        uint32_t bell = l7s_mailbox_bell(&strict->mailbox);
        uint64_t now_us = sync_clock_now().mono_us;
        begin(strict, now_us);
        take_mail(strict);
        uint64_t next_us = sync_flights_expire(strict->flights);
        uint64_t left_us = next_us > now_us ? next_us - now_us : 0;
        sync_flights_tend(strict->flights);
        if (now_us - swept_us > SWEEP_US) {
            swept_us = now_us;
            (void)l7s_mailbox_sweep(&strict->mailbox);
        }
        if (sync_flights_busy(strict->flights)) {
            sync_flights_wait(strict->flights, left_us < POLL_US ? left_us : POLL_US);
        } else {
            l7s_mailbox_sleep(&strict->mailbox, bell, IDLE_US);
        }
    }
    return NULL;
}

/* ---- life ---- */

static l7s_status_t start(sync_strict_t *strict, const sync_options_t *options)
{
    l7s_status_t status =
        sync_flights_create(&strict->mailbox, options, &strict->flights);

    if (status == L7S_OK && pthread_create(&strict->thread, NULL, serve, strict) != 0) {
        status = L7S_NO_MEMORY;
    }
    strict->running = status == L7S_OK;
    return status;
}

l7s_status_t sync_strict_create(const l7s_shared_t *shared, const sync_options_t *options,
                                sync_strict_t **out)
{
    sync_strict_t *strict = calloc(1, sizeof *strict);

    *out = NULL;
    if (strict == NULL) {
        return L7S_NO_MEMORY;
    }
    strict->mailbox = shared->mailbox;
    strict->missed = atomic_load(&shared->mailbox.head->missed);
    (void)pthread_mutex_init(&strict->lock, NULL);
    l7s_status_t status = options->server_count > 0 ? start(strict, options) : L7S_OK;
    if (status != L7S_OK) {
        sync_strict_free(strict);
        return status;
    }
    l7s_mailbox_set_role(&strict->mailbox,
                         strict->running ? L7S_MAILBOX_SERVING : L7S_MAILBOX_ALONE);
    *out = strict;
    return L7S_OK;
}

void sync_strict_free(sync_strict_t *strict)
{
    if (strict == NULL) {
        return;
    }
    if (strict->running) {
        l7s_mailbox_set_role(&strict->mailbox, L7S_MAILBOX_CLOSED);
        atomic_store(&strict->stop, true);
        l7s_mailbox_ring(&strict->mailbox);
        (void)pthread_join(strict->thread, NULL);
    }
    sync_flights_free(strict->flights);
    (void)pthread_mutex_destroy(&strict->lock);
    free(strict);
}

/* ---- the tick ---- */

static void say_alone(sync_strict_t *strict, const l7s_image_t *image)
{
    if (!strict->running && !strict->alone_said && image != NULL &&
        l7s_image_has_strict(image)) {
        strict->alone_said = true;
        sync_log(SYNC_INFO, "L7S2111",
                 "policies are strict and this node has no memcached: it counts them "
                 "exactly, for itself");
    }
}

void sync_strict_tick(sync_strict_t *strict, const l7s_hashkey_t *name_key,
                      const l7s_image_t *image, l7s_now_t now)
{
    uint64_t missed = atomic_load(&strict->mailbox.head->missed);

    (void)pthread_mutex_lock(&strict->lock);
    strict->has_key = name_key != NULL;
    if (name_key != NULL) {
        strict->offered_key = *name_key;
    }
    (void)pthread_mutex_unlock(&strict->lock);
    say_alone(strict, image);
    if (missed > strict->missed &&
        sync_log_gate(&strict->missed_gate, sync_mono_ms(now), LOG_INTERVAL_MS, NULL)) {
        sync_log(
            SYNC_WARN, "L7S2110",
            "%llu requests of strict policies got no verdict from memcached in time; "
            "when_store_down decided",
            (unsigned long long)(missed - strict->missed));
        strict->missed = missed;
    }
}
