/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens: what they hold for, and that nothing else is taken for one.
 */
#include "../../core/decide/challenge.h"
#include "../../core/sha256.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define NOW 1767225600ULL

static l7s_bond_t bond(const char *client)
{
    static const l7s_hashkey_t count_key = {1, 2};
    l7s_bond_t out = {.key = l7s_challenge_key(&count_key),
                      .policy = "gate",
                      .kind = L7S_CHALLENGE_WORK,
                      .agent = "Mozilla/5.0"};

    assert_true(l7s_addr_parse(client, &out.client));
    return out;
}

static bool passes(const l7s_bond_t *as, const char *token, uint64_t now_s)
{
    char cookies[256];

    snprintf(cookies, sizeof cookies, "a=b; l7shield-%s=%s; c=d", as->policy, token);
    return l7s_pass_in_cookies(as, now_s, cookies);
}

static void test_pass_holds_for_what_it_is_bound_to_only(void **state)
{
    (void)state;
    l7s_bond_t own = bond("203.0.113.7"), other;
    char token[L7S_TOKEN_MAX];

    l7s_pass_write(&own, NOW, 60, token);
    assert_int_equal(strlen(token), L7S_TOKEN_SIZE);
    assert_true(passes(&own, token, NOW));
    other = bond("203.0.113.200");
    assert_true(passes(&other, token, NOW));
    other = bond("203.0.112.7");
    assert_false(passes(&other, token, NOW));
    other = own;
    other.agent = "Mozilla/5.1";
    assert_false(passes(&other, token, NOW));
    other.agent = NULL;
    assert_false(passes(&other, token, NOW));
    other = own;
    other.policy = "other";
    assert_false(passes(&other, token, NOW));
    other = own;
    other.kind = L7S_CHALLENGE_COOKIE;
    assert_false(passes(&other, token, NOW));
    other = own;
    other.key.k1++;
    assert_false(passes(&other, token, NOW));
}

static void test_pass_of_ipv6_holds_within_its_64(void **state)
{
    (void)state;
    l7s_bond_t own = bond("2001:db8:0:1::1"), near = bond("2001:db8:0:1:ffff::1"),
               far = bond("2001:db8:0:2::1");
    char token[L7S_TOKEN_MAX];

    l7s_pass_write(&own, NOW, 60, token);
    assert_true(passes(&near, token, NOW));
    assert_false(passes(&far, token, NOW));
}

static void test_pass_begins_and_ends(void **state)
{
    (void)state;
    l7s_bond_t own = bond("203.0.113.7");
    char token[L7S_TOKEN_MAX];

    l7s_pass_write(&own, NOW, 60, token);
    assert_true(passes(&own, token, NOW - 60)); /* another node's clock */
    assert_false(passes(&own, token, NOW - 61));
    assert_true(passes(&own, token, NOW + 59));
    assert_false(passes(&own, token, NOW + 60));
}

static void test_pass_every_changed_byte_is_noticed(void **state)
{
    (void)state;
    l7s_bond_t own = bond("203.0.113.7");
    char token[L7S_TOKEN_MAX];

    l7s_pass_write(&own, NOW, 60, token);
    for (size_t i = 0; i < L7S_TOKEN_SIZE; i++) {
        for (unsigned c = 1; c < 256; c++) {
            char kept = token[i];
            if ((char)c != kept && strchr("; \t,", (int)c) == NULL) {
                token[i] = (char)c;
                assert_false(passes(&own, token, NOW));
            }
            token[i] = kept;
        }
    }
    assert_true(passes(&own, token, NOW));
}

static void test_pass_in_cookies_is_found_where_cookies_are(void **state)
{
    (void)state;
    l7s_bond_t own = bond("203.0.113.7");
    char token[L7S_TOKEN_MAX], header[512];
    static const struct {
        const char *format;
        bool found;
    } cases[] = {
        {"l7shield-gate=%s", true},
        {"a=b; l7shield-gate=%s", true},
        {"a=b;l7shield-gate=%s;c=d", true},
        {"  l7shield-gate=%s ", true},
        {"l7shield-gate=x; l7shield-gate=%s", true},
        {"l7shield-gat=%s", false},
        {"l7shield-gate2=%s", false},
        {"xl7shield-gate=%s", false},
        {"a=l7shield-gate=%s", false},
        {"l7shield-gate=%sA", false},
        {"l7shield-gate=%.39s", false},
        {"l7shield-gate=", false},
        {"l7shield-gate", false},
        {"%.0s", false},
        {";;;%.0s;", false},
        {"a=b%.0s", false}, /* the last one has no semicolon */
        {"l7shield-gate=1;l7shield-gate=2;l7shield-gate=3;l7shield-gate=4;"
         "l7shield-gate=%s",
         false}, /* so many are not looked at */
    };

    l7s_pass_write(&own, NOW, 60, token);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
        snprintf(header, sizeof header, cases[i].format, token);
#pragma GCC diagnostic pop
        if (l7s_pass_in_cookies(&own, NOW, header) != cases[i].found) {
            fail_msg("%s", header);
        }
    }
    assert_false(l7s_pass_in_cookies(&own, NOW, NULL));
}

/* As a browser does it. */
static void solve(const char *seed, unsigned bits, char nonce[16])
{
    for (unsigned number = 0;; number++) {
        char message[64];
        uint32_t digest[8];
        int size = snprintf(message, sizeof message, "%s.%u", seed, number);
        l7s_sha256_short(message, (size_t)size, digest);
        if (digest[0] >> (32 - bits) == 0) {
            snprintf(nonce, 16, "%u", number);
            return;
        }
    }
}

static void test_seed_is_solved_by_its_solution_only(void **state)
{
    (void)state;
    l7s_bond_t own = bond("203.0.113.7"), other = bond("203.0.112.7");
    char seed[L7S_TOKEN_MAX], nonce[16], padded[17];

    l7s_seed_write(&own, NOW, 12, seed);
    solve(seed, 12, nonce);
    assert_true(l7s_seed_is_solved(&own, NOW, 12, seed, nonce));
    assert_true(l7s_seed_is_solved(&own, NOW + L7S_SEED_SECONDS - 1, 12, seed, nonce));
    assert_false(l7s_seed_is_solved(&own, NOW + L7S_SEED_SECONDS, 12, seed, nonce));
    assert_false(l7s_seed_is_solved(&other, NOW, 12, seed, nonce));
    assert_false(l7s_seed_is_solved(&own, NOW, 13, seed, nonce)); /* raised meanwhile */
    assert_false(l7s_seed_is_solved(&own, NOW, 12, seed, ""));
    assert_false(l7s_seed_is_solved(&own, NOW, 12, "", nonce));
    assert_false(l7s_seed_is_solved(&own, NOW, 12, seed, "12345678901"));
    snprintf(padded, sizeof padded, "%s ", nonce);
    assert_false(l7s_seed_is_solved(&own, NOW, 12, seed, padded));
    snprintf(padded, sizeof padded, "0%s", nonce);
    assert_false(l7s_seed_is_solved(&own, NOW, 12, seed, padded));
}

static void test_seed_is_no_pass_and_a_pass_no_seed(void **state)
{
    (void)state;
    l7s_bond_t own = bond("203.0.113.7");
    char token[L7S_TOKEN_MAX];

    l7s_seed_write(&own, NOW, 0, token);
    assert_false(passes(&own, token, NOW));
    l7s_pass_write(&own, NOW, L7S_SEED_SECONDS, token);
    assert_false(l7s_seed_is_solved(&own, NOW, 0, token, "1"));
}

static void test_challenge_target_stays_on_the_site(void **state)
{
    (void)state;
    static const char *const good[] = {"/", "/a", "/a//b?c=d&e=%22#f", "/a?b=//c", "/~x"};
    static const char *const bad[] = {"",     "a",     "//a",          "/\\a",  "\\/a",
                                      "/\ta", "/a b",  "http://a/",    "/a\nb", "/\"",
                                      "/<b>", "/\x7f", "/caf\xc3\xa9", "/a\\b", "?a"};

    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        assert_true(l7s_challenge_target(good[i]));
    }
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_false(l7s_challenge_target(bad[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pass_holds_for_what_it_is_bound_to_only),
        cmocka_unit_test(test_pass_of_ipv6_holds_within_its_64),
        cmocka_unit_test(test_pass_begins_and_ends),
        cmocka_unit_test(test_pass_every_changed_byte_is_noticed),
        cmocka_unit_test(test_pass_in_cookies_is_found_where_cookies_are),
        cmocka_unit_test(test_seed_is_solved_by_its_solution_only),
        cmocka_unit_test(test_seed_is_no_pass_and_a_pass_no_seed),
        cmocka_unit_test(test_challenge_target_stays_on_the_site),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
