/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows are found again by name; the last one takes whoever found none.
 */
#include "../../core/segment/stats.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int create(void **state)
{
    l7s_stats_t *stats = calloc(1, sizeof *stats);
    stats->rows = calloc(L7S_STATS_ROWS, sizeof *stats->rows);
    *state = stats;
    return 0;
}

static int destroy(void **state)
{
    l7s_stats_t *stats = *state;
    free(stats->rows);
    free(stats);
    return 0;
}

static void test_row_same_name_gives_same_row(void **state)
{
    const l7s_stats_t *stats = *state;
    uint32_t first = l7s_stats_row(stats, "login");
    uint32_t second = l7s_stats_row(stats, "api");
    assert_int_not_equal(first, second);
    assert_int_equal(l7s_stats_row(stats, "login"), first);
    assert_int_equal(l7s_stats_row(stats, "api"), second);
    assert_string_equal(stats->rows[first].name, "login");
    assert_int_equal(stats->rows[first].used, 1);
}

static void test_row_name_that_is_cut_is_found_again(void **state)
{
    const l7s_stats_t *stats = *state;
    char name[100];
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = '\0';
    uint32_t row = l7s_stats_row(stats, name);
    assert_int_equal(l7s_stats_row(stats, name), row);
    assert_int_equal(strlen(stats->rows[row].name), L7S_POLICY_NAME_MAX - 1);
}

static void test_row_table_full_gives_last_row(void **state)
{
    const l7s_stats_t *stats = *state;
    char name[32];
    for (int i = 0; i < L7S_STATS_ROWS - 1; i++) {
        snprintf(name, sizeof name, "policy-%d", i);
        assert_int_equal(l7s_stats_row(stats, name), i);
    }
    assert_int_equal(l7s_stats_row(stats, "one-more"), L7S_STATS_ROWS - 1);
    assert_int_equal(l7s_stats_row(stats, "and-one"), L7S_STATS_ROWS - 1);
    assert_int_equal(l7s_stats_row(stats, "policy-7"), 7);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_row_same_name_gives_same_row, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(test_row_name_that_is_cut_is_found_again, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(test_row_table_full_gives_last_row, create,
                                        destroy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
