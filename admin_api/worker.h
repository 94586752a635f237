/* SPDX-License-Identifier: Apache-2.0
 *
 * A background thread of the daemon that sleeps until it is woken or something is due.
 * All signals are blocked in it: libmemcached loses its deadline on two signals during
 * one wait, and the program's signals belong to the main thread.
 */
#ifndef ADMIN_WORKER_H
#define ADMIN_WORKER_H

#include "../core/status.h"
#include <pthread.h>
#include <stdint.h>

typedef struct {
    pthread_mutex_t lock; /* for `stopping` and whatever its owner shares with others */
    pthread_cond_t wake;
    bool stopping;
    pthread_t thread;
} admin_worker_t;

/* Both in milliseconds: time of day since 1970, and a clock that never jumps. */
uint64_t admin_wall_ms(void);
uint64_t admin_mono_ms(void);

/* L7S_NO_MEMORY: the system has no thread for us. */
L7S_MUST_USE l7s_status_t admin_worker_start(admin_worker_t *worker, void *(*run)(void *),
                                             void *context);
/* Asks the thread to end and waits for it. */
void admin_worker_stop(admin_worker_t *worker);

/* With the lock held: sleeps until woken or until `due_ms` of the monotonic clock. */
void admin_worker_sleep(admin_worker_t *worker, uint64_t due_ms);

#endif
