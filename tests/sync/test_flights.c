/* SPDX-License-Identifier: Apache-2.0
 *
 * The rounds of a flight, step by step: the links are this file's, so each answer of the
 * store comes when a test says so.
 */
#include "../../mod_l7shield/sync/clock.h"
#include "../../mod_l7shield/sync/flights.h"
#include "../../mod_l7shield/sync/strict_link.h"
#include "unit.h"
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define ASKERS 4
#define SECOND_US 1000000ULL

/* ---- the links ---- */

typedef struct {
    uint32_t tag;
    char command[128];
} sent_t;

static struct {
    sync_link_answer_fn answer;
    void *context;
    sent_t sent[16];
    size_t count;
    unsigned late;
    bool rests;
} net;

l7s_status_t sync_link_create(const char *server, sync_link_answer_fn answer,
                              void *context, sync_link_t **out)
{
    (void)server;
    net.answer = answer;
    net.context = context;
    *out = (sync_link_t *)&net;
    return L7S_OK;
}

void sync_link_free(sync_link_t *link)
{
    (void)link;
}

bool sync_link_ask(sync_link_t *link, uint32_t tag, const char *command, size_t size,
                   uint64_t now_us)
{
    (void)link;
    (void)now_us;
    if (net.rests || net.count == sizeof net.sent / sizeof net.sent[0]) {
        return false;
    }
    net.sent[net.count].tag = tag;
    memcpy(net.sent[net.count].command, command, size);
    net.sent[net.count++].command[size] = '\0';
    return true;
}

void sync_link_late(sync_link_t *link, uint64_t now_us)
{
    (void)link;
    (void)now_us;
    net.late++;
}

void sync_link_tend(sync_link_t *link, uint64_t now_us)
{
    (void)link;
    (void)now_us;
}

struct pollfd sync_link_pollfd(const sync_link_t *link)
{
    (void)link;
    return (struct pollfd){.fd = -1};
}

void sync_link_advance(sync_link_t *link, short events, uint64_t now_us)
{
    (void)link;
    (void)events;
    (void)now_us;
}

bool sync_link_busy(const sync_link_t *link)
{
    (void)link;
    return net.count > 0;
}

/* ---- the bench ---- */

typedef struct {
    const l7s_mailbox_t *mailbox;
    pthread_t thread;
    uint64_t wait_us;
    l7s_strict_verdict_t verdict;
} asker_t;

typedef struct {
    l7s_mailbox_head_t head;
    l7s_mailbox_cell_t cells[L7S_MAILBOX_CELLS];
    l7s_mailbox_t mailbox;
    sync_flights_t *flights;
    asker_t askers[ASKERS];
} bench_t;

static const l7s_rate_t limit = {
    .requests = 1, .burst = 1, .period_us = 3600 * SECOND_US};

static void *ask(void *context)
{
    asker_t *asker = context;
    uint64_t now_us = sync_clock_now().mono_us;
    l7s_strict_question_t question = {.deadline_us = now_us + asker->wait_us,
                                      .cost = 1,
                                      .count = 1,
                                      .limits = {{.key = {7, 1}, .rate = limit}}};

    asker->verdict = l7s_mailbox_ask(asker->mailbox, &question, getpid(), 1024, now_us);
    return NULL;
}

static void take(bench_t *bench)
{
    static const l7s_hashkey_t key = {11, 22};
    uint32_t cursor = 0;
    l7s_mail_t mail;

    while (!l7s_mailbox_take(&bench->mailbox, &cursor, &mail)) {
        cursor = 0;
    }
    sync_flights_begin(bench->flights, &key, sync_clock_now().mono_us);
    sync_flights_take(bench->flights, &mail);
}

/* A worker asks, and its question has been taken. */
static void post(bench_t *bench, unsigned number, uint64_t wait_us)
{
    asker_t *asker = &bench->askers[number];

    *asker = (asker_t){.mailbox = &bench->mailbox, .wait_us = wait_us};
    pthread_create(&asker->thread, NULL, ask, asker);
    take(bench);
}

static l7s_strict_verdict_t verdict_of(bench_t *bench, unsigned number)
{
    pthread_join(bench->askers[number].thread, NULL);
    return bench->askers[number].verdict;
}

/* The one command on the way begins so, and this is what the store says. */
static void reply(const char *command, sync_strict_kind_t kind, uint64_t tat)
{
    sync_strict_reply_t answer = {.kind = kind, .tat = tat, .cas = 5};

    assert_int_equal(net.count, 1);
    assert_memory_equal(net.sent[0].command, command, strlen(command));
    net.count = 0;
    net.answer(net.context, net.sent[0].tag, &answer);
}

static int set_up(void **state)
{
    sync_options_t options = {.server_count = 1, .servers = {"127.0.0.1:11211"}};
    bench_t *bench = aligned_alloc(64, (sizeof *bench + 63) / 64 * 64);

    memset(bench, 0, sizeof *bench);
    memset(&net, 0, sizeof net);
    bench->mailbox = (l7s_mailbox_t){.head = &bench->head, .cells = bench->cells};
    *state = bench;
    if (sync_flights_create(&bench->mailbox, &options, &bench->flights) != L7S_OK) {
        return -1;
    }
    l7s_mailbox_set_role(&bench->mailbox, L7S_MAILBOX_SERVING);
    return 0;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_flights_free(bench->flights);
    free(bench);
    return 0;
}

/* ---- tests ---- */

static void test_flights_admit_when_what_was_read_is_written(void **state)
{
    bench_t *bench = *state;

    post(bench, 0, SECOND_US);
    reply("mg s", SYNC_STRICT_ABSENT, 0);
    assert_non_null(strstr(net.sent[0].command, " ME "));
    reply("ms s", SYNC_STRICT_DONE, 0);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_ADMITTED);
    assert_int_equal(net.count, 0);
}

static void test_flights_refuse_without_a_write(void **state)
{
    bench_t *bench = *state;
    uint64_t full = sync_clock_wall_us() + 3600 * SECOND_US;

    post(bench, 0, SECOND_US);
    reply("mg s", SYNC_STRICT_VALUE, full);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_REFUSED);
    assert_int_equal(net.count, 0);
}

static void test_flights_share_one_write_in_the_order_of_arrival(void **state)
{
    bench_t *bench = *state;

    post(bench, 0, SECOND_US);
    post(bench, 1, SECOND_US);
    reply("mg s", SYNC_STRICT_ABSENT, 0); /* room for one */
    assert_int_equal(verdict_of(bench, 1), L7S_STRICT_REFUSED);
    reply("ms s", SYNC_STRICT_DONE, 0);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_ADMITTED);
}

static void test_flights_newcomers_wait_for_the_next_round(void **state)
{
    bench_t *bench = *state;
    uint64_t full = sync_clock_wall_us() + 3600 * SECOND_US;

    post(bench, 0, SECOND_US);
    reply("mg s", SYNC_STRICT_ABSENT, 0);
    post(bench, 1, SECOND_US);
    reply("ms s", SYNC_STRICT_DONE, 0);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_ADMITTED);
    reply("mg s", SYNC_STRICT_VALUE, full);
    assert_int_equal(verdict_of(bench, 1), L7S_STRICT_REFUSED);
}

static void test_flights_that_lose_three_races_are_missed(void **state)
{
    bench_t *bench = *state;

    post(bench, 0, SECOND_US);
    for (unsigned i = 0; i < 3; i++) {
        reply("mg s", SYNC_STRICT_ABSENT, 0);
        reply("ms s", SYNC_STRICT_RACED, 0);
    }
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_MISSED);
    assert_int_equal(net.count, 0);
}

static void test_flights_of_a_server_that_rests_are_missed_at_once(void **state)
{
    bench_t *bench = *state;

    net.rests = true;
    post(bench, 0, 10 * SECOND_US);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_MISSED);
}

static void test_flights_that_hear_something_else_are_broken_off(void **state)
{
    bench_t *bench = *state;

    post(bench, 0, SECOND_US);
    reply("mg s", SYNC_STRICT_DONE, 0);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_MISSED);
    post(bench, 0, SECOND_US); /* a new one */
    net.count = 0;
    net.answer(net.context, net.sent[0].tag, NULL); /* the connection broke */
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_MISSED);
}

static void test_flights_whose_time_has_passed_blame_the_server(void **state)
{
    bench_t *bench = *state;

    post(bench, 0, SECOND_US / 2); /* taken before, on a busy machine, too */
    uint64_t next_us = sync_flights_expire(bench->flights);
    assert_true(next_us < UINT64_MAX);
    sync_flights_begin(bench->flights, NULL, next_us);
    assert_int_equal(sync_flights_expire(bench->flights), UINT64_MAX);
    assert_int_equal(net.late, 1);
    assert_int_equal(verdict_of(bench, 0), L7S_STRICT_MISSED);
    reply("mg s", SYNC_STRICT_ABSENT, 0); /* too late: nobody is charged */
    assert_int_equal(net.count, 0);
}

static void test_flights_forget_a_key(void **state)
{
    bench_t *bench = *state;

    assert_true(l7s_mailbox_forget(&bench->mailbox, (l7s_hash128_t){7, 1}, getpid()));
    take(bench);
    assert_int_equal(net.count, 1);
    assert_memory_equal(net.sent[0].command, "md s", 4);
    assert_int_equal(net.sent[0].tag, SYNC_LINK_NOBODY);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_flights_admit_when_what_was_read_is_written),
        TEST(test_flights_refuse_without_a_write),
        TEST(test_flights_share_one_write_in_the_order_of_arrival),
        TEST(test_flights_newcomers_wait_for_the_next_round),
        TEST(test_flights_that_lose_three_races_are_missed),
        TEST(test_flights_of_a_server_that_rests_are_missed_at_once),
        TEST(test_flights_that_hear_something_else_are_broken_off),
        TEST(test_flights_whose_time_has_passed_blame_the_server),
        TEST(test_flights_forget_a_key),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
