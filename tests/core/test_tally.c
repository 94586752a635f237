/* SPDX-License-Identifier: Apache-2.0
 *
 * The tally against a list of all that was counted, over random gaps, amounts, periods
 * and clocks, and what it promises of a window's edges, of clocks that differ and of
 * room.
 */
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
#include <pthread.h>

#define S 1000000ULL
#define EVENTS 256

/* Everything that was counted and may still matter. */
typedef struct {
    double period_ms;
    size_t count;
    struct {
        uint64_t at_ms, amount;
    } events[EVENTS];
} model_t;

static void model_add(model_t *model, uint64_t now_us, uint64_t amount)
{
    size_t at = model->count++ % EVENTS;

    model->events[at].at_ms = now_us / 1000;
    model->events[at].amount = amount;
}

/* In the running window wholly, in the one before in part. */
static double model_count(const model_t *model, uint64_t now_us)
{
    double now = (double)(now_us / 1000), sum = 0;
    double begin = floor(now / model->period_ms) * model->period_ms;
    size_t count = model->count < EVENTS ? model->count : EVENTS;

    for (size_t i = 0; i < count; i++) {
        double at = (double)model->events[i].at_ms,
               amount = (double)model->events[i].amount;
        if (at >= begin) {
            sum += amount;
        } else if (at >= begin - model->period_ms) {
            sum += amount * (1 - (now - begin) / model->period_ms);
        }
    }
    return sum;
}

static double shown(uint32_t seconds, uint64_t word, uint64_t now_us)
{
    return (double)l7s_tally_weight(seconds, word, now_us) / (seconds * 1000.0);
}

static void test_tally_random_histories_equal_the_list_of_all(void **state)
{
    uint64_t seed = 1;

    (void)state;
    for (unsigned history = 0; history < 3000; history++) {
        uint32_t seconds = 1 + (uint32_t)seeded_below(&seed, L7S_TALLY_SECONDS_MAX);
        uint64_t now_us = seeded_magnitude(&seed, 52), longest = seconds * S * 5 / 2;
        _Atomic uint64_t word = L7S_TALLY_FRESH;
        model_t model = {.period_ms = seconds * 1000.0};
        for (unsigned step = 0; step < 200; step++) {
            /* Mostly a few per period, sometimes none for long. */
            now_us +=
                seeded_below(&seed, seeded_below(&seed, 8) == 0 ? longest : longest / 50);
            if (seeded_below(&seed, 3) > 0) {
                uint64_t amount = seeded_magnitude(&seed, 17);
                l7s_tally_add(seconds, &word, now_us, amount);
                model_add(&model, now_us, amount);
            }
            double wanted = model_count(&model, now_us);
            assert_true(fabs(shown(seconds, word, now_us) - wanted) <=
                        1e-6 * (1 + wanted));
            assert_true(
                fabs(l7s_tally_count(seconds, word, now_us) - ceil(wanted - 1e-6)) <= 1);
            assert_int_equal(l7s_tally_drained(seconds, word, now_us),
                             l7s_tally_count(seconds, word, now_us) == 0);
        }
    }
}

/* A bucket of 50 a minute would show none of these: it gives back faster. */
static void test_tally_of_a_slow_client_shows_all_of_its_requests(void **state)
{
    _Atomic uint64_t word = L7S_TALLY_FRESH;

    (void)state;
    for (uint64_t at = 0; at < 3600; at += 2) {
        l7s_tally_add(60, &word, at * S, 1);
        if (at >= 120) {
            double count = shown(60, word, at * S);
            assert_true(count >= 30 && count <= 31.001);
        }
    }
}

static void test_tally_forgets_nothing_before_one_period_and_all_after_two(void **state)
{
    _Atomic uint64_t word = L7S_TALLY_FRESH;

    (void)state;
    l7s_tally_add(10, &word, 1000 * S, 100);
    assert_int_equal(l7s_tally_count(10, word, 1000 * S), 100);
    assert_int_equal(l7s_tally_count(10, word, 1010 * S - 1), 100);
    assert_int_equal(l7s_tally_count(10, word, 1010 * S), 100);
    assert_int_equal(l7s_tally_count(10, word, 1015 * S), 50);
    assert_int_equal(l7s_tally_count(10, word, 1020 * S - 1000), 1);
    assert_false(l7s_tally_drained(10, word, 1020 * S - 1000));
    assert_true(l7s_tally_drained(10, word, 1020 * S));
    assert_int_equal(l7s_tally_count(10, word, 1020 * S), 0);
}

/* A thread that reads its clock a moment earlier meets a window that it is not in yet. */
static void test_tally_clock_that_is_behind_takes_nothing_away(void **state)
{
    _Atomic uint64_t word = L7S_TALLY_FRESH;

    (void)state;
    l7s_tally_add(10, &word, 999 * S, 4);
    l7s_tally_add(10, &word, 1000 * S, 1);
    assert_int_equal(l7s_tally_count(10, word, 1000 * S - 1), 5);
    l7s_tally_add(10, &word, 1000 * S - 1, 1);
    assert_int_equal(l7s_tally_count(10, word, 1000 * S), 6);
    assert_int_equal(l7s_tally_count(10, word, 1005 * S), 4);
}

static void test_tally_fresh_one_begins_wherever_the_clock_is(void **state)
{
    static const uint64_t clocks[] = {0,        1,        4095 * S,  4096 * S,
                                      2047 * S, 2048 * S, 1ULL << 62};

    (void)state;
    for (size_t i = 0; i < sizeof clocks / sizeof *clocks; i++) {
        _Atomic uint64_t word = L7S_TALLY_FRESH;
        assert_true(l7s_tally_drained(1, word, clocks[i]));
        l7s_tally_add(1, &word, clocks[i], 7);
        assert_int_equal(l7s_tally_count(1, word, clocks[i]), 7);
    }
}

static void test_tally_that_is_full_stays_so_and_says_it(void **state)
{
    _Atomic uint64_t word = L7S_TALLY_FRESH;

    (void)state;
    l7s_tally_add(1, &word, 0, L7S_TALLY_MAX - 1);
    assert_false(l7s_tally_is_full(word));
    l7s_tally_add(1, &word, 0, 1);
    assert_true(l7s_tally_is_full(word));
    l7s_tally_add(1, &word, 0, UINT64_MAX);
    assert_int_equal(l7s_tally_count(1, word, 0), L7S_TALLY_MAX);
    l7s_tally_add(1, &word, S, 1); /* the one before still is */
    assert_true(l7s_tally_is_full(word));
    l7s_tally_add(1, &word, 2 * S, 1);
    assert_false(l7s_tally_is_full(word));
}

#define THREADS 4
#define ADDS 50000

static _Atomic uint64_t shared;

static void *add_many(void *unused)
{
    for (unsigned i = 0; i < ADDS; i++) {
        l7s_tally_add(60, &shared, 61 * S, 1);
    }
    return unused;
}

static void test_tally_counts_every_thread(void **state)
{
    pthread_t threads[THREADS];

    (void)state;
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, add_many, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(l7s_tally_count(60, shared, 61 * S), THREADS * ADDS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tally_random_histories_equal_the_list_of_all),
        cmocka_unit_test(test_tally_of_a_slow_client_shows_all_of_its_requests),
        cmocka_unit_test(test_tally_forgets_nothing_before_one_period_and_all_after_two),
        cmocka_unit_test(test_tally_clock_that_is_behind_takes_nothing_away),
        cmocka_unit_test(test_tally_fresh_one_begins_wherever_the_clock_is),
        cmocka_unit_test(test_tally_that_is_full_stays_so_and_says_it),
        cmocka_unit_test(test_tally_counts_every_thread),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
