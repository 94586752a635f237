/* SPDX-License-Identifier: Apache-2.0
 *
 * Which regular expressions are accepted, and what is said of the others.
 */
#include "../../core/json/pattern_check.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_pattern_error_says_why_and_where(void **state)
{
    static const struct {
        const char *pattern, *says;
    } table[] = {
        {"(a)\\1", "Back-references"},
        {"(?=a)b", "Zero-width assertions"},
        {"(?<!a)b", "Zero-width assertions"},
        {"a\\Kb", "at index 1"},
        {"ab(c", "at index 2"},
        {"[a", "at index 0"},
        {"a*", "every text"},
        {"(a|b?)*", "every text"},
        {".{0,20}", "every text"},
        {"a{1001}", "counts too far"},
        {"(.{1,100}a){100}", "counts too far"},
        {"((a{10}){10}){11}", "counts too far"},
        {"[^a]{32000}b", "counts too far"},
        {"a{99999999999999999999}", "counts too far"},
    };
    char error[256];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        assert_true(l7s_pattern_error(table[i].pattern, error, sizeof error));
        if (strstr(error, table[i].says) == NULL) {
            fail_msg("%s: %s", table[i].pattern, error);
        }
    }
}

static void test_pattern_error_none_for_what_people_write(void **state)
{
    static const char *const table[] = {
        "^/wp-(admin|login)\\.php$",
        "\\.(php|asp)x?$",
        "(?i)select.{0,200}union",
        "^/[0-9a-f]{32}/",
        "a{2,}",
        "[]a]{3}",
        "[^]]{3}x",
        "\\{{3}",
        "a{,3}b",
        "a{x}",
        "(?:a|b){20}c",
        "\\Q(((\\E",
        "\xff\xfe",
        "^$|y",
        "a|b|c",
    };
    char error[256];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (l7s_pattern_error(table[i], error, sizeof error)) {
            fail_msg("%s: %s", table[i], error);
        }
    }
}

static void test_pattern_error_deep_nesting_is_refused(void **state)
{
    char pattern[520], error[256];

    (void)state;
    memset(pattern, '(', 256);
    memset(pattern + 256, ')', 256);
    pattern[512] = '\0';
    assert_true(l7s_pattern_error(pattern, error, sizeof error));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pattern_error_says_why_and_where),
        cmocka_unit_test(test_pattern_error_none_for_what_people_write),
        cmocka_unit_test(test_pattern_error_deep_nesting_is_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
