/* SPDX-License-Identifier: Apache-2.0
 *
 * What a total means that the store answers or another node tells: one slot, a store in
 * memcached's place, a fake clock.
 */
#include "counters_fixture.h"

static void test_total_tell_and_hear_of_a_key_near_its_limit(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].what.total, 60);
    heard[0] = told[0];
    heard[0].what.total += 15; /* another node's part of it */
    heard_count = 1;
    uint32_t before = headroom(bench, slot);
    tick(bench);
    assert_in_range(headroom(bench, slot), before - 15, before - 13);
}

static void test_total_a_lost_number_begins_with_what_is_in_use(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    assert_int_equal(stored(), 60);
    store_count = 0; /* flushed */
    take(bench, 100, 10);
    uint32_t before = headroom(bench, slot);
    pass(bench, 1300);
    tick(bench);
    assert_in_range(stored(), 54, 60); /* 70 less what has drained */
    assert_in_range(headroom(bench, slot), before + 13, before + 15);
}

static void test_total_both_numbers_are_read_after_a_rollover(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    uint32_t period = atomic_load(&slot->period);
    const l7s_image_limit_t *limit = limit_of(bench, 100);
    uint64_t began_ms;
    while (l7s_fleet_period(&limit->rate, l7s_slot_key(slot), bench->now.wall_ms,
                            &began_ms) == period) {
        pass(bench, 100);
        if (headroom(bench, slot) > 50) {
            take(bench, 100, 1);
        }
    }
    uint64_t own = 60 + atomic_load(&slot->pending);
    store[0].value += 20; /* others, to the old number, after our last look */
    uint32_t before = headroom(bench, slot);
    size_t asked = operations;
    tick(bench);
    assert_in_range(operations - asked, 2, 4); /* it may be read for its guard as well */
    assert_int_equal(atomic_load(&slot->period), period + 1);
    assert_true(headroom(bench, slot) <= before - 20 + 2);
    assert_true(stored() <= own + 20);
}

static void test_total_near_the_limit_are_told_when_they_moved(void **state)
{
    bench_t *bench = *state;
    const l7s_image_limit_t *limit = limit_of(bench, 100);

    take(bench, 100, 60);
    tick(bench);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].key.lo, key_of(bench, limit).lo);
    assert_int_equal(told[0].key.hi, key_of(bench, limit).hi);
    assert_int_equal(told[0].limit, limit->id);
    assert_int_equal(told[0].what.total, 60);
    assert_int_equal(told[0].what.used, 60 * limit->rate.period_us);
    take(bench, 100, 7);
    tick(bench); /* too little yet */
    take(bench, 100, 8);
    tick(bench);
    assert_int_equal(told_count, 2);
    assert_in_range(told[1].what.total, 68, 75);
}

static sync_news_item_t news_of(const bench_t *bench, uint64_t total, uint64_t used)
{
    const l7s_image_limit_t *limit = limit_of(bench, 100);
    l7s_hash128_t key = key_of(bench, limit);
    uint64_t began_ms;

    return (sync_news_item_t){
        .key = key,
        .limit = limit->id,
        .what = {.total = total,
                 .used = used * limit->rate.period_us,
                 .period =
                     l7s_fleet_period(&limit->rate, key, bench->now.wall_ms, &began_ms)}};
}

static void test_total_heard_of_are_made_and_charged(void **state)
{
    bench_t *bench = *state;
    const l7s_hash128_t key = key_of(bench, limit_of(bench, 100));

    assert_null(l7s_table_find(&bench->shared.table, key));
    heard[0] = news_of(bench, 900, 70);
    heard[1] = news_of(bench, 905, 75);
    heard_count = 2;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    l7s_slot_t *slot = l7s_table_find(&bench->shared.table, key);
    assert_non_null(slot);
    assert_int_equal(headroom(bench, slot), 25);
    heard[0] = news_of(bench, 905, 100); /* heard once more, by a detour */
    heard_count = 1;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    assert_int_equal(headroom(bench, slot), 25);
    assert_int_equal(told_count, 0); /* what was heard is not told on */
}

static void test_total_news_that_mean_nothing_here_change_nothing(void **state)
{
    bench_t *bench = *state;

    heard[0] = heard[1] = heard[2] = heard[3] = news_of(bench, 900, 70);
    heard[0].limit ^= 1; /* unknown, or another one */
    heard[1].what.period += 2;
    heard[2].what.period -= 2;
    heard[3].what.used = 0; /* drained */
    heard_count = 4;
    tick(bench);
    assert_null(
        l7s_table_find(&bench->shared.table, key_of(bench, limit_of(bench, 100))));
    assert_int_equal(atomic_load(&bench->shared.table.stats->claimed), 0);
}

/* ---- shares of failing answers ---- */

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_total_tell_and_hear_of_a_key_near_its_limit),
        TEST(test_total_a_lost_number_begins_with_what_is_in_use),
        TEST(test_total_both_numbers_are_read_after_a_rollover),
        TEST(test_total_near_the_limit_are_told_when_they_moved),
        TEST(test_total_heard_of_are_made_and_charged),
        TEST(test_total_news_that_mean_nothing_here_change_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
