/* SPDX-License-Identifier: Apache-2.0
 *
 * Queries and Cookie headers: what they hold, and what somebody makes up who wants to be
 * misread.
 */
#include "../../core/pairs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static l7s_pairs_t pairs;

/* The names that are asked for, in the order of their numbers. */
static uint32_t wanted(const void *context, const char *name)
{
    static const char *const names[] = {"a", "b", "a b", "A", "%00"};

    (void)context;
    for (uint32_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(names[i], name) == 0) {
            return i;
        }
    }
    return L7S_PAIRS_UNWANTED;
}

/* All values, "name:value|…" with the names' numbers. */
static const char *shown(void)
{
    static char text[4096];
    size_t size = 0;

    text[0] = '\0';
    for (uint32_t name = 0; name < 5; name++) {
        uint32_t at = 0;
        const char *value = l7s_pairs_next(&pairs, name, &at);
        for (; value != NULL; value = l7s_pairs_next(&pairs, name, &at)) {
            size += (size_t)snprintf(text + size, sizeof text - size, "%u:%s|",
                                     (unsigned)name, value);
        }
    }
    return text;
}

static void test_pairs_read_query_table(void **state)
{
    static const struct {
        const char *query, *shown;
    } table[] = {
        {"", ""},
        {"a=1", "0:1|"},
        {"x=1&a=2&y", "0:2|"},
        {"a", "0:|"},
        {"a=", "0:|"},
        {"=1&&=&a=x=y", "0:x=y|"},
        {"a=1&b=2&a=3", "0:1|0:3|1:2|"},
        {"%61=%31", "0:1|"},
        {"a+b=c+d&a%20b=%2B", "2:c d|2:+|"},
        {"A=1&a=2", "0:2|3:1|"},
        {"a=%2541", "0:%41|"}, /* once, not twice */
        {"a=%00b&%00=x", "0:%00b|4:x|"},
        {"a=%&b=%4", "0:%|1:%4|"},
        {"a=%zz%4g%C3%a9", "0:%zz%4g\xc3\xa9|"},
        {"a=\xff\xfe", "0:\xff\xfe|"},
        {"a=1;b=2", "0:1;b=2|"},
        {"a%3D1=2", ""},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        l7s_pairs_read_query(&pairs, table[i].query, wanted, NULL);
        assert_string_equal(shown(), table[i].shown);
    }
    l7s_pairs_read_query(&pairs, NULL, wanted, NULL);
    assert_string_equal(shown(), "");
}

static void test_pairs_read_cookies_table(void **state)
{
    static const struct {
        const char *header, *shown;
    } table[] = {
        {"a=1; b=2", "0:1|1:2|"},
        {"a=1;b=2", "0:1|1:2|"},
        {"  a = 1\t;b=\"x y\";", "0:1|1:\"x y\"|"},
        {"a=1; a=2", "0:1|0:2|"},
        {"a", "0:|"},
        {"a=%31+", "0:%31+|"}, /* as it stands */
        {"a=x=y==", "0:x=y==|"},
        {"=1;;; =;x", ""},
        {"a b=1", "2:1|"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        l7s_pairs_read_cookies(&pairs, table[i].header, wanted, NULL);
        assert_string_equal(shown(), table[i].shown);
    }
    l7s_pairs_read_cookies(&pairs, NULL, wanted, NULL);
    assert_string_equal(shown(), "");
}

/* Nobody hides a parameter behind others, as long as it stands in what is looked at. */
static void test_pairs_read_query_as_many_as_fit_are_all_kept(void **state)
{
    char *query = malloc(L7S_PAIRS_BYTES + 8);
    uint32_t at = 0, count = 0;

    (void)state;
    for (size_t i = 0; i < L7S_PAIRS_BYTES; i += 2) {
        memcpy(query + i, "a&", 2);
    }
    memcpy(query + L7S_PAIRS_BYTES - 4, "b=1&", 5);
    l7s_pairs_read_query(&pairs, query, wanted, NULL);
    while (l7s_pairs_next(&pairs, 0, &at) != NULL) {
        count++;
    }
    assert_int_equal(count, L7S_PAIRS_BYTES / 2 - 2);
    at = 0;
    assert_string_equal(l7s_pairs_next(&pairs, 1, &at), "1");
    free(query);
}

static void test_pairs_read_query_beyond_its_bytes_is_not_looked_at(void **state)
{
    char *query = malloc(L7S_PAIRS_BYTES + 64);
    uint32_t at = 0;
    const char *value;

    (void)state;
    memset(query, 'x', L7S_PAIRS_BYTES + 32);
    memcpy(query, "a=", 2);
    memcpy(query + L7S_PAIRS_BYTES + 8, "&b=1", 5);
    l7s_pairs_read_query(&pairs, query, wanted, NULL);
    value = l7s_pairs_next(&pairs, 0, &at);
    assert_int_equal(strlen(value), L7S_PAIRS_BYTES - 2);
    assert_null(l7s_pairs_next(&pairs, 0, &at));
    at = 0;
    assert_null(l7s_pairs_next(&pairs, 1, &at));
    l7s_pairs_read_cookies(&pairs, query, wanted, NULL);
    at = 0;
    assert_int_equal(strlen(l7s_pairs_next(&pairs, 0, &at)), L7S_PAIRS_BYTES - 2);
    free(query);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pairs_read_query_table),
        cmocka_unit_test(test_pairs_read_cookies_table),
        cmocka_unit_test(test_pairs_read_query_as_many_as_fit_are_all_kept),
        cmocka_unit_test(test_pairs_read_query_beyond_its_bytes_is_not_looked_at),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
