/* SPDX-License-Identifier: Apache-2.0
 *
 * Which policies shut out the address that writes them.
 */
#include "../../admin_api/resources/own_address.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
// clang-format on

#define NOW_MS 1700000000000u
#define LISTS                                                                            \
    "'lists':[{'name':'staff','kind':'addresses','effect':'none',"                       \
    "'entries':[{'value':'198.51.100.7'}]}"

static bool hit(const char *text, const char *peer)
{
    char quoted[1024];
    l7s_addr_t addr;
    l7s_config_t *config = NULL;
    l7s_problems_t problems = {0};
    snprintf(quoted, sizeof quoted, "%s", text);
    for (char *at = quoted; *at != '\0'; at++) {
        *at = *at == '\'' ? '"' : *at;
    }
    json_t *document = json_loads(quoted, 0, NULL);
    assert_non_null(document);
    assert_int_equal(l7s_config_parse(document, &problems, &config), L7S_OK);
    assert_true(l7s_addr_parse(peer, &addr));
    bool result = admin_own_address_hit(config, "p", addr.bytes, NOW_MS);
    l7s_config_free(config);
    json_decref(document);
    return result;
}

/* A policy "p" with this match and action, and the list @staff. */
static bool policy_hits(const char *mode, const char *match, const char *detect,
                        const char *action, const char *peer)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{'policies':[{'name':'p','mode':'%s','match':{%s},'detect':{%s},"
             "'action':{%s}}]," LISTS "]}",
             mode, match, detect, action);
    return hit(text, peer);
}

static void test_own_address_hit_only_when_certain(void **state)
{
    (void)state;
    static const struct {
        const char *match, *peer;
        bool hit;
    } cases[] = {
        {"", "198.51.100.7", true},
        {"'client':{'in':['198.51.100.0/24']}", "198.51.100.7", true},
        {"'client':{'in':['198.51.100.0/24']}", "203.0.113.7", false},
        {"'client':{'in':['@staff']}", "198.51.100.7", true},
        {"'client':{'in':['@staff']}", "198.51.100.8", false},
        {"'client':{'in':['2001:db8::/32']}", "2001:db8::1", true},
        {"'paths':['/.env']", "198.51.100.7", false},
        {"'methods':['POST']", "198.51.100.7", false},
        {"'except':[{'client':{'in':['@staff']}}]", "198.51.100.7", false},
        {"'except':[{'client':{'in':['@staff']}}]", "198.51.100.8", true},
        {"'except':[{'paths':['/x']}]", "198.51.100.7", true},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(policy_hits("enforce", cases[i].match, "'always':{}",
                                     "'deny':{}", cases[i].peer),
                         cases[i].hit);
    }
}

static void test_own_address_hit_limits_and_watching_spare(void **state)
{
    (void)state;
    const char *rate = "'rate':{'requests':1,'per_seconds':60}", *peer = "198.51.100.7";
    assert_false(policy_hits("observe", "", "'always':{}", "'deny':{}", peer));
    assert_false(policy_hits("enforce", "", "'always':{}", "'log':{}", peer));
    assert_false(policy_hits("enforce", "", rate, "'ban':{'seconds':60}", peer));
}

static void test_own_address_hit_loopback_may_be_denied_but_not_banned(void **state)
{
    (void)state;
    assert_false(policy_hits("enforce", "", "'always':{}", "'deny':{}", "127.0.0.1"));
    assert_false(policy_hits("enforce", "", "'always':{}", "'deny':{}", "::1"));
    assert_true(
        policy_hits("enforce", "", "'always':{}", "'ban':{'seconds':60}", "127.0.0.1"));
}

static void test_own_address_hit_allow_list_wins(void **state)
{
    (void)state;
    const char *document =
        "{'policies':[{'name':'p','mode':'enforce','detect':{'always':{}},"
        "'action':{'deny':{}}}],'lists':[{'name':'office','kind':'addresses',"
        "'effect':'allow','entries':[{'value':'198.51.100.0/24'}]}]}";
    assert_false(hit(document, "198.51.100.7"));
    assert_true(hit(document, "203.0.113.7"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_own_address_hit_only_when_certain),
        cmocka_unit_test(test_own_address_hit_limits_and_watching_spare),
        cmocka_unit_test(test_own_address_hit_loopback_may_be_denied_but_not_banned),
        cmocka_unit_test(test_own_address_hit_allow_list_wins),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
