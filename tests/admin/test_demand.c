/* SPDX-License-Identifier: Apache-2.0
 *
 * Thresholds, against the lowest limit that a real bucket needs: never below it, so that
 * nobody is touched who was said not to be, and at most twice as high and a step.
 */
#include "../../admin_api/backtest/demand.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#define SECOND 1000000ULL
#define ARRIVALS 300

static const l7s_rate_t PER_MINUTE = {60, 60, 60 * SECOND};

/* Is anything refused with this limit? */
static bool conforms(const l7s_rate_t *rate, const uint64_t *times, size_t count)
{
    _Atomic uint64_t tat = l7s_bucket_fresh(rate, times[0]);

    for (size_t i = 0; i < count; i++) {
        if (!l7s_bucket_take(rate, &tat, times[i], 1)) {
            return false;
        }
    }
    return true;
}

/* By trying all. */
static uint64_t lowest(const uint64_t *times, size_t count)
{
    l7s_rate_t rate = PER_MINUTE;

    for (rate.requests = 1;; rate.requests++) {
        rate.burst = rate.requests;
        if (conforms(&rate, times, count)) {
            return rate.requests;
        }
    }
}

static uint64_t told(const uint64_t *times, size_t count)
{
    admin_demand_t *demand = admin_demand_create(&PER_MINUTE, 1024);

    for (size_t i = 0; i < count; i++) {
        admin_demand_add(demand, 7, times[i], 1);
    }
    admin_threshold_t threshold = admin_demand_threshold(demand, 0);
    assert_int_equal(threshold.touched, 0);
    assert_int_equal(threshold.burst, threshold.requests);
    admin_demand_free(demand);
    return threshold.requests;
}

static void check(const uint64_t *times, size_t count)
{
    uint64_t need = lowest(times, count), said = told(times, count);

    assert_true(said >= need);
    assert_true((double)said <= 2.0 * (double)need * 1.09 + 2);
}

static void test_demand_of_a_burst_is_its_size(void **state)
{
    (void)state;
    uint64_t times[50];

    for (size_t i = 0; i < 50; i++) {
        times[i] = 1000 * SECOND;
    }
    check(times, 50);
    assert_in_range(told(times, 50), 50, 55);
}

static void test_demand_of_a_steady_stream_is_its_rate(void **state)
{
    (void)state;
    uint64_t times[ARRIVALS];

    for (size_t i = 0; i < ARRIVALS; i++) { /* 30 a minute, for ten of them */
        times[i] = 1000 * SECOND + i * 2 * SECOND;
    }
    check(times, ARRIVALS);
    assert_in_range(told(times, ARRIVALS), 28, 35);
}

/* Streams and bursts at random. */
static void test_demand_is_never_too_low_and_at_most_twice_too_high(void **state)
{
    (void)state;
    uint64_t times[ARRIVALS], random = 88172645463325252ULL;

    for (int round = 0; round < 500; round++) {
        uint64_t now = 1000 * SECOND;
        uint64_t spread = SECOND << round % 6;
        for (size_t i = 0; i < ARRIVALS; i++) {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            now += random % 5 == 0 ? 0 : random % spread;
            now += random % 97 == 0 ? 90 * SECOND : 0;
            times[i] = now;
        }
        check(times, ARRIVALS);
    }
}

static void test_demand_threshold_touches_at_most_the_share(void **state)
{
    (void)state;
    admin_demand_t *demand = admin_demand_create(&PER_MINUTE, 4096);

    for (uint64_t key = 1; key <= 1000; key++) { /* key n asks for n at once */
        admin_demand_add(demand, key << 40 | key, 1000 * SECOND, key);
    }
    assert_int_equal(admin_demand_keys(demand), 1000);
    admin_threshold_t threshold = admin_demand_threshold(demand, 10);
    assert_in_range(threshold.requests, 990, 1090);
    assert_true(threshold.touched <= 10);
    threshold = admin_demand_threshold(demand, 100);
    assert_in_range(threshold.requests, 900, 990);
    assert_int_equal(threshold.touched, 1000 - threshold.requests);
    assert_int_equal(admin_demand_threshold(demand, 1000).requests, 1);
    admin_demand_free(demand);
}

static void test_demand_burst_stays_in_proportion(void **state)
{
    (void)state;
    const l7s_rate_t half = {60, 30, 60 * SECOND};
    admin_demand_t *demand = admin_demand_create(&half, 1024);

    admin_demand_add(demand, 7, 1000 * SECOND, 50); /* 50 at once need a burst of 50 */
    admin_threshold_t threshold = admin_demand_threshold(demand, 0);
    assert_in_range(threshold.burst, 50, 55);
    assert_in_range(threshold.requests, 100, 110);
    admin_demand_free(demand);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_demand_of_a_burst_is_its_size),
        cmocka_unit_test(test_demand_of_a_steady_stream_is_its_rate),
        cmocka_unit_test(test_demand_is_never_too_low_and_at_most_twice_too_high),
        cmocka_unit_test(test_demand_threshold_touches_at_most_the_share),
        cmocka_unit_test(test_demand_burst_stays_in_proportion),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
