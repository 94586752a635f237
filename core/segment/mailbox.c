/* SPDX-License-Identifier: Apache-2.0
 *
 * See mailbox.h. The words of a question are atomics, written with release and read with
 * acquire, and the server looks at the state again when it has read them: a cell that was
 * given up and claimed anew meanwhile is noticed, however long the server was away.
 */
#include "mailbox.h"

#include <errno.h>
#include <limits.h>
#include <linux/futex.h>
#include <signal.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define KIND_BITS 3
#define KIND_MASK 7U
#define WAITERS_FRACTION 4 /* of the workers may wait */
#define BREAKER_LATE 3
#define BREAKER_MIN_MS 100
#define BREAKER_MAX_MS 2000

/* Below the verdicts, whose states are KIND_VERDICT + l7s_strict_verdict_t. */
enum { KIND_IDLE, KIND_POSTED, KIND_TAKEN, KIND_VERDICT };

const uint32_t l7s_wait_bounds_us[L7S_WAIT_BUCKETS - 1] = {100,  250,  500,   1000,
                                                           2500, 5000, 10000, 20000};

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* ---- futex ---- */

/* Waits until an absolute time of CLOCK_MONOTONIC. False: it has come, or nobody can wait
 * here. */
static bool futex_wait(_Atomic uint32_t *word, uint32_t seen, uint64_t until_us)
{
    const struct timespec until = {.tv_sec = (time_t)(until_us / 1000000),
                                   .tv_nsec = (long)(until_us % 1000000) * 1000};

    return syscall(SYS_futex, word, FUTEX_WAIT_BITSET, seen, &until, NULL,
                   FUTEX_BITSET_MATCH_ANY) == 0 ||
           errno == EAGAIN || errno == EINTR;
}

static void futex_wake(_Atomic uint32_t *word)
{
    (void)syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0);
}

/* ---- the breaker ---- */

static bool lets_through(l7s_mailbox_head_t *head, uint64_t now_us, bool *probe)
{
    uint64_t until;

    *probe = false;
    if (atomic_load_explicit(&head->late, memory_order_relaxed) < BREAKER_LATE) {
        return true;
    }
    until = atomic_load_explicit(&head->open_until_us, memory_order_relaxed);
    if (now_us < until) {
        return false;
    }
    *probe = true; /* the others stay out until it must be back, even if it is killed */
    return atomic_compare_exchange_strong(&head->open_until_us, &until,
                                          now_us + 2 * L7S_STRICT_WAIT_US);
}

/* Of many that were waiting when the server went away the first one opens the breaker,
 * and a probe that failed opens it for longer. */
static void note_late(l7s_mailbox_head_t *head, uint64_t now_us, bool probe)
{
    uint32_t late = atomic_fetch_add(&head->late, 1) + 1;
    uint64_t until = atomic_load(&head->open_until_us);
    uint32_t pause = atomic_load(&head->pause_ms) * 2;

    if (late > UINT32_MAX / 2) {
        atomic_store(&head->late, BREAKER_LATE);
    }
    if (late < BREAKER_LATE || (!probe && now_us < until)) {
        return;
    }
    pause = pause < BREAKER_MIN_MS ? BREAKER_MIN_MS : pause;
    pause = pause > BREAKER_MAX_MS ? BREAKER_MAX_MS : pause;
    if (atomic_compare_exchange_strong(&head->open_until_us, &until,
                                       now_us + pause * 1000ULL)) {
        atomic_store(&head->pause_ms, pause);
    }
}

static void note_answer(l7s_mailbox_head_t *head)
{
    if (atomic_load_explicit(&head->late, memory_order_relaxed) != 0) {
        atomic_store(&head->late, 0);
        atomic_store(&head->pause_ms, 0);
    }
}

/* ---- worker ---- */

static l7s_mailbox_cell_t *claim(const l7s_mailbox_t *mailbox, uint32_t workers,
                                 int32_t pid)
{
    uint32_t quota = workers / WAITERS_FRACTION;
    uint32_t ticket =
        atomic_fetch_add_explicit(&mailbox->head->tickets, 1, memory_order_relaxed);

    quota = quota < 1 ? 1 : quota > L7S_MAILBOX_CELLS ? L7S_MAILBOX_CELLS : quota;
    for (uint32_t i = 0; i < quota; i++) {
        l7s_mailbox_cell_t *cell = &mailbox->cells[(ticket + i) % quota];
        int32_t nobody = 0;
        if (atomic_load_explicit(&cell->owner, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&cell->owner, &nobody, pid)) {
            return cell;
        }
    }
    return NULL;
}

static void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Returns the state in which it is posted. */
static uint32_t post(const l7s_mailbox_t *mailbox, l7s_mailbox_cell_t *cell,
                     const l7s_strict_question_t *question)
{
    uint32_t generation = (atomic_load(&cell->state) >> KIND_BITS) + 1;
    uint32_t state = generation << KIND_BITS | KIND_POSTED;

    atomic_store(&cell->state, generation << KIND_BITS | KIND_IDLE);
    set(&cell->deadline_us, question->deadline_us);
    set(&cell->head, question->count | (uint64_t)question->cost << 32);
    for (uint32_t i = 0; i < question->count; i++) {
        const l7s_strict_limit_t *limit = &question->limits[i];
        set(&cell->words[i][0], limit->key.lo);
        set(&cell->words[i][1], limit->key.hi);
        set(&cell->words[i][2], limit->rate.period_us);
        set(&cell->words[i][3], limit->rate.requests | (uint64_t)limit->rate.burst << 32);
        set(&cell->words[i][4], limit->used);
    }
    atomic_store(&cell->state, state);
    l7s_mailbox_ring(mailbox);
    return state;
}

/* Waits for an answer to what was posted as `state`. False: none came in time, and none
 * will be heard. */
static bool await(l7s_mailbox_cell_t *cell, uint32_t state, uint64_t deadline_us,
                  l7s_strict_verdict_t *verdict)
{
    bool in_time = true;

    for (;;) {
        uint32_t seen = atomic_load(&cell->state);
        if ((seen & KIND_MASK) >= KIND_VERDICT) {
            *verdict = (l7s_strict_verdict_t)((seen & KIND_MASK) - KIND_VERDICT);
            return true;
        }
        if (!in_time && atomic_compare_exchange_strong(
                            &cell->state, &seen, (state & ~KIND_MASK) | KIND_IDLE)) {
            return false;
        }
        if (in_time) {
            in_time = futex_wait(&cell->state, seen, deadline_us);
        }
    }
}

static void leave(l7s_mailbox_cell_t *cell)
{
    atomic_fetch_and(&cell->state, ~KIND_MASK);
    atomic_store(&cell->owner, 0);
}

l7s_strict_verdict_t l7s_mailbox_ask(const l7s_mailbox_t *mailbox,
                                     l7s_strict_question_t *question, int32_t pid,
                                     uint32_t workers, uint64_t now_us)
{
    l7s_mailbox_head_t *head = mailbox->head;
    uint32_t role = atomic_load_explicit(&head->role, memory_order_relaxed);
    l7s_strict_verdict_t verdict = L7S_STRICT_MISSED;
    l7s_mailbox_cell_t *cell;
    bool probe;

    if (role != L7S_MAILBOX_SERVING) {
        return role == L7S_MAILBOX_ALONE ? L7S_STRICT_ALONE : L7S_STRICT_MISSED;
    }
    if (now_us >= question->deadline_us || !lets_through(head, now_us, &probe)) {
        return L7S_STRICT_MISSED;
    }
    cell = claim(mailbox, workers, pid);
    if (cell == NULL) {
        count(&head->crowded);
        return L7S_STRICT_MISSED;
    }
    if (await(cell, post(mailbox, cell, question), question->deadline_us, &verdict)) {
        note_answer(head);
        for (uint32_t i = 0; i < question->count; i++) {
            question->limits[i].used = get(&cell->used[i]);
        }
    } else {
        note_late(head, question->deadline_us, probe);
    }
    leave(cell);
    return verdict;
}

bool l7s_mailbox_forget(const l7s_mailbox_t *mailbox, l7s_hash128_t key, int32_t pid)
{
    const l7s_strict_question_t question = {
        .count = 1,
        .limits = {{.key = key, .rate = {.requests = 1, .burst = 1, .period_us = 1}}}};
    l7s_mailbox_cell_t *cell = NULL;

    if (atomic_load(&mailbox->head->role) == L7S_MAILBOX_SERVING) {
        cell = claim(mailbox, WAITERS_FRACTION * L7S_MAILBOX_CELLS, pid);
    }
    if (cell == NULL) {
        return false;
    }
    (void)post(mailbox, cell, &question);
    return true;
}

void l7s_mailbox_waited(l7s_mailbox_head_t *head, uint64_t wait_us)
{
    unsigned bucket = 0;

    while (bucket < L7S_WAIT_BUCKETS - 1 && wait_us > l7s_wait_bounds_us[bucket]) {
        bucket++;
    }
    count(&head->waits[bucket]);
    atomic_fetch_add_explicit(&head->waited_us, wait_us, memory_order_relaxed);
}

/* ---- server ---- */

void l7s_mailbox_set_role(const l7s_mailbox_t *mailbox, l7s_mailbox_role_t role)
{
    atomic_store(&mailbox->head->role, role);
}

/* What a worker wrote. False: nobody could have asked this. */
static bool read_question(const l7s_mailbox_cell_t *cell, l7s_strict_question_t *out)
{
    uint64_t head = get(&cell->head);

    out->deadline_us = get(&cell->deadline_us);
    out->count = (uint32_t)head;
    out->cost = (uint32_t)(head >> 32);
    if (out->count == 0 || out->count > L7S_STRICT_LIMITS) {
        return false;
    }
    for (uint32_t i = 0; i < out->count; i++) {
        l7s_strict_limit_t *limit = &out->limits[i];
        uint64_t counts = get(&cell->words[i][3]);
        limit->key = (l7s_hash128_t){get(&cell->words[i][0]), get(&cell->words[i][1])};
        limit->rate = (l7s_rate_t){.requests = (uint32_t)counts,
                                   .burst = (uint32_t)(counts >> 32),
                                   .period_us = get(&cell->words[i][2])};
        limit->used = get(&cell->words[i][4]);
        if (!l7s_rate_valid(&limit->rate)) {
            return false;
        }
    }
    return true;
}

bool l7s_mailbox_take(const l7s_mailbox_t *mailbox, uint32_t *cursor, l7s_mail_t *out)
{
    for (; *cursor < L7S_MAILBOX_CELLS; ++*cursor) {
        l7s_mailbox_cell_t *cell = &mailbox->cells[*cursor];
        uint32_t posted = atomic_load_explicit(&cell->state, memory_order_relaxed);
        if ((posted & KIND_MASK) != KIND_POSTED) {
            continue;
        }
        out->cell = *cursor;
        out->state = (posted & ~KIND_MASK) | KIND_TAKEN;
        if (!atomic_compare_exchange_strong(&cell->state, &posted, out->state)) {
            continue;
        }
        if (read_question(cell, &out->question) &&
            atomic_load(&cell->state) == out->state) {
            ++*cursor;
            return true;
        }
    }
    *cursor = 0;
    return false;
}

bool l7s_mailbox_answer(const l7s_mailbox_t *mailbox, const l7s_mail_t *mail,
                        l7s_strict_verdict_t verdict)
{
    l7s_mailbox_cell_t *cell = &mailbox->cells[mail->cell];
    uint32_t taken = mail->state;

    if (atomic_load(&cell->state) != taken) {
        return false;
    }
    for (uint32_t i = 0; i < mail->question.count; i++) {
        set(&cell->used[i], mail->question.limits[i].used);
    }
    if (!atomic_compare_exchange_strong(&cell->state, &taken,
                                        (taken & ~KIND_MASK) |
                                            (KIND_VERDICT + (uint32_t)verdict))) {
        return false;
    }
    futex_wake(&cell->state);
    return true;
}

void l7s_mailbox_release(const l7s_mailbox_t *mailbox, const l7s_mail_t *mail)
{
    uint32_t taken = mail->state;

    if (atomic_compare_exchange_strong(&mailbox->cells[mail->cell].state, &taken,
                                       (taken & ~KIND_MASK) | KIND_IDLE)) {
        atomic_store(&mailbox->cells[mail->cell].owner, 0);
    }
}

uint32_t l7s_mailbox_bell(const l7s_mailbox_t *mailbox)
{
    return atomic_load(&mailbox->head->bell);
}

/* Either the worker sees that the server sleeps and wakes it, or its bell came before and
 * the kernel finds another count than `seen`. */
void l7s_mailbox_sleep(const l7s_mailbox_t *mailbox, uint32_t seen, uint64_t most_us)
{
    l7s_mailbox_head_t *head = mailbox->head;
    const struct timespec most = {.tv_sec = (time_t)(most_us / 1000000),
                                  .tv_nsec = (long)(most_us % 1000000) * 1000};

    atomic_store(&head->sleeping, 1);
    (void)syscall(SYS_futex, &head->bell, FUTEX_WAIT, seen, &most, NULL, 0);
    atomic_store(&head->sleeping, 0);
}

void l7s_mailbox_ring(const l7s_mailbox_t *mailbox)
{
    l7s_mailbox_head_t *head = mailbox->head;

    atomic_fetch_add(&head->bell, 1);
    if (atomic_load(&head->sleeping) != 0) {
        futex_wake(&head->bell);
    }
}

uint32_t l7s_mailbox_sweep(const l7s_mailbox_t *mailbox)
{
    uint32_t freed = 0;

    for (uint32_t i = 0; i < L7S_MAILBOX_CELLS; i++) {
        l7s_mailbox_cell_t *cell = &mailbox->cells[i];
        int32_t owner = atomic_load(&cell->owner);
        if (owner == 0 || kill(owner, 0) == 0 || errno != ESRCH) {
            continue;
        }
        atomic_fetch_and(&cell->state, ~KIND_MASK);
        freed += atomic_compare_exchange_strong(&cell->owner, &owner, 0);
    }
    return freed;
}
