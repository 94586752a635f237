/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet's rules one by one, and all of them together: nodes with 100 ms ticks and a
 * store, simulated on a fake clock (fleet_model.h), against one exact limiter that sees
 * every request.
 */
#include "../../core/count/fleet.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "fleet_model.h"
#include <string.h>

static const l7s_rate_t rate = {.requests = 100, .burst = 100, .period_us = 10000000};

/* ---- single rules ---- */

static void test_fleet_period_changes_every_two_rate_periods_staggered(void **state)
{
    (void)state;
    const l7s_hash128_t a = {1, 0}, b = {1, 7500};
    uint64_t began_a, began_b, again;
    uint32_t number = l7s_fleet_period(&rate, a, 1000000, &began_a);
    assert_int_equal(began_a, 1000000);
    assert_int_equal(l7s_fleet_period(&rate, a, 1019999, &again), number);
    assert_int_equal(again, began_a);
    assert_int_equal(l7s_fleet_period(&rate, a, 1020000, &again), number + 1);
    assert_int_equal(again, 1020000);
    assert_int_equal(l7s_fleet_period(&rate, b, 1000000, &began_b), number);
    assert_int_equal(began_b, 992500);
    assert_int_equal(l7s_fleet_period(&rate, b, 1012500, &began_b), number + 1);
}

static void test_fleet_period_is_never_zero(void **state)
{
    (void)state;
    static const l7s_rate_t tiny = {1, 1, 1000}, none = {1, 1, 1};
    uint64_t began;
    assert_int_equal(l7s_fleet_period(&rate, (l7s_hash128_t){0, 0}, 0, &began), 1);
    assert_int_equal(began, 0);
    assert_int_equal(
        l7s_fleet_period(&tiny, (l7s_hash128_t){0, 0}, (1ULL << 32) * 2, &began), 1);
    assert_int_not_equal(l7s_fleet_period(&none, (l7s_hash128_t){0, 9}, 12345, &began),
                         0);
}

static void test_fleet_ttl_covers_a_period_and_stays_a_duration(void **state)
{
    (void)state;
    static const l7s_rate_t second = {1, 1, 1000000},
                            month = {1, 1, 30ULL * 86400000000ULL};
    assert_in_range(l7s_fleet_ttl_seconds(&rate), 22, 60);
    assert_in_range(l7s_fleet_ttl_seconds(&second), 4, 20);
    assert_int_equal(l7s_fleet_ttl_seconds(&month), 30 * 86400);
}

static void test_fleet_must_push_beyond_share_or_age(void **state)
{
    (void)state;
    static const struct {
        uint32_t pending;
        uint64_t age_ms;
        uint32_t headroom, nodes;
        bool must;
    } cases[] = {
        {0, 100000, 0, 1, false},
        {1, 0, 100, 1, false},
        {50, 0, 100, 1, false},
        {51, 0, 100, 1, true},
        {16, 0, 100, 3, false},
        {17, 0, 100, 3, true},
        {5, 0, 100, 10, false},
        {6, 0, 100, 10, true},
        {1, 0, 0, 1, true},
        /* Near the limit after an eighth of the period, far from it after a fifth. */
        {1, 1249, 87, 10, false},
        {1, 1250, 87, 10, true},
        {1, 1250, 88, 10, false},
        {1, 1999, 100, 10, false},
        {1, 2000, 100, 10, true},
        {1, 0, 1, 0, true},
        {UINT32_MAX, 0, UINT32_MAX, 256, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_fleet_must_push(&rate, cases[i].pending, cases[i].age_ms,
                                             cases[i].headroom, cases[i].nodes),
                         cases[i].must);
    }
}

static void test_fleet_is_near_beyond_an_eighth_of_the_bucket(void **state)
{
    (void)state;
    static const l7s_rate_t single = {.requests = 1, .burst = 1, .period_us = 1000000};
    assert_false(l7s_fleet_is_near(&rate, UINT32_MAX));
    assert_false(l7s_fleet_is_near(&rate, 100));
    assert_false(l7s_fleet_is_near(&rate, 88));
    assert_true(l7s_fleet_is_near(&rate, 87));
    assert_true(l7s_fleet_is_near(&rate, 0));
    assert_false(l7s_fleet_is_near(&single, 1));
    assert_true(l7s_fleet_is_near(&single, 0));
}

static void test_fleet_parcel_of_a_small_fleet_or_bucket_is_what_is_pending(void **state)
{
    (void)state;
    static const l7s_rate_t small = {.requests = 10, .burst = 10, .period_us = 10000000};
    for (uint64_t dice = 0; dice < 100; dice++) {
        assert_int_equal(l7s_fleet_parcel(&rate, 7, 100, 1, dice), 7);
        assert_int_equal(l7s_fleet_parcel(&rate, 7, 0, 19, dice), 7);
        assert_int_equal(l7s_fleet_parcel(&rate, 7, 100, 0, dice), 7);
        assert_int_equal(l7s_fleet_parcel(&small, 1, 10, 1000, dice), 1);
        assert_int_equal(l7s_fleet_parcel(&rate, UINT32_MAX, 0, 3, dice), UINT32_MAX);
    }
}

/* Every remainder of the dice once: the sum must be exact, not only about right. */
static void test_fleet_parcel_is_what_is_pending_on_the_average(void **state)
{
    (void)state;
    static const struct {
        uint32_t pending, headroom, nodes, size;
    } cases[] = {
        {1, 100, 1000, 4}, {3, 100, 1000, 4}, {9, 100, 10, 4},  {1, 100, 5, 2},
        {1, 87, 1000, 3},  {5, 51, 1000, 3},  {1, 50, 1000, 2}, {7, 0, 20, 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t sum = 0;
        for (uint64_t dice = 0; dice < cases[i].size; dice++) {
            uint32_t parcel = l7s_fleet_parcel(&rate, cases[i].pending, cases[i].headroom,
                                               cases[i].nodes, dice);
            assert_int_equal(parcel % cases[i].size, 0);
            sum += parcel;
        }
        assert_int_equal(sum, cases[i].pending * cases[i].size);
    }
}

static void test_fleet_must_tell_what_moved_near_the_limit(void **state)
{
    (void)state;
    static const struct {
        uint32_t headroom;
        uint64_t moved, silent_ms;
        bool must;
    } cases[] = {
        {88, 100, 99999, false}, {87, 0, 99999, false}, {87, 7, 1999, false},
        {87, 7, 2000, true},     {87, 8, 0, true},      {0, 1, UINT64_MAX, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_fleet_must_tell(&rate, cases[i].headroom, cases[i].moved,
                                             cases[i].silent_ms),
                         cases[i].must);
    }
}

static void test_fleet_hear_every_case_debits_what_is_missing(void **state)
{
    (void)state;
    /* `used` here and there in tokens. */
    static const struct {
        uint64_t seen_total;
        uint32_t seen_period, period;
        uint64_t total, used_there, age_ms, used_here;
        uint32_t pending;
        uint64_t debit, total_after;
        uint32_t period_after;
    } cases[] = {
        /* First sight: as full as the teller's, with what is pending here on top. */
        {0, 0, 7, 900, 30, 0, 0, 0, 30, 900, 7},
        {0, 0, 7, 900, 30, 0, 2, 2, 30, 900, 7},
        {0, 0, 7, 900, 30, 0, 40, 3, 0, 900, 7},
        {0, 0, 7, 900, 170, 0, 0, 0, 100, 900, 7}, /* at most one bucket */
        {0, 0, 7, 900, UINT64_MAX / 20000000, 0, 0, 0, 100, 900, 7},
        {0, 0, 7, 900, 30, 0, 0, UINT32_MAX, 100, 900, 7},
        {0, 0, 7, 900, 30, 1000, 0, 0, 20, 900, 7}, /* ten drained meanwhile */
        {0, 0, 7, 900, 30, UINT64_MAX, 0, 0, 0, 900, 7},
        /* The same number: what it grew by. */
        {30, 7, 7, 40, 90, 0, 0, 0, 10, 40, 7},
        {30, 7, 7, 400, 90, 0, 0, 0, 100, 400, 7},
        {30, 7, 7, 30, 90, 0, 0, 0, 0, 30, 7},
        {30, 7, 7, 20, 90, 0, 0, 0, 0, 30, 7}, /* late, or of before an eviction */
        /* The next number: what it holds, but not what has drained at the teller's. */
        {30, 7, 8, 5, 90, 0, 0, 0, 5, 5, 8},
        {30, 7, 8, 50, 12, 0, 0, 0, 12, 50, 8},
        {30, 7, 8, 50, 12, 0, 10, 1, 3, 50, 8},
        /* A later one: as at first sight. */
        {30, 7, 9, 5, 90, 0, 0, 0, 90, 5, 9},
        /* The one before: the view stays. */
        {30, 7, 6, 900, 90, 0, 0, 0, 0, 30, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_fleet_view_t view = {.total = cases[i].seen_total,
                                 .period = cases[i].seen_period};
        const l7s_fleet_news_t news = {.total = cases[i].total,
                                       .used = cases[i].used_there * rate.period_us,
                                       .age_ms = cases[i].age_ms,
                                       .period = cases[i].period};
        assert_int_equal(l7s_fleet_hear(&rate, &view, &news, cases[i].pending,
                                        cases[i].used_here * rate.period_us),
                         cases[i].debit);
        assert_int_equal(view.total, cases[i].total_after);
        assert_int_equal(view.period, cases[i].period_after);
    }
}

static void test_fleet_undrained_forgives_what_a_long_pause_gave_back(void **state)
{
    (void)state;
    /* A quarter of the period, 2.5 s, forgives nothing. */
    assert_int_equal(l7s_fleet_undrained(&rate, 50, 0), 50);
    assert_int_equal(l7s_fleet_undrained(&rate, 50, 2500), 50);
    assert_int_equal(l7s_fleet_undrained(&rate, 50, 3500), 40);
    assert_int_equal(l7s_fleet_undrained(&rate, 50, 7500), 0);
    assert_int_equal(l7s_fleet_undrained(&rate, 50, UINT64_MAX), 0);
    assert_int_equal(l7s_fleet_undrained(&rate, UINT64_MAX, 7500), UINT64_MAX - 50);
}

static void test_fleet_look_interval_grows_with_the_fleet(void **state)
{
    (void)state;
    assert_int_equal(l7s_fleet_look_interval_ms(0), 2000);
    assert_int_equal(l7s_fleet_look_interval_ms(1), 2000);
    assert_int_equal(l7s_fleet_look_interval_ms(256), 512000);
}

static void test_fleet_is_light_below_the_share_of_the_rate(void **state)
{
    (void)state;
    static const struct {
        uint32_t pending;
        uint64_t age_ms;
        uint32_t nodes;
        bool light;
    } cases[] = {
        {12, 1250, 1, true},
        {13, 1250, 1, false},
        {4, 1250, 3, true},
        {5, 1250, 3, false},
        {1, 1250, 10, true},
        {2, 1250, 10, false},
        {1, 1250, 13, false},
        {1, 1250, 0, true},
        {UINT32_MAX, 1250, UINT32_MAX, false},
        {1, UINT64_MAX, 10, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            l7s_fleet_is_light(&rate, cases[i].pending, cases[i].age_ms, cases[i].nodes),
            cases[i].light);
    }
}

static void test_fleet_learn_every_case_debits_what_others_used(void **state)
{
    (void)state;
    static const struct {
        uint64_t seen_total;
        uint32_t seen_period, period;
        uint64_t total;
        uint32_t pushed;
        uint64_t elapsed_ms;
        uint64_t debit, total_after;
        uint32_t period_after;
    } cases[] = {
        /* First sight: what drained since the period began is forgiven. */
        {0, 0, 7, 30, 5, 0, 25, 30, 7},
        {0, 0, 7, 30, 5, 1000, 15, 30, 7},
        {0, 0, 7, 30, 5, 5000, 0, 30, 7},
        {0, 0, 7, 30, 5, UINT64_MAX, 0, 30, 7},
        {0, 0, 7, 5000, 5, 0, 100, 5000, 7}, /* at most one bucket */
        {0, 0, 7, 5, 5, 0, 0, 5, 7},
        {0, 0, 7, 3, 5, 0, 0, 3, 7},
        /* The same period: the difference, without our own. */
        {30, 7, 7, 40, 4, 9000, 6, 40, 7},
        {30, 7, 7, 34, 4, 9000, 0, 34, 7},
        {30, 7, 7, UINT64_MAX, 4, 9000, 100, UINT64_MAX, 7},
        /* A total below the last one (eviction, restart): nothing, and a new base. */
        {30, 7, 7, 4, 4, 9000, 0, 4, 7},
        {30, 7, 7, 29, 0, 9000, 0, 29, 7},
        /* The next period, in view until it began: only a long pause is forgiven. */
        {30, 7, 8, 20, 4, 2000, 16, 20, 8},
        {30, 7, 8, 20, 4, 3500, 6, 20, 8},
        /* A later one: as at first sight. */
        {30, 7, 9, 20, 4, 1000, 6, 20, 9},
        {30, 7, 9, 20, 4, 2000, 0, 20, 9},
        /* An answer about the period before: the view stays. */
        {30, 7, 6, 900, 0, 0, 0, 30, 7},
        /* The clock was set back: begin again. */
        {30, 700, 7, 20, 4, 0, 16, 20, 7},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_fleet_view_t view = {.total = cases[i].seen_total,
                                 .period = cases[i].seen_period};
        assert_int_equal(l7s_fleet_learn(&rate, &view, cases[i].period, cases[i].total,
                                         cases[i].pushed, cases[i].elapsed_ms),
                         cases[i].debit);
        assert_int_equal(view.total, cases[i].total_after);
        assert_int_equal(view.period, cases[i].period_after);
    }
}

static void test_fleet_elapsed_is_the_age_of_a_young_number(void **state)
{
    (void)state;
    uint64_t ttl = l7s_fleet_ttl_seconds(&rate);
    static const struct {
        uint64_t since_ms, age_s, elapsed_ms;
    } cases[] = {
        {9000, 0, 0}, {9000, 1, 500}, {9000, 5, 4500}, {9000, 20, 9000}, {100, 1, 100},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(
            l7s_fleet_elapsed_ms(&rate, cases[i].since_ms, ttl - cases[i].age_s),
            cases[i].elapsed_ms);
    }
    assert_int_equal(l7s_fleet_elapsed_ms(&rate, 9000, ttl + 99), 0);
}

static void test_fleet_counter_name_is_keyed_and_differs(void **state)
{
    (void)state;
    static const struct {
        l7s_hashkey_t name_key;
        l7s_hash128_t key;
        uint32_t period;
    } cases[] = {{{1, 2}, {3, 4}, 5},
                 {{9, 2}, {3, 4}, 5},
                 {{1, 2}, {9, 4}, 5},
                 {{1, 2}, {3, 9}, 5},
                 {{1, 2}, {3, 4}, 9}};
    char names[5][L7S_COUNTER_NAME];
    for (size_t i = 0; i < 5; i++) {
        l7s_fleet_counter_name(&cases[i].name_key, cases[i].key, cases[i].period,
                               names[i]);
        assert_int_equal(strlen(names[i]), 23);
        assert_int_equal(names[i][0], 'c');
        for (size_t j = 0; j < i; j++) {
            assert_string_not_equal(names[i], names[j]);
        }
    }
}

/* ---- all of them together ---- */

static double percent(uint64_t part, uint64_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

/* Admitted volume of the fleet against the exact limiter, in percent. */
static double deviation(const fleet_figures_t *figures)
{
    return percent(figures->fleet, figures->exact) - 100.0;
}

static int set_up(void **state)
{
    *state = fleet_model_create(88172645463325252ULL);
    return *state ? 0 : -1;
}

static int tear_down(void **state)
{
    fleet_model_free(*state);
    return 0;
}

static void run_source(fleet_model_t *model, unsigned nodes, double load, double seconds,
                       unsigned repeats, fleet_figures_t *figures)
{
    const fleet_source_t source = {.rule = fleet_rule_product,
                                   .rate = rate,
                                   .nodes = nodes,
                                   .load = load,
                                   .seconds = seconds};
    for (unsigned i = 0; i < repeats; i++) {
        fleet_model_run(model, &source, figures);
    }
}

static void test_fleet_steady_sources_are_limited_like_by_one_limiter(void **state)
{
    static const unsigned fleets[] = {3, 10};
    static const double loads[] = {0.05, 0.2, 0.5, 0.9, 1.0, 1.1, 1.2, 1.5, 2, 10, 50};
    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
            fleet_figures_t figures = {0};
            run_source(*state, fleets[n], loads[i], 300, 10, &figures);
            print_message(
                "%2u nodes, %5.2f x limit: exact admits %5.1f %%, fleet %+.2f %%, "
                "%.3f operations per request\n",
                fleets[n], loads[i], percent(figures.exact, figures.requests),
                deviation(&figures),
                (double)figures.operations / (double)figures.requests);
            assert_true(deviation(&figures) > -2.0 && deviation(&figures) < 3.0);
        }
    }
}

/* The first seconds of a flood decide whether a limit can be trusted: a node's first look
 * must see what the others admitted a moment ago. */
static void test_fleet_start_of_a_flood_is_limited_like_by_one_limiter(void **state)
{
    static const unsigned fleets[] = {2, 3, 10};
    for (size_t n = 0; n < 3; n++) {
        fleet_figures_t figures = {0};
        run_source(*state, fleets[n], 10, 10, 300, &figures);
        print_message("%2u nodes, first 10 s of 10 x limit: fleet %+.2f %%\n", fleets[n],
                      deviation(&figures));
        assert_true(deviation(&figures) > -2.0 && deviation(&figures) < 10.0);
    }
}

/* Error: over- and under-admitted volume, summed per source so that they do not make up
 * for one another. */
static void test_fleet_population_of_sources_is_limited_like_by_one_limiter(void **state)
{
    static const struct {
        unsigned nodes;
        double error_most, operations_most;
    } cases[] = {
        {1, 0.001, 0.3}, {3, 0.4, 0.3}, {10, 0.7, 0.4}, {100, 1.5, 0.4}, {1000, 3, 0.4},
    };
    for (size_t n = 0; n < sizeof cases / sizeof cases[0]; n++) {
        fleet_figures_t figures = {0};
        fleet_model_population(*state, fleet_rule_product, &rate, cases[n].nodes, 400,
                               &figures);
        double over = percent(figures.over, figures.exact);
        double under = percent(figures.under, figures.exact);
        uint64_t sent = figures.operations + figures.news;
        double operations = (double)sent / (double)figures.requests;
        print_message(
            "%4u nodes, population: exact admits %.1f %%, over-admitted %.2f %%, "
            "under-admitted %.2f %%, %.3f operations and news per request\n",
            cases[n].nodes, percent(figures.exact, figures.requests), over, under,
            operations);
        assert_true(deviation(&figures) > -2.0 && deviation(&figures) < 3.0);
        assert_true(over + under < cases[n].error_most);
        assert_true(operations < cases[n].operations_most);
        assert_int_equal(figures.light_refused, 0);
    }
}

/* A cost that became known afterwards left the bucket in debt where it was charged: the
 * others take over the debt, which a bucket of requests never has. */
static void test_fleet_what_may_owe_is_taken_over_with_its_debt(void **state)
{
    static const l7s_rate_t thousand = {1000, 1000, 60000000};
    const l7s_fleet_news_t news = {
        .total = 1800, .used = 1800 * thousand.period_us, .age_ms = 0, .period = 7};

    (void)state;
    for (unsigned owes = 0; owes < 2; owes++) {
        l7s_fleet_view_t view = {.may_owe = owes};
        uint64_t wanted = owes ? 1800 : 1000;
        assert_int_equal(l7s_fleet_hear(&thousand, &view, &news, 0, 0), wanted);
        assert_int_equal(view.total, 1800);
        assert_int_equal(view.may_owe, owes);
        view = (l7s_fleet_view_t){.may_owe = owes};
        assert_int_equal(l7s_fleet_learn(&thousand, &view, 7, 1800, 0, 0), wanted);
        view = (l7s_fleet_view_t){.may_owe = owes};
        assert_int_equal(l7s_fleet_learn(&thousand, &view, 7, 90000, 0, 0),
                         owes ? 2000 : 1000);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fleet_period_changes_every_two_rate_periods_staggered),
        cmocka_unit_test(test_fleet_period_is_never_zero),
        cmocka_unit_test(test_fleet_ttl_covers_a_period_and_stays_a_duration),
        cmocka_unit_test(test_fleet_is_near_beyond_an_eighth_of_the_bucket),
        cmocka_unit_test(test_fleet_must_push_beyond_share_or_age),
        cmocka_unit_test(test_fleet_parcel_of_a_small_fleet_or_bucket_is_what_is_pending),
        cmocka_unit_test(test_fleet_parcel_is_what_is_pending_on_the_average),
        cmocka_unit_test(test_fleet_is_light_below_the_share_of_the_rate),
        cmocka_unit_test(test_fleet_learn_every_case_debits_what_others_used),
        cmocka_unit_test(test_fleet_must_tell_what_moved_near_the_limit),
        cmocka_unit_test(test_fleet_hear_every_case_debits_what_is_missing),
        cmocka_unit_test(test_fleet_undrained_forgives_what_a_long_pause_gave_back),
        cmocka_unit_test(test_fleet_look_interval_grows_with_the_fleet),
        cmocka_unit_test(test_fleet_elapsed_is_the_age_of_a_young_number),
        cmocka_unit_test(test_fleet_counter_name_is_keyed_and_differs),
        cmocka_unit_test(test_fleet_steady_sources_are_limited_like_by_one_limiter),
        cmocka_unit_test(test_fleet_start_of_a_flood_is_limited_like_by_one_limiter),
        cmocka_unit_test(test_fleet_population_of_sources_is_limited_like_by_one_limiter),
        cmocka_unit_test(test_fleet_what_may_owe_is_taken_over_with_its_debt),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
