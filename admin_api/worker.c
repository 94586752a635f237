/* SPDX-License-Identifier: Apache-2.0
 *
 * The thread behind worker.h.
 */
#include "worker.h"

#include <signal.h>
#include <time.h>

static uint64_t read_clock(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

uint64_t admin_wall_ms(void)
{
    return read_clock(CLOCK_REALTIME);
}

uint64_t admin_mono_ms(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

l7s_status_t admin_worker_start(admin_worker_t *worker, void *(*run)(void *),
                                void *context)
{
    pthread_condattr_t attributes;
    sigset_t all, before;
    worker->stopping = false;
    pthread_mutex_init(&worker->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&worker->wake, &attributes);
    pthread_condattr_destroy(&attributes);
    /* A thread inherits the mask of its creator: no signal can slip in before it begins.
     */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&worker->thread, NULL, run, context);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (failed != 0) {
        pthread_cond_destroy(&worker->wake);
        pthread_mutex_destroy(&worker->lock);
        return L7S_NO_MEMORY;
    }
    return L7S_OK;
}

void admin_worker_stop(admin_worker_t *worker)
{
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_cond_broadcast(&worker->wake);
    pthread_mutex_unlock(&worker->lock);
    pthread_join(worker->thread, NULL);
    pthread_cond_destroy(&worker->wake);
    pthread_mutex_destroy(&worker->lock);
}

void admin_worker_sleep(admin_worker_t *worker, uint64_t due_ms)
{
    struct timespec due = {.tv_sec = (time_t)(due_ms / 1000),
                           .tv_nsec = (long)(due_ms % 1000) * 1000000};
    if (!worker->stopping) {
        pthread_cond_timedwait(&worker->wake, &worker->lock, &due);
    }
}
