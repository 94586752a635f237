/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet's rules one by one, and all of them together: nodes with 100 ms ticks and a
 * store, simulated on a fake clock, against one exact limiter that sees every request.
 */
#include "../../core/fleet.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <math.h>
#include <stdlib.h>
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
        {1, 1249, 100, 10, false},
        {1, 1250, 100, 10, true},
        {1, 0, 1, 0, true},
        {UINT32_MAX, 0, UINT32_MAX, 256, true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_fleet_must_push(&rate, cases[i].pending, cases[i].age_ms,
                                             cases[i].headroom, cases[i].nodes),
                         cases[i].must);
    }
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
        l7s_fleet_view_t view = {cases[i].seen_total, cases[i].seen_period};
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

/* ---- the simulation ---- */

#define NODES_MAX 10
#define TICK_US 100000
#define BUMP_MS 1000
#define START_US 1000000000ULL
#define WALL_MS 1700000000000ULL

typedef struct {
    _Atomic uint64_t tat;
    uint32_t pending;
    uint64_t since_ms, next_tick_us, bump_at_ms;
    bool hot;
    l7s_fleet_view_t view;
} node_t;

/* One key on all nodes, and its numbers in the store. */
typedef struct {
    l7s_hash128_t key;
    unsigned nodes;
    node_t node[NODES_MAX];
    uint64_t number[8];
    uint32_t number_period[8];
    uint64_t number_born_ms[8];
} tally_t;

typedef struct {
    uint64_t requests, exact, fleet, operations;
    uint64_t over, under; /* summed per key */
} figures_t;

static uint64_t random_state = 88172645463325252ULL;

static double uniform(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 7;
    random_state ^= random_state << 17;
    return (double)(random_state >> 11) / 9007199254740992.0;
}

static double exponential(double mean)
{
    return -log(1 - uniform()) * mean;
}

static uint64_t *number_of(tally_t *key, uint32_t period, uint64_t now_us)
{
    unsigned at = period % 8;
    if (key->number_period[at] != period) {
        key->number_period[at] = period;
        key->number[at] = 0;
        key->number_born_ms[at] = now_us / 1000;
    }
    return &key->number[at];
}

/* As memcached tells it: in whole seconds of its own clock. */
static uint64_t left_of(const tally_t *key, uint32_t period, uint64_t now_us)
{
    uint64_t age_s = now_us / 1000000 - key->number_born_ms[period % 8] / 1000;
    uint64_t ttl_s = l7s_fleet_ttl_seconds(&rate);
    return age_s < ttl_s ? ttl_s - age_s : 0;
}

/* One exchange with the store: add, read, learn. */
static void exchange(tally_t *key, node_t *node, uint32_t period, uint32_t delta,
                     uint64_t elapsed_ms, uint64_t now_us, figures_t *figures)
{
    uint64_t *number = number_of(key, period, now_us);
    *number += delta;
    figures->operations++;
    elapsed_ms = l7s_fleet_elapsed_ms(&rate, elapsed_ms, left_of(key, period, now_us));
    uint64_t others =
        l7s_fleet_learn(&rate, &node->view, period, *number, delta, elapsed_ms);
    l7s_bucket_debit(&rate, &node->tat, now_us, others);
}

/* Both numbers are looked at when a period has just begun. */
static void look(tally_t *key, node_t *node, uint32_t delta, uint64_t now_us,
                 figures_t *figures)
{
    uint64_t wall_ms = WALL_MS + now_us / 1000, began_ms;
    uint32_t period = l7s_fleet_period(&rate, key->key, wall_ms, &began_ms);
    if (node->view.period != 0 && node->view.period + 1 == period) {
        exchange(key, node, node->view.period, 0, 0, now_us, figures);
    }
    exchange(key, node, period, delta, wall_ms - began_ms, now_us, figures);
}

static void push(tally_t *key, node_t *node, uint64_t now_us, figures_t *figures)
{
    uint32_t headroom = l7s_bucket_headroom(&rate, node->tat, now_us);
    uint64_t age_ms = now_us / 1000 - node->since_ms;
    if (!l7s_fleet_must_push(&rate, node->pending, age_ms, headroom, key->nodes)) {
        return;
    }
    bool by_age = !l7s_fleet_must_push(&rate, node->pending, 0, headroom, key->nodes);
    if (!by_age || !l7s_bucket_drained(&rate, node->tat, now_us) ||
        !l7s_fleet_is_light(&rate, node->pending, age_ms, key->nodes)) {
        look(key, node, node->pending, now_us, figures);
        if (!node->hot) {
            node->hot = true;
            node->bump_at_ms = now_us / 1000 + BUMP_MS;
        }
    }
    node->pending = 0;
}

static void tick(tally_t *key, node_t *node, uint64_t now_us, figures_t *figures)
{
    push(key, node, now_us, figures);
    if (node->hot && now_us / 1000 >= node->bump_at_ms) {
        node->hot = !l7s_bucket_drained(&rate, node->tat, now_us);
        if (node->hot) {
            look(key, node, 0, now_us, figures);
            node->bump_at_ms = now_us / 1000 + BUMP_MS;
        }
    }
}

static void run_ticks(tally_t *key, uint64_t until_us, figures_t *figures)
{
    for (;;) {
        node_t *first = &key->node[0];
        for (unsigned i = 1; i < key->nodes; i++) {
            if (key->node[i].next_tick_us < first->next_tick_us) {
                first = &key->node[i];
            }
        }
        if (first->next_tick_us > until_us) {
            return;
        }
        tick(key, first, first->next_tick_us, figures);
        first->next_tick_us += TICK_US;
    }
}

static void start_key(tally_t *key, unsigned nodes)
{
    *key = (tally_t){.key = {(uint64_t)(uniform() * 1e18), (uint64_t)(uniform() * 1e18)},
                     .nodes = nodes};
    for (unsigned i = 0; i < nodes; i++) {
        key->node[i].tat = l7s_bucket_fresh(&rate, START_US);
        key->node[i].next_tick_us = START_US + (uint64_t)(uniform() * TICK_US);
    }
}

/* One source of Poisson arrivals, spread evenly over the nodes: `load` times the limit,
 * with `on_s` > 0 only in bursts of that mean length, three times as long apart. */
static void simulate(unsigned nodes, double load, double on_s, double seconds,
                     figures_t *figures)
{
    tally_t key;
    start_key(&key, nodes);
    _Atomic uint64_t exact_tat = l7s_bucket_fresh(&rate, START_US);
    double gap_us = (double)rate.period_us / rate.requests / load;
    double at = START_US, end = at + seconds * 1e6;
    double on_end = on_s > 0 ? at + exponential(on_s * 1e6) : end;
    uint64_t exact = 0, fleet = 0;
    for (;;) {
        at += exponential(gap_us);
        if (on_s > 0 && at > on_end) {
            at = on_end + exponential(3 * on_s * 1e6);
            on_end = at + exponential(on_s * 1e6);
        }
        if (at >= end) {
            break;
        }
        uint64_t now_us = (uint64_t)at;
        run_ticks(&key, now_us, figures);
        node_t *node = &key.node[(unsigned)(uniform() * nodes)];
        figures->requests++;
        exact += l7s_bucket_take(&rate, &exact_tat, now_us, 1);
        if (l7s_bucket_take(&rate, &node->tat, now_us, 1)) {
            fleet++;
            if (node->pending++ == 0) {
                node->since_ms = now_us / 1000;
            }
        }
    }
    figures->exact += exact;
    figures->fleet += fleet;
    figures->over += fleet > exact ? fleet - exact : 0;
    figures->under += exact > fleet ? exact - fleet : 0;
}

static double percent(uint64_t part, uint64_t whole)
{
    return 100.0 * (double)part / (double)whole;
}

/* Admitted volume of the fleet against the exact limiter, in percent. */
static double deviation(const figures_t *figures)
{
    return percent(figures->fleet, figures->exact) - 100.0;
}

static void test_fleet_steady_sources_are_limited_like_by_one_limiter(void **state)
{
    (void)state;
    static const unsigned fleets[] = {3, 10};
    static const double loads[] = {0.05, 0.2, 0.5, 0.9, 1.0, 1.1, 1.2, 1.5, 2, 10, 50};
    for (size_t n = 0; n < 2; n++) {
        for (size_t i = 0; i < sizeof loads / sizeof loads[0]; i++) {
            figures_t figures = {0};
            for (unsigned repeat = 0; repeat < 10; repeat++) {
                simulate(fleets[n], loads[i], 0, 300, &figures);
            }
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
    (void)state;
    static const unsigned fleets[] = {2, 3, 10};
    for (size_t n = 0; n < 3; n++) {
        figures_t figures = {0};
        for (unsigned repeat = 0; repeat < 300; repeat++) {
            simulate(fleets[n], 10, 0, 10, &figures);
        }
        print_message("%2u nodes, first 10 s of 10 x limit: fleet %+.2f %%\n", fleets[n],
                      deviation(&figures));
        assert_true(deviation(&figures) > -2.0 && deviation(&figures) < 10.0);
    }
}

/* Box and Muller: a logarithm of the load that is normally distributed. */
static double log_normal(double median, double sigma)
{
    return median *
           exp(sigma * sqrt(-2 * log(1 - uniform())) * cos(2 * M_PI * uniform()));
}

static void test_fleet_population_of_sources_is_limited_like_by_one_limiter(void **state)
{
    (void)state;
    static const unsigned fleets[] = {1, 3, 10};
    for (size_t n = 0; n < 3; n++) {
        figures_t figures = {0};
        for (unsigned source = 0; source < 400; source++) {
            double load = log_normal(0.2, 1.0);
            bool bursty = source % 2 == 1;
            simulate(fleets[n], bursty ? 4 * load : load, bursty ? 5 : 0, 120, &figures);
        }
        print_message(
            "%2u nodes, population: exact admits %.1f %%, over-admitted %.2f %%, "
            "under-admitted %.2f %%, %.3f operations per request\n",
            fleets[n], percent(figures.exact, figures.requests),
            percent(figures.over, figures.exact), percent(figures.under, figures.exact),
            (double)figures.operations / (double)figures.requests);
        assert_true(deviation(&figures) > -2.0 && deviation(&figures) < 3.0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_fleet_period_changes_every_two_rate_periods_staggered),
        cmocka_unit_test(test_fleet_period_is_never_zero),
        cmocka_unit_test(test_fleet_ttl_covers_a_period_and_stays_a_duration),
        cmocka_unit_test(test_fleet_must_push_beyond_share_or_age),
        cmocka_unit_test(test_fleet_is_light_below_the_share_of_the_rate),
        cmocka_unit_test(test_fleet_learn_every_case_debits_what_others_used),
        cmocka_unit_test(test_fleet_elapsed_is_the_age_of_a_young_number),
        cmocka_unit_test(test_fleet_counter_name_is_keyed_and_differs),
        cmocka_unit_test(test_fleet_steady_sources_are_limited_like_by_one_limiter),
        cmocka_unit_test(test_fleet_start_of_a_flood_is_limited_like_by_one_limiter),
        cmocka_unit_test(test_fleet_population_of_sources_is_limited_like_by_one_limiter),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
