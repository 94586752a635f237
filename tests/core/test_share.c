/* SPDX-License-Identifier: Apache-2.0
 *
 * Both tallies of a key: where they are, how they travel, what the fleet's numbers mean.
 */
#include "../../core/decide/share.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

#define S 1000000ULL
#define BUCKETS 4

static const l7s_image_limit_t LIMITS[L7S_RATIO_TALLIES] = {
    {.identity = {1, 2}, .rate = {50, 50, 60 * S}, .id = 1, .of = 2, .tally = 1},
    {.identity = {3, 4},
     .rate = {40, 40, 60 * S},
     .id = 3,
     .of = 2,
     .place = 1,
     .tally = 1},
};
static const l7s_rate_t *const RATE = &LIMITS[0].rate;

typedef struct {
    l7s_slot_t *slots;
    _Atomic uint64_t dirty[BUCKETS];
    l7s_table_stats_t stats;
    l7s_table_t table;
    l7s_share_place_t place;
} fixture_t;

static int set_up(void **state)
{
    fixture_t *f = calloc(1, sizeof *f);
    size_t size = BUCKETS * L7S_BUCKET_SLOTS * sizeof *f->slots;

    f->slots = aligned_alloc(64, size);
    memset(f->slots, 0, size);
    f->table = (l7s_table_t){.slots = f->slots,
                             .dirty = f->dirty,
                             .stats = &f->stats,
                             .buckets = BUCKETS,
                             .place_key = {5, 6}};
    f->place = (l7s_share_place_t){.table = &f->table,
                                   .limits = LIMITS,
                                   .digest = {0x123456789abcdef, 77},
                                   .now = {.mono_us = 600 * S, .wall_ms = 600000}};
    *state = f;
    return 0;
}

static int tear_down(void **state)
{
    fixture_t *f = *state;

    free(f->slots);
    free(f);
    return 0;
}

static void assert_share(l7s_share_t share, uint32_t answered, uint32_t failed)
{
    assert_int_equal(share.answered, answered);
    assert_int_equal(share.failed, failed);
}

static uint64_t packed(uint32_t answered, uint32_t failed)
{
    return l7s_share_pack((l7s_share_t){answered, failed});
}

static void count(fixture_t *f, uint32_t answered, uint32_t failed)
{
    assert_non_null(l7s_share_add(&f->place, (l7s_share_t){answered, failed}));
    l7s_share_mark(&f->place, (l7s_share_t){answered, failed});
}

static void test_share_packed_numbers_add_up_side_by_side(void **state)
{
    uint64_t seed = 4, number = 0;
    l7s_share_t sum = {0, 0};

    (void)state;
    for (unsigned i = 0; i < 1000; i++) {
        uint32_t answered = (uint32_t)seeded_below(&seed, 1000000);
        uint32_t failed = (uint32_t)seeded_below(&seed, answered + 1);
        number += packed(answered, failed);
        sum.answered += answered;
        sum.failed += failed;
    }
    assert_share(l7s_share_unpack(number), sum.answered, sum.failed);
}

static void test_share_is_taken_once_and_no_more_than_counts(void **state)
{
    fixture_t *f = *state;

    count(f, 30, 20);
    assert_share(l7s_share_sent(&f->place), 0, 0);
    assert_share(l7s_share_take(&f->place), 30, 20);
    assert_share(l7s_share_take(&f->place), 0, 0);
    assert_share(l7s_share_sent(&f->place), 30, 20);
    count(f, 10, 0);
    f->place.now.mono_us += 60 * S + 30 * S; /* half of it is left */
    assert_share(l7s_share_take(&f->place), 10, 0);
    count(f, 4, 4);
    f->place.now.mono_us += 120 * S;
    assert_share(l7s_share_take(&f->place), 0, 0);
}

static void test_share_only_what_was_answered_asks_to_be_visited(void **state)
{
    fixture_t *f = *state;
    uint32_t bits = 0;

    count(f, 3, 3);
    for (unsigned i = 0; i < BUCKETS; i++) {
        bits += (uint32_t)__builtin_popcountll(f->dirty[i]);
    }
    assert_int_equal(bits, 1);
    uint32_t at = (uint32_t)(l7s_share_slot(&f->place, L7S_RATIO_ANSWERED) - f->slots);
    assert_true((f->dirty[at / 64] >> at % 64 & 1) != 0);
}

static void test_share_without_what_was_answered_begins_anew(void **state)
{
    fixture_t *f = *state;

    count(f, 30, 20);
    l7s_slot_t *slot = l7s_share_slot(&f->place, L7S_RATIO_ANSWERED);
    assert_true(l7s_table_release(&f->table, slot, l7s_slot_key(slot)));
    assert_share(l7s_share_used(&f->place), 0, 20);
    count(f, 2, 1);
    assert_share(l7s_share_used(&f->place), 2, 1);
    assert_share(l7s_share_take(&f->place), 2, 1);
}

/* --- what a number means --- */

static void test_share_learn_counts_what_is_new_and_not_ours(void **state)
{
    l7s_fleet_view_t view = {.total = 0};

    (void)state;
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(100, 30), (l7s_share_t){40, 10}, 5000), 60,
        20);
    assert_int_equal(view.period, 7);
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(130, 35), (l7s_share_t){10, 5}, 5000), 20,
        0);
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(130, 35), (l7s_share_t){0, 0}, 5000), 0,
        0);
    /* A number that was lost and began again. */
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(20, 20), (l7s_share_t){0, 0}, 5000), 0, 0);
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(25, 21), (l7s_share_t){0, 0}, 5000), 5, 1);
    /* The next one; and the last one's answer that comes late. */
    assert_share(l7s_share_learn(RATE, &view, 8, packed(9, 3), (l7s_share_t){1, 1}, 500),
                 8, 2);
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(900, 900), (l7s_share_t){0, 0}, 500), 0,
        0);
    assert_int_equal(view.total, packed(9, 3));
}

static void test_share_learn_of_a_long_time_counts_the_last_period(void **state)
{
    l7s_fleet_view_t view = {.total = 0};

    (void)state;
    assert_share(
        l7s_share_learn(RATE, &view, 7, packed(200, 100), (l7s_share_t){0, 0}, 120000),
        100, 50);
}

static void test_share_learn_believes_nothing_impossible(void **state)
{
    l7s_fleet_view_t view = {.total = 0};
    l7s_share_t share;

    (void)state;
    share =
        l7s_share_learn(RATE, &view, 7, packed(10, 4000000000), (l7s_share_t){0, 0}, 500);
    assert_share(share, 10, 10);
    view = (l7s_fleet_view_t){.total = 0};
    share = l7s_share_learn(RATE, &view, 7, UINT64_MAX, (l7s_share_t){0, 0}, 500);
    assert_share(share, L7S_TALLY_MAX - 1, L7S_TALLY_MAX - 1);
}

static void test_share_hear_brings_up_to_what_the_teller_counts(void **state)
{
    l7s_fleet_view_t view = {.total = 0};
    l7s_fleet_news_t news = {
        .total = packed(300, 90), .used = packed(120, 60), .period = 7};

    (void)state;
    assert_share(l7s_share_hear(&view, &news, (l7s_share_t){20, 30}), 100, 30);
    assert_share(l7s_share_hear(&view, &news, (l7s_share_t){0, 0}), 0, 0); /* known */
    news.total = packed(310, 99);
    assert_share(l7s_share_hear(&view, &news, (l7s_share_t){0, 0}), 10, 9);
    news.period = 6;
    assert_share(l7s_share_hear(&view, &news, (l7s_share_t){0, 0}), 0, 0);
    /* A new number of a key in view: what is in it, at most. */
    news = (l7s_fleet_news_t){.total = packed(6, 5), .used = packed(90, 60), .period = 8};
    assert_share(l7s_share_hear(&view, &news, (l7s_share_t){80, 58}), 6, 2);
}

static void test_share_must_tell_while_half_too_much_fails_and_it_moves(void **state)
{
    static const struct {
        l7s_share_t used;
        uint32_t moved;
        uint64_t silent_ms;
        bool tells;
    } cases[] = {
        {{60, 30}, 5, 0, true},      {{60, 23}, 60, 9000, false}, {{60, 30}, 4, 0, false},
        {{60, 30}, 4, 2000, true},   {{60, 30}, 0, 9000, false},  {{10, 10}, 4, 0, true},
        {{1200, 600}, 99, 0, false}, {{1200, 600}, 100, 0, true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_int_equal(l7s_share_must_tell(LIMITS, cases[i].used,
                                             packed(cases[i].moved, cases[i].moved),
                                             cases[i].silent_ms),
                         cases[i].tells);
    }
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_share_packed_numbers_add_up_side_by_side),
        TEST(test_share_is_taken_once_and_no_more_than_counts),
        TEST(test_share_only_what_was_answered_asks_to_be_visited),
        TEST(test_share_without_what_was_answered_begins_anew),
        TEST(test_share_learn_counts_what_is_new_and_not_ours),
        TEST(test_share_learn_of_a_long_time_counts_the_last_period),
        TEST(test_share_learn_believes_nothing_impossible),
        TEST(test_share_hear_brings_up_to_what_the_teller_counts),
        TEST(test_share_must_tell_while_half_too_much_fails_and_it_moves),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
