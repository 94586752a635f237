/* SPDX-License-Identifier: Apache-2.0
 *
 * Texts of modes, there and back, and the order in which they win.
 */
#include "../../core/mode.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static void test_mode_parse_of_each_name_gives_the_mode(void **state)
{
    (void)state;
    for (int mode = L7S_MODE_OFF; mode <= L7S_MODE_ENFORCE; mode++) {
        l7s_mode_t parsed;
        assert_true(l7s_mode_parse(l7s_mode_name((l7s_mode_t)mode), &parsed));
        assert_int_equal(parsed, mode);
    }
}

static void test_mode_parse_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {"",         "On",       "OFF",
                                        "observe ", "enforced", "unknown"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        l7s_mode_t mode = L7S_MODE_OBSERVE;
        assert_false(l7s_mode_parse(texts[i], &mode));
        assert_int_equal(mode, L7S_MODE_OBSERVE);
    }
}

static void test_mode_least_takes_the_least_strict(void **state)
{
    (void)state;
    assert_int_equal(l7s_mode_least(L7S_MODE_ENFORCE, L7S_MODE_OFF), L7S_MODE_OFF);
    assert_int_equal(l7s_mode_least(L7S_MODE_OBSERVE, L7S_MODE_ENFORCE),
                     L7S_MODE_OBSERVE);
}

static void test_because_name_of_each_switch(void **state)
{
    (void)state;
    assert_string_equal(l7s_because_name(L7S_BECAUSE_DEFAULT), "default");
    assert_string_equal(l7s_because_name(L7S_BECAUSE_DIRECTIVE), "directive");
    assert_string_equal(l7s_because_name(L7S_BECAUSE_MODE_FILE), "mode_file");
    assert_string_equal(l7s_because_name(L7S_BECAUSE_MODE_ITEM), "mode_item");
    assert_string_equal(l7s_because_name(L7S_BECAUSE_SETTINGS), "settings");
    assert_string_equal(l7s_because_name((l7s_because_t)99), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_mode_parse_of_each_name_gives_the_mode),
        cmocka_unit_test(test_mode_parse_other_text_is_refused),
        cmocka_unit_test(test_mode_least_takes_the_least_strict),
        cmocka_unit_test(test_because_name_of_each_switch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
