/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is looked at, when, and who leaves the list.
 */
#include "../../mod_l7shield/sync/hot.h"
#include "unit.h"
#include <string.h>

#define SLOTS 100000

static sync_hot_answer_t answer;
static uint32_t looked[16];
static size_t looked_count;

static sync_hot_answer_t look(void *context, uint32_t index, uint64_t key_lo)
{
    (void)context;
    assert_int_equal(key_lo, index + 1000);
    assert_true(looked_count < 16);
    looked[looked_count++] = index;
    return answer;
}

static size_t look_at(sync_hot_t *hot, uint64_t now_ms)
{
    looked_count = 0;
    sync_hot_look(hot, now_ms, 1000, look, NULL);
    return looked_count;
}

static int set_up(void **state)
{
    answer = SYNC_HOT_LOOKED;
    return sync_hot_create(SLOTS, (sync_hot_t **)state) != L7S_OK;
}

static int tear_down(void **state)
{
    sync_hot_free(*state);
    return 0;
}

static void test_hot_look_of_each_when_it_is_due(void **state)
{
    sync_hot_t *hot = *state;

    assert_true(sync_hot_add(hot, 7, 1007, 500));
    assert_true(sync_hot_add(hot, 9, 1009, 800));
    assert_true(sync_hot_has(hot, 7) && sync_hot_has(hot, 9) && !sync_hot_has(hot, 8));
    assert_int_equal(look_at(hot, 499), 0);
    assert_int_equal(look_at(hot, 500), 1);
    assert_int_equal(looked[0], 7);
    assert_int_equal(look_at(hot, 1499), 1);
    assert_int_equal(looked[0], 9);
    assert_int_equal(look_at(hot, 1500), 1);
    assert_int_equal(looked[0], 7);
}

static void test_hot_look_without_room_is_made_up_for(void **state)
{
    sync_hot_t *hot = *state;

    assert_true(sync_hot_add(hot, 7, 1007, 500));
    answer = SYNC_HOT_WAITS;
    assert_int_equal(look_at(hot, 500), 1);
    answer = SYNC_HOT_LOOKED;
    assert_int_equal(look_at(hot, 501), 1);
    assert_int_equal(look_at(hot, 502), 0);
}

static void test_hot_look_at_drained_ones_takes_them_off(void **state)
{
    sync_hot_t *hot = *state;

    for (uint32_t index = 0; index < 5; index++) {
        assert_true(sync_hot_add(hot, index, index + 1000, 500));
    }
    answer = SYNC_HOT_DRAINED;
    assert_int_equal(look_at(hot, 500), 5);
    assert_int_equal(look_at(hot, 9999), 0);
    assert_false(sync_hot_has(hot, 3));
    assert_true(sync_hot_add(hot, 3, 1003, 0)); /* in use again */
    assert_true(sync_hot_has(hot, 3));
}

static void test_hot_add_beyond_its_maximum_is_refused(void **state)
{
    sync_hot_t *hot = *state;

    for (uint32_t index = 0; index < SYNC_HOT_MAX; index++) {
        assert_true(sync_hot_add(hot, index, index, 1));
    }
    assert_false(sync_hot_add(hot, SYNC_HOT_MAX, 0, 1));
    assert_false(sync_hot_has(hot, SYNC_HOT_MAX));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_hot_look_of_each_when_it_is_due),
        TEST(test_hot_look_without_room_is_made_up_for),
        TEST(test_hot_look_at_drained_ones_takes_them_off),
        TEST(test_hot_add_beyond_its_maximum_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
