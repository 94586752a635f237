/* SPDX-License-Identifier: Apache-2.0
 *
 * The validator: draft 2020-12's official suite for the supported keywords (where
 * L7S_CONFORMANCE_DATA names the folder that holds it), and what is our own: messages,
 * pointers, refusals at compilation.
 */
#include "../../core/schema/schema.h"
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* What the validator refuses at compilation: the list of schema.h. */
static const char *const UNSUPPORTED[] = {
    "$id",
    "$anchor",
    "$dynamicRef",
    "$dynamicAnchor",
    "$vocabulary",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
    "$schema",
    "$ref",
};

static const char *last_token(const char *pointer)
{
    const char *slash = strrchr(pointer, '/');

    return slash == NULL ? pointer : slash + 1;
}

/* Do all problems name keywords that are not supported? */
static bool refused_rightly(const l7s_problems_t *problems)
{
    for (size_t i = 0; i < problems->count; i++) {
        const char *keyword = last_token(problems->items[i].pointer);
        bool known = false;

        for (size_t j = 0; j < sizeof UNSUPPORTED / sizeof UNSUPPORTED[0]; j++) {
            known = known || strcmp(UNSUPPORTED[j], keyword) == 0;
        }
        if (!known) {
            return false;
        }
    }
    return problems->count > 0;
}

typedef struct {
    size_t cases, refused, failures;
} tally_t;

static void run_group(const char *file, json_t *group, tally_t *tally)
{
    const char *name = json_string_value(json_object_get(group, "description"));
    const json_t *tests = json_object_get(group, "tests"), *test = NULL;
    l7s_problems_t problems = {.count = 0};
    l7s_schema_t *schema = NULL;
    size_t index = 0;

    if (l7s_schema_compile(json_object_get(group, "schema"), "", &problems, &schema) !=
        L7S_OK) {
        tally->refused += json_array_size(tests);
        if (!refused_rightly(&problems)) {
            print_error("%s: %s: refused at %s: %s\n", file, name,
                        problems.items[0].pointer, problems.items[0].message);
            tally->failures++;
        }
        return;
    }
    json_array_foreach(tests, index, test)
    {
        bool wanted = json_is_true(json_object_get(test, "valid"));
        bool found =
            l7s_schema_validate(schema, json_object_get(test, "data"), NULL) == L7S_OK;

        tally->cases++;
        if (wanted != found) {
            print_error("%s: %s: %s: should be %s\n", file, name,
                        json_string_value(json_object_get(test, "description")),
                        wanted ? "valid" : "invalid");
            tally->failures++;
        }
    }
    l7s_schema_free(schema);
}

static void run_file(const char *folder, const char *file, tally_t *tally)
{
    char path[1024];
    json_t *groups = NULL, *group = NULL;
    size_t index = 0;

    snprintf(path, sizeof path, "%s/%s", folder, file);
    groups = json_load_file(path, JSON_ALLOW_NUL, NULL);
    assert_non_null(groups);
    json_array_foreach(groups, index, group)
    {
        run_group(file, group, tally);
    }
    json_decref(groups);
}

/* Every file of the draft, without the folders of what it only recommends; keywords that
 * the draft does not know are refused, whatever they are. */
static void test_validate_official_suite_agrees(void **state)
{
    const char *data = getenv("L7S_CONFORMANCE_DATA");
    const struct dirent *entry = NULL;
    tally_t tally = {0};
    char folder[512];
    DIR *files = NULL;

    (void)state;
    if (data == NULL) {
        print_message("skipped: L7S_CONFORMANCE_DATA is not set\n");
        skip();
    }
    snprintf(folder, sizeof folder, "%s/json-schema-test-suite/tests/draft2020-12", data);
    files = opendir(folder);
    assert_non_null(files);
    for (entry = readdir(files); entry != NULL; entry = readdir(files)) {
        if (strstr(entry->d_name, ".json") != NULL &&
            strcmp(entry->d_name, "unknownKeyword.json") != 0) {
            run_file(folder, entry->d_name, &tally);
        }
    }
    closedir(files);
    print_message("%zu cases of the official suite; %zu of schemas that are refused\n",
                  tally.cases, tally.refused);
    assert_int_equal(tally.failures, 0);
    assert_true(tally.cases > 800);
}

static json_t *parse(const char *text)
{
    json_t *value = json_loads(text, JSON_DECODE_ANY, NULL);

    assert_non_null(value);
    return value;
}

static l7s_schema_t *compiled(const char *text)
{
    json_t *root = parse(text);
    l7s_schema_t *schema = NULL;

    assert_int_equal(l7s_schema_compile(root, "", NULL, &schema), L7S_OK);
    json_decref(root);
    return schema;
}

static void test_compile_unknown_or_unsupported_keyword_is_refused(void **state)
{
    static const struct {
        const char *schema, *pointer, *code;
    } cases[] = {
        {"{\"minimun\":1}", "/minimun", "unknown_keyword"},
        {"{\"properties\":{\"a\":{\"typo\":1}}}", "/properties/a/typo",
         "unknown_keyword"},
        {"{\"$anchor\":\"x\"}", "/$anchor", "unknown_keyword"},
        {"{\"$dynamicRef\":\"#x\"}", "/$dynamicRef", "unknown_keyword"},
        {"{\"unevaluatedItems\":false}", "/unevaluatedItems", "unknown_keyword"},
        {"{\"contentSchema\":{}}", "/contentSchema", "unknown_keyword"},
        {"{\"$schema\":\"http://json-schema.org/draft-07/schema#\"}", "/$schema",
         "bad_keyword"},
        {"{\"$ref\":\"other.json\"}", "/$ref", "bad_keyword"},
        {"{\"$ref\":\"#/$defs/x\"}", "/$ref", "bad_keyword"},
        {"{\"type\":\"text\"}", "/type", "bad_keyword"},
        {"{\"minLength\":-1}", "/minLength", "bad_keyword"},
        {"{\"pattern\":\"(?=a)\"}", "/pattern", "bad_keyword"},
        {"{\"pattern\":\"a*?\"}", "/pattern", "bad_keyword"},
        {"{\"pattern\":\"\\\\p{Letter}\"}", "/pattern", "bad_keyword"},
        {"{\"pattern\":\"(a)\\\\1\"}", "/pattern", "bad_keyword"},
        {"{\"pattern\":\"[\\\\]]\"}", "/pattern", "bad_keyword"},
        {"{\"pattern\":\"[a\"}", "/pattern", "bad_keyword"},
        {"{\"items\":3}", "/items", "bad_schema"},
        {"[]", "", "bad_schema"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *root = parse(cases[i].schema);
        l7s_problems_t problems = {.count = 0};
        l7s_schema_t *schema = NULL;

        assert_int_equal(l7s_schema_compile(root, "", &problems, &schema), L7S_INVALID);
        assert_null(schema);
        assert_string_equal(problems.items[0].pointer, cases[i].pointer);
        assert_string_equal(problems.items[0].code, cases[i].code);
        json_decref(root);
    }
}

static void test_validate_failure_names_place_code_and_remedy(void **state)
{
    static const struct {
        const char *schema, *instance, *pointer, *code, *message;
    } cases[] = {
        {"{\"type\":[\"string\",\"null\"]}", "1", "", "wrong_type",
         "must be null or a string"},
        {"{\"properties\":{\"methods\":{}},\"additionalProperties\":false}",
         "{\"methds\":1}", "/methds", "unknown_key",
         "unknown key; did you mean \"methods\"?"},
        {"{\"properties\":{\"methods\":{}},\"additionalProperties\":false}",
         "{\"entirely\":1}", "/entirely", "unknown_key", "unknown key"},
        {"{\"additionalProperties\":false,\"x-unsupported\":[\"signals\",\"cookie:*\"]}",
         "{\"cookie:sid\":1}", "/cookie:sid", "unsupported",
         "\"cookie:sid\" is not supported by this version"},
        {"{\"enum\":[\"enforce\",\"observe\",\"off\"]}", "\"enforced\"", "",
         "not_allowed", "\"enforced\" is not allowed; did you mean \"enforce\"?"},
        {"{\"enum\":[\"enforce\",\"off\"]}", "\"sometimes\"", "", "not_allowed",
         "must be one of \"enforce\", \"off\""},
        {"{\"enum\":[\"a\"],\"x-unsupported\":[\"regex\"]}", "\"regex\"", "",
         "unsupported", "\"regex\" is not supported by this version"},
        {"{\"required\":[\"detect\"]}", "{}", "", "missing_key",
         "\"detect\" is required"},
        {"{\"items\":{\"maximum\":5}}", "[1,6]", "/1", "out_of_range",
         "must be at most 5"},
        {"{\"maximum\":1000000}", "1000001", "", "out_of_range",
         "must be at most 1000000"},
        {"{\"pattern\":\"^a\",\"x-message\":\"begins with a\"}", "\"b\"", "",
         "bad_format", "begins with a"},
        {"{\"not\":{\"required\":[\"a\",\"b\"]},\"x-message\":\"a or b\"}",
         "{\"a\":1,\"b\":2}", "", "not_allowed", "a or b"},
        {"{\"minProperties\":1,\"maxProperties\":1}", "{}", "", "wrong_members",
         "must have exactly one member"},
        {"{\"minProperties\":1,\"maxProperties\":1}", "{\"rate\":{},\"ratio\":{}}", "",
         "wrong_members", "must have exactly one member, and has \"rate\", \"ratio\""},
        /* A name is cut between characters. */
        {"{\"minProperties\":1,\"maxProperties\":1}",
         "{\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddd\xc3\xa9\xc3\xa9\xc3\xa9\":1,\"b\":2}",
         "", "wrong_members",
         "must have exactly one member, and has "
         "\"aaaaaaaaaabbbbbbbbbbccccccccccddddddddd\xc3\xa9\xc3\xa9\", \"b\""},
        {"{\"uniqueItems\":true}", "[1,2,1.0]", "/2", "duplicate_item",
         "the same as item 0"},
        {"{\"properties\":{\"a/b~c\":false}}", "{\"a/b~c\":1}", "/a~1b~0c", "not_allowed",
         "is not allowed"},
        {"{\"oneOf\":[{\"type\":\"object\",\"required\":[\"x\",\"y\"]},{\"type\":"
         "\"string\"}]}",
         "7", "", "wrong_type", "must be an object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_schema_t *schema = compiled(cases[i].schema);
        json_t *instance = parse(cases[i].instance);
        l7s_problems_t problems = {.count = 0};

        assert_int_equal(l7s_schema_validate(schema, instance, &problems), L7S_INVALID);
        assert_int_equal(problems.count, 1);
        assert_string_equal(problems.items[0].pointer, cases[i].pointer);
        assert_string_equal(problems.items[0].code, cases[i].code);
        assert_string_equal(problems.items[0].message, cases[i].message);
        assert_int_equal(l7s_schema_validate(schema, instance, NULL), L7S_INVALID);
        json_decref(instance);
        l7s_schema_free(schema);
    }
}

static void test_validate_several_failures_are_all_reported(void **state)
{
    l7s_schema_t *schema = compiled(
        "{\"required\":[\"r\"],\"properties\":{\"a\":{\"type\":\"string\"},\"b\":{\"items\":"
        "{\"minimum\":0}}},\"additionalProperties\":false}");
    json_t *instance = parse("{\"a\":1,\"b\":[-1,0,-2],\"c\":1}");
    l7s_problems_t problems = {.count = 0};

    (void)state;
    assert_int_equal(l7s_schema_validate(schema, instance, &problems), L7S_INVALID);
    assert_int_equal(problems.count, 5);
    json_decref(instance);
    l7s_schema_free(schema);
}

static void test_validate_format_asserts_only_when_asked(void **state)
{
    l7s_schema_t *schema = compiled("{\"format\":\"date-time\"}");
    json_t *bad = json_string("yesterday"), *good = json_string("2026-01-31T23:59:59Z");

    (void)state;
    assert_int_equal(l7s_schema_validate(schema, bad, NULL), L7S_OK);
    l7s_schema_assert_formats(schema);
    assert_int_equal(l7s_schema_validate(schema, bad, NULL), L7S_INVALID);
    assert_int_equal(l7s_schema_validate(schema, good, NULL), L7S_OK);
    json_decref(bad);
    json_decref(good);
    l7s_schema_free(schema);
}

static void test_validate_endless_reference_ends(void **state)
{
    l7s_schema_t *schema = compiled("{\"$ref\":\"#\"}");
    json_t *instance = json_integer(1);
    l7s_problems_t problems = {.count = 0};

    (void)state;
    assert_int_equal(l7s_schema_validate(schema, instance, &problems), L7S_INVALID);
    assert_string_equal(problems.items[0].code, "too_deep");
    json_decref(instance);
    l7s_schema_free(schema);
}

static void test_validate_pattern_escapes_mean_what_they_mean_in_ecma(void **state)
{
    static const struct {
        const char *pattern, *text;
        bool matches;
    } cases[] = {
        {"^\\d+$", "123", true},     {"^\\d+$", "d", false},
        {"^[\\d.]+$", "1.2", true},  {"^\\D$", "x", true},
        {"^\\w+$", "a_1", true},     {"^\\s$", " ", true},
        {"^(?:ab)+$", "abab", true}, {"^a\\.b$", "a.b", true},
        {"^a\\.b$", "axb", false},   {"^a\\/b$", "a/b", true},
        {"^[^/]+$", "a/b", false},   {"^\\[x\\]$", "[x]", true},
        {"^x{2,3}$", "xxxx", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *root = json_pack("{s:s}", "pattern", cases[i].pattern);
        json_t *text = json_string(cases[i].text);
        l7s_schema_t *schema = NULL;

        assert_int_equal(l7s_schema_compile(root, "", NULL, &schema), L7S_OK);
        assert_int_equal(l7s_schema_validate(schema, text, NULL) == L7S_OK,
                         cases[i].matches);
        l7s_schema_free(schema);
        json_decref(text);
        json_decref(root);
    }
}

static void test_json_integer_or_takes_whole_numbers_only(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t value;
    } cases[] = {{"[7]", 7},     {"[7.0]", 7},    {"[-2e2]", -200}, {"[7.5]", -1},
                 {"[1e30]", -1}, {"[\"7\"]", -1}, {"[null]", -1},   {"[]", -1}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *array = json_loads(cases[i].text, 0, NULL);
        assert_int_equal(l7s_json_integer_or(json_array_get(array, 0), -1),
                         cases[i].value);
        json_decref(array);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_integer_or_takes_whole_numbers_only),
        cmocka_unit_test(test_validate_official_suite_agrees),
        cmocka_unit_test(test_compile_unknown_or_unsupported_keyword_is_refused),
        cmocka_unit_test(test_validate_failure_names_place_code_and_remedy),
        cmocka_unit_test(test_validate_several_failures_are_all_reported),
        cmocka_unit_test(test_validate_format_asserts_only_when_asked),
        cmocka_unit_test(test_validate_endless_reference_ends),
        cmocka_unit_test(test_validate_pattern_escapes_mean_what_they_mean_in_ecma),
    };

    return cmocka_run_group_tests_name("schema", tests, NULL, NULL);
}
