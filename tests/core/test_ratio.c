/* SPDX-License-Identifier: Apache-2.0
 *
 * When the share of failing answers is too large, for how long, and what is shown of it,
 * against the same in floating point.
 */
#include "../../core/count/ratio.h"
#include "../../core/count/tally.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#include <math.h>

#define S 1000000ULL
#define CLOSE 1e-6

static const l7s_ratio_t RATIO = {.percent = 80, .min_requests = 50, .seconds = 60};

typedef struct {
    _Atomic uint64_t answered, failed;
} pair_t;

static void answer(const l7s_ratio_t *ratio, pair_t *pair, uint64_t now_us, uint32_t good,
                   uint32_t bad)
{
    l7s_tally_add(ratio->seconds, &pair->answered, now_us, good + bad);
    l7s_tally_add(ratio->seconds, &pair->failed, now_us, bad);
}

static bool exceeds(const l7s_ratio_t *ratio, const pair_t *pair, uint64_t now_us)
{
    return l7s_ratio_exceeds(ratio, pair->answered, pair->failed, now_us);
}

static void test_ratio_edges_of_share_and_number(void **state)
{
    static const struct {
        uint32_t good, bad;
        bool exceeds;
        uint32_t percent;
    } cases[] = {{0, 0, false, 0},      {0, 49, false, 100},  {0, 50, true, 100},
                 {10, 40, true, 80},    {11, 40, false, 78},  {10, 39, false, 79},
                 {200, 799, false, 79}, {200, 800, true, 80}, {1000000, 0, false, 0}};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        pair_t pair = {0, 0};
        answer(&RATIO, &pair, 60 * S, cases[i].good, cases[i].bad);
        assert_int_equal(exceeds(&RATIO, &pair, 60 * S), cases[i].exceeds);
        assert_int_equal(l7s_ratio_is_enough(&RATIO, pair.answered, 60 * S),
                         cases[i].good + cases[i].bad >= 50);
        assert_int_equal(l7s_ratio_percent(&RATIO, pair.answered, pair.failed, 60 * S),
                         cases[i].percent);
    }
}

static void test_ratio_is_free_again_when_too_few_answers_are_left(void **state)
{
    pair_t pair = {0, 0};

    (void)state;
    answer(&RATIO, &pair, 60 * S, 0, 100);
    assert_int_equal(l7s_ratio_wait_s(&RATIO, pair.answered, pair.failed, 60 * S), 91);
    assert_true(exceeds(&RATIO, &pair, 150 * S)); /* half of the hundred are left */
    assert_false(exceeds(&RATIO, &pair, 151 * S));
    assert_int_equal(l7s_ratio_wait_s(&RATIO, pair.answered, pair.failed, 151 * S), 0);
}

static void test_ratio_good_answers_make_up_for_bad_ones(void **state)
{
    pair_t pair = {0, 0};

    (void)state;
    answer(&RATIO, &pair, 60 * S, 0, 60);
    assert_true(exceeds(&RATIO, &pair, 60 * S));
    answer(&RATIO, &pair, 61 * S, 16, 0);
    assert_false(exceeds(&RATIO, &pair, 61 * S));
}

/* More may have failed than were answered while the fleet's numbers arrive. */
static void test_ratio_of_more_than_all_is_all(void **state)
{
    pair_t pair = {0, 0};

    (void)state;
    answer(&RATIO, &pair, 60 * S, 50, 0);
    l7s_tally_add(60, &pair.failed, 60 * S, 70);
    assert_int_equal(l7s_ratio_percent(&RATIO, pair.answered, pair.failed, 60 * S), 100);
}

static void test_ratio_full_tally_of_answers_trips_nobody(void **state)
{
    pair_t pair = {0, 0};

    (void)state;
    answer(&RATIO, &pair, 60 * S, 0, L7S_TALLY_MAX - 1);
    assert_true(exceeds(&RATIO, &pair, 60 * S));
    answer(&RATIO, &pair, 60 * S, 0, 1);
    assert_false(exceeds(&RATIO, &pair, 60 * S));
}

static void test_ratio_least_failed_is_the_share_of_the_least_number(void **state)
{
    static const l7s_ratio_t ratios[] = {
        {80, 50, 60}, {1, 1, 1}, {33, 10, 1}, {100, 7, 1}};
    static const uint32_t least[] = {40, 1, 4, 7};

    (void)state;
    for (size_t i = 0; i < sizeof least / sizeof *least; i++) {
        assert_int_equal(l7s_ratio_least_failed(&ratios[i]), least[i]);
    }
}

static double part(uint32_t seconds, uint64_t word, uint64_t now_us)
{
    return (double)l7s_tally_weight(seconds, word, now_us) / (seconds * 1000.0);
}

/* Not sure within the last digits: then either answer is right. */
static int by_reference(const l7s_ratio_t *ratio, const pair_t *pair, uint64_t now_us)
{
    double all = part(ratio->seconds, pair->answered, now_us);
    double bad = part(ratio->seconds, pair->failed, now_us);
    double over = bad - all * ratio->percent / 100, enough = all - ratio->min_requests;

    if (fabs(over) < CLOSE * (1 + all) || fabs(enough) < CLOSE * (1 + all)) {
        return -1;
    }
    return over > 0 && enough > 0;
}

static void check(const l7s_ratio_t *ratio, const pair_t *pair, uint64_t now_us)
{
    int wanted = by_reference(ratio, pair, now_us);
    uint32_t wait_s = l7s_ratio_wait_s(ratio, pair->answered, pair->failed, now_us);

    assert_true(wanted < 0 || (wanted > 0) == exceeds(ratio, pair, now_us));
    assert_int_equal(wait_s > 0, exceeds(ratio, pair, now_us));
    assert_false(exceeds(ratio, pair, now_us + wait_s * S));
    assert_true(wait_s == 0 || exceeds(ratio, pair, now_us + (wait_s - 1) * S));
    /* It stays free, too: nobody is told to come back in vain. (Who is free now may not
     * stay so: good answers are forgotten, too.) */
    for (uint32_t k = 1; wait_s > 0 && k <= 8; k++) {
        assert_false(
            exceeds(ratio, pair, now_us + (wait_s + k * ratio->seconds / 3) * S));
    }
}

static void test_ratio_random_histories_agree_with_floating_point(void **state)
{
    uint64_t seed = 3;
    unsigned exceeded = 0, free_again = 0;

    (void)state;
    for (unsigned history = 0; history < 2000; history++) {
        l7s_ratio_t ratio = {
            .percent = 1 + (uint32_t)seeded_below(&seed, 100),
            .min_requests = 1 + (uint32_t)seeded_magnitude(&seed, 8),
            .seconds = 1 + (uint32_t)seeded_magnitude(&seed, 11),
        };
        uint64_t now_us = seeded_magnitude(&seed, 50);
        pair_t pair = {0, 0};
        bool before = false;
        for (unsigned step = 0; step < 60; step++) {
            now_us += seeded_below(&seed, ratio.seconds * S / 4);
            answer(&ratio, &pair, now_us, (uint32_t)seeded_magnitude(&seed, 6),
                   (uint32_t)seeded_magnitude(&seed, 6));
            check(&ratio, &pair, now_us);
            bool now = exceeds(&ratio, &pair, now_us);
            exceeded += now;
            free_again += before && !now;
            before = now;
        }
    }
    assert_true(exceeded > 1000 && free_again > 100); /* the histories tell something */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ratio_edges_of_share_and_number),
        cmocka_unit_test(test_ratio_is_free_again_when_too_few_answers_are_left),
        cmocka_unit_test(test_ratio_good_answers_make_up_for_bad_ones),
        cmocka_unit_test(test_ratio_of_more_than_all_is_all),
        cmocka_unit_test(test_ratio_full_tally_of_answers_trips_nobody),
        cmocka_unit_test(test_ratio_least_failed_is_the_share_of_the_least_number),
        cmocka_unit_test(test_ratio_random_histories_agree_with_floating_point),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
