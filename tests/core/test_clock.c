/* SPDX-License-Identifier: Apache-2.0
 *
 * RFC 3339 there and back, compared with libc's calendar over random instants.
 */
#include "../../core/clock.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <time.h>

static void test_time_text_of_known_instants(void **state)
{
    (void)state;
    static const struct {
        uint64_t ms;
        const char *text;
    } cases[] = {
        {0, "1970-01-01T00:00:00.000Z"},
        {1, "1970-01-01T00:00:00.001Z"},
        {951782399999, "2000-02-28T23:59:59.999Z"},
        {951782400000, "2000-02-29T00:00:00.000Z"},
        {1769903999123, "2026-01-31T23:59:59.123Z"},
        {4107542400000, "2100-03-01T00:00:00.000Z"},
        {253402300799999, "9999-12-31T23:59:59.999Z"},
        {253402300800000, "9999-12-31T23:59:59.999Z"},
        {UINT64_MAX, "9999-12-31T23:59:59.999Z"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[L7S_TIME_TEXT];
        l7s_time_text(cases[i].ms, text);
        assert_string_equal(text, cases[i].text);
    }
}

static void test_time_text_agrees_with_libc_and_parses_back(void **state)
{
    (void)state;
    uint64_t seed = 1;
    for (int i = 0; i < 100000; i++) {
        uint64_t ms = seeded_below(&seed, 253402300800000);
        time_t seconds = (time_t)(ms / 1000);
        struct tm tm;
        gmtime_r(&seconds, &tm);
        char expected[64], text[L7S_TIME_TEXT];
        size_t size = strftime(expected, sizeof expected, "%Y-%m-%dT%H:%M:%S", &tm);
        snprintf(expected + size, sizeof expected - size, ".%03uZ",
                 (unsigned)(ms % 1000));
        l7s_time_text(ms, text);
        assert_string_equal(text, expected);
        uint64_t back;
        assert_true(l7s_time_parse(text, &back));
        assert_int_equal(back, ms);
    }
}

static void test_time_parse_offsets_and_fractions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        uint64_t ms;
    } cases[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"1970-01-01t00:00:00.5z", 500},
        {"1970-01-01T00:00:00.0019999Z", 1},
        {"1970-01-01T01:00:00+01:00", 0},
        {"1969-12-31T23:30:00-00:30", 0},
        {"2026-01-31T23:59:59.123+05:30", 1769884199123},
        {"2016-12-31T23:59:60Z", 1483228800000},
        {"2024-02-29T00:00:00Z", 1709164800000},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        uint64_t ms;
        assert_true(l7s_time_parse(cases[i].text, &ms));
        assert_int_equal(ms, cases[i].ms);
    }
}

static void test_time_parse_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "2026",
        "2026-01-31",
        "2026-01-31T23:59:59",
        "2026-01-31 23:59:59Z",
        "2026-13-01T00:00:00Z",
        "2026-00-01T00:00:00Z",
        "2026-02-29T00:00:00Z",
        "2100-02-29T00:00:00Z",
        "2026-04-31T00:00:00Z",
        "2026-01-31T24:00:00Z",
        "2026-01-31T23:60:00Z",
        "2026-01-31T23:59:61Z",
        "2026-01-31T23:59:59.Z",
        "2026-01-31T23:59:59+0100",
        "2026-01-31T23:59:59+24:00",
        "2026-01-31T23:59:59Zx",
        "+026-01-31T23:59:59Z",
        "1969-12-31T23:59:59Z",
        "1970-01-01T00:00:00+00:01",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        uint64_t ms = 42;
        assert_false(l7s_time_parse(texts[i], &ms));
        assert_int_equal(ms, 42);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_time_text_of_known_instants),
        cmocka_unit_test(test_time_text_agrees_with_libc_and_parses_back),
        cmocka_unit_test(test_time_parse_offsets_and_fractions),
        cmocka_unit_test(test_time_parse_other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
