/* SPDX-License-Identifier: Apache-2.0
 *
 * Whole configurations and single objects, by the documents in data/: valid/ must pass,
 * invalid/ must fail with exactly the problems that stand in the file.
 */
#include "../../core/json/config.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *member(const json_t *object, const char *name)
{
    const char *text = json_string_value(json_object_get(object, name));

    return text == NULL ? "" : text;
}

static l7s_status_t check_case(const json_t *test, l7s_problems_t *problems)
{
    const json_t *document = json_object_get(test, "document");
    l7s_config_t *config = NULL;
    l7s_status_t status = L7S_OK;

    if (strcmp(member(test, "kind"), "config") != 0) {
        return l7s_object_check(member(test, "kind"), member(test, "name"), document,
                                problems);
    }
    status = l7s_config_parse(document, problems, &config);
    assert_true((status == L7S_OK) == (config != NULL));
    l7s_config_free(config);
    return status;
}

static bool problems_agree(const char *file, const json_t *wanted,
                           const l7s_problems_t *found)
{
    bool agree = json_array_size(wanted) == found->count && found->dropped == 0;

    for (size_t i = 0; i < found->count; i++) {
        const json_t *problem = json_array_get(wanted, i);

        if (strcmp(member(problem, "pointer"), found->items[i].pointer) != 0 ||
            strcmp(member(problem, "code"), found->items[i].code) != 0 ||
            strcmp(member(problem, "message"), found->items[i].message) != 0) {
            agree = false;
        }
    }
    for (size_t i = 0; i < found->count && !agree; i++) {
        print_error("%s: {\"pointer\": \"%s\", \"code\": \"%s\", \"message\": \"%s\"}\n",
                    file, found->items[i].pointer, found->items[i].code,
                    found->items[i].message);
    }
    return agree;
}

/* Runs every file of a folder; returns how many failed. */
static size_t run_folder(const char *folder, l7s_status_t wanted)
{
    const struct dirent *entry = NULL;
    size_t count = 0, failures = 0;
    char path[1024];
    DIR *files = NULL;

    snprintf(path, sizeof path, "%s/data/%s", TEST_DATA, folder);
    files = opendir(path);
    assert_non_null(files);
    for (entry = readdir(files); entry != NULL; entry = readdir(files)) {
        l7s_problems_t problems = {.count = 0};
        json_t *test = NULL;

        if (strstr(entry->d_name, ".json") == NULL) {
            continue;
        }
        snprintf(path, sizeof path, "%s/data/%s/%s", TEST_DATA, folder, entry->d_name);
        test = json_load_file(path, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(test);
        if (check_case(test, &problems) != wanted ||
            !problems_agree(entry->d_name, json_object_get(test, "problems"),
                            &problems)) {
            print_error("%s/%s failed\n", folder, entry->d_name);
            failures++;
        }
        count++;
        json_decref(test);
    }
    closedir(files);
    assert_true(count > 10);
    return failures;
}

static void test_documents_valid_are_accepted_without_a_word(void **state)
{
    (void)state;
    assert_int_equal(run_folder("valid", L7S_OK), 0);
}

static void test_documents_invalid_are_refused_with_every_problem(void **state)
{
    (void)state;
    assert_int_equal(run_folder("invalid", L7S_INVALID), 0);
}

static void test_object_check_unknown_kind_is_not_found(void **state)
{
    json_t *document = json_object();

    (void)state;
    assert_int_equal(l7s_object_check("pack", "a", document, NULL), L7S_NOT_FOUND);
    json_decref(document);
}

static l7s_config_t *parsed(const char *text)
{
    l7s_problems_t problems = {.count = 0};
    json_t *document = l7s_json_read(text, strlen(text), &problems);
    l7s_config_t *config = NULL;

    assert_non_null(document);
    assert_int_equal(l7s_config_parse(document, &problems, &config), L7S_OK);
    json_decref(document);
    return config;
}

#define POLICY(name, priority)                                                           \
    "{\"name\":\"" name "\",\"priority\":" priority                                      \
    ",\"detect\":{\"always\":{}},\"action\":{\"log\":{}}}"

static void test_config_parse_policies_are_sorted_by_priority_then_name(void **state)
{
    l7s_config_t *config = parsed("{\"policies\":[" POLICY("b", "7") "," POLICY(
        "c", "1") "," POLICY("a", "7") "]}");

    (void)state;
    assert_int_equal(config->policy_count, 3);
    assert_string_equal(config->policies[0].name, "c");
    assert_string_equal(config->policies[1].name, "a");
    assert_string_equal(config->policies[2].name, "b");
    l7s_config_free(config);
}

static void test_config_parse_settings_hold_the_kill_switch(void **state)
{
    l7s_config_t *config =
        parsed("{\"settings\":{\"mode\":\"observe\",\"mode_until\":"
               "\"1970-01-01T00:00:02Z\",\"retention\":{\"days\":3}}}");

    (void)state;
    assert_int_equal(config->mode, L7S_MODE_OBSERVE);
    assert_int_equal(config->mode_until_ms, 2000);
    l7s_config_free(config);
    config = parsed("{}");
    assert_int_equal(config->mode, L7S_MODE_ENFORCE);
    assert_int_equal(config->mode_until_ms, 0);
    l7s_config_free(config);
}

static void test_config_parse_settings_say_whether_queries_are_recorded(void **state)
{
    static const struct {
        const char *document;
        bool recorded;
    } cases[] = {
        {"{}", false},
        {"{\"settings\":{\"privacy\":{\"addresses\":\"full\"}}}", false},
        {"{\"settings\":{\"privacy\":{\"query_strings\":\"omit\"}}}", false},
        {"{\"settings\":{\"privacy\":{\"query_strings\":\"include\"}}}", true},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_config_t *config = parsed(cases[i].document);
        assert_int_equal(config->records_query, cases[i].recorded);
        l7s_config_free(config);
    }
}

static void test_config_parse_apps_and_responses_have_their_defaults(void **state)
{
    l7s_config_t *config =
        parsed("{\"apps\":[{\"name\":\"shop\",\"hosts\":[\"WWW.Example.com\"]}],"
               "\"responses\":[{\"name\":\"busy\",\"body\":\"wait\"}]}");

    (void)state;
    assert_int_equal(config->apps[0].tier, 3);
    assert_int_equal(config->apps[0].mode, L7S_MODE_ENFORCE);
    assert_string_equal(config->apps[0].hosts.items[0], "www.example.com");
    assert_string_equal(config->responses[0].content_type, "text/plain");
    assert_string_equal(config->responses[0].body, "wait");
    l7s_config_free(config);
}

/* More problems than are kept, and more objects than are allowed: bounded work. */
static void test_config_parse_flood_of_errors_is_cut_and_counted(void **state)
{
    json_t *policies = json_array(), *document = json_object(), *odd = json_object();
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config = NULL;

    (void)state;
    for (size_t i = 0; i < 20000; i++) {
        char name[32];

        snprintf(name, sizeof name, "unknown%zu", i);
        json_object_set_new(odd, name, json_null());
        json_array_append_new(policies, json_pack("{s:s}", "name", "same"));
    }
    json_object_set_new(odd, "policies", policies);
    json_object_update(document, odd);
    assert_int_equal(l7s_config_parse(document, &problems, &config), L7S_INVALID);
    assert_int_equal(problems.count, L7S_PROBLEMS_MAX);
    assert_true(problems.dropped >= 20000 - L7S_PROBLEMS_MAX);
    json_decref(document);
    json_decref(odd);
}

/* xorshift64: the same documents in every run. */
static uint64_t next_random(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static json_t *odd_value(uint64_t random)
{
    static const char *const texts[] = {"null",         "true",
                                        "-1",           "1.5",
                                        "1e300",        "[]",
                                        "{}",           "\"\"",
                                        "\"@\"",        "\"header:\"",
                                        "[[null]]",     "{\"in\":[null,{}]}",
                                        "[{},1,\"x\"]", "{\"rate\":[{},null]}",
                                        "{\"ban\":3}"};

    return json_loads(texts[random % (sizeof texts / sizeof texts[0])], JSON_DECODE_ANY,
                      NULL);
}

/* Replaces some members, at any depth, with values of other types. */
static void mutate(json_t *value, uint64_t *state)
{
    const char *name = NULL;
    json_t *member = NULL;
    void *next = NULL;

    json_object_foreach_safe(value, next, name, member)
    {
        if (next_random(state) % 8 == 0) {
            json_object_set_new(value, name, odd_value(next_random(state)));
        } else {
            mutate(member, state);
        }
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        if (next_random(state) % 8 == 0) {
            json_array_set_new(value, i, odd_value(next_random(state)));
        } else {
            mutate(json_array_get(value, i), state);
        }
    }
}

static json_t *load(const char *folder, const char *name)
{
    char path[1024];
    json_t *test = NULL, *document = NULL;

    snprintf(path, sizeof path, "%s/data/%s/%s.json", TEST_DATA, folder, name);
    test = json_load_file(path, 0, NULL);
    assert_non_null(test);
    document = json_incref(json_object_get(test, "document"));
    json_decref(test);
    return document;
}

/* Nobody crashes on a document of the wrong types, and it says why when it is refused. */
static void test_config_parse_random_wrong_types_are_refused_with_a_reason(void **state)
{
    json_t *policy = load("valid", "policy-full"), *list = load("valid", "list-full");
    json_t *app = load("valid", "app-full"), *response = load("valid", "response-full");
    uint64_t random = 88172645463325252;
    size_t refused = 0;

    (void)state;
    for (size_t i = 0; i < 5000; i++) {
        json_t *model =
            json_pack("{s:[O], s:[O], s:[O], s:[O], s:{s:s, s:s}}", "policies", policy,
                      "lists", list, "apps", app, "responses", response, "settings",
                      "mode", "off", "mode_until", "2026-01-01T00:00:00Z");
        json_t *document = json_deep_copy(model);
        l7s_problems_t problems = {.count = 0};
        l7s_config_t *config = NULL;

        mutate(document, &random);
        if (l7s_config_parse(document, &problems, &config) != L7S_OK) {
            assert_true(problems.count > 0);
            refused++;
        }
        l7s_config_free(config);
        json_decref(document);
        json_decref(model);
    }
    assert_true(refused > 4000);
    json_decref(policy);
    json_decref(list);
    json_decref(app);
    json_decref(response);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_documents_valid_are_accepted_without_a_word),
        cmocka_unit_test(test_documents_invalid_are_refused_with_every_problem),
        cmocka_unit_test(test_object_check_unknown_kind_is_not_found),
        cmocka_unit_test(test_config_parse_policies_are_sorted_by_priority_then_name),
        cmocka_unit_test(test_config_parse_settings_hold_the_kill_switch),
        cmocka_unit_test(test_config_parse_settings_say_whether_queries_are_recorded),
        cmocka_unit_test(test_config_parse_apps_and_responses_have_their_defaults),
        cmocka_unit_test(test_config_parse_flood_of_errors_is_cut_and_counted),
        cmocka_unit_test(test_config_parse_random_wrong_types_are_refused_with_a_reason),
    };

    return cmocka_run_group_tests_name("config_json", tests, NULL, NULL);
}
