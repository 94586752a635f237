/* SPDX-License-Identifier: Apache-2.0
 *
 * The counter pipeliner: its parser on bytes, its runs against a real memcached that is
 * also stopped, killed and restarted, and against a server that answers nonsense.
 */
#include "../../core/bus/meta.h"
#include "../../core/bus/meta_reply.h"
#include "memcached_server.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUDGET_MS 2000 /* ample: only tests of silence use it up */
#define SHORT_MS 60

/* ---- parser ---- */

static void test_reply_parse_every_form_gives_kind_and_value(void **state)
{
    (void)state;
    static const struct {
        const char *bytes;
        sync_reply_t reply;
        size_t used;
        sync_value_t value;
    } cases[] = {
        {"", SYNC_REPLY_MORE, 0, {0, 0}},
        {"V", SYNC_REPLY_MORE, 0, {0, 0}},
        {"VA ", SYNC_REPLY_MORE, 0, {0, 0}},
        {"VA 1", SYNC_REPLY_MORE, 0, {0, 0}},
        {"VA 1 t", SYNC_REPLY_MORE, 0, {0, 0}},
        {"VA 1 t30", SYNC_REPLY_MORE, 0, {0, 30}},
        {"VA 1 t30\r", SYNC_REPLY_MORE, 0, {0, 30}},
        {"VA 1 t30\r\n", SYNC_REPLY_MORE, 0, {0, 30}},
        {"VA 1 t30\r\n5\r", SYNC_REPLY_MORE, 0, {0, 30}},
        {"VA 1 t30\r\n5\r\n", SYNC_REPLY_VALUE, 13, {5, 30}},
        {"VA 1 t0\r\n5\r\nVA 1 t9\r\n6\r\n", SYNC_REPLY_VALUE, 12, {5, 0}},
        {"VA 3 t7\r\n9  \r\n", SYNC_REPLY_VALUE, 14, {9, 7}},
        {"VA 20 t2592000\r\n18446744073709551615\r\n",
         SYNC_REPLY_VALUE,
         38,
         {UINT64_MAX, 2592000}},
        {"VA 20 t1\r\n18446744073709551616\r\n", SYNC_REPLY_BAD, 0, {0, 1}},
        {"VA 21 t1\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 0 t1\r\n\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 01 t1\r\n5\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 123", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA -1\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA x\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 1\r\n5\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 1 s1\r\n5\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 1 t-1\r\n5\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"VA 1 t12345678901\r\n", SYNC_REPLY_BAD, 0, {0, 1234567890}},
        {"VA 1 t1\rx", SYNC_REPLY_BAD, 0, {0, 1}},
        {"VA 1 t1\r\nx\r\n", SYNC_REPLY_BAD, 0, {0, 1}},
        {"VA 2 t1\r\n5x\r\n", SYNC_REPLY_BAD, 0, {0, 1}},
        {"VA 2 t1\r\n 5\r\n", SYNC_REPLY_BAD, 0, {0, 1}},
        {"VA 1 t1\r\n55\r\n", SYNC_REPLY_BAD, 0, {0, 1}},
        {"E", SYNC_REPLY_MORE, 0, {0, 0}},
        {"EN\r\n", SYNC_REPLY_MISS, 4, {0, 0}},
        {"EN\r\nEN\r\n", SYNC_REPLY_MISS, 4, {0, 0}},
        {"MN\r", SYNC_REPLY_MORE, 0, {0, 0}},
        {"MN\r\n", SYNC_REPLY_NOOP, 4, {0, 0}},
        {"END\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"HD\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"NS\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
        {"SERVER_ERROR out of memory\r\n", SYNC_REPLY_BAD, 0, {0, 0}},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        /* A copy of the exact size lets the sanitizer see a read too far. */
        size_t size = strlen(cases[i].bytes), used = 0;
        sync_value_t value = {0, 0};
        char *bytes = malloc(size + 1);
        memcpy(bytes, cases[i].bytes, size);
        char *exact = realloc(bytes, size > 0 ? size : 1);
        assert_int_equal(sync_reply_parse(exact, size, &used, &value), cases[i].reply);
        assert_int_equal(used, cases[i].used);
        if (cases[i].reply == SYNC_REPLY_VALUE) {
            assert_int_equal(value.number, cases[i].value.number);
            assert_int_equal(value.left_s, cases[i].value.left_s);
        }
        free(exact);
    }
}

static void test_reply_parse_random_bytes_stays_bounded(void **state)
{
    (void)state;
    static const char alphabet[] = "VAEN M0123459\r\n -xt";
    uint64_t random = 1;
    for (int round = 0; round < 100000; round++) {
        char bytes[SYNC_REPLY_MAX];
        for (size_t i = 0; i < sizeof bytes; i++) {
            random = random * 6364136223846793005ULL + 1442695040888963407ULL;
            bytes[i] = alphabet[(random >> 33) % (sizeof alphabet - 1)];
        }
        if (round % 2 == 0) {
            memcpy(bytes, "VA ", 3);
        }
        size_t used = 0;
        sync_value_t value;
        sync_reply_t reply = sync_reply_parse(bytes, sizeof bytes, &used, &value);
        assert_int_not_equal(reply, SYNC_REPLY_MORE); /* so many say it all */
        assert_true(used <= sizeof bytes);
    }
}

/* ---- creation ---- */

static void test_meta_create_checks_addresses(void **state)
{
    (void)state;
    static const struct {
        const char *server;
        l7s_status_t status;
    } cases[] = {
        {"127.0.0.1:11211", L7S_OK},
        {"[::1]:11211", L7S_OK},
        {"localhost:11211", L7S_INVALID},
        {"127.0.0.1", L7S_INVALID},
        {":11211", L7S_INVALID},
        {"127.0.0.1:http", L7S_INVALID},
        {"", L7S_INVALID},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_meta_t *meta = NULL;
        assert_int_equal(l7s_meta_create(&cases[i].server, 1, &meta), cases[i].status);
        assert_int_equal(meta != NULL, cases[i].status == L7S_OK);
        l7s_meta_free(meta);
    }
    l7s_meta_t *meta = NULL;
    assert_int_equal(l7s_meta_create(NULL, 0, &meta), L7S_INVALID);
}

/* ---- runs against memcached ---- */

static l7s_meta_t *make_meta(const char *first, const char *second)
{
    const char *servers[2] = {first, second};
    l7s_meta_t *meta = NULL;
    assert_int_equal(l7s_meta_create(servers, second ? 2 : 1, &meta), L7S_OK);
    return meta;
}

static l7s_meta_op_t make_op(const char *key, uint32_t server, uint64_t delta)
{
    l7s_meta_op_t op = {.server = server, .delta = delta, .ttl = 60};
    snprintf(op.key, sizeof op.key, "%s", key);
    return op;
}

static void test_meta_run_pushes_add_up_and_reads_do_not(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(server.address, NULL);
    assert_false(l7s_meta_up(meta, 0));
    l7s_meta_op_t ops[] = {make_op("a", 0, 0), make_op("a", 0, 5), make_op("a", 0, 7),
                           make_op("a", 0, 0), make_op("b", 0, UINT32_MAX)};
    l7s_meta_run(meta, ops, 5, BUDGET_MS, 0);
    assert_int_equal(ops[0].status, L7S_META_NOT_FOUND);
    assert_int_equal(ops[1].status, L7S_META_OK);
    assert_int_equal(ops[1].value, 5);
    assert_int_equal(ops[2].value, 12);
    assert_int_equal(ops[3].status, L7S_META_OK);
    assert_int_equal(ops[3].value, 12);
    assert_in_range(ops[1].left_s, 1, 60); /* nobody knows the number much longer */
    assert_in_range(ops[3].left_s, 1, 60);
    assert_int_equal(ops[4].value, UINT32_MAX);
    assert_true(l7s_meta_up(meta, 0));
    char answer[64];
    memcached_server_ask(&server, "mg a v t\r\n", answer, sizeof answer);
    assert_memory_equal(answer, "VA 2 t", 6); /* it has a time to live */
    assert_memory_not_equal(answer, "VA 2 t-1", 8);
    l7s_meta_free(meta);
    memcached_server_kill(&server);
}

/* Shares of failing answers use both halves; more of them than one buffer takes. */
static void test_meta_run_numbers_have_64_bits(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    memcached_server_t server = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(server.address, NULL);
    l7s_meta_op_t *ops = calloc(COUNT, sizeof *ops);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[L7S_COUNTER_NAME];
        snprintf(key, sizeof key, "e%021u", i / 2);
        ops[i] = make_op(key, 0, (uint64_t)INT64_MAX - i / 2);
        ops[i].ttl = 2592000;
        ops[i].seed = i % 2 == 0 ? (uint64_t)1 << 63 : 0;
    }
    l7s_meta_run(meta, ops, COUNT, 20000, 0);
    for (unsigned i = 0; i < COUNT; i += 2) {
        assert_int_equal(ops[i + 1].status, L7S_META_OK);
        assert_true(ops[i].value == (uint64_t)1 << 63);
        assert_true(ops[i + 1].value == UINT64_MAX - i / 2);
    }
    free(ops);
    l7s_meta_free(meta);
    memcached_server_kill(&server);
}

static void test_meta_run_many_operations_pass_the_buffers(void **state)
{
    (void)state;
    enum { COUNT = 60000 };
    memcached_server_t servers[2] = {memcached_server_start(0),
                                     memcached_server_start(0)};
    l7s_meta_t *meta = make_meta(servers[0].address, servers[1].address);
    l7s_meta_op_t *ops = calloc(COUNT, sizeof *ops);
    for (unsigned round = 1; round <= 2; round++) {
        for (unsigned i = 0; i < COUNT; i++) {
            char key[L7S_COUNTER_NAME];
            snprintf(key, sizeof key, "c%022u", i);
            ops[i] = make_op(key, (i / 3) % 2, 1 + i % 9);
        }
        l7s_meta_run(meta, ops, COUNT, 20000, round * 100);
        for (unsigned i = 0; i < COUNT; i++) {
            assert_int_equal(ops[i].status, L7S_META_OK);
            assert_int_equal(ops[i].value, round * (1 + i % 9));
        }
    }
    free(ops);
    l7s_meta_free(meta);
    memcached_server_kill(&servers[0]);
    memcached_server_kill(&servers[1]);
}

/* More than fits the time is not a failure of the server: it is left for later, and
 * nothing is in doubt. */
static void
test_meta_run_too_many_operations_end_in_time_and_leave_none_in_doubt(void **state)
{
    (void)state;
    enum { COUNT = 1000000 };
    memcached_server_t server = memcached_server_start(0);
    l7s_meta_t *meta = NULL;
    l7s_meta_op_t *ops = calloc(COUNT, sizeof *ops);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[L7S_COUNTER_NAME];
        snprintf(key, sizeof key, "d%022u", i % 50000);
        ops[i] = make_op(key, 0, 1);
    }
    /* A busy machine may stop the server just when the time is up: not each time. */
    for (unsigned attempt = 0; attempt == 0 || !l7s_meta_up(meta, 0); attempt++) {
        assert_true(attempt < 10);
        l7s_meta_free(meta);
        meta = make_meta(server.address, NULL);
        l7s_meta_run(meta, ops, 1, BUDGET_MS, 0); /* connected and greeted */
        l7s_meta_run(meta, ops, COUNT, 120, 1000);
    }
    unsigned done = 0;
    while (done < COUNT && ops[done].status == L7S_META_OK) {
        done++;
    }
    assert_in_range(done, 1, COUNT - 1);
    for (unsigned i = done; i < COUNT; i++) {
        assert_int_equal(ops[i].status, L7S_META_FAILED);
    }
    l7s_meta_op_t next = ops[done];
    l7s_meta_run(meta, &next, 1, BUDGET_MS, 1001); /* on the same connection, at once */
    assert_int_equal(next.status, L7S_META_OK);
    free(ops);
    l7s_meta_free(meta);
    memcached_server_kill(&server);
}

static void test_meta_run_bad_operations_fail_alone(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(server.address, NULL);
    l7s_meta_op_t ops[] = {make_op("a b", 0, 1), make_op("ok", 0, 1),
                           make_op("", 0, 1),    make_op("a\r\nmn", 0, 1),
                           make_op("x", 1, 1),   make_op("x", 99, 1),
                           make_op("ok", 0, 1)};
    memset(ops[2].key, 'k', sizeof ops[2].key); /* not terminated */
    l7s_meta_run(meta, ops, 7, BUDGET_MS, 0);
    static const l7s_meta_status_t want[] = {
        L7S_META_FAILED, L7S_META_OK,     L7S_META_FAILED, L7S_META_FAILED,
        L7S_META_FAILED, L7S_META_FAILED, L7S_META_OK};
    for (size_t i = 0; i < 7; i++) {
        assert_int_equal(ops[i].status, want[i]);
    }
    assert_int_equal(ops[6].value, 2);
    l7s_meta_free(meta);
    memcached_server_kill(&server);
}

static void test_meta_run_without_operations_does_nothing(void **state)
{
    (void)state;
    l7s_meta_t *meta = make_meta("127.0.0.1:1", NULL);
    l7s_meta_run(meta, NULL, 0, BUDGET_MS, 0);
    assert_false(l7s_meta_up(meta, 0));
    l7s_meta_free(meta);
}

static void test_meta_run_dead_server_fails_until_breaker_probes(void **state)
{
    (void)state;
    memcached_server_t dead = memcached_server_start(0), live = memcached_server_start(0);
    int port = dead.port;
    memcached_server_kill(&dead);
    l7s_meta_t *meta = make_meta(dead.address, live.address);
    l7s_meta_op_t ops[] = {make_op("a", 0, 1), make_op("b", 1, 1)};
    l7s_meta_run(meta, ops, 2, BUDGET_MS, 1000);
    assert_int_equal(ops[0].status, L7S_META_FAILED);
    assert_int_equal(ops[1].status, L7S_META_OK);
    assert_false(l7s_meta_up(meta, 0));
    assert_true(l7s_meta_up(meta, 1));

    dead = memcached_server_start(port);
    l7s_meta_run(meta, ops, 2, BUDGET_MS, 1099); /* still resting */
    assert_int_equal(ops[0].status, L7S_META_FAILED);
    l7s_meta_run(meta, ops, 2, BUDGET_MS, 1100);
    assert_int_equal(ops[0].status, L7S_META_OK);
    assert_int_equal(ops[0].value, 1);
    assert_int_equal(ops[1].value, 3);
    l7s_meta_free(meta);
    memcached_server_kill(&dead);
    memcached_server_kill(&live);
}

static void test_meta_run_server_restarted_between_runs_loses_nothing(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(server.address, NULL);
    l7s_meta_op_t op = make_op("a", 0, 3);
    l7s_meta_run(meta, &op, 1, BUDGET_MS, 0);
    assert_int_equal(op.value, 3);
    memcached_server_kill(&server);
    server = memcached_server_start(server.port);
    l7s_meta_run(meta, &op, 1, BUDGET_MS, 1);
    assert_int_equal(op.status, L7S_META_OK);
    assert_int_equal(op.value, 3); /* an empty server, and the push was not lost */
    l7s_meta_free(meta);
    memcached_server_kill(&server);
}

static void test_meta_run_hung_server_costs_one_deadline_and_no_count(void **state)
{
    (void)state;
    memcached_server_t hung = memcached_server_start(0), live = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(hung.address, live.address);
    l7s_meta_op_t ops[] = {make_op("a", 0, 1), make_op("b", 1, 1)};
    l7s_meta_run(meta, ops, 2, BUDGET_MS, 0);
    assert_int_equal(ops[0].value, 1);

    memcached_server_pause(&hung);
    unsigned long began = steady_ms();
    l7s_meta_run(meta, ops, 2, SHORT_MS, 1000);
    assert_in_range(steady_ms() - began, SHORT_MS - 5, SHORT_MS + 1000);
    assert_int_equal(ops[0].status, L7S_META_UNKNOWN); /* it left, nobody knows */
    assert_int_equal(ops[1].status, L7S_META_OK);

    began = steady_ms();
    l7s_meta_run(meta, ops, 2, BUDGET_MS, 1050); /* resting: no waiting at all */
    assert_true(steady_ms() - began < BUDGET_MS);
    assert_int_equal(ops[0].status, L7S_META_FAILED);

    /* The probe finds it hung: the kernel accepts, the no-op is not answered. */
    l7s_meta_run(meta, ops, 2, SHORT_MS, 1100);
    assert_int_equal(ops[0].status,
                     L7S_META_FAILED);          /* and nothing was entrusted to it */
    l7s_meta_run(meta, ops, 2, SHORT_MS, 1299); /* the pause has doubled */
    assert_int_equal(ops[0].status, L7S_META_FAILED);

    memcached_server_resume(&hung);
    l7s_meta_run(meta, ops, 2, BUDGET_MS, 1300);
    assert_int_equal(ops[0].status, L7S_META_OK);
    assert_int_equal(ops[0].value, 3); /* 1, the unknown one, and this one */
    assert_int_equal(ops[1].value, 6);
    l7s_meta_free(meta);
    memcached_server_kill(&hung);
    memcached_server_kill(&live);
}

static void test_meta_run_hung_server_large_batch_tells_sent_from_unsent(void **state)
{
    (void)state;
    enum { COUNT = 400000 }; /* some 20 MB: more than the sockets hold */
    memcached_server_t hung = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(hung.address, NULL);
    l7s_meta_op_t *ops = calloc(COUNT, sizeof *ops);
    for (unsigned i = 0; i < COUNT; i++) {
        char key[L7S_COUNTER_NAME];
        snprintf(key, sizeof key, "d%022u", i);
        ops[i] = make_op(key, 0, 1);
    }
    l7s_meta_run(meta, ops, 1, BUDGET_MS, 0); /* connected and greeted */
    memcached_server_pause(&hung);
    l7s_meta_run(meta, ops, COUNT, SHORT_MS, 1000);
    unsigned unknown = 0;
    while (unknown < COUNT && ops[unknown].status == L7S_META_UNKNOWN) {
        unknown++;
    }
    assert_in_range(unknown, 1, COUNT - 1);
    for (unsigned i = unknown; i < COUNT; i++) {
        assert_int_equal(ops[i].status, L7S_META_FAILED);
    }
    memcached_server_resume(&hung);
    /* What was called failed is truly absent; read it on a new connection. */
    l7s_meta_op_t read = ops[unknown];
    read.delta = 0;
    l7s_meta_run(meta, &read, 1, 10000, 5000);
    assert_int_equal(read.status, L7S_META_NOT_FOUND);
    free(ops);
    l7s_meta_free(meta);
    memcached_server_kill(&hung);
}

static void test_meta_run_breaker_doubles_to_half_a_second(void **state)
{
    (void)state;
    fake_server_t *fake = fake_server_start(false, "?\r\n", 3, true);
    l7s_meta_t *meta = make_meta(fake_server_address(fake), NULL);
    l7s_meta_op_t op = make_op("a", 0, 1);
    static const uint64_t pauses[] = {100, 200, 400, 500, 500};
    uint64_t now = 0;
    l7s_meta_run(meta, &op, 1, BUDGET_MS, now);
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        unsigned long began = steady_ms();
        l7s_meta_run(meta, &op, 1, BUDGET_MS, now + pauses[i] - 1);
        assert_true(steady_ms() - began < BUDGET_MS);
        now += pauses[i];
        l7s_meta_run(meta, &op, 1, BUDGET_MS, now);
        assert_int_equal(op.status, L7S_META_FAILED);
    }
    /* A clock that was set back does not keep it resting. */
    l7s_meta_run(meta, &op, 1, BUDGET_MS, 0);
    l7s_meta_free(meta);
    fake_server_stop(fake);
}

static void test_meta_run_garbage_closes_and_trips_the_breaker(void **state)
{
    (void)state;
    static const struct {
        bool greets;
        const char *answer;
        l7s_meta_status_t first, second;
    } cases[] = {
        {false, "MN\r\nMN\r\n", L7S_META_FAILED, L7S_META_FAILED},
        {false, "VA 1 t9\r\n5\r\n", L7S_META_FAILED, L7S_META_FAILED},
        {false, "ERROR\r\n", L7S_META_FAILED, L7S_META_FAILED},
        {true, "ERROR\r\n", L7S_META_UNKNOWN, L7S_META_UNKNOWN},
        {true, "HD\r\n", L7S_META_UNKNOWN, L7S_META_UNKNOWN},
        {true, "MN\r\n", L7S_META_UNKNOWN, L7S_META_UNKNOWN},
        {true, "EN\r\n", L7S_META_UNKNOWN, L7S_META_UNKNOWN}, /* a push cannot miss */
        {true, "VA 99999999999 t9\r\n", L7S_META_UNKNOWN, L7S_META_UNKNOWN},
        {true, "VA 1 t9\r\n5\r\nVA 1 t9\r\n", L7S_META_OK, L7S_META_UNKNOWN},
        {true, "VA 1 t9\r\n5\r\nxx", L7S_META_OK, L7S_META_UNKNOWN},
        {true, "VA 1 t9\r\n5\r\nVA 1 t9\r\n6\r\nVA 1 t9\r\n7\r\n", L7S_META_OK,
         L7S_META_OK},
        {true, "VA 1 t9\r\n5\r\nVA 1 t9\r\n6\r\nV", L7S_META_OK, L7S_META_OK},
        {true, "", L7S_META_UNKNOWN, L7S_META_UNKNOWN},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (int closes = 0; closes < 2; closes++) {
            fake_server_t *fake = fake_server_start(cases[i].greets, cases[i].answer,
                                                    strlen(cases[i].answer), closes);
            l7s_meta_t *meta = make_meta(fake_server_address(fake), NULL);
            l7s_meta_op_t ops[] = {make_op("a", 0, 1), make_op("b", 0, 1)};
            l7s_meta_run(meta, ops, 2, SHORT_MS, 0);
            assert_int_equal(ops[0].status, cases[i].first);
            assert_int_equal(ops[1].status, cases[i].second);
            assert_false(l7s_meta_up(meta, 0));
            l7s_meta_run(meta, ops, 2, SHORT_MS, 50);
            assert_int_equal(ops[0].status, L7S_META_FAILED); /* resting */
            l7s_meta_free(meta);
            fake_server_stop(fake);
        }
    }
}

static void test_meta_run_server_killed_with_batch_in_flight_ends(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    memcached_server_t server = memcached_server_start(0);
    l7s_meta_t *meta = make_meta(server.address, NULL);
    l7s_meta_op_t *ops = calloc(COUNT, sizeof *ops);
    for (unsigned i = 0; i < COUNT; i++) {
        ops[i] = make_op("k", 0, 1);
    }
    l7s_meta_run(meta, ops, 1, BUDGET_MS, 0);
    memcached_server_pause(&server); /* the batch goes out, then the server is gone */
    l7s_meta_run(meta, ops, COUNT, SHORT_MS, 100);
    memcached_server_kill(&server);
    assert_int_equal(ops[0].status, L7S_META_UNKNOWN);
    l7s_meta_run(meta, ops, COUNT, BUDGET_MS, 1000);
    assert_int_equal(ops[0].status, L7S_META_FAILED);
    assert_int_equal(ops[COUNT - 1].status, L7S_META_FAILED);
    free(ops);
    l7s_meta_free(meta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reply_parse_every_form_gives_kind_and_value),
        cmocka_unit_test(test_reply_parse_random_bytes_stays_bounded),
        cmocka_unit_test(test_meta_create_checks_addresses),
        cmocka_unit_test(test_meta_run_pushes_add_up_and_reads_do_not),
        cmocka_unit_test(test_meta_run_many_operations_pass_the_buffers),
        cmocka_unit_test(test_meta_run_numbers_have_64_bits),
        cmocka_unit_test(
            test_meta_run_too_many_operations_end_in_time_and_leave_none_in_doubt),
        cmocka_unit_test(test_meta_run_bad_operations_fail_alone),
        cmocka_unit_test(test_meta_run_without_operations_does_nothing),
        cmocka_unit_test(test_meta_run_dead_server_fails_until_breaker_probes),
        cmocka_unit_test(test_meta_run_server_restarted_between_runs_loses_nothing),
        cmocka_unit_test(test_meta_run_hung_server_costs_one_deadline_and_no_count),
        cmocka_unit_test(test_meta_run_hung_server_large_batch_tells_sent_from_unsent),
        cmocka_unit_test(test_meta_run_breaker_doubles_to_half_a_second),
        cmocka_unit_test(test_meta_run_garbage_closes_and_trips_the_breaker),
        cmocka_unit_test(test_meta_run_server_killed_with_batch_in_flight_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
