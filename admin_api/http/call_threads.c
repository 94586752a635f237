/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting the threads of calls (call_threads.h). They are detached: nobody joins them,
 * but the server does not stop before the last one has let go of its connection.
 */
#include "call_threads.h"

#include <pthread.h>
#include <stdlib.h>
#include <time.h>

#define CALLS_MAX 64
#define READS_MAX 48 /* who waits for a rollout leaves room for the kill switch */
/* The unix socket's calls have more threads, which nobody on the network can take. */
#define UNIX_MORE 16
#define STACK_BYTES (1024 * 1024)
#define LAST_ANSWERS_SECONDS 2

struct admin_call_threads {
    pthread_mutex_t lock; /* for the rest */
    pthread_cond_t idle;
    unsigned calls;   /* threads that run a handler */
    unsigned answers; /* requests of such threads that are not completely answered */
    bool closing;     /* no new ones */
};

l7s_status_t admin_call_threads_create(admin_call_threads_t **out)
{
    admin_call_threads_t *threads = calloc(1, sizeof *threads);
    *out = threads;
    if (threads == NULL) {
        return L7S_NO_MEMORY;
    }
    pthread_mutex_init(&threads->lock, NULL);
    pthread_cond_init(&threads->idle, NULL);
    return L7S_OK;
}

static bool reserve(admin_call_threads_t *threads, unsigned max)
{
    pthread_mutex_lock(&threads->lock);
    bool free_one = threads->calls < max && !threads->closing;
    threads->calls += free_one;
    pthread_mutex_unlock(&threads->lock);
    return free_one;
}

static void release(admin_call_threads_t *threads)
{
    pthread_mutex_lock(&threads->lock);
    threads->calls--;
    pthread_cond_signal(&threads->idle);
    pthread_mutex_unlock(&threads->lock);
}

static void note_answers(admin_call_threads_t *threads, int change)
{
    pthread_mutex_lock(&threads->lock);
    threads->answers += (unsigned)change;
    pthread_cond_signal(&threads->idle);
    pthread_mutex_unlock(&threads->lock);
}

/* Once resumed, the request may end at any moment. */
static void *run(void *context)
{
    admin_request_t *request = context;
    admin_call_threads_t *threads = request->threads;
    struct MHD_Connection *connection = request->connection;
    admin_request_run(request);
    atomic_store(&request->done, true);
    MHD_resume_connection(connection);
    release(threads);
    return NULL;
}

static bool start(admin_request_t *request)
{
    unsigned max = admin_request_reads(request) ? READS_MAX : CALLS_MAX;
    max += request->listen == ADMIN_LISTEN_UNIX ? UNIX_MORE : 0;
    if (!reserve(request->threads, max)) {
        return false;
    }
    pthread_attr_t detached;
    pthread_t thread;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, STACK_BYTES);
    /* Suspended first: the thread may finish and resume before this function returns. */
    atomic_store(&request->done, false);
    MHD_suspend_connection(request->connection);
    bool started = pthread_create(&thread, &detached, run, request) == 0;
    pthread_attr_destroy(&detached);
    if (!started) {
        MHD_resume_connection(request->connection);
        release(request->threads);
    }
    return started;
}

bool admin_call_threads_start(admin_request_t *request)
{
    if (request->threaded) {
        return start(request);
    }
    /* The answer is counted first: its thread may be done with it at once. */
    note_answers(request->threads, 1);
    request->threaded = true;
    if (!start(request)) {
        request->threaded = false;
        note_answers(request->threads, -1);
        return false;
    }
    return true;
}

void admin_call_threads_answered(admin_request_t *request)
{
    if (request->threaded) {
        note_answers(request->threads, -1);
    }
}

/* Who waited for an answer gets it, unless it is taken too slowly. */
void admin_call_threads_drain(admin_call_threads_t *threads)
{
    struct timespec until;
    if (threads == NULL) {
        return;
    }
    pthread_mutex_lock(&threads->lock);
    threads->closing = true;
    while (threads->calls > 0) {
        pthread_cond_wait(&threads->idle, &threads->lock);
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LAST_ANSWERS_SECONDS;
    int waited = 0;
    while (threads->answers > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&threads->idle, &threads->lock, &until);
    }
    pthread_mutex_unlock(&threads->lock);
}

void admin_call_threads_free(admin_call_threads_t *threads)
{
    if (threads != NULL) {
        pthread_mutex_destroy(&threads->lock);
        pthread_cond_destroy(&threads->idle);
        free(threads);
    }
}
