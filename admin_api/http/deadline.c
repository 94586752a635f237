/* SPDX-License-Identifier: Apache-2.0
 *
 * The list of connections and the timer that cuts the late ones (deadline.h).
 */
#include "deadline.h"

#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

/* A list of all connections, under one lock: the timer shuts a late one down, and since
 * the close notification takes the same lock, never a descriptor that was reused. */
struct admin_deadline {
    admin_deadlines_t *all;
    admin_deadline_t *next, **link;
    int fd;
    uint64_t due_ms; /* 0: none */
};

struct admin_deadlines {
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool stopping;
    pthread_t timer;
    admin_deadline_t *first;
};

static uint64_t mono_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void cut_late_ones(admin_deadlines_t *all)
{
    uint64_t now = mono_ms();
    for (admin_deadline_t *deadline = all->first; deadline != NULL;
         deadline = deadline->next) {
        if (deadline->due_ms != 0 && deadline->due_ms <= now) {
            shutdown(deadline->fd, SHUT_RDWR);
            deadline->due_ms = 0;
        }
    }
}

static void *run_timer(void *context)
{
    admin_deadlines_t *all = context;
    pthread_mutex_lock(&all->lock);
    while (!all->stopping) {
        struct timespec until;
        clock_gettime(CLOCK_MONOTONIC, &until);
        until.tv_sec++;
        pthread_cond_timedwait(&all->wake, &all->lock, &until);
        cut_late_ones(all);
    }
    pthread_mutex_unlock(&all->lock);
    return NULL;
}

l7s_status_t admin_deadlines_create(admin_deadlines_t **out)
{
    admin_deadlines_t *all = calloc(1, sizeof *all);
    if (all == NULL) {
        return L7S_NO_MEMORY;
    }
    pthread_condattr_t monotonic;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&all->wake, &monotonic);
    pthread_condattr_destroy(&monotonic);
    pthread_mutex_init(&all->lock, NULL);
    if (pthread_create(&all->timer, NULL, run_timer, all) != 0) {
        pthread_mutex_destroy(&all->lock);
        pthread_cond_destroy(&all->wake);
        free(all);
        return L7S_NO_MEMORY;
    }
    *out = all;
    return L7S_OK;
}

void admin_deadlines_free(admin_deadlines_t *all)
{
    if (all == NULL) {
        return;
    }
    pthread_mutex_lock(&all->lock);
    all->stopping = true;
    pthread_cond_signal(&all->wake);
    pthread_mutex_unlock(&all->lock);
    pthread_join(all->timer, NULL);
    pthread_mutex_destroy(&all->lock);
    pthread_cond_destroy(&all->wake);
    free(all);
}

admin_deadline_t *admin_deadline_begin(admin_deadlines_t *all, int fd, unsigned head_ms)
{
    admin_deadline_t *deadline = calloc(1, sizeof *deadline);
    if (deadline == NULL) {
        return NULL;
    }
    deadline->all = all;
    deadline->fd = fd;
    deadline->due_ms = mono_ms() + head_ms;
    pthread_mutex_lock(&all->lock);
    deadline->next = all->first;
    deadline->link = &all->first;
    if (deadline->next != NULL) {
        deadline->next->link = &deadline->next;
    }
    all->first = deadline;
    pthread_mutex_unlock(&all->lock);
    return deadline;
}

void admin_deadline_set(admin_deadline_t *deadline, unsigned ms)
{
    if (deadline == NULL) {
        return;
    }
    pthread_mutex_lock(&deadline->all->lock);
    deadline->due_ms = ms == 0 ? 0 : mono_ms() + ms;
    pthread_mutex_unlock(&deadline->all->lock);
}

void admin_deadline_end(admin_deadline_t *deadline)
{
    if (deadline == NULL) {
        return;
    }
    pthread_mutex_lock(&deadline->all->lock);
    *deadline->link = deadline->next;
    if (deadline->next != NULL) {
        deadline->next->link = deadline->link;
    }
    pthread_mutex_unlock(&deadline->all->lock);
    free(deadline);
}
