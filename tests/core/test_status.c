/* SPDX-License-Identifier: Apache-2.0
 *
 * Statuses have names; problems are bounded and cut, never overrun.
 */
#include "../../core/status.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static void test_status_name_of_each_status_is_its_own(void **state)
{
    (void)state;
    for (int a = L7S_OK; a <= L7S_NO_MEMORY; a++) {
        assert_string_not_equal(l7s_status_name((l7s_status_t)a), "unknown");
        for (int b = L7S_OK; b < a; b++) {
            assert_string_not_equal(l7s_status_name((l7s_status_t)a),
                                    l7s_status_name((l7s_status_t)b));
        }
    }
}

static void test_problems_add_formats_and_keeps_order(void **state)
{
    (void)state;
    l7s_problems_t problems = {0};
    l7s_problems_add(&problems, "/a/0", "cidr_host_bits", "write %s/%d", "192.0.2.0", 24);
    l7s_problems_add(&problems, "", "unknown_key", "no");
    assert_int_equal(problems.count, 2);
    assert_string_equal(problems.items[0].pointer, "/a/0");
    assert_string_equal(problems.items[0].code, "cidr_host_bits");
    assert_string_equal(problems.items[0].message, "write 192.0.2.0/24");
    assert_string_equal(problems.items[1].pointer, "");
}

static void test_problems_add_beyond_maximum_only_counts(void **state)
{
    (void)state;
    l7s_problems_t problems = {0};
    for (int i = 0; i < L7S_PROBLEMS_MAX + 5; i++) {
        l7s_problems_add(&problems, "/x", "x", "%d", i);
    }
    assert_int_equal(problems.count, L7S_PROBLEMS_MAX);
    assert_int_equal(problems.dropped, 5);
    assert_string_equal(problems.items[L7S_PROBLEMS_MAX - 1].message, "31");
}

static void test_problems_add_long_text_is_cut(void **state)
{
    (void)state;
    char text[1000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    l7s_problems_t problems = {0};
    l7s_problems_add(&problems, text, text, "%s", text);
    assert_int_equal(strlen(problems.items[0].pointer),
                     sizeof problems.items[0].pointer - 1);
    assert_int_equal(strlen(problems.items[0].code), sizeof problems.items[0].code - 1);
    assert_int_equal(strlen(problems.items[0].message),
                     sizeof problems.items[0].message - 1);
}

static void test_problems_add_without_collection_does_nothing(void **state)
{
    (void)state;
    l7s_problems_add(NULL, "/x", "x", "x");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status_name_of_each_status_is_its_own),
        cmocka_unit_test(test_problems_add_formats_and_keeps_order),
        cmocka_unit_test(test_problems_add_beyond_maximum_only_counts),
        cmocka_unit_test(test_problems_add_long_text_is_cut),
        cmocka_unit_test(test_problems_add_without_collection_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
