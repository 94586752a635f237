/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists: their way into the model, and the largest one that is allowed.
 */
#include "../../core/json/config.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static l7s_status_t parse_list(json_t *list, l7s_problems_t *problems, l7s_config_t **out)
{
    json_t *document = json_pack("{s:[o]}", "lists", list);
    l7s_status_t status = l7s_config_parse(document, problems, out);

    json_decref(document);
    return status;
}

static void test_list_read_full_keeps_every_member(void **state)
{
    json_t *list =
        json_pack("{s:s, s:s, s:[s], s:[{s:s, s:s}, {s:s, s:n}]}", "name", "office",
                  "effect", "allow", "apps", "shop", "entries", "value", "10.0.0.0/8",
                  "expires_at", "1970-01-01T00:00:03Z", "value", "::1", "expires_at");
    l7s_config_t *config = NULL;

    (void)state;
    assert_int_equal(parse_list(list, NULL, &config), L7S_OK);
    assert_string_equal(config->lists[0].name, "office");
    assert_int_equal(config->lists[0].effect, L7S_EFFECT_ALLOW);
    assert_string_equal(config->lists[0].apps.items[0], "shop");
    assert_int_equal(config->lists[0].entry_count, 2);
    assert_int_equal(config->lists[0].entries[0].network.prefix, 104);
    assert_int_equal(config->lists[0].entries[0].expires_ms, 3000);
    assert_int_equal(config->lists[0].entries[1].network.prefix, 128);
    assert_int_equal(config->lists[0].entries[1].expires_ms, 0);
    l7s_config_free(config);
}

static json_t *list_of(size_t count)
{
    json_t *entries = json_array();

    for (size_t i = 0; i < count; i++) {
        char text[32];

        snprintf(text, sizeof text, "10.%zu.%zu.%zu", i >> 16, i >> 8 & 255, i & 255);
        json_array_append_new(entries, json_pack("{s:s}", "value", text));
    }
    return json_pack("{s:s, s:o}", "name", "big", "entries", entries);
}

static void test_list_read_100000_entries_pass_one_more_is_refused(void **state)
{
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config = NULL;

    (void)state;
    assert_int_equal(parse_list(list_of(100000), &problems, &config), L7S_OK);
    assert_int_equal(config->lists[0].entry_count, 100000);
    l7s_config_free(config);
    assert_int_equal(parse_list(list_of(100001), &problems, &config), L7S_INVALID);
    assert_string_equal(problems.items[0].pointer, "/lists/0/entries");
}

static void test_list_read_late_duplicate_names_both_places(void **state)
{
    json_t *list = list_of(5000);
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config = NULL;

    (void)state;
    json_array_append_new(json_object_get(list, "entries"),
                          json_pack("{s:s}", "value", "10.0.0.7/32"));
    assert_int_equal(parse_list(list, &problems, &config), L7S_INVALID);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].pointer, "/lists/0/entries/5000/value");
    assert_string_equal(problems.items[0].message, "10.0.0.7 is entry 7 already");
}

static void test_list_read_strings_keeps_them_byte_by_byte(void **state)
{
    json_t *list = json_pack("{s:s, s:s, s:[{s:s}, {s:s}]}", "name", "keys", "kind",
                             "strings", "entries", "value", "K-1 ", "value", "k-1");
    l7s_config_t *config = NULL;

    (void)state;
    assert_int_equal(parse_list(list, NULL, &config), L7S_OK);
    assert_int_equal(config->lists[0].kind, L7S_LIST_STRINGS);
    assert_int_equal(config->lists[0].entry_count, 2);
    assert_string_equal(config->lists[0].entries[0].text, "K-1 ");
    assert_string_equal(config->lists[0].entries[1].text, "k-1");
    l7s_config_free(config);
}

static void test_list_read_duplicate_string_is_not_quoted(void **state)
{
    json_t *list = json_pack("{s:s, s:s, s:[{s:s}, {s:s}]}", "name", "keys", "kind",
                             "strings", "entries", "value", "s3cret", "value", "s3cret");
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config = NULL;

    (void)state;
    assert_int_equal(parse_list(list, &problems, &config), L7S_INVALID);
    assert_int_equal(problems.count, 1);
    assert_string_equal(problems.items[0].pointer, "/lists/0/entries/1/value");
    assert_null(strstr(problems.items[0].message, "s3cret"));
}

static void test_list_unexpired_leaves_out_what_is_due(void **state)
{
    json_t *list = json_loads("{\"entries\":[{\"value\":\"a\",\"expires_at\":"
                              "\"1970-01-01T00:00:03Z\"},{\"value\":\"b\","
                              "\"expires_at\":null},{\"value\":\"c\"}],\"name\":\"l\"}",
                              0, NULL);
    json_t *before = l7s_list_unexpired(list, 2999), *after = NULL;

    (void)state;
    assert_ptr_equal(before, list);
    after = l7s_list_unexpired(list, 3000);
    char *text = json_dumps(after, JSON_COMPACT);
    assert_string_equal(text, "{\"entries\":[{\"value\":\"b\",\"expires_at\":null},"
                              "{\"value\":\"c\"}],\"name\":\"l\"}");
    free(text);
    json_decref(after);
    json_decref(before);
    json_decref(list);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_list_read_full_keeps_every_member),
        cmocka_unit_test(test_list_unexpired_leaves_out_what_is_due),
        cmocka_unit_test(test_list_read_100000_entries_pass_one_more_is_refused),
        cmocka_unit_test(test_list_read_late_duplicate_names_both_places),
        cmocka_unit_test(test_list_read_strings_keeps_them_byte_by_byte),
        cmocka_unit_test(test_list_read_duplicate_string_is_not_quoted),
    };

    return cmocka_run_group_tests_name("list_json", tests, NULL, NULL);
}
