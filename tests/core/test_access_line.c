/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines of access logs. access/valid/ holds a line and what it says, access/invalid/ a
 * line and why it is none; what no file can hold (zero bytes, endless lines) stands here.
 */
#include "../../core/access_log/access_line.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static l7s_line_result_t read_as(l7s_access_format_t format, char *line,
                                 l7s_access_t *access)
{
    l7s_access_memo_t memo = {.text = ""};

    return l7s_access_read(format, line, strlen(line), &memo, access);
}

/* --- what a line says, as one text --- */

static void put(char *out, const char *name, const char *value)
{
    size_t size = strlen(out);

    if (value[0] == '\0') {
        return;
    }
    size += (size_t)sprintf(out + size, " %s=", name);
    for (; *value != '\0'; value++) {
        unsigned char c = (unsigned char)*value;
        bool plain = c >= 0x20 && c < 0x7f && c != '\\';
        size += (size_t)sprintf(out + size, plain ? "%c" : "%%%02X", c);
    }
}

static void put_number(char *out, const char *name, uint64_t value)
{
    char text[24];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    put(out, name, value == 0 ? "" : text);
}

static const char *shown(const l7s_access_t *access)
{
    static char out[4096];
    char client[L7S_ADDR_TEXT];

    out[0] = '\0';
    l7s_addr_text(&access->client, client);
    put_number(out, "time", access->time_us);
    put(out, "client", client);
    put(out, "host", access->host);
    put(out, "user", access->user);
    put(out, "method", access->method);
    put(out, "target", access->target);
    put_number(out, "status", access->status);
    put_number(out, "in", access->bytes_in);
    put_number(out, "out", access->bytes_out);
    put_number(out, "us", access->duration_us);
    put(out, "referer", access->referer);
    put(out, "agent", access->user_agent);
    put(out, "action", access->action);
    put(out, "signals", access->signals);
    strcat(out, access->came ? "" : " nothing");
    strcat(out, access->malformed ? " malformed" : "");
    return out + 1;
}

/* --- the folders --- */

/* A file's two lines, without their ends. */
static void read_case(const char *folder, const char *name, char line[2048],
                      char expected[2048])
{
    char path[512];

    snprintf(path, sizeof path, "%s/access/%s/%s", TEST_DATA, folder, name);
    FILE *file = fopen(path, "r");
    assert_non_null(file);
    assert_non_null(fgets(line, 2048, file));
    assert_non_null(fgets(expected, 2048, file));
    line[strcspn(line, "\n")] = '\0';
    expected[strcspn(expected, "\n")] = '\0';
    fclose(file);
}

static void for_each(const char *folder,
                     void (*check)(const char *, char *, const char *))
{
    char path[512], line[2048], expected[2048];
    unsigned count = 0;
    struct dirent *entry;

    snprintf(path, sizeof path, "%s/access/%s", TEST_DATA, folder);
    DIR *all = opendir(path);
    assert_non_null(all);
    while ((entry = readdir(all)) != NULL) {
        if (entry->d_name[0] != '.') {
            read_case(folder, entry->d_name, line, expected);
            check(entry->d_name, line, expected);
            count++;
        }
    }
    closedir(all);
    assert_true(count > 10);
}

static void check_valid(const char *name, char *line, const char *expected)
{
    l7s_access_t access;
    l7s_line_result_t result = read_as(L7S_ACCESS_ANY, line, &access);

    if (result != L7S_LINE_GOOD || strcmp(shown(&access), expected) != 0) {
        fail_msg("%s: %s\n%s\n%s", name, l7s_line_result_name(result), shown(&access),
                 expected);
    }
}

static void check_invalid(const char *name, char *line, const char *expected)
{
    l7s_access_t access;
    const char *result = l7s_line_result_name(read_as(L7S_ACCESS_ANY, line, &access));

    if (strcmp(result, expected) != 0) {
        fail_msg("%s: %s", name, result);
    }
}

static void test_access_read_valid_lines_say_what_stands_there(void **state)
{
    (void)state;
    for_each("valid", check_valid);
}

static void test_access_read_invalid_lines_say_why(void **state)
{
    (void)state;
    for_each("invalid", check_invalid);
}

/* --- the rest --- */

#define PLAIN "203.0.113.7 - - [31/Jan/2026:23:59:59 +0100] \"GET / HTTP/1.1\" 200 5"

static void test_access_read_asks_for_the_format_that_was_named(void **state)
{
    (void)state;
    static const struct {
        const char *line;
        l7s_line_result_t results[L7S_ACCESS_FORMATS]; /* any, combined, vhost, json */
    } table[] = {
        {PLAIN, {L7S_LINE_GOOD, L7S_LINE_GOOD, L7S_LINE_CLIENT, L7S_LINE_FORM}},
        {"example.com:80 " PLAIN,
         {L7S_LINE_GOOD, L7S_LINE_CLIENT, L7S_LINE_GOOD, L7S_LINE_FORM}},
        {"{\"time_us\":1,\"client\":\"::1\",\"request\":\"-\"}",
         {L7S_LINE_GOOD, L7S_LINE_FORM, L7S_LINE_FORM, L7S_LINE_GOOD}},
    };

    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        for (unsigned format = 0; format < L7S_ACCESS_FORMATS; format++) {
            char line[256];
            l7s_access_t access;
            snprintf(line, sizeof line, "%s", table[i].line);
            assert_int_equal(read_as((l7s_access_format_t)format, line, &access),
                             table[i].results[format]);
        }
    }
}

static void test_access_format_knows_its_names(void **state)
{
    (void)state;
    assert_int_equal(l7s_access_format("auto"), L7S_ACCESS_ANY);
    assert_int_equal(l7s_access_format("vhost_combined"), L7S_ACCESS_VHOST);
    assert_int_equal(l7s_access_format("json"), L7S_ACCESS_JSON);
    assert_int_equal(l7s_access_format("common"), L7S_ACCESS_FORMATS);
}

static void test_access_read_zero_bytes_are_no_line(void **state)
{
    (void)state;
    char line[] =
        "203.0.113.7 - - [31/Jan/2026:23:59:59 +0100] \"GET /\0 HTTP/1.1\" 200 5";
    l7s_access_memo_t memo = {.text = ""};
    l7s_access_t access;

    assert_int_equal(
        l7s_access_read(L7S_ACCESS_ANY, line, sizeof line - 1, &memo, &access),
        L7S_LINE_FORM);
}

/* The memo must not make a bad time good, or a good one another. */
static void test_access_read_times_do_not_leak_from_line_to_line(void **state)
{
    (void)state;
    static const char *const times[] = {
        "31/Jan/2026:23:59:59 +0100", "31/Jan/2026:23:59:59 +0100",
        "31/Foo/2026:23:59:59 +0100", "31/Foo/2026:23:59:59 +0100",
        "31/Jan/2026:23:59:58 +0100"};
    static const uint64_t expected[] = {1769900399, 1769900399, 0, 0, 1769900398};
    l7s_access_memo_t memo = {.text = ""};

    for (size_t i = 0; i < 5; i++) {
        char line[128];
        l7s_access_t access;
        snprintf(line, sizeof line, "203.0.113.7 - - [%s] \"GET / HTTP/1.1\" 200 5",
                 times[i]);
        l7s_line_result_t result =
            l7s_access_read(L7S_ACCESS_ANY, line, strlen(line), &memo, &access);
        assert_int_equal(result, expected[i] != 0 ? L7S_LINE_GOOD : L7S_LINE_TIME);
        if (expected[i] != 0) {
            assert_int_equal(access.time_us, expected[i] * 1000000);
        }
    }
}

/* Whatever a client writes, httpd's escapes make at most four times as much of it. */
static void test_access_read_long_lines_stay_whole(void **state)
{
    (void)state;
    char *line = malloc(L7S_ACCESS_LINE_MAX);
    size_t size = (size_t)sprintf(line, "%s \"", PLAIN), i;
    l7s_access_t access;

    assert_non_null(line);
    for (i = 0; i < 8190; i++) {
        memcpy(line + size, "\\xff", 4);
        size += 4;
    }
    strcpy(line + size, "\" \"agent\"");
    assert_int_equal(read_as(L7S_ACCESS_ANY, line, &access), L7S_LINE_GOOD);
    assert_int_equal(strlen(access.referer), 8190);
    assert_string_equal(access.user_agent, "agent");
    free(line);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_access_read_valid_lines_say_what_stands_there),
        cmocka_unit_test(test_access_read_invalid_lines_say_why),
        cmocka_unit_test(test_access_read_asks_for_the_format_that_was_named),
        cmocka_unit_test(test_access_format_knows_its_names),
        cmocka_unit_test(test_access_read_zero_bytes_are_no_line),
        cmocka_unit_test(test_access_read_times_do_not_leak_from_line_to_line),
        cmocka_unit_test(test_access_read_long_lines_stay_whole),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
