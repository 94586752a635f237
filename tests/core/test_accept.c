/* SPDX-License-Identifier: Apache-2.0
 *
 * What clients send as Accept, and what they get to read.
 */
#include "../../core/accept.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

static void test_accept_form_headers_give_form(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        l7s_form_t form;
    } cases[] = {
        {NULL, L7S_FORM_TEXT},
        {"", L7S_FORM_TEXT},
        {"*/*", L7S_FORM_TEXT},
        /* Firefox, Chrome, axios, a feed reader, an image */
        {"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8",
         L7S_FORM_HTML},
        {"text/html,application/xhtml+xml,application/signed-exchange;v=b3;q=0.7",
         L7S_FORM_HTML},
        {"application/json, text/plain, */*", L7S_FORM_PROBLEM},
        {"application/rss+xml, application/atom+xml;q=0.9, */*;q=0.1", L7S_FORM_TEXT},
        {"image/avif,image/webp,*/*", L7S_FORM_TEXT},
        {"image/png", L7S_FORM_TEXT},
        {"application/problem+json", L7S_FORM_PROBLEM},
        {"application/vnd.api+json", L7S_FORM_PROBLEM},
        {"application/*", L7S_FORM_PROBLEM},
        {"text/*", L7S_FORM_TEXT},
        /* weights */
        {"application/json, text/html;q=0.5", L7S_FORM_PROBLEM},
        {"application/json;q=0.5, text/html", L7S_FORM_HTML},
        {"application/json;q=0.12,text/html;q=0.123", L7S_FORM_HTML},
        {"text/html ; q=0.2 , application/json ; q=0.3", L7S_FORM_PROBLEM},
        {"text/html;level=1;q=0.4, application/json;q=0.3", L7S_FORM_HTML},
        {"text/html, application/json", L7S_FORM_HTML},
        {"application/json, text/html", L7S_FORM_PROBLEM},
        {"TEXT/HTML;Q=0.9", L7S_FORM_HTML},
        /* refused */
        {"text/html;q=0", L7S_FORM_TEXT},
        {"text/html;q=0, */*", L7S_FORM_TEXT},
        {"text/html;q=0.000, application/json;q=0.001", L7S_FORM_PROBLEM},
        {"text/plain;q=0, */*;q=0.1", L7S_FORM_HTML},
        {"*/*;q=0", L7S_FORM_TEXT},
        /* what is no weight weighs most, what is no range is not there */
        {"text/html;q=, application/json;q=0.9", L7S_FORM_HTML},
        {"text/html;q=2", L7S_FORM_HTML},
        {"text/html;q=1.9", L7S_FORM_HTML},
        {"text/html;q=0.x, application/json;q=0.9", L7S_FORM_HTML},
        {",,;q=1,text/html;;,", L7S_FORM_HTML},
        {"texthtml, json, /json, application/", L7S_FORM_TEXT},
        {"xtext/html, text/htmlx", L7S_FORM_TEXT},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (l7s_accept_form(cases[i].header) != cases[i].form) {
            fail_msg("%s", cases[i].header);
        }
    }
}

static void test_accept_form_beyond_its_bounds_is_not_read(void **state)
{
    (void)state;
    char header[2 * L7S_ACCEPT_BYTES_MAX] = "";

    for (unsigned i = 0; i < L7S_ACCEPT_RANGES_MAX - 1; i++) {
        strcat(header, "a/b,");
    }
    size_t length = strlen(header);
    strcat(header, "text/html");
    assert_int_equal(l7s_accept_form(header), L7S_FORM_HTML);
    header[length] = '\0';
    strcat(header, "a/b,text/html");
    assert_int_equal(l7s_accept_form(header), L7S_FORM_TEXT);

    memset(header, ' ', sizeof header);
    memcpy(header + L7S_ACCEPT_BYTES_MAX - 9, "text/html", 10);
    assert_int_equal(l7s_accept_form(header), L7S_FORM_HTML);
    memset(header, ' ', sizeof header);
    memcpy(header + L7S_ACCEPT_BYTES_MAX - 8, "text/html", 10);
    assert_int_equal(l7s_accept_form(header), L7S_FORM_TEXT);
}

static void test_accept_names_html_only_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        bool named;
    } cases[] = {
        {NULL, false},
        {"*/*", false},
        {"text/*", false},
        {"application/json", false},
        {"text/html;q=0", false},
        {"text/html", true},
        {"application/json, text/html;q=0.1", true},
        {"application/xhtml+xml", true},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        if (l7s_accept_names_html(cases[i].header) != cases[i].named) {
            fail_msg("%s", cases[i].header);
        }
    }
}

static void test_accept_type_takes_the_most_exact_range(void **state)
{
    (void)state;
    static const struct {
        const char *header;
        unsigned weight, place;
        bool named;
    } cases[] = {
        {"", 0, 0, false},
        {"text/plain", 0, 0, false},
        {"application/json", 1000, 1, true},
        {"text/html, Application/JSON;q=0.25", 250, 2, true},
        {"*/*;q=0.1, application/*;q=0.5", 500, 2, false},
        {"*/*, application/json;q=0", 0, 2, true},
        {"application/jso, application/jsonx, text/*", 0, 0, false},
        {",,, */*", 1000, 4, false},
    };

    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_accepted_t found = l7s_accept_type(cases[i].header, "application/json");
        assert_int_equal(found.weight, cases[i].weight);
        assert_int_equal(found.place, cases[i].place);
        assert_int_equal(found.named, cases[i].named);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_accept_form_headers_give_form),
        cmocka_unit_test(test_accept_form_beyond_its_bounds_is_not_read),
        cmocka_unit_test(test_accept_names_html_only_by_name),
        cmocka_unit_test(test_accept_type_takes_the_most_exact_range),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
