/* SPDX-License-Identifier: Apache-2.0
 *
 * The arithmetic of a shared arrival time: exactly one limiter, whoever takes; skewed
 * clocks, damaged words and lost data.
 */
#include "../../core/count/strict.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

#define WALL_US 1700000000000000ULL
#define MONO_US 5000000000ULL
#define SECOND_US 1000000ULL

static const l7s_rate_t rate = {.requests = 10, .burst = 10, .period_us = 10 * SECOND_US};

static void test_strict_take_admits_what_one_limiter_would(void **state)
{
    (void)state;
    l7s_strict_tat_t shared = l7s_strict_absent(&rate, 0, WALL_US);
    _Atomic uint64_t exact = l7s_bucket_fresh(&rate, WALL_US);
    unsigned admitted = 0;

    for (uint64_t i = 0; i < 1000; i++) {
        uint64_t now = WALL_US + i * 10000;
        bool expected = l7s_bucket_take(&rate, &exact, now, 1);
        l7s_strict_tat_t seen = l7s_strict_found(&rate, shared.tat, now);
        assert_int_equal(l7s_strict_take(&rate, &seen, now, 1), expected);
        admitted += expected;
        shared = seen;
    }
    assert_int_equal(admitted, 19);
}

/* Two nodes, one clock `skew` ahead: never more than one limiter on the faster clock plus
 * skew times rate once. */
static void test_strict_take_skewed_clocks_share_one_limit(void **state)
{
    (void)state;
    static const uint64_t skews_us[] = {0, 1000, 500000, 3000000, 30000000};

    for (unsigned k = 0; k < sizeof skews_us / sizeof *skews_us; k++) {
        l7s_strict_tat_t shared = l7s_strict_absent(&rate, 0, WALL_US);
        unsigned admitted = 0;
        for (uint64_t i = 0; i < 20000; i++) {
            uint64_t now = WALL_US + i * 10000 + (i % 2 ? skews_us[k] : 0);
            l7s_strict_tat_t seen = l7s_strict_found(&rate, shared.tat, now);
            assert_false(seen.damaged);
            if (l7s_strict_take(&rate, &seen, now, 1)) {
                shared = seen;
                admitted++;
            }
        }
        uint64_t most = 10 + 200 + skews_us[k] / SECOND_US;
        uint64_t once_more = most < 220 ? most : 220; /* at most a bucket */
        assert_in_range(admitted, 208, once_more);
    }
}

static void test_strict_found_beyond_the_plausible_is_an_empty_bucket(void **state)
{
    (void)state;
    uint64_t clock = WALL_US * rate.requests, capacity = rate.burst * rate.period_us;
    static const uint64_t minute_us = 60 * SECOND_US;

    l7s_strict_tat_t fine =
        l7s_strict_found(&rate, clock + capacity + minute_us * rate.requests, WALL_US);
    assert_false(fine.damaged);
    assert_false(l7s_strict_take(&rate, &fine, WALL_US, 1));
    l7s_strict_tat_t damaged = l7s_strict_found(
        &rate, clock + capacity + minute_us * rate.requests + 1, WALL_US);
    assert_true(damaged.damaged);
    assert_int_equal(damaged.tat, clock + capacity);
    assert_false(l7s_strict_take(&rate, &damaged, WALL_US, 1));
    assert_true(l7s_strict_take(&rate, &damaged, WALL_US + SECOND_US, 1));
}

static void test_strict_absent_begins_with_what_the_node_remembers(void **state)
{
    (void)state;
    uint64_t three = 3 * rate.period_us;
    l7s_strict_tat_t state_of_store = l7s_strict_absent(&rate, three, WALL_US);
    unsigned left = 0;

    while (l7s_strict_take(&rate, &state_of_store, WALL_US, 1)) {
        left++;
    }
    assert_int_equal(left, 7);
    state_of_store = l7s_strict_absent(&rate, UINT64_MAX, WALL_US);
    assert_false(l7s_strict_take(&rate, &state_of_store, WALL_US, 1));
    assert_true(l7s_strict_take(&rate, &state_of_store, WALL_US + SECOND_US, 1));
}

static void test_strict_learn_moves_a_slot_forward_only(void **state)
{
    (void)state;
    _Atomic uint64_t tat = l7s_bucket_fresh(&rate, MONO_US);

    l7s_strict_learn(&rate, &tat, MONO_US, 4 * rate.period_us);
    assert_int_equal(l7s_strict_used(&rate, atomic_load(&tat), MONO_US),
                     4 * rate.period_us);
    l7s_strict_learn(&rate, &tat, MONO_US, 2 * rate.period_us);
    assert_int_equal(l7s_bucket_headroom(&rate, atomic_load(&tat), MONO_US), 6);
    l7s_strict_learn(&rate, &tat, MONO_US, UINT64_MAX);
    assert_int_equal(l7s_bucket_headroom(&rate, atomic_load(&tat), MONO_US), 0);
    assert_int_equal(l7s_bucket_wait_us(&rate, atomic_load(&tat), MONO_US, 1), SECOND_US);
}

static void test_strict_ttl_outlives_the_drain(void **state)
{
    (void)state;
    uint64_t clock = WALL_US * rate.requests;
    const l7s_rate_t slow = {.requests = 1, .burst = 100, .period_us = 86400 * SECOND_US};

    assert_int_equal(l7s_strict_ttl(&rate, clock, WALL_US), 61);
    assert_int_equal(l7s_strict_ttl(&rate, clock + 10 * rate.period_us, WALL_US), 71);
    /* 40 days: memcached takes more than 30 for a date. */
    assert_int_equal(l7s_strict_ttl(&slow, WALL_US + 40 * slow.period_us, WALL_US),
                     WALL_US / SECOND_US + 40 * 86400 + 61);
}

static void test_strict_name_is_keyed_and_of_its_own_kind(void **state)
{
    (void)state;
    const l7s_hashkey_t key = {1, 2}, other = {1, 3};
    char a[L7S_STRICT_NAME], b[L7S_STRICT_NAME], c[L7S_STRICT_NAME];

    l7s_strict_name(&key, (l7s_hash128_t){5, 6}, a);
    l7s_strict_name(&key, (l7s_hash128_t){5, 7}, b);
    l7s_strict_name(&other, (l7s_hash128_t){5, 6}, c);
    assert_int_equal(strlen(a), 23);
    assert_int_equal(a[0], 's');
    assert_string_not_equal(a, b);
    assert_string_not_equal(a, c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_take_admits_what_one_limiter_would),
        cmocka_unit_test(test_strict_take_skewed_clocks_share_one_limit),
        cmocka_unit_test(test_strict_found_beyond_the_plausible_is_an_empty_bucket),
        cmocka_unit_test(test_strict_absent_begins_with_what_the_node_remembers),
        cmocka_unit_test(test_strict_learn_moves_a_slot_forward_only),
        cmocka_unit_test(test_strict_ttl_outlives_the_drain),
        cmocka_unit_test(test_strict_name_is_keyed_and_of_its_own_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
