/* SPDX-License-Identifier: Apache-2.0
 *
 * Totals of nodes as sums over time: nothing twice, nothing lost.
 */
#include "../../admin_api/store/store_events.h"
#include "../../admin_api/store/store_stats.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "stored.h"

#define START_MS 1699999800000ULL /* a multiple of five minutes */
#define LONG ((uint64_t)7200)

/* A node says this much of the policy "p", and is kept. */
static void tell(admin_store_t *store, const char *node, uint64_t now_ms, int matched,
                 int acted)
{
    json_t *seat = json_pack("{s:{s:[i,i,i,i], s:[i,i,i,i]}}", "policies", "p", matched,
                             acted, 0, 0, "quiet", 0, 0, 0, 0);
    admin_node_t row = {
        .name = node, .first_seen_ms = now_ms, .last_seen_ms = now_ms, .seat = seat};

    assert_int_equal(admin_store_begin(store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_stats_take(store, node, seat, now_ms), L7S_OK);
    assert_int_equal(admin_node_put(store, &row), L7S_OK);
    assert_int_equal(admin_store_commit(store, ADMIN_EVENTS_DB), L7S_OK);
    json_decref(seat);
}

typedef struct {
    size_t steps;
    uint64_t first_s;
    admin_policy_sums_t sum;
} seen_t;

static void note(void *context, uint64_t at_s, const admin_policy_sums_t *sums)
{
    seen_t *seen = context;

    seen->first_s = seen->steps++ == 0 ? at_s : seen->first_s;
    seen->sum.matched += sums->matched;
    seen->sum.acted += sums->acted;
}

static seen_t read_all(admin_store_t *store, const char *policy, uint64_t since_s,
                       uint64_t step_s)
{
    seen_t seen = {.steps = 0};

    assert_int_equal(admin_stats_each(store, policy, since_s, step_s, note, &seen),
                     L7S_OK);
    return seen;
}

static void test_stats_take_counts_what_is_new(void **state)
{
    admin_store_t *store = ((stored_t *)*state)->store;

    tell(store, "web-1", START_MS, 100, 10);
    tell(store, "web-1", START_MS + 10000, 100, 10); /* nothing happened */
    tell(store, "web-1", START_MS + 20000, 150, 12);
    tell(store, "web-2", START_MS + 20000, 7, 1);
    seen_t seen = read_all(store, "p", 0, ADMIN_STATS_STEP_S);
    assert_int_equal(seen.steps, 1);
    assert_int_equal(seen.first_s, START_MS / 1000);
    assert_int_equal(seen.sum.matched, 157);
    assert_int_equal(seen.sum.acted, 13);
    assert_int_equal(read_all(store, "quiet", 0, ADMIN_STATS_STEP_S).steps, 0);
}

static void test_stats_take_smaller_totals_began_anew(void **state)
{
    admin_store_t *store = ((stored_t *)*state)->store;

    tell(store, "web-1", START_MS, 100, 10);
    tell(store, "web-1", START_MS + 10000, 30, 10);
    seen_t seen = read_all(store, "p", 0, ADMIN_STATS_STEP_S);
    assert_int_equal(seen.sum.matched, 130);
    assert_int_equal(seen.sum.acted, 10);
}

/* The kept node tells the next daemon what was counted. */
static void test_stats_take_goes_on_after_a_restart(void **state)
{
    stored_t *stored = *state;

    tell(stored->store, "web-1", START_MS, 100, 10);
    admin_store_close(stored->store);
    assert_true(stored_open(stored));
    tell(stored->store, "web-1", START_MS + 60000, 120, 10);
    assert_int_equal(read_all(stored->store, "p", 0, ADMIN_STATS_STEP_S).sum.matched,
                     120);
}

static void test_stats_each_steps_and_since(void **state)
{
    admin_store_t *store = ((stored_t *)*state)->store;

    for (int i = 0; i < 24; i++) { /* two hours */
        tell(store, "web-1", START_MS + (uint64_t)i * 300000, 10 * (i + 1), 0);
    }
    assert_int_equal(read_all(store, "p", 0, ADMIN_STATS_STEP_S).steps, 24);
    seen_t hours = read_all(store, "p", 0, 3600);
    assert_in_range(hours.steps, 2, 3);
    assert_int_equal(hours.first_s % 3600, 0);
    assert_int_equal(hours.sum.matched, 240);
    assert_int_equal(read_all(store, "p", START_MS / 1000 + LONG / 2, 300).sum.matched,
                     120);
}

static void test_stats_prune_by_age_and_by_number(void **state)
{
    admin_store_t *store = ((stored_t *)*state)->store;

    for (int i = 0; i < 10; i++) {
        tell(store, "web-1", START_MS + (uint64_t)i * 300000, 10 * (i + 1), 0);
    }
    assert_int_equal(admin_store_begin(store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_stats_prune(store, START_MS + 2 * 300000, 100), L7S_OK);
    assert_int_equal(admin_store_commit(store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(read_all(store, "p", 0, 300).steps, 8);
    assert_int_equal(admin_store_begin(store, ADMIN_EVENTS_DB), L7S_OK);
    assert_int_equal(admin_stats_prune(store, 0, 4), L7S_OK);
    assert_int_equal(admin_store_commit(store, ADMIN_EVENTS_DB), L7S_OK);
    assert_in_range(read_all(store, "p", 0, 300).steps, 4, 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        stored_test(test_stats_take_counts_what_is_new),
        stored_test(test_stats_take_smaller_totals_began_anew),
        stored_test(test_stats_take_goes_on_after_a_restart),
        stored_test(test_stats_each_steps_and_since),
        stored_test(test_stats_prune_by_age_and_by_number),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
