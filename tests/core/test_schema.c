/* SPDX-License-Identifier: Apache-2.0
 *
 * The validator: draft 2020-12's official suite for the supported keywords (where
 * L7S_CONFORMANCE_DATA names the folder that holds it), and what is our own: messages,
 * pointers, refusals at compilation.
 */
#include "../../core/json/schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const char *const FILES[] = {
    "additionalProperties",
    "allOf",
    "anyOf",
    "boolean_schema",
    "const",
    "contains",
    "content",
    "default",
    "defs",
    "dependentRequired",
    "dependentSchemas",
    "enum",
    "exclusiveMaximum",
    "exclusiveMinimum",
    "format",
    "if-then-else",
    "infinite-loop-detection",
    "items",
    "maxContains",
    "maxItems",
    "maxLength",
    "maxProperties",
    "maximum",
    "minContains",
    "minItems",
    "minLength",
    "minProperties",
    "minimum",
    "multipleOf",
    "not",
    "oneOf",
    "pattern",
    "patternProperties",
    "prefixItems",
    "properties",
    "propertyNames",
    "ref",
    "required",
    "type",
    "uniqueItems",
};

/* Groups of these files that need $id, $anchor, remote documents, unevaluated* or
 * contentSchema, which the validator refuses at compilation (schema.h). */
static const char *const SKIPPED[] = {
    "validation of binary-encoded media type documents with schema",
    "validate definition against metaschema",
    "remote ref, containing refs itself",
    "Recursive references between schemas",
    "ref creates new scope when adjacent to keywords",
    "refs with relative uris and defs",
    "relative refs with absolute uris and defs",
    "$id must be resolved against nearest parent, not just immediate parent",
    "order of evaluation: $id and $ref",
    "order of evaluation: $id and $anchor and $ref",
    "simple URN base URI with $ref via the URN",
    "simple URN base URI with JSON pointer",
    "URN base URI with NSS",
    "URN base URI with r-component",
    "URN base URI with q-component",
    "URN base URI with f-component",
    "URN base URI with URN and JSON pointer ref",
    "URN base URI with URN and anchor ref",
};

static bool is_skipped(const char *group)
{
    for (size_t i = 0; i < sizeof SKIPPED / sizeof SKIPPED[0]; i++) {
        if (strcmp(SKIPPED[i], group) == 0) {
            return true;
        }
    }
    return false;
}

static size_t run_group(const char *file, json_t *group, size_t *failures)
{
    const char *name = json_string_value(json_object_get(group, "description"));
    l7s_problems_t problems = {.count = 0};
    l7s_schema_t *schema = NULL;
    const json_t *test = NULL;
    size_t index = 0, count = 0;

    if (l7s_schema_compile(json_object_get(group, "schema"), "", &problems, &schema) !=
        L7S_OK) {
        if (!is_skipped(name)) {
            print_error("%s: %s: refused at %s: %s\n", file, name,
                        problems.items[0].pointer, problems.items[0].message);
            ++*failures;
        }
        return 0;
    }
    json_array_foreach(json_object_get(group, "tests"), index, test)
    {
        bool wanted = json_is_true(json_object_get(test, "valid"));
        bool found =
            l7s_schema_validate(schema, json_object_get(test, "data"), NULL) == L7S_OK;

        count++;
        if (wanted != found) {
            print_error("%s: %s: %s: should be %s\n", file, name,
                        json_string_value(json_object_get(test, "description")),
                        wanted ? "valid" : "invalid");
            ++*failures;
        }
    }
    l7s_schema_free(schema);
    return count;
}

static void test_validate_official_suite_agrees(void **state)
{
    const char *folder = getenv("L7S_CONFORMANCE_DATA");
    size_t count = 0, failures = 0;

    (void)state;
    if (folder == NULL) {
        print_message("skipped: L7S_CONFORMANCE_DATA is not set\n");
        skip();
    }
    for (size_t i = 0; i < sizeof FILES / sizeof FILES[0]; i++) {
        char path[512];
        json_error_t error;
        json_t *groups = NULL, *group = NULL;
        size_t index = 0;

        snprintf(path, sizeof path,
                 "%s/json-schema-test-suite/tests/draft2020-12/%s.json", folder,
                 FILES[i]);
        groups = json_load_file(path, JSON_ALLOW_NUL, &error);
        assert_non_null(groups);
        json_array_foreach(groups, index, group)
        {
            count += run_group(FILES[i], group, &failures);
        }
        json_decref(groups);
    }
    print_message("%zu cases of the official suite\n", count);
    assert_int_equal(failures, 0);
    assert_true(count > 0);
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

int main(void)
{
    const struct CMUnitTest tests[] = {
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
