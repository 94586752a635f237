/* SPDX-License-Identifier: Apache-2.0
 *
 * What the compiler makes of a configuration, beyond what decisions show: size, expiry,
 * identities, statistics, limits of what fits.
 */
#include "../../core/image/image_layout.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static l7s_status_t compile(fixture_t *fixture, size_t capacity, size_t *size)
{
    uint64_t expiry;

    return l7s_image_compile(&fixture->config, &fixture->count_key, 1,
                             fixture->now.wall_ms, NULL, fixture->image_memory, capacity,
                             size, &expiry);
}

static l7s_hash128_t identity(const fixture_t *fixture, unsigned limit)
{
    uint32_t count;
    const l7s_image_limit_t *limits = l7s_image_limits(fixture->image, &count);

    assert_true(limit < count);
    return limits[limit].identity;
}

static l7s_outcome_t outcome(fixture_t *fixture, const char *host, const char *path)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", host, path);

    return fixture_decide(fixture, &request).outcome;
}

static void expect_policy(fixture_t *fixture, const char *host, const char *path,
                          const char *policy)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", host, path);
    l7s_verdict_t verdict = fixture_decide(fixture, &request);

    assert_string_equal(verdict.outcome == L7S_OUTCOME_ADMITTED ? "" : verdict.policy,
                        policy);
}

static void test_compile_empty_configuration_admits(void **state)
{
    fixture_t *fixture = *state;

    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, "a.test", "/"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture->next_expiry_ms, 0);
}

static void test_compile_node_alone_tells_nobody(void **state)
{
    fixture_t *fixture = *state;
    uint32_t count;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 1)->fleet = true;
    for (unsigned alone = 0; alone < 2; alone++) {
        fixture->config.is_alone = alone != 0;
        fixture_compile(fixture);
        assert_int_equal(l7s_image_limits(fixture->image, &count)[0].fleet, !alone);
    }
}

static void test_compile_says_how_much_memory_it_needs(void **state)
{
    fixture_t *fixture = *state;
    size_t size = 0, again = 0;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 1);
    assert_int_equal(compile(fixture, 0, &size), L7S_TOO_BIG);
    assert_in_range(size, sizeof(l7s_image_t), 65536);
    assert_int_equal(compile(fixture, size - 1, &again), L7S_TOO_BIG);
    assert_int_equal(again, size);
    assert_int_equal(compile(fixture, size, &again), L7S_OK);
    assert_int_equal(again, size);
    assert_non_null(l7s_image_check(fixture->image_memory, size));
}

static void test_compile_large_list_fits_in_proportion(void **state)
{
    fixture_t *fixture = *state;
    l7s_list_t *list = fixture_list(fixture, "large", L7S_EFFECT_DENY, ""), *other;
    size_t size;

    list->entry_count = 100000;
    list->entries = fixture_alloc(fixture, list->entry_count * sizeof *list->entries);
    for (uint32_t i = 0; i < list->entry_count; i++) {
        l7s_cidr_t network = {.prefix = 128};
        network.base = fixture_addr("100.0.0.0");
        network.base.bytes[13] = (uint8_t)(i >> 15);
        network.base.bytes[14] = (uint8_t)(i >> 7);
        network.base.bytes[15] = (uint8_t)(i << 1);
        list->entries[i].network = network;
    }
    assert_int_equal(compile(fixture, 0, &size), L7S_TOO_BIG);
    assert_in_range(size, 800000, 800000 + 10000); /* 8 bytes each */
    /* Of several lists there is a union, too; IPv6 takes four times as much. */
    other = fixture_list(fixture, "other", L7S_EFFECT_ALLOW, "");
    other->entry_count = list->entry_count;
    other->entries = list->entries;
    assert_int_equal(compile(fixture, 0, &size), L7S_TOO_BIG);
    assert_in_range(size, 3 * 800000, 3 * 800000 + 10000);
    fixture->config.list_count--;
    for (uint32_t i = 0; i < list->entry_count; i++) {
        list->entries[i].network.base.bytes[0] = 0x20;
    }
    assert_int_equal(compile(fixture, 0, &size), L7S_TOO_BIG);
    assert_in_range(size, 3200000, 3200000 + 10000);
}

static bool has_bytes(const void *memory, size_t size, const char *text)
{
    for (size_t i = 0; i + strlen(text) <= size; i++) {
        if (memcmp((const char *)memory + i, text, strlen(text)) == 0) {
            return true;
        }
    }
    return false;
}

/* 100,000 strings, each of them found, none of them readable in the image. */
static void test_compile_large_list_of_strings_keeps_digests_only(void **state)
{
    enum { COUNT = 100000, KNOWN = 31 };
    fixture_t *fixture = *state;
    l7s_list_t *list = fixture_strings_list(fixture, "keys", "");
    char value[32];
    size_t size;

    list->entry_count = COUNT;
    list->entries = fixture_alloc(fixture, COUNT * sizeof *list->entries);
    for (size_t i = 0; i < COUNT; i++) {
        snprintf(value, sizeof value, "secret-%zu", i);
        list->entries[i].text = fixture_text(fixture, value);
    }
    fixture_compile(fixture);
    assert_int_equal(compile(fixture, 0, &size), L7S_TOO_BIG);
    assert_in_range(size, 262144 * sizeof(l7s_image_string_t),
                    262144 * sizeof(l7s_image_string_t) + 10000);
    assert_true(has_bytes(fixture->image, size, "keys"));
    assert_false(has_bytes(fixture->image, size, "secret-"));
    for (size_t i = 0; i < COUNT; i += KNOWN) {
        snprintf(value, sizeof value, "secret-%zu", i);
        assert_non_null(l7s_image_string(fixture->image, 0, value));
        snprintf(value, sizeof value, "secret-%zu", COUNT + i);
        assert_null(l7s_image_string(fixture->image, 0, value));
    }
}

static void test_compile_strings_expire_and_follow_the_counting_key(void **state)
{
    fixture_t *fixture = *state;
    l7s_list_t *list = fixture_strings_list(fixture, "keys", "a b");

    list->entries[0].expires_ms = fixture->now.wall_ms + 2000;
    fixture_compile(fixture);
    assert_int_equal(fixture->next_expiry_ms, fixture->now.wall_ms + 2000);
    assert_non_null(l7s_image_string(fixture->image, 0, "a"));
    fixture_pass_ms(fixture, 2000);
    fixture->count_key.k0++;
    fixture_compile(fixture);
    assert_null(l7s_image_string(fixture->image, 0, "a"));
    assert_non_null(l7s_image_string(fixture->image, 0, "b"));
}

static void test_compile_too_many_objects_are_too_big(void **state)
{
    fixture_t *fixture = *state;
    size_t size;

    fixture->config.policies = calloc(L7S_POLICIES_MAX + 1, sizeof(l7s_policy_t));
    assert_non_null(fixture->config.policies);
    fixture->config.policy_count = L7S_POLICIES_MAX + 1;
    assert_int_equal(compile(fixture, 1 << 20, &size), L7S_TOO_BIG);
    free(fixture->config.policies);
}

static void test_compile_most_policies_all_match_and_are_charged(void **state)
{
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < L7S_POLICIES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "limit-%u", i);
        l7s_policy_t *policy = fixture_policy(fixture, name, L7S_ACTION_LOG, 0, 0);
        policy->match.paths = fixture_strings(fixture, i % 2 ? "/a/**" : "/*/b");
    }
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, "a.test", "/a/b"), L7S_OUTCOME_LOGGED);
    for (unsigned i = 0; i < L7S_POLICIES_MAX; i++) {
        assert_int_equal(
            atomic_load(
                &fixture_stats(fixture, fixture->config.policies[i].name)->logged),
            1);
    }
}

static void test_compile_leaves_out_what_has_expired(void **state)
{
    fixture_t *fixture = *state;
    uint64_t now = fixture->now.wall_ms;
    l7s_list_t *list;

    fixture_policy(fixture, "gone", L7S_ACTION_DENY, 0, 0)->expires_ms = now;
    fixture_policy(fixture, "soon", L7S_ACTION_LOG, 0, 0)->expires_ms = now + 5000;
    fixture_policy(fixture, "never", L7S_ACTION_LOG, 0, 0);
    list = fixture_list(fixture, "closed", L7S_EFFECT_DENY, "203.0.113.7 10.0.0.1");
    list->entries[0].expires_ms = now - 1;
    list->entries[1].expires_ms = now + 3000;
    fixture_compile(fixture);
    assert_int_equal(l7s_image_policies(fixture->image), 2);
    assert_int_equal(fixture->next_expiry_ms, now + 3000);
    assert_int_equal(outcome(fixture, "a.test", "/"), L7S_OUTCOME_LOGGED);
    fixture_pass_ms(fixture, 3000);
    fixture_compile(fixture);
    assert_int_equal(fixture->next_expiry_ms, now + 5000);
    fixture_pass_ms(fixture, 2000);
    fixture_compile(fixture);
    assert_int_equal(fixture->next_expiry_ms, 0);
    assert_int_equal(l7s_image_policies(fixture->image), 1);
}

static void test_compile_identity_follows_name_and_spec_only(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 5, 1);
    l7s_hash128_t first, other;

    fixture_compile(fixture);
    first = identity(fixture, 0);
    policy->mode = L7S_MODE_OFF;
    policy->action = L7S_ACTION_DENY;
    policy->priority = 7;
    fixture_compile(fixture);
    other = identity(fixture, 0); /* a policy that is off keeps its counters */
    assert_memory_equal(&first, &other, sizeof first);
    assert_int_equal(outcome(fixture, "a.test", "/"), L7S_OUTCOME_ADMITTED);
    policy->spec = fixture_text(fixture, "changed");
    fixture_compile(fixture);
    other = identity(fixture, 0);
    assert_memory_not_equal(&first, &other, sizeof first);
}

static void test_compile_limits_tell_what_they_count_by(void **state)
{
    fixture_t *fixture = *state;
    const l7s_image_limit_t *limits;
    l7s_policy_t *policy;
    uint32_t count;

    fixture_policy(fixture, "client", L7S_ACTION_THROTTLE, 5, 1)->fleet = false;
    policy = fixture_policy(fixture, "network", L7S_ACTION_THROTTLE, 5, 1);
    fixture_by(fixture, policy, "network");
    policy->ipv4_prefix = 16;
    policy->ipv6_prefix = 56;
    fixture_by(fixture, fixture_policy(fixture, "tuple", L7S_ACTION_THROTTLE, 5, 1),
               "client path");
    fixture_compile(fixture);
    limits = l7s_image_limits(fixture->image, &count);
    assert_int_equal(count, 3);
    assert_true(limits[0].by_client && !limits[0].by_network && !limits[0].fleet);
    assert_true(limits[1].by_network && !limits[1].by_client && limits[1].fleet);
    assert_int_equal(limits[1].ipv4_prefix, 16);
    assert_int_equal(limits[1].ipv6_prefix, 56);
    assert_true(!limits[2].by_client && !limits[2].by_network);
}

static void test_compile_equal_tuples_share_a_spec(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy;

    fixture_policy(fixture, "a", L7S_ACTION_LOG, 5, 1)->ipv4_prefix = 8;
    fixture_policy(fixture, "b", L7S_ACTION_LOG, 7, 1)->when_absent = L7S_ABSENT_SKIP;
    policy = fixture_policy(fixture, "c", L7S_ACTION_LOG, 7, 1);
    fixture_by(fixture, policy, "network");
    policy = fixture_policy(fixture, "d", L7S_ACTION_LOG, 7, 1);
    fixture_by(fixture, policy, "network");
    policy->ipv4_prefix = 16;
    fixture_compile(fixture);
    assert_int_equal(fixture->image->sections[L7S_SECTION_SPECS].count, 3);
}

static void test_compile_the_most_specific_app_is_the_requests_app(void **state)
{
    static const struct {
        const char *host, *path, *app;
    } cases[] = {
        {"shop.test", "/", "shop"},      {"shop.test", "/api/v1", "shop-api"},
        {"blog.test", "/api/v1", "api"}, {"www.shop.test", "/", "any-shop"},
        {"blog.test", "/", NULL},        {"www.shop.test", "/x/y/z", "glob"},
    };
    fixture_t *fixture = *state;

    fixture_app(fixture, "api", "", "/api/**");
    fixture_app(fixture, "any-shop", "*.test shop.test", "");
    fixture_app(fixture, "shop", "shop.test aaaaaaaaaaaaaaaaaaaaaaaa.test", "");
    fixture_app(fixture, "shop-api", "shop.test", "/api/**");
    fixture_app(fixture, "glob", "*.shop.test", "/x/*/z");
    fixture->config.apps[1].hosts = fixture_strings(fixture, "*.shop.test");
    for (unsigned i = 0; i < 5; i++) {
        l7s_policy_t *policy =
            fixture_policy(fixture, fixture->config.apps[i].name, L7S_ACTION_DENY, 0, 0);
        policy->match.apps = fixture_strings(fixture, policy->name);
    }
    fixture_compile(fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_request_t request =
            fixture_request(CLIENT, "GET", cases[i].host, cases[i].path);
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        if (cases[i].app == NULL) {
            assert_int_equal(verdict.outcome, L7S_OUTCOME_ADMITTED);
        } else {
            assert_string_equal(verdict.policy, cases[i].app);
        }
    }
}

static void test_compile_globs_match_as_one_by_one(void **state)
{
    static const char *const globs[] = {
        "/",     "/**",   "/a",     "/a/**",  "/a/*",  "/*",     "/*/b",    "/a*",
        "/a*/b", "/*/**", "/a/*/c", "/*.php", "/a/b/", "/a/b/c", "/a/b/**", "/x*y/**",
    };
    static const char *const paths[] = {
        "/",      "/a",      "/a/",    "/ab",    "/a/b",
        "/a/b/",  "/a/b/c",  "/ab/b",  "/x.php", "/a/x/c",
        "/a/x/d", "/xy/z/w", "/x/y/z", "/b",     "/a/b/c/d/e/f/g",
    };
    fixture_t *fixture = *state;

    for (size_t g = 0; g < sizeof globs / sizeof *globs; g++) {
        fixture_reset(fixture);
        fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0)->match.paths =
            fixture_strings(fixture, globs[g]);
        fixture_compile(fixture);
        for (size_t p = 0; p < sizeof paths / sizeof *paths; p++) {
            assert_int_equal(outcome(fixture, "a.test", paths[p]),
                             l7s_path_matches(globs[g], paths[p]) ? L7S_OUTCOME_DENIED
                                                                  : L7S_OUTCOME_ADMITTED);
        }
    }
}

/* The index knows lengths from 63 on by one bit only. */
static void test_compile_long_paths_and_hosts_match(void **state)
{
    static const unsigned lengths[] = {1, 61, 62, 63, 64, 65, 200};
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof lengths / sizeof *lengths; i++) {
        char path[256] = "/", glob[256], host[256], pattern[256];
        memset(path + 1, 'p', lengths[i]);
        path[lengths[i] + 1] = '\0';
        snprintf(glob, sizeof glob, "%.210s/**", path);
        snprintf(host, sizeof host, "w.%.210s.test", path + 1);
        snprintf(pattern, sizeof pattern, "*.%.210s.test", path + 1);
        fixture_reset(fixture);
        fixture_policy(fixture, "a-exact", L7S_ACTION_DENY, 0, 0)->match.paths =
            fixture_strings(fixture, path);
        fixture_policy(fixture, "b-below", L7S_ACTION_DENY, 0, 0)->match.paths =
            fixture_strings(fixture, glob);
        fixture_policy(fixture, "c-host", L7S_ACTION_DENY, 0, 0)->match.hosts =
            fixture_strings(fixture, pattern);
        fixture_policy(fixture, "d-host", L7S_ACTION_DENY, 0, 0)->match.hosts =
            fixture_strings(fixture, host + 2);
        fixture_policy(fixture, "e-one", L7S_ACTION_DENY, 0, 0)->match.paths =
            fixture_strings(fixture, "/one/**");
        fixture_compile(fixture);
        expect_policy(fixture, "a.test", path, "a-exact");
        strcat(path, "/x/y");
        expect_policy(fixture, "a.test", path, "b-below");
        strcpy(strstr(path, "/x/y"), "q/x");
        expect_policy(fixture, "a.test", path, "");
        expect_policy(fixture, host, path, "c-host");
        expect_policy(fixture, host + 2, path, "d-host");
        expect_policy(fixture, host + 1, path, "");
        expect_policy(fixture, "a.test", "/one", "e-one");
    }
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_compile_empty_configuration_admits),
        TEST(test_compile_node_alone_tells_nobody),
        TEST(test_compile_says_how_much_memory_it_needs),
        TEST(test_compile_large_list_fits_in_proportion),
        TEST(test_compile_large_list_of_strings_keeps_digests_only),
        TEST(test_compile_strings_expire_and_follow_the_counting_key),
        TEST(test_compile_too_many_objects_are_too_big),
        TEST(test_compile_most_policies_all_match_and_are_charged),
        TEST(test_compile_leaves_out_what_has_expired),
        TEST(test_compile_identity_follows_name_and_spec_only),
        TEST(test_compile_limits_tell_what_they_count_by),
        TEST(test_compile_equal_tuples_share_a_spec),
        TEST(test_compile_the_most_specific_app_is_the_requests_app),
        TEST(test_compile_globs_match_as_one_by_one),
        TEST(test_compile_long_paths_and_hosts_match),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
