/* SPDX-License-Identifier: Apache-2.0
 *
 * Text made safe: what is valid stays, what is not is escaped, nothing is cut within a
 * character. And the JSON Pointers and suggestions that quote such text.
 */
#include "../../core/schema/json_pointer.h"
#include "../../core/schema/nearest.h"
#include "../../core/schema/utf8.h"
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_utf8_copy_valid_stays_invalid_is_escaped(void **state)
{
    static const struct {
        const char *text, *copy;
    } cases[] = {
        {"", ""},
        {"plain", "plain"},
        {"\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d", "\xc3\xa9\xe2\x82\xac\xf0\x9f\x90\x9d"},
        {"\xff", "\\xff"},
        {"\xc3", "\\xc3"},                            /* cut short */
        {"\xc0\x80", "\\xc0\\x80"},                   /* overlong NUL */
        {"\xe0\x80\x80", "\\xe0\\x80\\x80"},          /* overlong */
        {"\xed\xa0\x80", "\\xed\\xa0\\x80"},          /* surrogate */
        {"\xf4\x90\x80\x80", "\\xf4\\x90\\x80\\x80"}, /* above U+10FFFF */
        {"\xf0\x9f\x90", "\\xf0\\x9f\\x90"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char out[64];

        assert_int_equal(l7s_utf8_copy(out, sizeof out, cases[i].text),
                         strlen(cases[i].copy));
        assert_string_equal(out, cases[i].copy);
    }
}

static void test_utf8_copy_too_long_is_cut_between_characters(void **state)
{
    char out[6];

    (void)state;
    assert_int_equal(l7s_utf8_copy(out, sizeof out, "ab\xe2\x82\xac\xe2\x82\xac"), 5);
    assert_string_equal(out, "ab\xe2\x82\xac");
    assert_int_equal(l7s_utf8_copy(out, sizeof out, "abcd\xe2\x82\xac"), 4);
    assert_int_equal(l7s_utf8_copy(out, sizeof out, "ab\xff"), 2);
    assert_int_equal(l7s_utf8_copy(out, 1, "ab"), 0);
    assert_string_equal(out, "");
}

static void test_utf8_characters_counts_code_points(void **state)
{
    (void)state;
    assert_int_equal(l7s_utf8_characters("a\xc3\xa9\xf0\x9f\x90\x9d"), 3);
}

static void test_pointer_push_escapes_and_pops(void **state)
{
    l7s_pointer_t pointer;
    size_t mark = 0;

    (void)state;
    l7s_pointer_begin(&pointer);
    l7s_pointer_push(&pointer, "a/b~c");
    mark = l7s_pointer_push_index(&pointer, 17);
    assert_string_equal(pointer.text, "/a~1b~0c/17");
    l7s_pointer_pop(&pointer, mark);
    assert_string_equal(pointer.text, "/a~1b~0c");
}

static void test_pointer_push_overlong_is_cut_and_still_pops(void **state)
{
    l7s_pointer_t pointer;
    char key[512];
    size_t mark = 0;

    (void)state;
    l7s_pointer_begin(&pointer);
    for (size_t i = 0; i + 2 < sizeof key; i += 2) {
        memcpy(key + i, "\xc3\xa9", 3);
    }
    l7s_pointer_push(&pointer, "x");
    mark = l7s_pointer_push(&pointer, key);
    assert_in_range(pointer.length, 189, sizeof pointer.text - 1);
    assert_int_equal(l7s_utf8_sequence(pointer.text + pointer.length - 2), 2);
    l7s_pointer_push(&pointer, "deeper");
    l7s_pointer_pop(&pointer, mark);
    assert_string_equal(pointer.text, "/x");
}

static void test_pointer_decode_escapes_of_pointer_and_uri(void **state)
{
    char out[8];

    (void)state;
    assert_true(l7s_pointer_decode("a~1b%25~0", 9, out, sizeof out));
    assert_string_equal(out, "a/b%~");
    assert_false(l7s_pointer_decode("~2", 2, out, sizeof out));
    assert_false(l7s_pointer_decode("~", 1, out, sizeof out));
    assert_false(l7s_pointer_decode("%2", 2, out, sizeof out));
    assert_false(l7s_pointer_decode("%00", 3, out, sizeof out));
    assert_false(l7s_pointer_decode("12345678", 8, out, sizeof out));
}

static void test_edit_distance_counts_changes(void **state)
{
    static const struct {
        const char *a, *b;
        unsigned distance;
    } cases[] = {
        {"", "", 0},
        {"abc", "", 3},
        {"method", "methods", 1},
        {"mehtod", "method", 1},
        {"MODE", "mode", 0},
        {"kitten", "sitting", 3},
        {"ca", "abc", 3},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(l7s_edit_distance(cases[i].a, cases[i].b), cases[i].distance);
        assert_int_equal(l7s_edit_distance(cases[i].b, cases[i].a), cases[i].distance);
    }
}

static const char *nearest_of(const char *word)
{
    static const char *const known[] = {"mode", "match", "methods", "count", "action"};
    l7s_nearest_t nearest;

    l7s_nearest_begin(&nearest, word);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        l7s_nearest_offer(&nearest, known[i]);
    }
    return nearest.best;
}

static void test_nearest_typo_is_found_stranger_is_not(void **state)
{
    char endless[200];

    (void)state;
    memset(endless, 'm', sizeof endless - 1);
    endless[sizeof endless - 1] = '\0';
    assert_string_equal(nearest_of("methds"), "methods");
    assert_string_equal(nearest_of("mod"), "mode");
    assert_string_equal(nearest_of("actions"), "action");
    assert_null(nearest_of("expires_at"));
    assert_null(nearest_of("x"));
    assert_null(nearest_of(endless));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_copy_valid_stays_invalid_is_escaped),
        cmocka_unit_test(test_utf8_copy_too_long_is_cut_between_characters),
        cmocka_unit_test(test_utf8_characters_counts_code_points),
        cmocka_unit_test(test_pointer_push_escapes_and_pops),
        cmocka_unit_test(test_pointer_push_overlong_is_cut_and_still_pops),
        cmocka_unit_test(test_pointer_decode_escapes_of_pointer_and_uri),
        cmocka_unit_test(test_edit_distance_counts_changes),
        cmocka_unit_test(test_nearest_typo_is_found_stranger_is_not),
    };

    return cmocka_run_group_tests_name("utf8", tests, NULL, NULL);
}
