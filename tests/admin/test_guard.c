/* SPDX-License-Identifier: Apache-2.0
 *
 * The raw request target; what needs a connection is tested whole in
 * test_330_http_guard.py.
 */
#include "../../admin_api/http/guard.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static void test_guard_target_good_ones_pass(void **state)
{
    (void)state;
    static const char *const cases[] = {"/",
                                        "/v1/policies/a?limit=3&label=a%2Fb",
                                        "/v1/bans/net:203.0.113.0_24",
                                        "/v1/bans/ip%3A::1",
                                        "/%C3%A4",
                                        "/v1?client=192.0.2.0%2F24",
                                        "/a?b=//"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_equal(admin_guard_target(cases[i]), "");
    }
}

static void test_guard_target_ambiguous_ones_are_named(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",       "*",     "http://x/", "//x",    "/a%00",    "/a%2fb", "/a%2Fb",
        "/a%5Cb", "/a%0d", "/a%7f",     "/a%",    "/a%4",     "/a%zz",  "/a b",
        "/a#b",   "/a\\b", "/a\x01b",   "/a\x7f", "/a?b=%00", "/a?b=%", "/a?b=%0a"};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_string_not_equal(admin_guard_target(cases[i]), "");
    }
}

static void test_guard_target_longer_than_4096_is_refused(void **state)
{
    (void)state;
    char target[5000];
    memset(target, 'a', sizeof target);
    target[0] = '/';
    target[4096] = '\0';
    assert_string_equal(admin_guard_target(target), "");
    target[4096] = 'a';
    target[4097] = '\0';
    assert_string_not_equal(admin_guard_target(target), "");
}

static void test_guard_is_verdict_knows_its_own_only(void **state)
{
    (void)state;
    char other[8] = "";
    assert_true(admin_guard_is_verdict(admin_guard_target("/")));
    assert_true(admin_guard_is_verdict(admin_guard_target("*")));
    assert_false(admin_guard_is_verdict(other));
    assert_false(admin_guard_is_verdict(NULL));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_guard_target_good_ones_pass),
        cmocka_unit_test(test_guard_target_ambiguous_ones_are_named),
        cmocka_unit_test(test_guard_target_longer_than_4096_is_refused),
        cmocka_unit_test(test_guard_is_verdict_knows_its_own_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
