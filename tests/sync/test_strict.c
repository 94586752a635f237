/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict questions against a real memcached: several nodes' threads that share one limit,
 * lose the store and find it again.
 */
#include "../../mod_l7shield/sync/strict.h"
#include "../core/memcached_server.h"
#include "unit.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define NODES 2
#define WORKERS 1024
#define SECOND_US 1000000ULL

/* ---- nodes ---- */

typedef struct {
    memcached_server_t memcached;
    l7s_mailbox_head_t heads[NODES];
    l7s_mailbox_cell_t cells[NODES][L7S_MAILBOX_CELLS];
    l7s_shared_t shared[NODES];
    sync_options_t options;
    sync_strict_t *nodes[NODES];
} fleet_t;

static l7s_rate_t limit = {.requests = 10, .burst = 20, .period_us = 3600 * SECOND_US};

static uint64_t now_us(void)
{
    return sync_clock_now().mono_us;
}

static l7s_strict_verdict_t ask_within(fleet_t *fleet, unsigned node, uint64_t key,
                                       uint64_t wait_us)
{
    l7s_strict_question_t question = {.deadline_us = now_us() + wait_us,
                                      .cost = 1,
                                      .count = 1,
                                      .limits = {{.key = {key, 1}, .rate = limit}}};

    return l7s_mailbox_ask(&fleet->shared[node].mailbox, &question, getpid(), WORKERS,
                           now_us());
}

/* Patient: the machine may be busy, and these tests are not about time. */
static l7s_strict_verdict_t ask(fleet_t *fleet, unsigned node, uint64_t key)
{
    return ask_within(fleet, node, key, SECOND_US);
}

static void wait_for_verdict(fleet_t *fleet, unsigned node)
{
    const struct timespec pause = {.tv_nsec = 20000000};

    for (unsigned i = 0; i < 250; i++) {
        if (ask(fleet, node, 1000 + i) == L7S_STRICT_ADMITTED) {
            return;
        }
        (void)nanosleep(&pause, NULL);
    }
    fail_msg("no verdict within five seconds");
}

static int set_up(void **state)
{
    static const l7s_hashkey_t key = {11, 22};
    fleet_t *fleet = aligned_alloc(64, (sizeof *fleet + 63) / 64 * 64);

    memset(fleet, 0, sizeof *fleet);
    fleet->memcached = memcached_server_start(0);
    fleet->options.servers[0] = fleet->memcached.address;
    fleet->options.server_count = 1;
    for (unsigned i = 0; i < NODES; i++) {
        fleet->shared[i].mailbox =
            (l7s_mailbox_t){.head = &fleet->heads[i], .cells = fleet->cells[i]};
        if (sync_strict_create(&fleet->shared[i], &fleet->options, &fleet->nodes[i]) !=
            L7S_OK) {
            return -1;
        }
        sync_strict_tick(fleet->nodes[i], &key, NULL, sync_clock_now());
        wait_for_verdict(fleet, i); /* it is connected */
    }
    *state = fleet;
    return 0;
}

static int tear_down(void **state)
{
    fleet_t *fleet = *state;

    for (unsigned i = 0; i < NODES; i++) {
        sync_strict_free(fleet->nodes[i]);
    }
    memcached_server_kill(&fleet->memcached);
    free(fleet);
    return 0;
}

static void test_strict_two_nodes_share_one_limit(void **state)
{
    fleet_t *fleet = *state;
    unsigned admitted = 0;

    for (unsigned i = 0; i < 100; i++) {
        l7s_strict_verdict_t verdict = ask(fleet, i % NODES, 1);
        assert_int_not_equal(verdict, L7S_STRICT_MISSED);
        admitted += verdict == L7S_STRICT_ADMITTED;
    }
    assert_int_equal(admitted, 20);
    assert_int_equal(ask(fleet, 0, 2), L7S_STRICT_ADMITTED); /* another key */
}

typedef struct {
    fleet_t *fleet;
    unsigned node;
    pthread_t thread;
    unsigned admitted, missed;
} crowd_t;

static void *ask_often(void *argument)
{
    crowd_t *one = argument;

    for (unsigned i = 0; i < 50; i++) {
        l7s_strict_verdict_t verdict = ask(one->fleet, one->node, 3);
        one->admitted += verdict == L7S_STRICT_ADMITTED;
        one->missed += verdict == L7S_STRICT_MISSED;
    }
    return NULL;
}

static void test_strict_crowd_on_two_nodes_gets_no_token_too_many(void **state)
{
    crowd_t crowd[12];
    unsigned admitted = 0, missed = 0;

    limit.burst = 200;
    for (unsigned i = 0; i < 12; i++) {
        crowd[i] = (crowd_t){.fleet = *state, .node = i % NODES};
        pthread_create(&crowd[i].thread, NULL, ask_often, &crowd[i]);
    }
    for (unsigned i = 0; i < 12; i++) {
        pthread_join(crowd[i].thread, NULL);
        admitted += crowd[i].admitted;
        missed += crowd[i].missed;
    }
    limit.burst = 20;
    assert_true(admitted <= 200);
    /* Who lost three races in a row has no verdict; their mates share a write. */
    assert_true(admitted + missed >= 200);
    assert_true(missed < 100);
}

static void test_strict_forgotten_key_begins_anew(void **state)
{
    fleet_t *fleet = *state;

    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(ask(fleet, 0, 4), L7S_STRICT_ADMITTED);
    }
    assert_int_equal(ask(fleet, 1, 4), L7S_STRICT_REFUSED);
    assert_true(
        l7s_mailbox_forget(&fleet->shared[0].mailbox, (l7s_hash128_t){4, 1}, getpid()));
    l7s_strict_verdict_t verdict = L7S_STRICT_REFUSED;
    for (unsigned i = 0; i < 100 && verdict == L7S_STRICT_REFUSED; i++) {
        verdict = ask(fleet, 0, 4); /* in the same order as the deletion */
    }
    assert_int_equal(verdict, L7S_STRICT_ADMITTED);
}

static void test_strict_hung_store_costs_three_waits_and_heals(void **state)
{
    fleet_t *fleet = *state;
    unsigned waited = 0;

    wait_for_verdict(fleet, 0);
    memcached_server_pause(&fleet->memcached);
    for (unsigned i = 0; i < 50; i++) {
        uint64_t began = now_us();
        assert_int_equal(ask_within(fleet, 0, 7, 20000), L7S_STRICT_MISSED);
        waited += now_us() - began > 15000;
    }
    assert_true(waited <= 5); /* three, and what a busy machine adds */
    memcached_server_resume(&fleet->memcached);
    wait_for_verdict(fleet, 0);
}

static void test_strict_killed_store_is_missed_at_once_and_heals(void **state)
{
    fleet_t *fleet = *state;
    int port = fleet->memcached.port;

    wait_for_verdict(fleet, 0);
    memcached_server_kill(&fleet->memcached);
    uint64_t began = now_us();
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(ask(fleet, 0, 7), L7S_STRICT_MISSED);
    }
    assert_true(now_us() - began < SECOND_US);
    fleet->memcached = memcached_server_start(port);
    wait_for_verdict(fleet, 0);
    wait_for_verdict(fleet, 1);
}

static void test_strict_damaged_item_is_mended(void **state)
{
    fleet_t *fleet = *state;
    const l7s_hashkey_t key = {11, 22};
    char name[L7S_STRICT_NAME], command[128], reply[256];

    l7s_strict_name(&key, (l7s_hash128_t){9, 1}, name);
    uint64_t far = (sync_clock_wall_us() + 86400 * SECOND_US) * limit.requests +
                   limit.burst * limit.period_us;
    snprintf(command, sizeof command, "set %s 0 0 20\r\n%020llu\r\n", name,
             (unsigned long long)far);
    memcached_server_ask(&fleet->memcached, command, reply, sizeof reply);
    assert_int_equal(ask(fleet, 0, 9), L7S_STRICT_REFUSED);
    assert_int_equal(ask(fleet, 0, 10), L7S_STRICT_ADMITTED); /* behind the mending */
    snprintf(command, sizeof command, "get %s\r\n", name);
    memcached_server_ask(&fleet->memcached, command, reply, sizeof reply);
    const char *value = strchr(reply, '\n');
    assert_non_null(value);
    assert_true(strtoull(value + 1, NULL, 10) < far);
}

static void test_strict_without_name_key_or_servers(void **state)
{
    fleet_t *fleet = *state;
    sync_options_t none = {.server_count = 0};
    sync_strict_t *alone = NULL;

    wait_for_verdict(fleet, 1);
    sync_strict_tick(fleet->nodes[1], NULL, NULL, sync_clock_now());
    assert_int_equal(ask(fleet, 1, 20), L7S_STRICT_MISSED);
    sync_strict_free(fleet->nodes[1]);
    fleet->nodes[1] = NULL;
    assert_int_equal(ask(fleet, 1, 20), L7S_STRICT_MISSED);
    assert_int_equal(sync_strict_create(&fleet->shared[1], &none, &alone), L7S_OK);
    assert_int_equal(ask(fleet, 1, 20), L7S_STRICT_ALONE);
    sync_strict_free(alone);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_strict_two_nodes_share_one_limit),
        TEST(test_strict_crowd_on_two_nodes_gets_no_token_too_many),
        TEST(test_strict_forgotten_key_begins_anew),
        TEST(test_strict_hung_store_costs_three_waits_and_heals),
        TEST(test_strict_killed_store_is_missed_at_once_and_heals),
        TEST(test_strict_damaged_item_is_mended),
        TEST(test_strict_without_name_key_or_servers),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
