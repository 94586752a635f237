/* SPDX-License-Identifier: Apache-2.0
 *
 * What all know of a number, and since when.
 */
#include "../../mod_l7shield/sync/told.h"
#include "unit.h"

static int set_up(void **state)
{
    return sync_told_create(16, (sync_told_t **)state) != L7S_OK;
}

static int tear_down(void **state)
{
    sync_told_free(*state);
    return 0;
}

static void test_told_moved_of_a_total_is_what_it_has_grown(void **state)
{
    sync_told_t *told = *state;

    assert_int_equal(sync_told_moved(told, 3, 60, 8, 100), 100); /* nothing was told */
    sync_told_note(told, 3, 60, 8, 5000);
    assert_int_equal(sync_told_moved(told, 3, 75, 8, 100), 15);
    assert_int_equal(sync_told_moved(told, 3, 40, 8, 100),
                     0); /* a number that was lost */
    assert_int_equal(sync_told_moved(told, 3, 75, 9, 100), 100);
    assert_int_equal(sync_told_moved(told, 4, 75, 8, 100), 100);
}

static void test_told_note_of_older_news_changes_nothing(void **state)
{
    sync_told_t *told = *state;

    sync_told_note(told, 3, 60, 8, 5000);
    sync_told_note(told, 3, 50, 8, 6000);
    assert_int_equal(sync_told_moved(told, 3, 60, 8, 100), 0);
    assert_int_equal(sync_told_silent_ms(told, 3, 7000), 2000);
    sync_told_note(told, 3, 1, 9, 6000);
    assert_int_equal(sync_told_moved(told, 3, 3, 9, 100), 2);
    assert_int_equal(sync_told_silent_ms(told, 3, 7000), 1000);
}

static void test_told_seen_gives_the_time_since(void **state)
{
    sync_told_t *told = *state;

    (void)sync_told_seen(told, 3, UINT32_MAX - 99);
    assert_int_equal(sync_told_seen(told, 3, 400), 500); /* over the wrap */
    assert_int_equal(sync_told_seen(told, 3, 450), 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_told_moved_of_a_total_is_what_it_has_grown),
        TEST(test_told_note_of_older_news_changes_nothing),
        TEST(test_told_seen_gives_the_time_since),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
