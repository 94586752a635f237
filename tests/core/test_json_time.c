/* SPDX-License-Identifier: Apache-2.0
 *
 * Times in documents: what has not been and what never ends is null.
 */
#include "../../core/json/json_time.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static void test_json_time_is_text_or_null(void **state)
{
    static const struct {
        uint64_t ms;
        const char *text; /* NULL: null */
    } cases[] = {
        {0, NULL},
        {1, "1970-01-01T00:00:00.001Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, NULL},
        {UINT64_MAX, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *time = l7s_json_time(cases[i].ms);
        if (cases[i].text == NULL) {
            assert_true(json_is_null(time));
        } else {
            assert_string_equal(json_string_value(time), cases[i].text);
        }
        json_decref(time);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json_time_is_text_or_null)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
