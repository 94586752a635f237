/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters: what is a number, a time, a selection, and what each of them means.
 */
#include "../../admin_api/http/parameters.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static const char *query_at(const admin_call_t *call, const char *name, size_t index)
{
    const char *const *asked = call->server;
    for (size_t i = 0; asked[i] != NULL; i += 2) {
        if (strcmp(asked[i], name) == 0 && index-- == 0) {
            return asked[i + 1];
        }
    }
    return NULL;
}

static const char *query(const admin_call_t *call, const char *name)
{
    return query_at(call, name, 0);
}

/* `asked`: names and values by turns, up to NULL. */
static admin_call_t a_call(const char *const *asked)
{
    return (admin_call_t){.query = query,
                          .query_at = query_at,
                          .server = (void *)asked,
                          .now_ms = 1000000000};
}

static void test_parameter_number_in_its_bounds(void **state)
{
    static const struct {
        const char *text;
        int64_t number; /* -1: refused */
    } cases[] = {{"1", 1},
                 {"60", 60},
                 {"007", 7},
                 {"0", -1},
                 {"61", -1},
                 {"", -1},
                 {"-1", -1},
                 {"+1", -1},
                 {" 1", -1},
                 {"1 ", -1},
                 {"1.0", -1},
                 {"0x10", -1},
                 {"99999999999999999999", -1}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const one[] = {"n", cases[i].text, NULL};
        admin_call_t call = a_call(one);
        int64_t number = -1;
        assert_int_equal(admin_parameter_number(&call, "n", 1, 60, &number),
                         cases[i].number >= 0);
        assert_int_equal(number, cases[i].number);
        assert_int_equal(call.status, cases[i].number < 0 ? 400 : 0);
    }
}

static void test_parameter_absent_leaves_the_number_and_means_no_time(void **state)
{
    static const char *const none[] = {NULL};
    admin_call_t call = a_call(none);
    int64_t number = 5;
    uint64_t time_ms = 5;
    (void)state;
    assert_true(admin_parameter_number(&call, "n", 1, 60, &number));
    assert_true(admin_parameter_time(&call, "since", &time_ms));
    assert_int_equal(number, 5);
    assert_int_equal(time_ms, 0);
}

static void test_parameter_time_absolute_or_before_now(void **state)
{
    static const struct {
        const char *text;
        uint64_t ms; /* 0: refused */
    } cases[] = {{"-1s", 999999000},
                 {"-15m", 999100000},
                 {"-1h", 996400000},
                 {"-1d", 913600000},
                 {"-0s", 1000000000},
                 {"-1000d", 1}, /* before there was time */
                 {"1970-01-01T00:00:01Z", 1000},
                 {"1970-01-01T02:00:01+02:00", 1000},
                 {"15m", 0},
                 {"-15", 0},
                 {"-m", 0},
                 {"-15mm", 0},
                 {"-1.5h", 0},
                 {"--15m", 0},
                 {"-1000001d", 0},
                 {"-99999999999999999999d", 0},
                 {"yesterday", 0},
                 {"", 0}};
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const one[] = {"since", cases[i].text, NULL};
        admin_call_t call = a_call(one);
        uint64_t ms;
        assert_int_equal(admin_parameter_time(&call, "since", &ms), cases[i].ms != 0);
        assert_int_equal(call.status, cases[i].ms == 0 ? 400 : 0);
        if (cases[i].ms != 0) {
            assert_int_equal(ms, cases[i].ms);
        }
    }
}

static void test_parameter_selection_takes_all_values_and_a_network(void **state)
{
    static const char *const columns[] = {"policy", "state", "app", NULL};
    static const char *const some[] = {
        "policy", "a",   "state",  "active",       "policy", "b",
        "since",  "-1s", "client", "192.0.2.0/24", NULL};
    admin_call_t call = a_call(some);
    admin_selection_t rows;
    (void)state;
    assert_true(admin_parameter_selection(&call, columns, &rows));
    assert_int_equal(rows.term_count, 2);
    assert_string_equal(rows.terms[0].column, "policy");
    assert_int_equal(rows.terms[0].count, 2);
    assert_string_equal(rows.terms[0].values[1], "b");
    assert_string_equal(rows.terms[1].column, "state");
    assert_true(rows.has_client && rows.client.prefix == 96 + 24);
    assert_int_equal(rows.since_ms, 999999000);
    assert_int_equal(rows.until_ms, 0);
}

static void test_parameter_selection_refuses_more_than_it_can_hold(void **state)
{
    static const char *const columns[] = {"policy", NULL};
    const char *many[2 * (ADMIN_TERM_VALUES_MAX + 1) + 1] = {NULL};
    admin_selection_t rows;
    (void)state;
    for (size_t i = 0; i <= ADMIN_TERM_VALUES_MAX; i++) {
        admin_call_t call = a_call(many);
        many[2 * i] = "policy";
        many[2 * i + 1] = "a";
        assert_int_equal(admin_parameter_selection(&call, columns, &rows),
                         i < ADMIN_TERM_VALUES_MAX);
        assert_int_equal(call.status, i < ADMIN_TERM_VALUES_MAX ? 0 : 400);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parameter_number_in_its_bounds),
        cmocka_unit_test(test_parameter_absent_leaves_the_number_and_means_no_time),
        cmocka_unit_test(test_parameter_time_absolute_or_before_now),
        cmocka_unit_test(test_parameter_selection_takes_all_values_and_a_network),
        cmocka_unit_test(test_parameter_selection_refuses_more_than_it_can_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
