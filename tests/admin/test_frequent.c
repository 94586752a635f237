/* SPDX-License-Identifier: Apache-2.0
 *
 * What came most often, among more different things than there are counters.
 */
#include "../../admin_api/backtest/frequent.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void write_number(const void *context, char out[ADMIN_FREQUENT_TEXT])
{
    snprintf(out, ADMIN_FREQUENT_TEXT, "n%llu",
             (unsigned long long)*(const uint64_t *)context);
}

static void add(admin_frequent_t *frequent, uint64_t number)
{
    admin_frequent_add(frequent, (number + 1) * 0x9e3779b97f4a7c15ULL, write_number,
                       &number);
}

static void test_frequent_few_are_counted_exactly(void **state)
{
    (void)state;
    admin_frequent_t *frequent = admin_frequent_create();

    for (uint64_t i = 0; i < 100; i++) {
        for (uint64_t k = 0; k <= i; k++) {
            add(frequent, i);
        }
    }
    json_t *top = admin_frequent_json(frequent, 2);
    char *text = json_dumps(top, JSON_COMPACT);
    assert_string_equal(
        text, "[{\"value\":\"n99\",\"count\":100},{\"value\":\"n98\",\"count\":99}]");
    assert_int_equal(admin_frequent_error(frequent), 0);
    free(text);
    json_decref(top);
    admin_frequent_free(frequent);
}

/* Ten that come often between a hundred thousand that come once: they are there, and
 * their counts are as good as is said. */
static void test_frequent_many_leave_those_that_come_often(void **state)
{
    (void)state;
    admin_frequent_t *frequent = admin_frequent_create();
    uint64_t total = 0;

    for (uint64_t i = 0; i < 100000; i++, total++) {
        add(frequent, 1000 + i);
        if (i % 10 == 0) {
            add(frequent, i / 10 % 10);
            total++;
        }
    }
    uint64_t error = admin_frequent_error(frequent);
    assert_true(error > 0 && error <= total / 512);
    json_t *top = admin_frequent_json(frequent, 10), *item;
    size_t index;
    json_array_foreach(top, index, item)
    {
        json_int_t count = json_integer_value(json_object_get(item, "count"));
        assert_int_equal(strlen(json_string_value(json_object_get(item, "value"))), 2);
        assert_in_range(count, 1000 - error, 1000);
    }
    assert_int_equal(json_array_size(top), 10);
    json_decref(top);
    admin_frequent_free(frequent);
}

static void write_bytes(const void *context, char out[ADMIN_FREQUENT_TEXT])
{
    snprintf(out, ADMIN_FREQUENT_TEXT, "%s", (const char *)context);
}

static void test_frequent_json_is_utf8(void **state)
{
    (void)state;
    admin_frequent_t *frequent = admin_frequent_create();

    admin_frequent_add(frequent, 1, write_bytes, "/\xff\xc3");
    json_t *top = admin_frequent_json(frequent, 10);
    assert_int_equal(json_array_size(top), 1);
    assert_non_null(json_object_get(json_array_get(top, 0), "value"));
    json_decref(top);
    admin_frequent_free(frequent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frequent_few_are_counted_exactly),
        cmocka_unit_test(test_frequent_many_leave_those_that_come_often),
        cmocka_unit_test(test_frequent_json_is_utf8),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
