/* SPDX-License-Identifier: Apache-2.0
 *
 * The mailbox under threads and processes: everybody gets the answer to his own question,
 * nobody waits beyond the deadline, and whoever is killed leaves nothing behind for good.
 */
#include "../../core/segment/mailbox.h"
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
#include <time.h>
#include <unistd.h>

#define PROCESSES 4
#define THREADS 4
#define ROUNDS 1000
#define MANY_WORKERS 1024
#define SECOND_US 1000000ULL
/* What ends by itself ends long before this, on a busy machine, too. */
#define PATIENCE_US (20 * SECOND_US)

/* What all processes share. */
typedef struct {
    l7s_mailbox_head_t head;
    l7s_mailbox_cell_t cells[L7S_MAILBOX_CELLS];
    _Atomic uint64_t answered, missed, wrong;
    _Atomic uint32_t stop;
} shared_t;

static shared_t *shared;
static l7s_mailbox_t mailbox;

static uint64_t now_us(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int create(void **state)
{
    (void)state;
    shared = mmap(NULL, sizeof *shared, PROT_READ | PROT_WRITE,
                  MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    mailbox = (l7s_mailbox_t){.head = &shared->head, .cells = shared->cells};
    return shared == MAP_FAILED ? -1 : 0;
}

static int destroy(void **state)
{
    (void)state;
    return munmap(shared, sizeof *shared);
}

static int reset(void **state)
{
    (void)state;
    memset(shared, 0, sizeof *shared);
    l7s_mailbox_set_role(&mailbox, L7S_MAILBOX_SERVING);
    return 0;
}

static l7s_strict_question_t question_of(uint64_t number, uint64_t wait_us)
{
    return (l7s_strict_question_t){
        .deadline_us = now_us() + wait_us,
        .cost = 1,
        .count = 2,
        .limits = {{.key = {number, ~number}, .rate = {10, 20, SECOND_US}, .used = 1},
                   {.key = {~number, number}, .rate = {30, 40, SECOND_US}, .used = 2}}};
}

static l7s_strict_verdict_t ask(l7s_strict_question_t *question, uint32_t workers)
{
    return l7s_mailbox_ask(&mailbox, question, getpid(), workers, now_us());
}

static unsigned cells_in_use(void)
{
    unsigned used = 0;
    for (unsigned i = 0; i < L7S_MAILBOX_CELLS; i++) {
        used += atomic_load(&shared->cells[i].owner) != 0;
    }
    return used;
}

/* Waits up to a second for one question. */
static bool take_one(l7s_mail_t *mail)
{
    for (unsigned i = 0; i < 100; i++) {
        uint32_t bell = l7s_mailbox_bell(&mailbox), cursor = 0;
        if (l7s_mailbox_take(&mailbox, &cursor, mail)) {
            return true;
        }
        l7s_mailbox_sleep(&mailbox, bell, 10000);
    }
    return false;
}

/* A worker in a thread. */
typedef struct {
    pthread_t thread;
    l7s_strict_question_t question;
    l7s_strict_verdict_t verdict;
    uint32_t workers;
    uint64_t took_us;
} worker_t;

static void *run_worker(void *argument)
{
    worker_t *worker = argument;
    uint64_t began = now_us();
    worker->verdict = ask(&worker->question, worker->workers);
    worker->took_us = now_us() - began;
    return NULL;
}

static void start_worker(worker_t *worker, uint64_t number, uint64_t wait_us,
                         uint32_t workers)
{
    worker->question = question_of(number, wait_us);
    worker->workers = workers;
    assert_int_equal(pthread_create(&worker->thread, NULL, run_worker, worker), 0);
}

static void end_worker(worker_t *worker)
{
    pthread_join(worker->thread, NULL);
}

/* --- roles --- */

static void test_mailbox_ask_nobody_serves_returns_at_once(void **state)
{
    (void)state;
    l7s_strict_question_t question = question_of(1, PATIENCE_US);
    uint64_t began = now_us();

    l7s_mailbox_set_role(&mailbox, L7S_MAILBOX_CLOSED);
    assert_int_equal(ask(&question, 8), L7S_STRICT_MISSED);
    l7s_mailbox_set_role(&mailbox, L7S_MAILBOX_ALONE);
    assert_int_equal(ask(&question, 8), L7S_STRICT_ALONE);
    l7s_mailbox_set_role(&mailbox, L7S_MAILBOX_SERVING);
    question.deadline_us = 1;
    assert_int_equal(ask(&question, 8), L7S_STRICT_MISSED);
    assert_true(now_us() - began < PATIENCE_US / 2);
    assert_int_equal(atomic_load(&shared->head.bell), 0);
}

/* --- questions and answers --- */

static void test_mailbox_question_and_answer_arrive_whole(void **state)
{
    (void)state;
    worker_t worker;
    l7s_mail_t mail;

    start_worker(&worker, 77, PATIENCE_US, 4);
    assert_true(take_one(&mail));
    assert_memory_equal(&mail.question.limits[0], &worker.question.limits[0],
                        2 * sizeof mail.question.limits[0]);
    assert_int_equal(mail.question.count, 2);
    assert_int_equal(mail.question.cost, 1);
    mail.question.limits[0].used = 111;
    mail.question.limits[1].used = 222;
    assert_true(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_REFUSED));
    end_worker(&worker);
    assert_int_equal(worker.verdict, L7S_STRICT_REFUSED);
    assert_int_equal(worker.question.limits[0].used, 111);
    assert_int_equal(worker.question.limits[1].used, 222);
    assert_int_equal(cells_in_use(), 0);
    assert_false(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_ADMITTED));
}

static void test_mailbox_late_answer_is_not_heard_by_the_next(void **state)
{
    (void)state;
    worker_t first, second;
    l7s_mail_t late, mail;

    start_worker(&first, 1, SECOND_US / 5, 4);
    assert_true(take_one(&late));
    end_worker(&first);
    assert_int_equal(first.verdict, L7S_STRICT_MISSED);
    assert_true(first.took_us >= SECOND_US / 10 && first.took_us < PATIENCE_US);
    start_worker(&second, 2, PATIENCE_US, 4); /* one cell for four workers: the same */
    assert_true(take_one(&mail));
    assert_int_equal(mail.cell, late.cell);
    late.question.limits[0].used = 666;
    assert_false(l7s_mailbox_answer(&mailbox, &late, L7S_STRICT_ADMITTED));
    mail.question.limits[0].used = 5;
    assert_true(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_REFUSED));
    end_worker(&second);
    assert_int_equal(second.verdict, L7S_STRICT_REFUSED);
    assert_int_equal(second.question.limits[0].used, 5);
}

static void test_mailbox_ask_more_than_a_quarter_of_the_workers_do_not_wait(void **state)
{
    (void)state;
    worker_t waiting[2];
    l7s_mail_t mail[2];
    l7s_strict_question_t question = question_of(9, PATIENCE_US);
    uint64_t began = now_us();

    for (unsigned i = 0; i < 2; i++) {
        start_worker(&waiting[i], i, PATIENCE_US, 8);
        assert_true(take_one(&mail[i]));
    }
    assert_int_equal(ask(&question, 8), L7S_STRICT_MISSED);
    assert_true(now_us() - began < PATIENCE_US / 2);
    assert_int_equal(atomic_load(&shared->head.crowded), 1);
    for (unsigned i = 0; i < 2; i++) {
        assert_true(l7s_mailbox_answer(&mailbox, &mail[i], L7S_STRICT_ADMITTED));
        end_worker(&waiting[i]);
        assert_int_equal(waiting[i].verdict, L7S_STRICT_ADMITTED);
    }
}

static void test_mailbox_forget_needs_no_answer(void **state)
{
    (void)state;
    l7s_mail_t mail;

    assert_true(l7s_mailbox_forget(&mailbox, (l7s_hash128_t){7, 8}, getpid()));
    assert_true(take_one(&mail));
    assert_int_equal(mail.question.cost, 0);
    assert_int_equal(mail.question.limits[0].key.lo, 7);
    assert_int_equal(cells_in_use(), 1);
    l7s_mailbox_release(&mailbox, &mail);
    assert_int_equal(cells_in_use(), 0);
    l7s_mailbox_set_role(&mailbox, L7S_MAILBOX_ALONE);
    assert_false(l7s_mailbox_forget(&mailbox, (l7s_hash128_t){7, 8}, getpid()));
}

/* --- the breaker --- */

static void test_mailbox_breaker_opens_after_three_and_lets_one_probe(void **state)
{
    (void)state;
    l7s_strict_question_t question = {0};

    for (unsigned i = 0; i < 3; i++) {
        question = question_of(i, 1000);
        assert_int_equal(ask(&question, 4), L7S_STRICT_MISSED);
    }
    assert_int_equal(atomic_load(&shared->head.pause_ms), 100);
    uint32_t bell = l7s_mailbox_bell(&mailbox);
    question = question_of(3, SECOND_US);
    assert_int_equal(ask(&question, 4), L7S_STRICT_MISSED);
    assert_int_equal(l7s_mailbox_bell(&mailbox), bell); /* it did not even ask */

    static const uint32_t pauses_ms[] = {200, 400, 800, 1600, 2000, 2000};
    for (unsigned i = 0; i < 6; i++) { /* each probe that fails makes the rest longer */
        atomic_store(&shared->head.open_until_us, 1);
        question = question_of(i, 1000);
        assert_int_equal(ask(&question, 4), L7S_STRICT_MISSED);
        assert_int_equal(l7s_mailbox_bell(&mailbox), ++bell);
        assert_int_equal(atomic_load(&shared->head.pause_ms), pauses_ms[i]);
    }

    worker_t probe;
    l7s_mail_t mail;
    atomic_store(&shared->head.open_until_us, 1);
    start_worker(&probe, 10, PATIENCE_US, 4);
    assert_true(take_one(&mail) || take_one(&mail));
    question = question_of(11, SECOND_US);
    assert_int_equal(ask(&question, MANY_WORKERS), L7S_STRICT_MISSED); /* one probe */
    assert_true(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_ADMITTED));
    end_worker(&probe);
    assert_int_equal(probe.verdict, L7S_STRICT_ADMITTED);
    assert_int_equal(atomic_load(&shared->head.late), 0);
    assert_int_equal(atomic_load(&shared->head.pause_ms), 0);
}

/* --- who is killed --- */

static void test_mailbox_worker_killed_while_waiting_leaves_its_cell(void **state)
{
    (void)state;
    l7s_mail_t mail;
    pid_t child = fork();

    if (child == 0) {
        l7s_strict_question_t question = question_of(5, 60 * SECOND_US);
        (void)ask(&question, 4);
        _exit(0);
    }
    assert_true(take_one(&mail));
    assert_int_equal(l7s_mailbox_sweep(&mailbox), 0);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(cells_in_use(), 1);
    assert_int_equal(l7s_mailbox_sweep(&mailbox), 1);
    assert_int_equal(cells_in_use(), 0);
    assert_false(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_ADMITTED));
    worker_t worker;
    start_worker(&worker, 6, PATIENCE_US, 4);
    assert_true(take_one(&mail));
    assert_true(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_ADMITTED));
    end_worker(&worker);
    assert_int_equal(worker.verdict, L7S_STRICT_ADMITTED);
}

static void test_mailbox_server_killed_with_questions_costs_their_deadline(void **state)
{
    (void)state;
    worker_t worker;
    pid_t server = fork();

    if (server == 0) {
        l7s_mail_t mail;
        atomic_store(&shared->answered, take_one(&mail) || take_one(&mail));
        pause();
        _exit(0);
    }
    start_worker(&worker, 1, 2 * SECOND_US, 4);
    while (atomic_load(&shared->answered) == 0) {
        usleep(1000);
    }
    kill(server, SIGKILL);
    waitpid(server, NULL, 0);
    end_worker(&worker);
    assert_int_equal(worker.verdict, L7S_STRICT_MISSED);
    assert_true(worker.took_us < PATIENCE_US);
    assert_int_equal(cells_in_use(), 0);
    l7s_mail_t mail; /* its successor finds an empty mailbox, and new mail */
    uint32_t cursor = 0;
    assert_false(l7s_mailbox_take(&mailbox, &cursor, &mail));
    start_worker(&worker, 2, PATIENCE_US, 4);
    assert_true(take_one(&mail));
    assert_true(l7s_mailbox_answer(&mailbox, &mail, L7S_STRICT_ADMITTED));
    end_worker(&worker);
    assert_int_equal(worker.verdict, L7S_STRICT_ADMITTED);
}

/* --- many --- */

/* Answers everything with something that only this question's answer can be. Sleeps for
 * long when there is nothing: a lost wake-up would be a missed deadline. */
static void *serve(void *unused)
{
    (void)unused;
    while (atomic_load(&shared->stop) == 0) {
        uint32_t bell = l7s_mailbox_bell(&mailbox), cursor = 0;
        l7s_mail_t mail;
        while (l7s_mailbox_take(&mailbox, &cursor, &mail)) {
            mail.question.limits[0].used = mail.question.limits[0].key.lo * 3;
            mail.question.limits[1].used = mail.question.limits[1].key.hi * 5;
            (void)l7s_mailbox_answer(&mailbox, &mail,
                                     mail.question.limits[0].key.lo % 2
                                         ? L7S_STRICT_ADMITTED
                                         : L7S_STRICT_REFUSED);
        }
        l7s_mailbox_sleep(&mailbox, bell, 60 * SECOND_US);
    }
    return NULL;
}

static void *ask_many(void *argument)
{
    uint64_t base = *(uint64_t *)argument * ROUNDS;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        l7s_strict_question_t question = question_of(base + i, 30 * SECOND_US);
        l7s_strict_verdict_t verdict = ask(&question, MANY_WORKERS);
        bool right =
            question.limits[0].used == (base + i) * 3 &&
            question.limits[1].used == (base + i) * 5 &&
            verdict == ((base + i) % 2 ? L7S_STRICT_ADMITTED : L7S_STRICT_REFUSED);
        atomic_fetch_add(verdict == L7S_STRICT_MISSED ? &shared->missed
                         : right                      ? &shared->answered
                                                      : &shared->wrong,
                         1);
    }
    return NULL;
}

static void ask_in_threads(uint64_t process)
{
    pthread_t threads[THREADS];
    uint64_t numbers[THREADS];
    for (uint64_t i = 0; i < THREADS; i++) {
        numbers[i] = 1 + process * THREADS + i;
        pthread_create(&threads[i], NULL, ask_many, &numbers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
}

static void assert_all_answered(uint64_t count)
{
    assert_int_equal(atomic_load(&shared->wrong), 0);
    assert_int_equal(atomic_load(&shared->missed), 0);
    assert_int_equal(atomic_load(&shared->answered), count);
    assert_int_equal(cells_in_use(), 0);
}

static void stop_server(pthread_t server)
{
    atomic_store(&shared->stop, 1);
    l7s_mailbox_ring(&mailbox);
    pthread_join(server, NULL);
}

static void test_mailbox_threads_each_get_their_own_answer(void **state)
{
    (void)state;
    pthread_t server;
    pthread_create(&server, NULL, serve, NULL);
    ask_in_threads(0);
    stop_server(server);
    assert_all_answered(THREADS * ROUNDS);
}

static void test_mailbox_processes_each_get_their_own_answer(void **state)
{
    (void)state;
    pid_t children[PROCESSES];
    pthread_t server;
    for (unsigned i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            ask_in_threads(i);
            _exit(0);
        }
    }
    pthread_create(&server, NULL, serve, NULL);
    for (unsigned i = 0; i < PROCESSES; i++) {
        int status = 0;
        waitpid(children[i], &status, 0);
        assert_int_equal(status, 0);
    }
    stop_server(server);
    assert_all_answered(PROCESSES * THREADS * ROUNDS);
}

/* Deadlines as short as an answer takes: both ends of the race are met, and each worker
 * hears its own answer or none. */
static void *ask_in_a_hurry(void *argument)
{
    uint64_t base = *(uint64_t *)argument * ROUNDS;
    for (uint64_t i = 0; i < ROUNDS; i++) {
        l7s_strict_question_t question = question_of(base + i, i % 60);
        l7s_strict_verdict_t verdict = ask(&question, 8);
        atomic_store(&shared->head.late, 0); /* without the breaker */
        if (verdict != L7S_STRICT_MISSED && question.limits[0].used != (base + i) * 3) {
            atomic_fetch_add(&shared->wrong, 1);
        }
    }
    return NULL;
}

static void test_mailbox_races_of_deadline_and_answer_mix_up_nothing(void **state)
{
    (void)state;
    pthread_t server, threads[THREADS];
    uint64_t numbers[THREADS];
    pthread_create(&server, NULL, serve, NULL);
    for (uint64_t i = 0; i < THREADS; i++) {
        numbers[i] = i + 1;
        pthread_create(&threads[i], NULL, ask_in_a_hurry, &numbers[i]);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    stop_server(server);
    assert_int_equal(atomic_load(&shared->wrong), 0);
    assert_int_equal(cells_in_use(), 0);
}

/* --- figures --- */

static void test_mailbox_waited_fills_the_histogram(void **state)
{
    (void)state;
    static const uint64_t waits_us[] = {0, 100, 101, 5000, 5001, 20001, 1000000};
    static const uint64_t expected[L7S_WAIT_BUCKETS] = {2, 1, 0, 0, 0, 1, 1, 0, 2};

    for (unsigned i = 0; i < sizeof waits_us / sizeof *waits_us; i++) {
        l7s_mailbox_waited(&shared->head, waits_us[i]);
    }
    for (unsigned i = 0; i < L7S_WAIT_BUCKETS; i++) {
        assert_int_equal(atomic_load(&shared->head.waits[i]), expected[i]);
    }
    assert_int_equal(atomic_load(&shared->head.waited_us), 1030203);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_mailbox_ask_nobody_serves_returns_at_once),
        TEST(test_mailbox_question_and_answer_arrive_whole),
        TEST(test_mailbox_late_answer_is_not_heard_by_the_next),
        TEST(test_mailbox_ask_more_than_a_quarter_of_the_workers_do_not_wait),
        TEST(test_mailbox_forget_needs_no_answer),
        TEST(test_mailbox_breaker_opens_after_three_and_lets_one_probe),
        TEST(test_mailbox_worker_killed_while_waiting_leaves_its_cell),
        TEST(test_mailbox_server_killed_with_questions_costs_their_deadline),
        TEST(test_mailbox_threads_each_get_their_own_answer),
        TEST(test_mailbox_processes_each_get_their_own_answer),
        TEST(test_mailbox_races_of_deadline_and_answer_mix_up_nothing),
        TEST(test_mailbox_waited_fills_the_histogram),
    };
    return cmocka_run_group_tests(tests, create, destroy);
}
