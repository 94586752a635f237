/* SPDX-License-Identifier: Apache-2.0
 *
 * Accept and Content-Type headers.
 */
#include "../../admin_api/http/media.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static void test_media_accepts_ranges_and_qualities(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool json;
    } cases[] = {
        {"application/json", true},
        {"APPLICATION/JSON", true},
        {"*/*", true},
        {"application/*", true},
        {"text/html, application/json;q=0.9", true},
        {"text/html,*/*;q=0.1", true},
        {"application/json;q=0", false},
        {"application/json;q=0.0", false},
        {"application/json;q=0.001", true},
        {"application/json; q=0, text/html", false},
        {"application/jsonx", false},
        {"application/js", false},
        {"text/*", false},
        {"", false},
        {",,,", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admin_media_accepts(cases[i].accept, "application/json"),
                         cases[i].json);
    }
}

static void test_media_prefers_by_weight_then_by_order(void **state)
{
    (void)state;
    static const struct {
        const char *accept;
        bool lines;
    } cases[] = {
        {NULL, false},
        {"*/*", false},
        {"application/*", false},
        {"application/x-ndjson", true},
        {"application/x-ndjson, */*", true},
        {"application/x-ndjson, application/json", true},
        {"application/json, application/x-ndjson", false},
        {"application/json;q=0.1, application/x-ndjson", true},
        {"application/x-ndjson;q=0.1, application/json", false},
        {"application/x-ndjson;q=0", false},
        {"application/x-ndjson;q=0, */*", false},
        {"application/x-ndjson;q=0.5, */*;q=0.8", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admin_media_prefers(cases[i].accept, "application/x-ndjson",
                                             "application/json"),
                         cases[i].lines);
    }
}

static void test_media_is_ignores_parameters_and_case(void **state)
{
    (void)state;
    assert_true(admin_media_is("application/json", "application/json"));
    assert_true(admin_media_is("Application/JSON; charset=utf-8", "application/json"));
    assert_true(admin_media_is("application/json ;charset=utf-8", "application/json"));
    assert_false(admin_media_is("application/json5", "application/json"));
    assert_false(admin_media_is("text/json", "application/json"));
    assert_false(admin_media_is("", "application/json"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_media_accepts_ranges_and_qualities),
        cmocka_unit_test(test_media_prefers_by_weight_then_by_order),
        cmocka_unit_test(test_media_is_ignores_parameters_and_case),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
