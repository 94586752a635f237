/* SPDX-License-Identifier: Apache-2.0
 *
 * The JSON reader against JSONTestSuite (where L7S_CONFORMANCE_DATA names the folder that
 * holds it), and its own limits.
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

enum { FILE_MAX = 1 << 20 };

/* Valid JSON that we refuse on purpose: NUL within strings, and duplicate keys. */
static const char *const REFUSED[] = {
    "y_object_duplicated_key.json",
    "y_object_duplicated_key_and_value.json",
    "y_object_escaped_null_in_key.json",
    "y_string_null_escape.json",
};

static bool wanted(const char *name)
{
    for (size_t i = 0; i < sizeof REFUSED / sizeof REFUSED[0]; i++) {
        if (strcmp(REFUSED[i], name) == 0) {
            return false;
        }
    }
    return name[0] == 'y';
}

static bool reads_file(const char *path)
{
    char *text = malloc(FILE_MAX);
    FILE *file = fopen(path, "rb");
    json_t *value = NULL;

    assert_non_null(file);
    value = l7s_json_read(text, fread(text, 1, FILE_MAX, file), NULL);
    fclose(file);
    free(text);
    json_decref(value);
    return value != NULL;
}

static void test_json_read_official_cases_agree(void **state)
{
    const char *folder = getenv("L7S_CONFORMANCE_DATA");
    const struct dirent *entry = NULL;
    size_t count = 0, failures = 0;
    char path[1024];
    DIR *cases = NULL;

    (void)state;
    if (folder == NULL) {
        print_message("skipped: L7S_CONFORMANCE_DATA is not set\n");
        skip();
    }
    snprintf(path, sizeof path, "%s/json-test-suite/test_parsing", folder);
    cases = opendir(path);
    assert_non_null(cases);
    for (entry = readdir(cases); entry != NULL; entry = readdir(cases)) {
        bool good = false;

        if (strstr(entry->d_name, ".json") == NULL) {
            continue;
        }
        snprintf(path, sizeof path, "%s/json-test-suite/test_parsing/%s", folder,
                 entry->d_name);
        good = reads_file(path);
        count++;
        if (entry->d_name[0] != 'i' && good != wanted(entry->d_name)) {
            print_error("%s: %s\n", entry->d_name, good ? "accepted" : "refused");
            failures++;
        }
    }
    closedir(cases);
    print_message("%zu cases of JSONTestSuite\n", count);
    assert_int_equal(failures, 0);
    assert_true(count > 300);
}

static void test_json_read_bad_text_tells_line_and_column(void **state)
{
    static const struct {
        const char *text, *message;
    } cases[] = {
        {"{\n  \"a\": ,\n}", "line 2, column 8: unexpected token near ','"},
        {"{\"a\":1,\"a\":2}", "line 1, column 10: duplicate object key near '\"a\"'"},
        {"", "line 1, column 0: unexpected token near end of file"},
        {"{\"a\":\"\\u0000\"}", "line 1, column 13: \\u0000 is not allowed"},
        {"\xef\xbb\xbf{}", "line 1, column 1: a byte order mark; send UTF-8 without one"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_problems_t problems = {.count = 0};

        assert_null(l7s_json_read(cases[i].text, strlen(cases[i].text), &problems));
        assert_int_equal(problems.count, 1);
        assert_string_equal(problems.items[0].code, "invalid_json");
        assert_string_equal(problems.items[0].pointer, "");
        assert_string_equal(problems.items[0].message, cases[i].message);
    }
}

static void test_json_read_nul_after_the_value_is_refused(void **state)
{
    static const char *const cases[] = {"123", "{}", "{}\n"};

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_problems_t problems = {.count = 0};

        assert_null(l7s_json_read(cases[i], strlen(cases[i]) + 1, &problems));
        assert_non_null(strstr(problems.items[0].message, "a NUL byte"));
    }
}

static void test_json_read_bad_utf8_message_is_ascii(void **state)
{
    static const char text[] = "{\"\xff\xfe\": \"\x80\"}";
    l7s_problems_t problems = {.count = 0};

    (void)state;
    assert_null(l7s_json_read(text, sizeof text - 1, &problems));
    for (const char *c = problems.items[0].message; *c != '\0'; c++) {
        assert_in_range(*c, ' ', '~');
    }
}

static json_t *read_nested(size_t depth, l7s_problems_t *problems)
{
    char text[128];

    memset(text, '[', depth);
    memset(text + depth, ']', depth);
    return l7s_json_read(text, 2 * depth, problems);
}

static void test_json_read_depth_32_passes_33_is_refused(void **state)
{
    l7s_problems_t problems = {.count = 0};
    json_t *value = read_nested(32, &problems);

    (void)state;
    assert_non_null(value);
    json_decref(value);
    assert_null(read_nested(33, &problems));
    assert_string_equal(problems.items[0].message,
                        "line 1, column 33: nested deeper than 32 levels");
}

static void test_json_read_brackets_in_strings_are_no_depth(void **state)
{
    static const char text[] =
        "{\"a\":\"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[ \\\" {{{{\\\\\"}";
    json_t *value = l7s_json_read(text, sizeof text - 1, NULL);

    (void)state;
    assert_non_null(value);
    json_decref(value);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json_read_official_cases_agree),
        cmocka_unit_test(test_json_read_bad_text_tells_line_and_column),
        cmocka_unit_test(test_json_read_nul_after_the_value_is_refused),
        cmocka_unit_test(test_json_read_bad_utf8_message_is_ascii),
        cmocka_unit_test(test_json_read_depth_32_passes_33_is_refused),
        cmocka_unit_test(test_json_read_brackets_in_strings_are_no_depth),
    };

    return cmocka_run_group_tests_name("json_read", tests, NULL, NULL);
}
