/* SPDX-License-Identifier: Apache-2.0
 *
 * What is taken for a signal, and what is not.
 */
#include "../../core/signals.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

/* "name;detail name …" */
static void assert_read(const char *text, const char *wanted)
{
    l7s_signals_t signals = {0};
    char said[1024] = "";

    l7s_signals_read(&signals, text);
    for (size_t i = 0; i < signals.count; i++) {
        size_t size = strlen(said);
        snprintf(said + size, sizeof said - size, "%s%s%s%s", i > 0 ? " " : "",
                 signals.items[i].name, signals.items[i].detail[0] != '\0' ? ";" : "",
                 signals.items[i].detail);
    }
    assert_string_equal(said, wanted);
}

static void test_signals_read_lists_with_and_without_details(void **state)
{
    static const struct {
        const char *text, *wanted;
    } cases[] = {
        {"failed-login", "failed-login"},
        {"a,b,c", "a b c"},
        {"  a ,\tb ;detail=1 , c; detail=x.y", "a b;1 c;x.y"},
        {"remote-command;detail=932160,remote-command;detail=932100",
         "remote-command;932160 remote-command;932100"},
        {"a,a,a;detail=1,a;detail=1", "a a;1"},
        {"a;other=2;detail=3", "a;3"},
        {"a;other=2", "a"},
        {"", ""},
        {",,,", ""},
        {" , a, ", "a"},
        {"A,a", "a"},
        {"a b", ""},
        {"a_b,c", "c"},
        {"a=b,c", "c"},
        {";detail=1,c", "c"},
        {"a;detail=", "a"},
        {"a;detail=\"x\"", "a"},
        {"a;detail=x y", "a;x"},
        {"\xff,a", "a"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        assert_read(cases[i].text, cases[i].wanted);
    }
    assert_read(NULL, "");
}

static void test_signals_read_is_bounded(void **state)
{
    static char text[200000];
    l7s_signals_t signals = {0};
    char name[L7S_SIGNAL_NAME_MAX + 2];

    (void)state;
    memset(text, ',', sizeof text - 1);
    strcpy(text + sizeof text - 2, "a"); /* far behind what is looked at */
    assert_read(text, "");
    l7s_signals_read(&signals, "a,b,c,d,e,f,g,h,i,j,k");
    assert_int_equal(signals.count, L7S_SIGNALS_MAX);
    l7s_signals_read(&signals, "z");
    assert_int_equal(signals.count, L7S_SIGNALS_MAX);
    memset(name, 'n', sizeof name);
    name[L7S_SIGNAL_NAME_MAX] = '\0';
    assert_read(name, ""); /* one too long */
    name[L7S_SIGNAL_NAME_MAX - 1] = '\0';
    assert_read(name, name);
    assert_read("a;detail=0123456789012345678901234567890",
                "a;0123456789012345678901234567890");
    assert_read("a;detail=01234567890123456789012345678901", "a");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_signals_read_lists_with_and_without_details),
        cmocka_unit_test(test_signals_read_is_bounded),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
