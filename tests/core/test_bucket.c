/* SPDX-License-Identifier: Apache-2.0
 *
 * The bucket against an exact model in 128-bit numbers that never wraps, over random
 * rates, bursts, gaps and clocks of any magnitude, and the promises made to users.
 */
#include "../../core/count/bucket.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define S 1000000ULL

/* `used` is what is in use, in 1/requests microseconds, at the time `at`; `idle` is how
 * long the word has not been written. */
typedef struct {
    l7s_rate_t rate;
    __int128 used;
    uint64_t at, idle;
} model_t;

static void model_pass(model_t *model, uint64_t now)
{
    model->used -= (__int128)(now - model->at) * model->rate.requests;
    if (model->used < 0) {
        model->used = 0;
    }
    model->at = now;
}

static __int128 model_capacity(const model_t *model)
{
    return (__int128)model->rate.burst * model->rate.period_us;
}

static bool model_take(model_t *model, uint32_t cost)
{
    __int128 next = model->used + (__int128)cost * model->rate.period_us;
    if (next > model_capacity(model)) {
        return false;
    }
    model->used = next;
    return true;
}

static void model_debit(model_t *model, uint64_t tokens)
{
    __int128 limit =
        model_capacity(model) + (__int128)model->rate.requests * model->rate.period_us;
    model->used += (__int128)tokens * model->rate.period_us;
    if (model->used > limit) {
        model->used = limit;
    }
}

static void model_refund(model_t *model, uint32_t cost)
{
    model->used -= (__int128)cost * model->rate.period_us;
    if (model->used < 0) {
        model->used = 0;
    }
}

static uint64_t model_wait(const model_t *model, uint32_t cost)
{
    if (cost > model->rate.burst) {
        return UINT64_MAX;
    }
    __int128 over =
        model->used + (__int128)cost * model->rate.period_us - model_capacity(model);
    return over <= 0
               ? 0
               : (uint64_t)((over + model->rate.requests - 1) / model->rate.requests);
}

static uint32_t model_headroom(const model_t *model)
{
    __int128 room = model_capacity(model) - model->used;
    return room <= 0 ? 0 : (uint32_t)(room / model->rate.period_us);
}

static l7s_rate_t random_rate(uint64_t *seed)
{
    for (;;) {
        l7s_rate_t rate = {.requests = (uint32_t)seeded_magnitude(seed, 32),
                           .burst = (uint32_t)seeded_magnitude(seed, 32),
                           .period_us = seeded_magnitude(seed, 61)};
        if (l7s_rate_valid(&rate)) {
            return rate;
        }
    }
}

/* Gaps that matter: nothing, the period, one token's time, around the end of what is in
 * use, any magnitude that the wrapping clock bears (bucket.h: 2^63 / requests). */
static uint64_t random_gap(uint64_t *seed, const model_t *model)
{
    uint64_t longest = INT64_MAX / model->rate.requests - model->idle;
    uint64_t end = (uint64_t)(model->used / model->rate.requests);
    uint64_t gap;
    switch (seeded_below(seed, 6)) {
    case 0:
        return 0;
    case 1:
        gap = model->rate.period_us;
        break;
    case 2:
        gap = model->rate.period_us / model->rate.requests + seeded_below(seed, 2);
        break;
    case 3:
        gap = end + seeded_below(seed, 3);
        break;
    case 4:
        gap = model_wait(model, 1) + seeded_below(seed, 2);
        break;
    default:
        gap = seeded_magnitude(seed, 63);
        break;
    }
    return gap < longest ? gap : longest;
}

static void compare(const model_t *model, uint64_t tat, uint64_t now, uint32_t cost)
{
    const l7s_rate_t *rate = &model->rate;
    model_t trial = *model;
    assert_int_equal(l7s_bucket_conforms(rate, tat, now, cost), model_take(&trial, cost));
    assert_int_equal(l7s_bucket_headroom(rate, tat, now), model_headroom(model));
    assert_int_equal(l7s_bucket_drained(rate, tat, now), model->used == 0);
    assert_true(l7s_bucket_wait_us(rate, tat, now, cost) == model_wait(model, cost));
}

static void random_step(uint64_t *seed, model_t *model, _Atomic uint64_t *tat)
{
    const l7s_rate_t *rate = &model->rate;
    uint64_t now = model->at;
    uint32_t cost = seeded_below(seed, 2)
                        ? 1
                        : (uint32_t)seeded_magnitude(seed, 32) % (rate->burst + 1);
    switch (seeded_below(seed, 8)) {
    case 0:
        l7s_bucket_refund(rate, tat, now, cost);
        model_refund(model, cost);
        break;
    case 1: {
        uint64_t tokens = seeded_magnitude(seed, 64);
        l7s_bucket_debit(rate, tat, now, tokens);
        model_debit(model, tokens);
        break;
    }
    default:
        assert_int_equal(l7s_bucket_take(rate, tat, now, cost), model_take(model, cost));
        break;
    }
    compare(model, *tat, now, cost);
}

static void test_bucket_random_histories_equal_exact_model(void **state)
{
    (void)state;
    uint64_t seed = 5;
    for (int history = 0; history < 20000; history++) {
        model_t model = {.rate = random_rate(&seed), .at = seeded_magnitude(&seed, 63)};
        _Atomic uint64_t tat = l7s_bucket_fresh(&model.rate, model.at);
        for (int step = 0; step < 60; step++) {
            uint64_t gap = random_gap(&seed, &model);
            model_pass(&model, model.at + gap);
            compare(&model, tat, model.at, 1);
            uint64_t before = tat;
            random_step(&seed, &model, &tat);
            model.idle = tat == before ? model.idle + gap : 0;
        }
    }
}

static void test_rate_valid_edges(void **state)
{
    (void)state;
    uint64_t half = (uint64_t)1 << 61;
    static const l7s_rate_t zero[] = {{0, 1, 1}, {1, 0, 1}, {1, 1, 0}};
    for (size_t i = 0; i < 3; i++) {
        assert_false(l7s_rate_valid(&zero[i]));
    }
    const struct {
        l7s_rate_t rate;
        bool valid;
    } cases[] = {
        {{1, 1, 1}, true},
        {{1000000, 1000000, 86400 * S}, true},
        {{1, 1, half - 1}, true},
        {{1, 1, half}, false},
        {{UINT32_MAX, UINT32_MAX, (half >> 32)}, true},
        {{UINT32_MAX, UINT32_MAX, (half >> 32) + 1}, false},
        {{UINT32_MAX, UINT32_MAX, UINT64_MAX}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_rate_valid(&cases[i].rate), cases[i].valid);
    }
}

static void test_take_once_per_interval_for_ever_is_never_refused(void **state)
{
    (void)state;
    static const l7s_rate_t rates[] = {
        {1, 1, 1},           {1, 1, 1 * S},         {3, 1, 10 * S},
        {7, 1, 60 * S},      {10, 10, 10 * S},      {1000, 1, 1 * S},
        {1000000, 1, 1 * S}, {86399, 1, 86400 * S}, {1, 1, 31536000 * S},
        {4294967295u, 1, S}, {999999937, 3, 7 * S},
    };
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        const l7s_rate_t *rate = &rates[i];
        uint64_t now = 12345;
        uint64_t interval = (rate->period_us + rate->requests - 1) / rate->requests;
        _Atomic uint64_t tat = l7s_bucket_fresh(rate, now);
        for (int request = 0; request < 300000; request++, now += interval) {
            assert_true(l7s_bucket_take(rate, &tat, now, 1));
        }
    }
}

/* 3 requests per 10 s at their exact times, cut to whole microseconds as a clock does:
 * the thirds that are cut off must not add up. */
static void test_take_interval_with_remainder_is_carried(void **state)
{
    (void)state;
    const l7s_rate_t rate = {3, 3, 10 * S};
    _Atomic uint64_t tat = l7s_bucket_fresh(&rate, 0);
    for (uint64_t request = 0; request < 1000000; request++) {
        assert_true(l7s_bucket_take(&rate, &tat, request * rate.period_us / 3, 1));
    }
}

static void test_take_flood_admits_burst_and_rate_exactly(void **state)
{
    (void)state;
    static const l7s_rate_t rates[] = {{10, 10, 10 * S},
                                       {3, 7, 10 * S},
                                       {20, 2, 60 * S},
                                       {999, 5, 7 * S},
                                       {1, 4, 3 * S}};
    for (size_t i = 0; i < sizeof rates / sizeof rates[0]; i++) {
        const l7s_rate_t *rate = &rates[i];
        _Atomic uint64_t tat = l7s_bucket_fresh(rate, 77);
        uint64_t admitted = 0;
        for (uint64_t us = 0; us <= 300 * S; us += 997) {
            while (l7s_bucket_take(rate, &tat, 77 + us, 1)) {
                admitted++;
            }
            assert_int_equal(admitted,
                             rate->burst + us * rate->requests / rate->period_us);
        }
    }
}

static void test_take_more_than_burst_never_conforms(void **state)
{
    (void)state;
    const l7s_rate_t rate = {5, 5, S};
    _Atomic uint64_t tat = l7s_bucket_fresh(&rate, 0);
    assert_false(l7s_bucket_take(&rate, &tat, 0, 6));
    assert_int_equal(tat, l7s_bucket_fresh(&rate, 0));
    assert_true(l7s_bucket_wait_us(&rate, tat, 0, 6) == UINT64_MAX);
    assert_true(l7s_bucket_take(&rate, &tat, 0, 5));
}

static void test_wait_us_is_the_first_microsecond_that_conforms(void **state)
{
    (void)state;
    uint64_t seed = 6;
    for (int i = 0; i < 200000; i++) {
        l7s_rate_t rate = random_rate(&seed);
        _Atomic uint64_t tat = l7s_bucket_fresh(&rate, 1000);
        l7s_bucket_debit(&rate, &tat, 1000, seeded_magnitude(&seed, 33));
        uint64_t wait = l7s_bucket_wait_us(&rate, tat, 1000, 1);
        assert_true(l7s_bucket_conforms(&rate, tat, 1000 + wait, 1));
        if (wait > 0) {
            assert_false(l7s_bucket_conforms(&rate, tat, 1000 + wait - 1, 1));
        }
    }
}

static void test_debit_saturates_at_one_period_of_debt(void **state)
{
    (void)state;
    const l7s_rate_t rate = {10, 4, 10 * S};
    _Atomic uint64_t tat = l7s_bucket_fresh(&rate, 0);
    for (int i = 0; i < 3; i++) {
        l7s_bucket_debit(&rate, &tat, 0, UINT64_MAX);
        /* 10 s pay the debt, one more second gives a token. */
        assert_int_equal(l7s_bucket_wait_us(&rate, tat, 0, 1), 11 * S);
    }
    assert_int_equal(l7s_bucket_headroom(&rate, tat, 0), 0);
    assert_int_equal(l7s_bucket_headroom(&rate, tat, 14 * S), 4);
}

static void test_refund_never_overfills(void **state)
{
    (void)state;
    const l7s_rate_t rate = {10, 4, 10 * S};
    _Atomic uint64_t tat = l7s_bucket_fresh(&rate, 0);
    assert_true(l7s_bucket_take(&rate, &tat, 0, 1));
    l7s_bucket_refund(&rate, &tat, 500000, 4);
    assert_true(l7s_bucket_drained(&rate, tat, 500000));
    assert_int_equal(l7s_bucket_headroom(&rate, tat, 500000), 4);
    l7s_bucket_refund(&rate, &tat, 500000, UINT32_MAX);
    assert_int_equal(l7s_bucket_headroom(&rate, tat, 500000), 4);
}

static void test_used_and_idle_are_two_sides_of_a_full_bucket(void **state)
{
    (void)state;
    const l7s_rate_t rate = {10, 4, 10 * S};
    _Atomic uint64_t tat = l7s_bucket_fresh(&rate, 0);
    assert_int_equal(l7s_bucket_used(&rate, tat, 0), 0);
    assert_int_equal(l7s_bucket_idle_ms(&rate, tat, 0), 0);
    assert_true(l7s_bucket_take(&rate, &tat, 0, 3));
    assert_int_equal(l7s_bucket_used(&rate, tat, 0), 3 * rate.period_us);
    assert_int_equal(l7s_bucket_used(&rate, tat, 2 * S), rate.period_us);
    assert_int_equal(l7s_bucket_idle_ms(&rate, tat, 3 * S), 0);
    assert_int_equal(l7s_bucket_idle_ms(&rate, tat, 3 * S + 1500000), 1500);
    l7s_bucket_debit(&rate, &tat, 3 * S, 100);
    assert_int_equal(l7s_bucket_used(&rate, tat, 3 * S), 14 * rate.period_us);
}

/* A word that no history produces: at worst it counts as full debt. */
static void test_conforms_damaged_word_recovers_within_the_debt_limit(void **state)
{
    (void)state;
    const l7s_rate_t rate = {10, 4, 10 * S};
    uint64_t now = 1000 * S;
    uint64_t damaged = l7s_bucket_fresh(&rate, now) + INT64_MAX;
    assert_int_equal(l7s_bucket_wait_us(&rate, damaged, now, 1), 11 * S);
    _Atomic uint64_t tat = damaged;
    l7s_bucket_debit(&rate, &tat, now, 0);
    assert_true(l7s_bucket_take(&rate, &tat, now + 11 * S, 1));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bucket_random_histories_equal_exact_model),
        cmocka_unit_test(test_rate_valid_edges),
        cmocka_unit_test(test_take_once_per_interval_for_ever_is_never_refused),
        cmocka_unit_test(test_take_interval_with_remainder_is_carried),
        cmocka_unit_test(test_take_flood_admits_burst_and_rate_exactly),
        cmocka_unit_test(test_take_more_than_burst_never_conforms),
        cmocka_unit_test(test_wait_us_is_the_first_microsecond_that_conforms),
        cmocka_unit_test(test_debit_saturates_at_one_period_of_debt),
        cmocka_unit_test(test_refund_never_overfills),
        cmocka_unit_test(test_used_and_idle_are_two_sides_of_a_full_bucket),
        cmocka_unit_test(test_conforms_damaged_word_recovers_within_the_debt_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
