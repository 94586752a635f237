/* SPDX-License-Identifier: Apache-2.0
 *
 * The embedded contract: every schema compiles, every operation is complete, every
 * example holds.
 */
#include "../../core/schema/schema.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static json_t *schemas(void)
{
    return json_object_get(json_object_get(l7s_openapi(), "components"), "schemas");
}

static void test_openapi_every_schema_compiles(void **state)
{
    const char *name = NULL;
    json_t *source = NULL;

    (void)state;
    json_object_foreach(schemas(), name, source)
    {
        const l7s_schema_t *schema = l7s_openapi_schema(name);

        if (schema == NULL) {
            print_error("%s does not compile\n", name);
        }
        assert_non_null(schema);
        assert_ptr_equal(schema, l7s_openapi_schema(name));
    }
}

static void test_openapi_schema_unknown_name_is_null(void **state)
{
    (void)state;
    assert_null(l7s_openapi_schema("NoSuchThing"));
    assert_null(
        l7s_openapi_schema("Policy/properties/name/xxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
                           "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"));
}

static void test_openapi_text_is_the_document(void **state)
{
    size_t size = 0;
    const char *text = l7s_openapi_text(&size);
    json_t *document = json_loadb(text, size, JSON_REJECT_DUPLICATES, NULL);

    (void)state;
    assert_true(json_equal(document, l7s_openapi()));
    json_decref(document);
}

/* A reference within the document, or NULL. */
static const json_t *follow(const char *reference)
{
    const json_t *value = l7s_openapi();
    char copy[256];

    snprintf(copy, sizeof copy, "%s", reference + 2);
    for (char *part = strtok(copy, "/"); part != NULL; part = strtok(NULL, "/")) {
        value = json_object_get(value, part);
    }
    return value;
}

static void check_references(const json_t *value)
{
    const char *reference = json_string_value(json_object_get(value, "$ref")),
               *name = NULL;
    json_t *member = NULL;

    if (reference != NULL) {
        assert_non_null(follow(reference));
    }
    json_object_foreach((json_t *)value, name, member)
    {
        check_references(member);
    }
    for (size_t i = 0; i < json_array_size(value); i++) {
        check_references(json_array_get(value, i));
    }
}

static void test_openapi_every_reference_leads_somewhere(void **state)
{
    (void)state;
    check_references(l7s_openapi());
}

static bool is_role(const char *text)
{
    static const char *const roles[] = {"none",   "metrics", "viewer", "operator",
                                        "editor", "admin",   "auditor"};

    for (size_t i = 0; text != NULL && i < sizeof roles / sizeof roles[0]; i++) {
        if (strcmp(roles[i], text) == 0) {
            return true;
        }
    }
    return false;
}

/* Every {name} of the path is a parameter. */
static void check_parameters(const char *path, const json_t *operation)
{
    size_t braces = 0, found = 0, index = 0;
    const json_t *item = NULL;

    for (const char *c = path; *c != '\0'; c++) {
        braces += *c == '{';
    }
    json_array_foreach(json_object_get(operation, "parameters"), index, item)
    {
        const char *reference = json_string_value(json_object_get(item, "$ref"));
        const json_t *parameter = reference == NULL ? item : follow(reference);

        found += strcmp(json_string_value(json_object_get(parameter, "in")), "path") == 0;
    }
    if (braces != found) {
        print_error("%s\n", path);
    }
    assert_int_equal(braces, found);
}

static void test_openapi_every_operation_is_complete(void **state)
{
    json_t *paths = json_object_get(l7s_openapi(), "paths"), *seen = json_object();
    json_t *methods = NULL, *operation = NULL;
    const char *path = NULL, *method = NULL;

    (void)state;
    json_object_foreach(paths, path, methods)
    {
        json_object_foreach(methods, method, operation)
        {
            const char *id = json_string_value(json_object_get(operation, "operationId"));

            assert_non_null(id);
            assert_null(json_object_get(seen, id));
            json_object_set_new(seen, id, json_true());
            assert_true(is_role(json_string_value(json_object_get(operation, "x-role"))));
            assert_true(json_object_size(json_object_get(operation, "responses")) > 1);
            check_parameters(path, operation);
        }
    }
    assert_true(json_object_size(seen) > 50);
    json_decref(seen);
}

static void test_openapi_examples_hold(void **state)
{
    const char *name = NULL;
    json_t *source = NULL;

    (void)state;
    json_object_foreach(schemas(), name, source)
    {
        const json_t *example = NULL;
        size_t index = 0;

        json_array_foreach(json_object_get(source, "examples"), index, example)
        {
            assert_int_equal(l7s_schema_validate(l7s_openapi_schema(name), example, NULL),
                             L7S_OK);
        }
    }
}

static json_t *load(const char *path)
{
    json_error_t error;
    json_t *value = json_load_file(path, JSON_REJECT_DUPLICATES, &error);

    if (value == NULL) {
        fail_msg("%s: %s", path, error.text);
    }
    return value;
}

/* The schema by itself says the same as within the document. */
static void test_standalone_schema_accepts_the_samples_and_nothing_odd(void **state)
{
    static const struct {
        const char *schema, *sample;
    } cases[] = {
        {"policy-file", "policies.json"},
        {"daemon-config", "l7shieldd.json"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char path[512];
        json_t *root = NULL, *sample = NULL;
        l7s_schema_t *schema = NULL;

        snprintf(path, sizeof path, "%s/%s.schema.json", SCHEMA_DIR, cases[i].schema);
        root = load(path);
        snprintf(path, sizeof path, "%s/../../conf/%s", TEST_DATA, cases[i].sample);
        sample = load(path);
        assert_int_equal(l7s_schema_compile(root, "", NULL, &schema), L7S_OK);
        assert_int_equal(l7s_schema_validate(schema, sample, NULL), L7S_OK);
        json_object_set_new(sample, "odd", json_null());
        assert_int_equal(l7s_schema_validate(schema, sample, NULL), L7S_INVALID);
        l7s_schema_free(schema);
        json_decref(root);
        json_decref(sample);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_openapi_every_schema_compiles),
        cmocka_unit_test(test_openapi_schema_unknown_name_is_null),
        cmocka_unit_test(test_openapi_text_is_the_document),
        cmocka_unit_test(test_openapi_every_reference_leads_somewhere),
        cmocka_unit_test(test_openapi_every_operation_is_complete),
        cmocka_unit_test(test_openapi_examples_hold),
        cmocka_unit_test(test_standalone_schema_accepts_the_samples_and_nothing_odd),
    };

    return cmocka_run_group_tests_name("openapi", tests, NULL, NULL);
}
