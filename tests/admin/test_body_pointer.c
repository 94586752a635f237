/* SPDX-License-Identifier: Apache-2.0
 *
 * Problems of the whole configuration, shown where they stand in what was sent.
 */
#include "../../admin_api/resources/body_pointer.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

/* What was sent has "b" and "d" of the four policies that there are. */
static const char *const body =
    "{\"policies\":[{\"name\":\"d\"},{\"name\":\"b\"}],\"lists\":[{\"name\":\"l\"}]}";
static const char *const whole =
    "{\"policies\":[{\"name\":\"a\"},{\"name\":\"b\"},{\"name\":\"c\"},{\"name\":\"d\"}],"
    "\"lists\":[{\"name\":\"k\"},{\"name\":\"l\"}],\"apps\":[{\"name\":\"b\"}]}";

static void add(admin_call_t *call, const char *pointer)
{
    l7s_problems_add(&call->problems, pointer, "code", "message");
}

static void test_body_point_follows_names(void **state)
{
    static const struct {
        const char *from, *to;
    } cases[] = {{"/policies/1", "/policies/1"},
                 {"/policies/3/match/paths/0", "/policies/0/match/paths/0"},
                 {"/lists/1/entries/7/value", "/lists/0/entries/7/value"}};
    json_t *document = json_loads(whole, 0, NULL);
    admin_call_t call = {.body = json_loads(body, 0, NULL)};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        add(&call, cases[i].from);
    }
    assert_int_equal(admin_body_point(&call, document), 3);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(call.problems.items[i].pointer, cases[i].to);
    }
    json_decref(call.body);
    json_decref(document);
}

static void test_body_point_finds_the_first_that_is_not_there(void **state)
{
    static const char *const elsewhere[] = {
        "/policies/2/mode", "/apps/0", "/settings/mode", "", "/policies", "/policies/9"};
    json_t *document = json_loads(whole, 0, NULL);

    (void)state;
    for (size_t i = 0; i < sizeof elsewhere / sizeof elsewhere[0]; i++) {
        admin_call_t call = {.body = json_loads(body, 0, NULL)};
        add(&call, "/policies/3/mode");
        add(&call, elsewhere[i]);
        assert_int_equal(admin_body_point(&call, document), 1);
        assert_string_equal(call.problems.items[0].pointer, "/policies/0/mode");
        assert_string_equal(call.problems.items[1].pointer, elsewhere[i]);
        json_decref(call.body);
    }
    json_decref(document);
}

static void test_body_point_without_a_body_finds_nothing(void **state)
{
    json_t *document = json_loads(whole, 0, NULL);
    admin_call_t call = {.body = NULL};
    char pointer[64];

    (void)state;
    assert_false(admin_body_pointer(&call, "policies", "b", pointer));
    assert_string_equal(pointer, "");
    add(&call, "/policies/1");
    assert_int_equal(admin_body_point(&call, document), 0);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_body_point_follows_names),
        cmocka_unit_test(test_body_point_finds_the_first_that_is_not_there),
        cmocka_unit_test(test_body_point_without_a_body_finds_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
