/* SPDX-License-Identifier: Apache-2.0
 *
 * What travels, and what becomes of it while the store is away: one slot, a store in
 * memcached's place, a fake clock. The rules are tested with fleet.h; here it is their
 * wiring.
 */
#include "counters_fixture.h"
#include <stdlib.h>

static void test_push_light_source_never_travels(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 1);

    for (unsigned i = 0; i < 30; i++) {
        tick(bench);
    }
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 0);
}

static void test_push_heavy_key_travels_and_pays_for_others(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    assert_int_equal(stored(), 60);
    assert_int_equal(atomic_load(&slot->pending), 0);
    uint32_t before = headroom(bench, slot);
    store[0].value += 25;
    take(bench, 100, 10);
    pass(bench, 1300); /* 14 tokens come back */
    tick(bench);
    assert_int_equal(stored(), 95);
    assert_in_range(headroom(bench, slot), before - 10 - 25 + 13, before - 10 - 25 + 15);
}

static void test_push_what_could_not_leave_is_put_back(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    outcome = L7S_META_FAILED;
    for (unsigned i = 0; i < 3; i++) {
        tick(bench);
        assert_in_range(atomic_load(&slot->pending), 58, 60);
    }
    outcome = L7S_META_OK;
    tick(bench);
    assert_in_range(stored(), 58, 60); /* the others have drained */
    assert_int_equal(atomic_load(&slot->pending), 0);
}

static void test_push_what_had_no_time_left_waits_without_a_charge(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    outcome = L7S_META_FAILED;
    up = true;
    uint32_t before = headroom(bench, slot);
    tick(bench);
    assert_int_equal(atomic_load(&slot->pending), 60);
    assert_in_range(headroom(bench, slot), before, before + 1);
    outcome = L7S_META_OK;
    tick(bench);
    assert_int_equal(stored(), 60);
}

static void test_push_after_an_outage_only_what_is_in_use_travels(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    outcome = L7S_META_FAILED;
    tick(bench);
    uint32_t taken = 0;
    for (unsigned i = 0; i < 200; i++) { /* 20 s, asking all the time */
        while (headroom(bench, slot) > 0) {
            take(bench, 100, 1);
            taken++;
        }
        tick(bench);
    }
    assert_in_range(taken, 85, 105); /* half of 10 a second: the other node has half */
    assert_in_range(atomic_load(&slot->pending), 48, 53);
    outcome = L7S_META_OK;
    tick(bench);
    assert_in_range(stored(), 48, 53);
}

static void test_push_of_a_killed_process_are_not_charged_again(void **state)
{
    bench_t *bench = *state;
    sync_options_t options = {.server_count = 1};
    l7s_slot_t *slot = take(bench, 100, 40);

    outcome = L7S_META_FAILED;
    tick(bench);
    tick(bench);
    uint32_t before = headroom(bench, slot);
    assert_in_range(before, 20, 22); /* twice 40 */
    for (unsigned i = 0; i < 3; i++) {
        sync_counters_free(bench->counters);
        assert_int_equal(sync_counters_create(&bench->shared, (sync_bus_t *)bench,
                                              &options, &bench->counters),
                         L7S_OK);
        tick(bench);
    }
    assert_in_range(headroom(bench, slot), before, before + 4);
    take(bench, 100, 10);
    tick(bench);
    assert_in_range(headroom(bench, slot), before - 20, before - 20 + 5);
}

static void test_push_after_an_outage_others_are_paid_for_once(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 40);

    tick(bench);
    assert_int_equal(stored(), 40);
    outcome = L7S_META_FAILED;
    take(bench, 100, 20);
    tick(bench);
    uint32_t before = headroom(bench, slot);
    assert_in_range(before, 20, 22); /* 40, and twice 20 */
    outcome = L7S_META_OK;
    tick(bench);
    assert_in_range(stored(), 59, 60);
    store[0].value += 20; /* the other node used as many */
    take(bench, 100, 6);
    pass(bench, 1300);
    tick(bench);
    before = headroom(bench, slot);
    assert_in_range(before, 20 - 6 + 14, 22 - 6 + 17);
    store[0].value += 20; /* and more, afterwards */
    take(bench, 100, 6);
    pass(bench, 1300);
    tick(bench);
    assert_in_range(headroom(bench, slot), before - 26 + 13, before - 26 + 16);
}

static void test_push_unknown_outcome_is_not_sent_again(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 40);

    tick(bench);
    assert_int_equal(stored(), 40);
    take(bench, 100, 30);
    outcome = L7S_META_UNKNOWN;
    lost_answer = true;
    tick(bench);
    assert_int_equal(stored(), 70);
    assert_int_equal(atomic_load(&slot->pending), 0);
    uint32_t before = headroom(bench, slot);
    outcome = L7S_META_OK;
    take(bench, 100, 10);
    pass(bench, 1300);
    tick(bench);
    assert_int_equal(stored(), 80);
    assert_in_range(headroom(bench, slot), before - 10 + 13, before - 10 + 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_push_light_source_never_travels),
        TEST(test_push_heavy_key_travels_and_pays_for_others),
        TEST(test_push_what_could_not_leave_is_put_back),
        TEST(test_push_what_had_no_time_left_waits_without_a_charge),
        TEST(test_push_after_an_outage_only_what_is_in_use_travels),
        TEST(test_push_of_a_killed_process_are_not_charged_again),
        TEST(test_push_after_an_outage_others_are_paid_for_once),
        TEST(test_push_unknown_outcome_is_not_sent_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
