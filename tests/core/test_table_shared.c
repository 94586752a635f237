/* SPDX-License-Identifier: Apache-2.0
 *
 * One table under 4 processes of 8 threads: every take is in the books, no key has two
 * slots, what is over its limit is never evicted, and who is killed in the middle of a
 * claim leaves nothing behind for good.
 */
#include "../../core/segment/table.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES 4
#define THREADS 8
#define WORKERS (PROCESSES * THREADS)
#define BUCKETS 512
#define SLOTS (BUCKETS * L7S_BUCKET_SLOTS)
#define KEYS 1024
#define LIMIT 5

/* Nothing drains and nothing is refused while a test runs: takes can be counted. */
static const l7s_rate_t rate = {1, 1 << 30, 1000000};
static const l7s_now_t now = {.mono_us = 1000000000, .wall_ms = 1};

/* What all processes share. */
typedef struct {
    l7s_slot_t slots[SLOTS];
    _Atomic uint64_t dirty[SLOTS / 64];
    l7s_table_stats_t stats;
    pthread_barrier_t barrier;
    _Atomic uint64_t taken[KEYS]; /* tokens that workers took, by key */
    _Atomic uint64_t failures;
    _Atomic uint32_t started;
} shared_t;

static shared_t *shared;

static l7s_table_t view;

static const l7s_table_t *table(void)
{
    return &view;
}

static l7s_hash128_t key_of(uint64_t number)
{
    uint64_t seed = number * 2 + 1;
    uint64_t lo = seeded_next(&seed);
    return (l7s_hash128_t){lo, seeded_next(&seed)};
}

static int create(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED) {
        return -1;
    }
    pthread_barrierattr_t attributes;
    pthread_barrierattr_init(&attributes);
    pthread_barrierattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED);
    pthread_barrier_init(&shared->barrier, &attributes, WORKERS);
    view = (l7s_table_t){.slots = shared->slots,
                         .dirty = shared->dirty,
                         .stats = &shared->stats,
                         .buckets = BUCKETS,
                         .place_key = {0x0123456789abcdef, 0xfedcba9876543210}};
    return 0;
}

static int destroy(void **state)
{
    (void)state;
    return munmap(shared, sizeof *shared);
}

typedef struct {
    void (*work)(uint64_t worker);
    uint64_t worker;
} job_t;

static void *run_thread(void *argument)
{
    job_t *job = argument;
    job->work(job->worker);
    return NULL;
}

static void run_process(void (*work)(uint64_t), uint64_t process)
{
    pthread_t threads[THREADS];
    job_t jobs[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        jobs[i] = (job_t){work, process * THREADS + i};
        pthread_create(&threads[i], NULL, run_thread, &jobs[i]);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void run_everywhere(void (*work)(uint64_t worker))
{
    pid_t pids[PROCESSES];
    for (uint64_t i = 0; i < PROCESSES; i++) {
        pids[i] = fork();
        assert_true(pids[i] >= 0);
        if (pids[i] == 0) {
            run_process(work, i);
            _exit(0);
        }
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
        assert_int_equal(status, 0);
    }
}

/* Slots that hold `key` anywhere in the table. */
static unsigned copies(l7s_hash128_t key)
{
    unsigned found = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        l7s_hash128_t held = l7s_slot_key(&shared->slots[i]);
        found += held.lo == key.lo && held.hi == key.hi;
    }
    return found;
}

static void assert_no_duplicates_and_nothing_busy(void)
{
    for (uint32_t b = 0; b < BUCKETS; b++) {
        l7s_slot_t *bucket = shared->slots + b * L7S_BUCKET_SLOTS;
        for (int i = 0; i < L7S_BUCKET_SLOTS; i++) {
            uint64_t lo = bucket[i].key_lo;
            assert_true(lo == 0 || lo >= L7S_CELL_TICKETS);
            for (int j = 0; lo != 0 && j < i; j++) {
                assert_false(bucket[j].key_lo == lo &&
                             bucket[j].key_hi == bucket[i].key_hi);
            }
        }
    }
}

static void assert_books_balance(void)
{
    uint32_t occupied = 0;
    for (uint32_t i = 0; i < SLOTS; i++) {
        occupied += shared->slots[i].key_lo != 0;
    }
    const l7s_table_stats_t *s = &shared->stats;
    assert_int_equal(s->claimed - s->released - s->evicted_idle - s->evicted_live,
                     occupied);
}

static void take(uint64_t number, uint32_t tokens)
{
    l7s_slot_t *slot = l7s_table_claim(table(), key_of(number), LIMIT, &rate, now);
    if (slot == NULL || !l7s_bucket_take(&rate, &slot->tat, now.mono_us, tokens)) {
        atomic_fetch_add(&shared->failures, 1);
        return;
    }
    l7s_table_mark(table(), slot, tokens, now);
    atomic_fetch_add(&shared->taken[number], tokens);
}

#define TAKES 20000

static void take_at_random(uint64_t worker)
{
    uint64_t seed = worker;
    for (int i = 0; i < TAKES; i++) {
        uint64_t number = seeded_below(&seed, KEYS);
        take(i % 2 ? number : number % 16, 1 + (uint32_t)seeded_below(&seed, 3));
    }
}

static void test_take_many_workers_every_token_is_in_the_books(void **state)
{
    (void)state;
    run_everywhere(take_at_random);
    assert_int_equal(shared->failures, 0);
    for (uint64_t number = 0; number < KEYS; number++) {
        l7s_slot_t *slot = l7s_table_find(table(), key_of(number));
        assert_non_null(slot);
        uint64_t taken = shared->taken[number];
        uint64_t fresh = l7s_bucket_fresh(&rate, now.mono_us);
        assert_int_equal(slot->pending, taken);
        assert_true(slot->tat - fresh == taken * rate.period_us);
    }
    assert_int_equal(shared->stats.claimed, KEYS);
    assert_int_equal(shared->stats.evicted_idle + shared->stats.evicted_live, 0);
    assert_int_equal(shared->stats.overflowed, 0);
    assert_no_duplicates_and_nothing_busy();
    assert_books_balance();
}

#define ROUNDS 100
#define PER_ROUND 8

/* All workers claim the same new keys at the same moment, round after round. */
static void claim_together(uint64_t worker)
{
    for (uint64_t round = 0; round < ROUNDS; round++) {
        pthread_barrier_wait(&shared->barrier);
        for (uint64_t i = 0; i < PER_ROUND; i++) {
            uint64_t first = worker % 2 ? i : PER_ROUND - 1 - i;
            take(round * PER_ROUND + first, 1);
        }
    }
}

static void test_claim_same_key_at_once_gives_one_slot(void **state)
{
    (void)state;
    run_everywhere(claim_together);
    assert_int_equal(shared->failures, 0);
    for (uint64_t number = 0; number < ROUNDS * PER_ROUND; number++) {
        assert_int_equal(copies(key_of(number)), 1);
        assert_int_equal(l7s_table_find(table(), key_of(number))->pending, WORKERS);
    }
    assert_no_duplicates_and_nothing_busy();
    assert_books_balance();
}

/* 1,024 keys over their limit are used on while a flood of keys that are seen once tears
 * at every bucket and the sync process releases what drained. */
static void use_and_flood(uint64_t worker)
{
    uint64_t seed = worker + 100;
    for (int i = 0; i < TAKES; i++) {
        if (worker == 0 && i % 64 == 0) {
            l7s_slot_t *slot = &shared->slots[seeded_below(&seed, SLOTS)];
            l7s_hash128_t key = l7s_slot_key(slot);
            if (key.lo != 0 && slot->episode == 0) {
                l7s_table_release(table(), slot, key);
            }
        }
        if (i % 4 == 0) {
            take(seeded_below(&seed, KEYS), 1);
        } else {
            l7s_hash128_t once = {seeded_next(&seed), seeded_next(&seed)};
            l7s_table_claim(table(), once, LIMIT + 1, &rate, now);
        }
    }
}

static void test_claim_flood_of_keys_evicts_only_what_it_may(void **state)
{
    (void)state;
    for (uint64_t number = 0; number < KEYS; number++) {
        take(number, 1);
        l7s_table_find(table(), key_of(number))->episode = 1;
    }
    run_everywhere(use_and_flood);
    assert_int_equal(shared->failures, 0);
    for (uint64_t number = 0; number < KEYS; number++) {
        assert_int_equal(copies(key_of(number)), 1);
        assert_int_equal(l7s_table_find(table(), key_of(number))->pending,
                         shared->taken[number]);
    }
    assert_true(shared->stats.evicted_idle > TAKES);
    assert_int_equal(shared->stats.evicted_live, 0);
    assert_no_duplicates_and_nothing_busy();
    assert_books_balance();
}

/* Claims without end, until it is killed; few buckets, so that it is mostly claiming. */
static void claim_until_killed(uint64_t seed)
{
    atomic_fetch_add(&shared->started, 1);
    for (;;) {
        l7s_hash128_t key = {seeded_next(&seed), seeded_below(&seed, 1000)};
        l7s_table_claim(table(), key, LIMIT, &rate, now);
    }
}

static void kill_one_in_the_middle(uint64_t seed)
{
    uint32_t before = shared->started;
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        claim_until_killed(seed);
    }
    while (shared->started == before) {
        sched_yield();
    }
    uint64_t claims = shared->stats.tickets + seeded_below(&seed, 2000);
    while (shared->stats.tickets < claims) {
        sched_yield();
    }
    kill(pid, SIGKILL);
    assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_sweep_after_kills_leaves_no_slot_busy(void **state)
{
    (void)state;
    l7s_cell_watch_t watch = {0};
    uint32_t busy = 0, freed = 0;
    for (uint64_t i = 0; i < 100; i++) {
        kill_one_in_the_middle(i);
    }
    for (uint32_t i = 0; i < SLOTS; i++) {
        busy +=
            shared->slots[i].key_lo != 0 && shared->slots[i].key_lo < L7S_CELL_TICKETS;
    }
    freed += l7s_table_sweep(table(), 0, SLOTS, &watch, NULL, NULL);
    assert_int_equal(freed, 0);
    freed += l7s_table_sweep(table(), 0, SLOTS, &watch, NULL, NULL);
    assert_int_equal(freed, busy);
    print_message("%u of 100 kills hit a claim\n", busy);
    assert_no_duplicates_and_nothing_busy();
}

/* Killed for certain between acquiring and publishing, at either stage. */
static void test_claim_after_death_of_claimer_goes_on(void **state)
{
    (void)state;
    for (uint64_t stage = 0; stage < 2; stage++) {
        l7s_hash128_t key = key_of(stage);
        l7s_slot_t *probe = l7s_table_claim(table(), key, LIMIT, &rate, now);
        assert_non_null(probe);
        assert_true(l7s_table_release(table(), probe, key));
        pid_t pid = fork();
        if (pid == 0) {
            uint64_t ticket;
            l7s_cell_acquire((l7s_cell_t *)probe, 0, &shared->stats.tickets, &ticket);
            probe->key_hi = key.hi;
            probe->key_lo = ticket | stage;
            raise(SIGKILL);
        }
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        /* Nobody waits for the sweep. */
        l7s_slot_t *slot = l7s_table_claim(table(), key, LIMIT, &rate, now);
        assert_non_null(slot);
        assert_int_equal(copies(key), 1);
    }
    l7s_cell_watch_t watch = {0};
    l7s_table_sweep(table(), 0, SLOTS, &watch, NULL, NULL);
    assert_int_equal(l7s_table_sweep(table(), 0, SLOTS, &watch, NULL, NULL), 1);
    assert_no_duplicates_and_nothing_busy();
}

/* The tick beside the workers: what it takes from pending and what is left is all. */
static _Atomic uint64_t pushed;

static bool push(void *context, uint32_t index, l7s_slot_t *slot)
{
    (void)context;
    (void)index;
    atomic_fetch_add(&pushed, atomic_exchange(&slot->pending, 0));
    return false;
}

static void *take_in_thread(void *argument)
{
    take_at_random((uint64_t)(uintptr_t)argument);
    return NULL;
}

static void test_visit_dirty_beside_workers_loses_no_token(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    pushed = 0;
    for (uintptr_t i = 0; i < THREADS; i++) {
        pthread_create(&threads[i], NULL, take_in_thread, (void *)i);
    }
    for (int i = 0; i < 200; i++) {
        l7s_table_visit_dirty(table(), push, NULL);
        sched_yield();
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    l7s_table_visit_dirty(table(), push, NULL);
    uint64_t taken = 0;
    for (uint64_t number = 0; number < KEYS; number++) {
        taken += shared->taken[number];
    }
    assert_int_equal(pushed, taken);
    assert_int_equal(shared->failures, 0);
    for (uint32_t word = 0; word < SLOTS / 64; word++) {
        assert_true(shared->dirty[word] == 0);
    }
}

#define SHARED(test) cmocka_unit_test_setup_teardown(test, create, destroy)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHARED(test_take_many_workers_every_token_is_in_the_books),
        SHARED(test_claim_same_key_at_once_gives_one_slot),
        SHARED(test_claim_flood_of_keys_evicts_only_what_it_may),
        SHARED(test_sweep_after_kills_leaves_no_slot_busy),
        SHARED(test_claim_after_death_of_claimer_goes_on),
        SHARED(test_visit_dirty_beside_workers_loses_no_token),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
