/* SPDX-License-Identifier: Apache-2.0
 *
 * The tick as a whole: what takes part in it, and what is looked at though nobody
 * counted. What travels is in test_push.c, what comes back in test_total.c.
 */
#include "counters_fixture.h"

static void test_counters_of_the_node_stay_here(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 50, 50);

    tick(bench);
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 0);
    slot = take(bench, 100, 50);
    sync_counters_tick(bench->counters, NULL, bench->now);
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 0);
}

static void test_counters_in_use_are_read_now_and_then_until_they_drain(void **state)
{
    bench_t *bench = *state;

    take(bench, 100, 60); /* drains within 6 s */
    for (unsigned i = 0; i < 55; i++) {
        tick(bench);
    }
    assert_in_range(operations, 2, 3);
    size_t before = operations;
    for (unsigned i = 0; i < 50; i++) {
        tick(bench);
    }
    assert_in_range(operations - before, 0, 1);
}

static void test_counters_without_keys_wait(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    keyless = true;
    tick(bench);
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 60);
    keyless = false;
    tick(bench);
    assert_int_equal(stored(), 60);
}

static void test_counters_without_a_fleet_forget_what_would_travel(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);
    sync_counters_t *alone = NULL;

    assert_int_equal(sync_counters_create(&bench->shared, NULL, NULL, &alone), L7S_OK);
    sync_counters_tick(alone, bench->image, bench->now);
    assert_int_equal(atomic_load(&slot->pending), 0);
    assert_int_equal(headroom(bench, slot), 40);
    sync_counters_free(alone);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counters_of_the_node_stay_here),
        TEST(test_counters_in_use_are_read_now_and_then_until_they_drain),
        TEST(test_counters_without_keys_wait),
        TEST(test_counters_without_a_fleet_forget_what_would_travel),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
