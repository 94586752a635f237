/* SPDX-License-Identifier: Apache-2.0
 *
 * Commands about a strict limit, and tokens of all limits or none.
 */
#include "../../mod_l7shield/sync/strict_limit.h"
#include "unit.h"
#include <string.h>

#define SECOND_US 1000000ULL
#define NOW_US (1700000000 * SECOND_US)

static sync_limit_t fresh(uint32_t burst)
{
    sync_limit_t limit = {
        .name = "sname",
        .rate = {.requests = burst, .burst = burst, .period_us = 3600 * SECOND_US}};
    const sync_strict_reply_t absent = {.kind = SYNC_STRICT_ABSENT};

    sync_limit_note(&limit, 0, &absent, NOW_US);
    return limit;
}

static void test_strict_limit_commands_name_the_item(void **state)
{
    sync_limit_t limit = fresh(1);
    char command[SYNC_COMMAND_MAX];

    (void)state;
    assert_int_equal(sync_limit_read(&limit, command), strlen("mg sname c v\r\n"));
    assert_string_equal(command, "mg sname c v\r\n");
    (void)sync_limit_delete(limit.name, command);
    assert_string_equal(command, "md sname\r\n");
}

static void test_strict_limit_write_of_an_absent_item_only_adds(void **state)
{
    sync_limit_t limit = fresh(1);
    char command[SYNC_COMMAND_MAX];

    (void)state;
    assert_true(sync_limits_take(&limit, 1, 1, NOW_US));
    int size = sync_limit_write(&limit, NOW_US, command);
    assert_int_equal(size, strlen(command));
    assert_non_null(strstr(command, " ME T"));
}

static void test_strict_limit_write_of_one_that_was_read_swaps_it(void **state)
{
    sync_limit_t limit = fresh(2);
    char command[SYNC_COMMAND_MAX];

    (void)state;
    assert_true(sync_limits_take(&limit, 1, 1, NOW_US));
    const sync_strict_reply_t found = {
        .kind = SYNC_STRICT_VALUE, .tat = limit.state.tat, .cas = 77};
    sync_limit_note(&limit, 0, &found, NOW_US);
    assert_true(sync_limits_take(&limit, 1, 1, NOW_US));
    (void)sync_limit_write(&limit, NOW_US, command);
    assert_non_null(strstr(command, " C77 T"));
    assert_false(sync_limits_take(&limit, 1, 1, NOW_US));
}

static void test_strict_limit_lost_by_the_store_begins_with_what_is_known(void **state)
{
    sync_limit_t limit = fresh(1);
    const sync_strict_reply_t absent = {.kind = SYNC_STRICT_ABSENT};

    (void)state;
    sync_limit_note(&limit, l7s_strict_used(&limit.rate, limit.state.tat, NOW_US),
                    &absent, NOW_US);
    assert_true(sync_limits_take(&limit, 1, 1, NOW_US));
    uint64_t used = l7s_strict_used(&limit.rate, limit.state.tat, NOW_US);
    sync_limit_note(&limit, used, &absent, NOW_US);
    assert_false(sync_limits_take(&limit, 1, 1, NOW_US));
}

static void test_strict_limits_take_from_all_or_from_none(void **state)
{
    sync_limit_t limits[2] = {fresh(5), fresh(1)};

    (void)state;
    assert_true(sync_limits_take(limits, 2, 1, NOW_US));
    uint64_t tat = limits[0].state.tat;
    assert_false(sync_limits_take(limits, 2, 1, NOW_US));
    assert_int_equal(limits[0].state.tat, tat);
    limits[1].written = true; /* it holds this question's token already */
    assert_true(sync_limits_take(limits, 2, 1, NOW_US));
    assert_true(limits[0].state.tat > tat);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_strict_limit_commands_name_the_item),
        cmocka_unit_test(test_strict_limit_write_of_an_absent_item_only_adds),
        cmocka_unit_test(test_strict_limit_write_of_one_that_was_read_swaps_it),
        cmocka_unit_test(test_strict_limit_lost_by_the_store_begins_with_what_is_known),
        cmocka_unit_test(test_strict_limits_take_from_all_or_from_none),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
