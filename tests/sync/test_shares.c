/* SPDX-License-Identifier: Apache-2.0
 *
 * Shares of failing answers on their way to the fleet and back.
 */
#include "../../core/decide/share.h"
#include "../core/seeded.h"
#include "counters_fixture.h"

static l7s_share_place_t share_place(const bench_t *bench)
{
    const l7s_image_limit_t *limit = limit_of(bench, 40);

    return (l7s_share_place_t){.table = &bench->shared.table,
                               .limits = limit,
                               .digest =
                                   l7s_hash128_xor(key_of(bench, limit), limit->identity),
                               .now = bench->now};
}

static void answer(const bench_t *bench, uint32_t answered, uint32_t failed)
{
    l7s_share_place_t place = share_place(bench);

    for (uint32_t i = 0; i < answered; i++) {
        l7s_share_t one = {.answered = 1, .failed = i < failed};
        assert_non_null(l7s_share_add(&place, one));
        l7s_share_mark(&place, one);
    }
}

static void assert_used(const bench_t *bench, uint32_t answered, uint32_t failed)
{
    l7s_share_place_t place = share_place(bench);
    l7s_share_t used = l7s_share_used(&place);

    assert_int_equal(used.answered, answered);
    assert_int_equal(used.failed, failed);
}

static void assert_stored(uint32_t answered, uint32_t failed)
{
    assert_int_equal(store_count, 1);
    assert_int_equal(l7s_share_unpack(store[0].value).answered, answered);
    assert_int_equal(l7s_share_unpack(store[0].value).failed, failed);
}

static void others_answer(uint32_t answered, uint32_t failed)
{
    assert_int_equal(store_count, 1);
    store[0].value += l7s_share_pack((l7s_share_t){answered, failed});
}

static void test_share_travels_as_one_number(void **state)
{
    bench_t *bench = *state;

    answer(bench, 30, 20);
    tick(bench);
    assert_stored(30, 20);
    others_answer(15, 14);
    answer(bench, 12, 1); /* a quarter more */
    tick(bench);
    assert_stored(57, 35);
    assert_used(bench, 57, 35);
    tick(bench);
    assert_used(bench, 57, 35);
}

static void test_share_of_a_light_source_never_travels(void **state)
{
    bench_t *bench = *state;
    l7s_share_place_t place;

    answer(bench, 2, 2);
    for (unsigned i = 0; i < 30; i++) {
        tick(bench);
    }
    assert_int_equal(operations, 0);
    assert_used(bench, 2, 2);
    place = share_place(bench);
    assert_int_equal(l7s_share_sent(&place).failed, 2); /* nothing waits any more */
}

static void test_share_of_a_heavy_source_travels_to_the_last_answer(void **state)
{
    bench_t *bench = *state;

    answer(bench, 39, 39);
    tick(bench);
    assert_stored(39, 39);
    answer(bench, 1, 1);
    for (unsigned i = 0; i < 20; i++) {
        tick(bench);
    }
    assert_stored(40, 40);
}

static void test_share_that_could_not_leave_is_put_back(void **state)
{
    bench_t *bench = *state;

    answer(bench, 30, 20);
    outcome = L7S_META_FAILED;
    for (unsigned i = 0; i < 5; i++) {
        tick(bench);
    }
    assert_used(bench, 30, 20); /* alone, but not charged for others */
    outcome = L7S_META_OK;
    for (unsigned i = 0; i < 20; i++) {
        tick(bench);
    }
    assert_stored(30, 20);
    assert_used(bench, 30, 20);
}

static void test_share_of_an_outage_is_no_more_than_still_counts(void **state)
{
    bench_t *bench = *state;

    outcome = L7S_META_FAILED;
    for (unsigned i = 0; i < 50; i++) { /* 50 s, five periods */
        answer(bench, 10, 5);
        pass(bench, 900);
        tick(bench);
    }
    outcome = L7S_META_OK;
    tick(bench);
    tick(bench);
    uint32_t stored = l7s_share_unpack(store[store_count - 1].value).answered;
    assert_in_range(stored, 90, 115);
    assert_in_range(l7s_share_unpack(store[store_count - 1].value).failed, stored / 2 - 2,
                    stored / 2 + 2);
}

static void test_share_is_told_while_half_too_much_fails(void **state)
{
    bench_t *bench = *state;
    const l7s_image_limit_t *limit = limit_of(bench, 40);

    answer(bench, 30, 11); /* 37 % */
    tick(bench);
    assert_int_equal(told_count, 0);
    answer(bench, 12, 10);
    tick(bench);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].limit, limit->id);
    assert_int_equal(told[0].key.lo, key_of(bench, limit).lo);
    assert_int_equal(told[0].what.used, l7s_share_pack((l7s_share_t){42, 21}));
    assert_int_equal(told[0].what.total, l7s_share_pack((l7s_share_t){42, 21}));
}

static sync_news_item_t share_news(const bench_t *bench, uint32_t answered,
                                   uint32_t failed)
{
    const l7s_image_limit_t *limit = limit_of(bench, 40);
    l7s_hash128_t key = key_of(bench, limit);
    uint64_t began_ms, number = l7s_share_pack((l7s_share_t){answered, failed});

    return (sync_news_item_t){
        .key = key,
        .limit = limit->id,
        .what = {.total = number,
                 .used = number,
                 .period =
                     l7s_fleet_period(&limit->rate, key, bench->now.wall_ms, &began_ms)}};
}

static void others_are_in_store(const bench_t *bench, uint32_t answered, uint32_t failed)
{
    const l7s_image_limit_t *limit = limit_of(bench, 40);
    l7s_hash128_t key = key_of(bench, limit);
    char name[L7S_COUNTER_NAME];
    uint64_t began_ms;

    l7s_fleet_counter_name(
        sync_bus_name_key(NULL), key,
        l7s_fleet_period(&limit->rate, key, bench->now.wall_ms, &began_ms), name);
    *number_of(name) = l7s_share_pack((l7s_share_t){answered, failed});
}

static void test_share_heard_of_is_taken_in_once(void **state)
{
    bench_t *bench = *state;

    heard[0] = share_news(bench, 50, 45);
    heard_count = 1;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    assert_used(bench, 50, 45);
    heard[0] = share_news(bench, 50, 45);
    heard[1] = share_news(bench, 60, 50);
    heard_count = 2;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    assert_used(bench, 60, 50);
    /* Its own number is seen for the first time, and nothing new in it. */
    answer(bench, 20, 0);
    others_are_in_store(bench, 60, 50);
    tick(bench);
    assert_used(bench, 80, 50);
}

static void share_run(void **state, unsigned percent, bool *stopped)
{
    bench_t *nodes[2] = {*state, NULL};
    void *second = NULL;
    uint64_t seed = percent;

    assert_int_equal(set_up(&second), 0);
    nodes[1] = second;
    for (unsigned i = 0; i < 600; i++) { /* a minute: each sees seven answers a second */
        for (unsigned n = 0; n < 2; n++) {
            uint32_t answered = (uint32_t)seeded_below(&seed, 3), failed = 0;
            for (uint32_t k = 0; k < answered; k++) {
                failed += seeded_below(&seed, 100) < percent;
            }
            answer(nodes[n], answered, failed);
            tick(nodes[n]);
            l7s_share_place_t place = share_place(nodes[n]);
            l7s_share_t used = l7s_share_used(&place);
            stopped[n] |= used.answered >= 40 && used.failed * 100 >= used.answered * 80;
        }
    }
    tear_down(&second);
}

static void test_share_of_two_nodes_is_that_of_both(void **state)
{
    bool stopped[2] = {false, false};

    share_run(state, 50, stopped);
    assert_false(stopped[0] || stopped[1]);
}

static void test_share_of_two_nodes_stops_on_both(void **state)
{
    bool stopped[2] = {false, false};

    share_run(state, 95, stopped);
    assert_true(stopped[0] && stopped[1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_share_travels_as_one_number),
        TEST(test_share_of_a_light_source_never_travels),
        TEST(test_share_of_a_heavy_source_travels_to_the_last_answer),
        TEST(test_share_that_could_not_leave_is_put_back),
        TEST(test_share_of_an_outage_is_no_more_than_still_counts),
        TEST(test_share_is_told_while_half_too_much_fails),
        TEST(test_share_heard_of_is_taken_in_once),
        TEST(test_share_of_two_nodes_is_that_of_both),
        TEST(test_share_of_two_nodes_stops_on_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
