/* SPDX-License-Identifier: Apache-2.0
 *
 * What is charged for others while the store is away, and set off when it is back.
 */
#include "../../mod_l7shield/sync/alone.h"
#include "unit.h"

#define SLOTS 8
#define INDEX 3

static const sync_alone_place_t place = {.index = INDEX, .key_lo = 77, .nodes = 3};

static int set_up(void **state)
{
    return sync_alone_create(SLOTS, (sync_alone_t **)state) != L7S_OK;
}

static int tear_down(void **state)
{
    sync_alone_free(*state);
    return 0;
}

static void test_alone_charges_each_token_once_for_every_other_node(void **state)
{
    sync_alone_t *alone = *state;

    assert_int_equal(sync_alone_failed(alone, &place, 10, false), 20);
    assert_int_equal(sync_alone_failed(alone, &place, 10, false), 0);
    assert_int_equal(sync_alone_failed(alone, &place, 15, false), 10);
    assert_int_equal(sync_alone_failed(alone, &place, 12, false), 0); /* some drained */
    assert_int_equal(sync_alone_failed(alone, &place, 13, false), 2);
}

static void test_alone_without_others_charges_nothing(void **state)
{
    sync_alone_t *alone = *state;
    const sync_alone_place_t lonely = {.index = INDEX, .key_lo = 77, .nodes = 1};
    const sync_alone_place_t nobody = {.index = INDEX, .key_lo = 77, .nodes = 0};

    assert_int_equal(sync_alone_failed(alone, &lonely, 10, false), 0);
    assert_int_equal(sync_alone_failed(alone, &nobody, 10, true), 0);
    assert_int_equal(sync_alone_left(alone, &nobody, 10, 10), 10);
}

static void test_alone_inherited_tokens_are_charged_already(void **state)
{
    sync_alone_t *alone = *state;

    assert_int_equal(sync_alone_failed(alone, &place, 10, true), 0);
    assert_int_equal(sync_alone_failed(alone, &place, 12, true), 4);
}

static void test_alone_left_is_a_share_of_what_has_not_drained(void **state)
{
    sync_alone_t *alone = *state;

    assert_int_equal(sync_alone_left(alone, &place, 9, 4), 9); /* nothing is charged */
    (void)sync_alone_failed(alone, &place, 10, false);
    assert_int_equal(sync_alone_left(alone, &place, 10, 30),
                     10); /* all of it is in use */
    assert_int_equal(sync_alone_left(alone, &place, 10, 15), 5);
    (void)sync_alone_failed(alone, &place, 5, false);
    /* Two are fresh and in the bucket once; of the other 6 tokens two are ours. */
    assert_int_equal(sync_alone_left(alone, &place, 7, 8), 4);
    (void)sync_alone_failed(alone, &place, 4, false);
    assert_int_equal(sync_alone_left(alone, &place, 4, 0), 0);
}

static void test_alone_credit_is_used_up_and_ends(void **state)
{
    sync_alone_t *alone = *state;

    (void)sync_alone_failed(alone, &place, 10, false);
    assert_int_equal(sync_alone_uncharged(alone, &place, 5, 1000), 5); /* not sent yet */
    sync_alone_sent(alone, &place, 1000);
    assert_int_equal(sync_alone_uncharged(alone, &place, 15, 1500), 0);
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, 2000), 3); /* 5 were left */
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, 2000), 8);
    (void)sync_alone_failed(alone, &place, 10, false);
    sync_alone_sent(alone, &place, 5000);
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, 8000), 8); /* too late */
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, 7000), 8); /* for good */
}

static void test_alone_credit_holds_over_the_turn_of_the_clock(void **state)
{
    sync_alone_t *alone = *state;
    uint64_t before = UINT64_C(0xffffff00); /* 32 bits are kept */

    (void)sync_alone_failed(alone, &place, 10, false);
    sync_alone_sent(alone, &place, before);
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, before + 100), 0);
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, before + 2000), 0);
    assert_int_equal(sync_alone_uncharged(alone, &place, 8, before + 4000), 8);
}

static void test_alone_another_key_begins_with_nothing(void **state)
{
    sync_alone_t *alone = *state;
    const sync_alone_place_t other = {.index = INDEX, .key_lo = 78, .nodes = 3};

    (void)sync_alone_failed(alone, &place, 10, false);
    assert_int_equal(sync_alone_left(alone, &other, 6, 0), 6);
    sync_alone_sent(alone, &other, 1000);
    assert_int_equal(sync_alone_uncharged(alone, &other, 4, 1000), 4);
    assert_int_equal(sync_alone_failed(alone, &other, 6, false), 12);
    assert_int_equal(sync_alone_left(alone, &place, 10, 0), 10); /* it has lost its own */
}

static void test_alone_sums_do_not_wrap(void **state)
{
    sync_alone_t *alone = *state;

    assert_true(sync_alone_failed(alone, &place, UINT32_MAX, false) ==
                2 * (uint64_t)UINT32_MAX);
    sync_alone_sent(alone, &place, 1000);
    assert_int_equal(sync_alone_uncharged(alone, &place, UINT32_MAX, 1000), 0);
    assert_int_equal(sync_alone_uncharged(alone, &place, 1, 1000), 1);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_alone_charges_each_token_once_for_every_other_node),
        TEST(test_alone_without_others_charges_nothing),
        TEST(test_alone_inherited_tokens_are_charged_already),
        TEST(test_alone_left_is_a_share_of_what_has_not_drained),
        TEST(test_alone_credit_is_used_up_and_ends),
        TEST(test_alone_credit_holds_over_the_turn_of_the_clock),
        TEST(test_alone_another_key_begins_with_nothing),
        TEST(test_alone_sums_do_not_wrap),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
