/* SPDX-License-Identifier: Apache-2.0
 *
 * What bound tokens may change, and from where they may be used.
 */
#include "../../admin_api/http/scope.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
// clang-format on
#include "../../core/addr.h"

#include <stdio.h>

/* Single quotes for double ones. */
static json_t *parse(const char *text)
{
    char quoted[512];
    snprintf(quoted, sizeof quoted, "%s", text);
    for (char *at = quoted; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    json_t *json = json_loads(quoted, 0, NULL);
    assert_non_null(json);
    return json;
}

static void test_scope_address_only_from_the_networks(void **state)
{
    (void)state;
    static const struct {
        const char *token, *peer;
        bool allowed;
    } cases[] = {
        {"{}", "203.0.113.1", true},
        {"{'addresses':[]}", "203.0.113.1", true},
        {"{}", NULL, true},
        {"{'addresses':['203.0.113.0/24']}", "203.0.113.1", true},
        {"{'addresses':['203.0.113.0/24']}", "203.0.114.1", false},
        {"{'addresses':['203.0.113.0/24']}", NULL, false},
        {"{'addresses':['203.0.113.0/24','2001:db8::/32']}", "2001:db8::1", true},
        {"{'addresses':['::/0']}", "203.0.113.1", false},
        {"{'addresses':['127.0.0.1']}", "127.0.0.1", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *token = parse(cases[i].token);
        l7s_addr_t peer;
        if (cases[i].peer != NULL) {
            assert_true(l7s_addr_parse(cases[i].peer, &peer));
        }
        assert_int_equal(
            admin_scope_address(token, cases[i].peer == NULL ? NULL : peer.bytes),
            cases[i].allowed);
        json_decref(token);
    }
}

static void test_scope_object_within_all_its_bounds(void **state)
{
    (void)state;
    static const struct {
        const char *token, *kind, *set, *spec;
        bool allowed;
    } cases[] = {
        {"{'apps':['shop']}", "policy", NULL, "{'match':{'apps':['shop']}}", true},
        {"{'apps':['shop']}", "policy", NULL, "{'match':{'apps':['shop','blog']}}",
         false},
        {"{'apps':['shop']}", "policy", NULL, "{'match':{'apps':[]}}", false},
        {"{'apps':['shop']}", "policy", NULL, "{}", false},
        {"{'apps':['shop']}", "policy", NULL, "{'apps':['shop']}", false},
        {"{'apps':['shop','x']}", "list", NULL, "{'apps':['shop']}", true},
        {"{'apps':['shop']}", "list", NULL, "{'apps':[]}", false},
        {"{'apps':['x']}", "app", NULL, "{}", true},
        {"{'apps':['shop']}", "app", NULL, "{'apps':['shop']}", false},
        {"{'apps':['x']}", "response", NULL, "{}", false},
        {"{'apps':['x']}", "settings", NULL, "{}", false},
        {"{'sets':['web']}", "response", "web", "{}", true},
        {"{'sets':['web']}", "response", "mail", "{}", false},
        {"{'sets':['web']}", "response", NULL, "{}", false},
        {"{'sets':['web'],'apps':['shop']}", "policy", "web", "{}", false},
        {"{'sets':['web'],'apps':['shop']}", "policy", "web",
         "{'match':{'apps':['shop']}}", true},
        {"{'sets':['web'],'apps':['shop']}", "policy", "mail",
         "{'match':{'apps':['shop']}}", false},
        {"{}", "settings", NULL, "{}", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *token = parse(cases[i].token), *spec = parse(cases[i].spec);
        admin_call_t call = {.bounds = token, .principal = "token:ci"};
        assert_int_equal(
            admin_scope_object(&call, cases[i].kind, "x", cases[i].set, spec),
            cases[i].allowed);
        assert_int_equal(call.status, cases[i].allowed ? 0 : 403);
        json_decref(token);
        json_decref(spec);
    }
}

static void test_scope_route_closed_unless_its_objects_are_asked_about(void **state)
{
    (void)state;
    static const struct {
        const char *method, *pattern;
        admin_role_t role;
        bool allowed;
    } cases[] = {
        {"PUT", "/v1/policies/{name}", ADMIN_EDITOR, true},
        {"PUT", "/v1/policies/{name}/something-new", ADMIN_EDITOR, false},
        {"PUT", "/v1/tokens/{name}", ADMIN_ADMIN, false},
        {"PATCH", "/v1/settings", ADMIN_OPERATOR, false},
        {"GET", "/v1/tokens", ADMIN_ADMIN, true},
        {"POST", "/v1/policies:validate", ADMIN_VIEWER, true},
    };
    json_t *token = parse("{'apps':['shop']}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_route_t route = {.method = cases[i].method,
                               .pattern = cases[i].pattern,
                               .role = cases[i].role};
        admin_call_t call = {.bounds = token, .principal = "token:ci"};
        assert_int_equal(admin_scope_route(&call, &route), cases[i].allowed);
        call = (admin_call_t){.principal = "token:ci"};
        assert_true(admin_scope_route(&call, &route));
    }
    json_decref(token);
}

static void test_scope_extent_of_an_app_is_not_its_tokens_business(void **state)
{
    (void)state;
    static const struct {
        const char *before, *after;
        bool allowed;
    } cases[] = {
        {"{'hosts':['a'],'tier':1}", "{'hosts':['a'],'tier':2}", true},
        {"{'hosts':['a']}", "{'hosts':['a'],'paths':[]}", true},
        {"{'hosts':['a']}", "{'hosts':['a','b']}", false},
        {"{'hosts':['a']}", "{}", false},
        {"{'paths':['/a']}", "{'paths':['/']}", false},
        {"{'hosts':['a']}", NULL, false},
        {NULL, "{'hosts':['a']}", false},
    };
    json_t *token = parse("{'apps':['shop']}"), *of_set = parse("{'sets':['web']}");
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        json_t *before = cases[i].before == NULL ? NULL : parse(cases[i].before);
        json_t *after = cases[i].after == NULL ? NULL : parse(cases[i].after);
        admin_call_t call = {.bounds = token, .principal = "token:ci"};
        assert_int_equal(admin_scope_extent(&call, before, after), cases[i].allowed);
        call = (admin_call_t){.bounds = of_set, .principal = "token:ci"};
        assert_true(admin_scope_extent(&call, before, after));
        json_decref(before);
        json_decref(after);
    }
    json_decref(token);
    json_decref(of_set);
}

static void test_scope_app_only_its_own(void **state)
{
    (void)state;
    json_t *token = parse("{'apps':['shop']}"),
           *both = parse("{'apps':['shop'],'sets':['a']}");
    admin_call_t call = {.bounds = token, .principal = "token:ci"};
    assert_true(admin_scope_app(&call, "shop"));
    assert_false(admin_scope_app(&call, "blog"));
    assert_false(admin_scope_app(&call, NULL));
    call = (admin_call_t){.bounds = both, .principal = "token:ci"};
    assert_false(admin_scope_app(&call, "shop"));
    call = (admin_call_t){.principal = "token:ci"};
    assert_true(admin_scope_app(&call, NULL));
    json_decref(token);
    json_decref(both);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_scope_address_only_from_the_networks),
        cmocka_unit_test(test_scope_object_within_all_its_bounds),
        cmocka_unit_test(test_scope_route_closed_unless_its_objects_are_asked_about),
        cmocka_unit_test(test_scope_extent_of_an_app_is_not_its_tokens_business),
        cmocka_unit_test(test_scope_app_only_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
