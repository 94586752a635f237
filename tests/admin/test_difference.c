/* SPDX-License-Identifier: Apache-2.0
 *
 * Differences between documents, as people read them in the history.
 */
#include "../../admin_api/store/difference.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>

static json_t *difference(const char *from, const char *to)
{
    json_t *a = json_loads(from, 0, NULL), *b = json_loads(to, 0, NULL);
    json_t *out = admin_difference(a, b);
    json_decref(a);
    json_decref(b);
    return out;
}

static void test_difference_is_what_people_expect(void **state)
{
    (void)state;
    static const struct {
        const char *from, *to, *expected;
    } cases[] = {
        {"{\"a\":1}", "{\"a\":1}", "[]"},
        {"{\"a\":1}", "{\"a\":2}",
         "[{\"pointer\":\"/a\",\"op\":\"replace\",\"from\":1,\"to\":2}]"},
        {"{}", "{\"a\":{\"b\":1}}",
         "[{\"pointer\":\"/a\",\"op\":\"add\",\"to\":{\"b\":1}}]"},
        {"{\"a\":null}", "{}", "[{\"pointer\":\"/a\",\"op\":\"remove\",\"from\":null}]"},
        {"{\"a\":{\"b\":1,\"c\":2}}", "{\"a\":{\"b\":1,\"c\":3}}",
         "[{\"pointer\":\"/a/c\",\"op\":\"replace\",\"from\":2,\"to\":3}]"},
        {"{\"a/b~\":1}", "{\"a/b~\":2}",
         "[{\"pointer\":\"/a~1b~0\",\"op\":\"replace\",\"from\":1,\"to\":2}]"},
        {"{\"a\":[1,2,3,4]}", "{\"a\":[1,9,4]}",
         "[{\"pointer\":\"/a\",\"op\":\"replace\",\"removed\":[2,3],\"added\":[9]}]"},
        /* Entries are known by their values, wherever they stand. */
        {"{\"e\":[{\"value\":\"x\"},{\"value\":\"y\"},{\"value\":\"z\"}]}",
         "{\"e\":[{\"value\":\"z\"},{\"value\":\"y\",\"note\":\"n\"},{\"value\":\"w\"}]}",
         "[{\"pointer\":\"/e\",\"op\":\"replace\","
         "\"removed\":[{\"value\":\"x\"},{\"value\":\"y\"}],"
         "\"added\":[{\"value\":\"y\",\"note\":\"n\"},{\"value\":\"w\"}]}]"},
        {"{\"e\":[{\"name\":\"x\"},{\"name\":\"y\"}]}",
         "{\"e\":[{\"name\":\"y\"},{\"name\":\"x\"}]}",
         "[{\"pointer\":\"/e\",\"op\":\"replace\",\"removed\":[],\"added\":[]}]"},
        /* One that stands there twice is no entry. */
        {"{\"e\":[{\"value\":\"x\"},{\"value\":\"x\"}]}", "{\"e\":[{\"value\":\"x\"}]}",
         "[{\"pointer\":\"/e\",\"op\":\"replace\",\"removed\":[{\"value\":\"x\"}],"
         "\"added\":[]}]"},
        {"{\"a\":[1]}", "{\"a\":{}}",
         "[{\"pointer\":\"/a\",\"op\":\"replace\",\"from\":[1],\"to\":{}}]"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *found = difference(cases[i].from, cases[i].to);
        char *text = json_dumps(found, JSON_COMPACT);
        assert_string_equal(text, cases[i].expected);
        free(text);
        json_decref(found);
    }
}

static void test_difference_beyond_the_maximum_counts_the_rest(void **state)
{
    (void)state;
    json_t *to = json_object(), *from = json_object();
    for (int i = 0; i < ADMIN_DIFFERENCES_MAX + 7; i++) {
        char key[16];
        snprintf(key, sizeof key, "k%d", i);
        json_object_set_new(to, key, json_integer(i));
    }
    json_t *found = admin_difference(from, to);
    assert_int_equal(json_array_size(found), ADMIN_DIFFERENCES_MAX + 1);
    const json_t *last = json_array_get(found, ADMIN_DIFFERENCES_MAX);
    assert_string_equal(json_string_value(json_object_get(last, "op")), "more");
    assert_int_equal(json_integer_value(json_object_get(last, "count")), 7);
    json_decref(found);
    json_decref(from);
    json_decref(to);
}

static void test_difference_of_long_arrays_shows_a_part_and_the_counts(void **state)
{
    (void)state;
    json_t *from = json_pack("{s:[]}", "a"), *to = json_pack("{s:[]}", "a");
    for (int i = 0; i < 3 * ADMIN_DIFFERENCE_ITEMS_MAX; i++) {
        json_array_append_new(json_object_get(to, "a"), json_integer(i));
    }
    json_t *found = admin_difference(from, to);
    const json_t *change = json_array_get(found, 0);
    assert_int_equal(json_array_size(json_object_get(change, "added")),
                     ADMIN_DIFFERENCE_ITEMS_MAX);
    assert_int_equal(json_integer_value(json_object_get(change, "added_count")),
                     3 * ADMIN_DIFFERENCE_ITEMS_MAX);
    json_decref(found);
    json_decref(from);
    json_decref(to);
}

static void test_difference_of_a_new_document_is_empty(void **state)
{
    (void)state;
    json_t *document = json_pack("{s:i}", "a", 1);
    json_t *found = admin_difference(NULL, document);
    assert_int_equal(json_array_size(found), 0);
    json_decref(found);
    json_decref(document);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_difference_is_what_people_expect),
        cmocka_unit_test(test_difference_beyond_the_maximum_counts_the_rest),
        cmocka_unit_test(test_difference_of_long_arrays_shows_a_part_and_the_counts),
        cmocka_unit_test(test_difference_of_a_new_document_is_empty),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
