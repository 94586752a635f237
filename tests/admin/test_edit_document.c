/* SPDX-License-Identifier: Apache-2.0
 *
 * What of a body is kept, and merge patches by the examples of RFC 7396.
 */
#include "../../admin_api/resources/edit.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>

static void expect(json_t *document, const char *expected)
{
    char *text = json_dumps(document, JSON_COMPACT | JSON_ENCODE_ANY);
    assert_string_equal(text, expected);
    free(text);
    json_decref(document);
}

static void test_edit_spec_keeps_the_order_and_puts_a_missing_name_first(void **state)
{
    static const struct {
        const char *body, *expected;
    } cases[] = {
        {"{\"b\":1,\"a\":2}", "{\"name\":\"n\",\"b\":1,\"a\":2}"},
        {"{\"b\":1,\"name\":\"own\",\"status\":{\"x\":1}}", "{\"b\":1,\"name\":\"own\"}"},
        {"{}", "{\"name\":\"n\"}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *body = json_loads(cases[i].body, 0, NULL);
        expect(admin_edit_spec(body, "n"), cases[i].expected);
        json_decref(body);
    }
}

/* Appendix A of RFC 7396. */
static void test_edit_merge_as_the_rfc_says(void **state)
{
    static const struct {
        const char *target, *patch, *result;
    } cases[] = {
        {"{\"a\":\"b\"}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"b\":\"c\"}", "{\"a\":\"b\",\"b\":\"c\"}"},
        {"{\"a\":\"b\"}", "{\"a\":null}", "{}"},
        {"{\"a\":\"b\",\"b\":\"c\"}", "{\"a\":null}", "{\"b\":\"c\"}"},
        {"{\"a\":[\"b\"]}", "{\"a\":\"c\"}", "{\"a\":\"c\"}"},
        {"{\"a\":\"c\"}", "{\"a\":[\"b\"]}", "{\"a\":[\"b\"]}"},
        {"{\"a\":{\"b\":\"c\"}}", "{\"a\":{\"b\":\"d\",\"c\":null}}",
         "{\"a\":{\"b\":\"d\"}}"},
        {"{\"a\":[{\"b\":\"c\"}]}", "{\"a\":[1]}", "{\"a\":[1]}"},
        {"[\"a\",\"b\"]", "[\"c\",\"d\"]", "[\"c\",\"d\"]"},
        {"{\"a\":\"b\"}", "[\"c\"]", "[\"c\"]"},
        {"{\"a\":\"foo\"}", "null", "null"},
        {"{\"a\":\"foo\"}", "\"bar\"", "\"bar\""},
        {"{\"e\":null}", "{\"a\":1}", "{\"e\":null,\"a\":1}"},
        {"[1,2]", "{\"a\":\"b\",\"c\":null}", "{\"a\":\"b\"}"},
        {"{}", "{\"a\":{\"bb\":{\"ccc\":null}}}", "{\"a\":{\"bb\":{}}}"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *target = json_loads(cases[i].target, JSON_DECODE_ANY, NULL);
        json_t *patch = json_loads(cases[i].patch, JSON_DECODE_ANY, NULL);
        expect(admin_edit_merge(target, patch), cases[i].result);
        json_decref(target);
        json_decref(patch);
    }
}

static void test_edit_status_tells_times_as_text(void **state)
{
    admin_object_t object = {.revision = 7, .created_ms = 1000, .updated_ms = 2500};

    (void)state;
    expect(admin_edit_status(&object),
           "{\"revision\":7,\"created_at\":\"1970-01-01T00:00:01.000Z\","
           "\"updated_at\":\"1970-01-01T00:00:02.500Z\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_edit_spec_keeps_the_order_and_puts_a_missing_name_first),
        cmocka_unit_test(test_edit_merge_as_the_rfc_says),
        cmocka_unit_test(test_edit_status_tells_times_as_text),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
