/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request matches; test_decide_random.c compares the whole with a reference.
 */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

/* What a connection remembers is of one image, one host, one client and one value. */
static void test_match_index_memo_never_mistakes_a_request(void **state)
{
    static const struct {
        const char *client, *host, *agent;
        l7s_outcome_t outcome;
    } rows[] = {
        {"10.0.0.1", "a", "user-agent: good", L7S_OUTCOME_ADMITTED},
        {"10.0.0.1", "a", "user-agent: good", L7S_OUTCOME_ADMITTED},
        {"10.0.0.1", "a", "user-agent: bad", L7S_OUTCOME_DENIED},
        {"10.0.0.1", "a", "user-agent: bad", L7S_OUTCOME_DENIED},
        {"10.0.0.1", "a", NULL, L7S_OUTCOME_ADMITTED},
        {"10.0.0.1", "b", "user-agent: good", L7S_OUTCOME_DENIED},
        {"10.0.0.1", "a", "user-agent: good", L7S_OUTCOME_ADMITTED},
        {"10.9.0.1", "a", "user-agent: good", L7S_OUTCOME_DENIED},
        {"10.0.0.1", "a", "user-agent: good", L7S_OUTCOME_ADMITTED},
    };
    fixture_t *fixture = *state;
    l7s_memo_t memo = {0};
    char long_agent[512];

    for (uint64_t generation = 1; generation <= 2; generation++) {
        fixture_reset(fixture);
        if (generation == 1) {
            l7s_policy_t *policy =
                fixture_policy(fixture, "agent", L7S_ACTION_DENY, 0, 0);
            fixture_match_header(fixture, &policy->match, "user-agent", L7S_IS_CONTAINS,
                                 "bad");
            policy = fixture_policy(fixture, "host", L7S_ACTION_DENY, 0, 0);
            policy->match.hosts = fixture_strings(fixture, "b");
            policy = fixture_policy(fixture, "client", L7S_ACTION_DENY, 0, 0);
            fixture_match_client(fixture, &policy->match, "10.9.0.0/16");
        }
        fixture_compile(fixture);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            fixture_request_t request =
                fixture_request(rows[i].client, "GET", rows[i].host, "/");
            request.headers[0] = rows[i].agent;
            request.facts.memo = &memo;
            request.facts.generation = generation;
            assert_int_equal(fixture_decide(fixture, &request).outcome,
                             generation == 1 ? rows[i].outcome : L7S_OUTCOME_ADMITTED);
        }
    }
    /* What does not fit is not remembered, and judged all the same. */
    fixture_reset(fixture);
    fixture_match_header(fixture,
                         &fixture_policy(fixture, "agent", L7S_ACTION_DENY, 0, 0)->match,
                         "user-agent", L7S_IS_CONTAINS, "bad");
    fixture_compile(fixture);
    memset(long_agent, 'x', sizeof long_agent);
    memcpy(long_agent, "user-agent: ", 12);
    memcpy(long_agent + sizeof long_agent - 4, "bad", 4);
    for (unsigned i = 0; i < 3; i++) {
        fixture_request_t request = fixture_request("10.0.0.1", "GET", "a", "/");
        request.headers[0] = long_agent;
        request.facts.memo = &memo;
        request.facts.generation = 3;
        assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_DENIED);
    }
}

/* Many texts in one header are looked for by pairs of bytes first. */
static void test_match_many_contained_texts_are_each_found(void **state)
{
    static const char *const texts[] = {"a", "ab", "bot", "abcd", "curl/7", "aaaa"};
    static const char *const values[] = {"",      "a",      "b",     "ba",      "xabx",
                                         "botbo", "abcabd", "xabcd", "curl/7.", "aaaaa",
                                         "tob",   "cdab",   "bo t",  "\xff\xfe"};
    fixture_t *fixture = *state;

    for (size_t v = 0; v < sizeof values / sizeof *values; v++) {
        for (size_t t = 0; t < sizeof texts / sizeof *texts; t++) {
            fixture_request_t request = fixture_request(CLIENT, "GET", "h", "/");
            char header[64];
            fixture_reset(fixture);
            for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
                l7s_policy_t *policy =
                    fixture_policy(fixture, texts[i], L7S_ACTION_DENY, 0, 0);
                policy->mode = i == t ? L7S_MODE_ENFORCE : L7S_MODE_OBSERVE;
                fixture_match_header(fixture, &policy->match, "user-agent",
                                     L7S_IS_CONTAINS, texts[i]);
            }
            fixture_compile(fixture);
            snprintf(header, sizeof header, "user-agent: %s", values[v]);
            request.headers[0] = header;
            assert_int_equal(
                l7s_outcome_refuses(fixture_decide(fixture, &request).outcome),
                strstr(values[v], texts[t]) != NULL);
        }
    }
}

static void test_match_header_equals_any_string_of_a_list(void **state)
{
    static const struct {
        const char *header;
        bool refused;
    } cases[] = {
        {"x-api-key: k-1", false}, {"x-api-key: k-2", false},
        {"x-api-key: K-1", true},  {"x-api-key: k-", true},
        {"x-api-key: k-11", true}, {"x-api-key: ", true},
        {"x-other: k-1", true},    {NULL, true},
    };
    fixture_t *fixture = *state;
    l7s_policy_t *policy;

    fixture_list(fixture, "office", L7S_EFFECT_NONE, "10.0.0.0/8");
    fixture_strings_list(fixture, "api-keys", "k-1 k-2");
    fixture_strings_list(fixture, "nobody", "");
    policy = fixture_policy(fixture, "known-only", L7S_ACTION_DENY, 0, 0);
    fixture_match_header_list(fixture, fixture_except(fixture, policy), "x-api-key",
                              "api-keys");
    policy = fixture_policy(fixture, "never", L7S_ACTION_DENY, 0, 0);
    policy->priority = 1;
    fixture_match_header_list(fixture, &policy->match, "x-api-key", "nobody");
    fixture_compile(fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_request_t request = fixture_request(CLIENT, "GET", "h", "/");
        request.headers[0] = cases[i].header;
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        assert_int_equal(l7s_outcome_refuses(verdict.outcome), cases[i].refused);
        if (cases[i].refused) {
            assert_string_equal(verdict.policy, "known-only");
        }
    }
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_match_index_memo_never_mistakes_a_request),
        TEST(test_match_many_contained_texts_are_each_found),
        TEST(test_match_header_equals_any_string_of_a_list),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
