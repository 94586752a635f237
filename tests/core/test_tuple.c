/* SPDX-License-Identifier: Apache-2.0
 *
 * Whom a request counts as, and how people read it.
 */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static uint64_t used_slots(const fixture_t *fixture)
{
    uint64_t used = 0;

    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        used += atomic_load(&fixture->shared.table.slots[i].key_lo) != 0;
    }
    return used;
}

static void test_tuple_key_text_hides_secrets_and_escapes(void **state)
{
    static const struct {
        const char *by, *client, *path, *header, *text, *json;
    } cases[] = {
        {"client", CLIENT, "/", NULL, "client=203.0.113.7",
         "{\"client\":\"203.0.113.7\"}"},
        {"client", "2001:db8::1", "/", NULL, "client=2001:db8::/64",
         "{\"client\":\"2001:db8::/64\"}"},
        {"network path", CLIENT, "/a\"b\\c\x01", NULL,
         "network=203.0.113.0/24,path=/a%22b%5Cc%01",
         "{\"network\":\"203.0.113.0/24\",\"path\":\"/a%22b%5Cc%01\"}"},
        {"header:user-agent", CLIENT, "/", "user-agent: curl/8",
         "header:user-agent=curl/8", "{\"header:user-agent\":\"curl/8\"}"},
        {"header:x-api-key", CLIENT, "/", "accept: x",
         "header:x-api-key=-,client=203.0.113.7",
         "{\"header:x-api-key\":null,\"client\":\"203.0.113.7\"}"},
        {"global", CLIENT, "/", NULL, "global=", "{\"global\":\"\"}"},
        {"host app", CLIENT, "/", NULL, "host=www.example.com,app=-",
         "{\"host\":\"www.example.com\",\"app\":null}"},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_request_t request =
            fixture_request(cases[i].client, "GET", "www.example.com", cases[i].path);
        l7s_verdict_t verdict;
        fixture_reset(fixture);
        fixture_by(fixture, fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0),
                   cases[i].by);
        fixture_compile(fixture);
        request.headers[0] = cases[i].header;
        verdict = fixture_decide(fixture, &request);
        assert_string_equal(verdict.key, cases[i].text);
        assert_string_equal(fixture_episode(fixture, "deny")->facts.key, cases[i].json);
    }
}

static void test_tuple_long_keys_are_told_apart_by_their_hash(void **state)
{
    fixture_t *fixture = *state;
    char path[L7S_PATH_MAX];
    l7s_verdict_t one, other;

    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    fixture_by(fixture, fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0), "path");
    fixture_compile(fixture);
    one = fixture_get(fixture, CLIENT, path);
    path[sizeof path - 2] = 'b';
    other = fixture_get(fixture, CLIENT, path);
    assert_memory_equal(one.key, "path=h:", 7);
    assert_string_not_equal(one.key, other.key);
}

static void test_tuple_when_absent_skips_shares_or_counts_by_client(void **state)
{
    static const struct {
        l7s_absent_t absent;
        l7s_outcome_t second_client;
        uint64_t slots;
    } cases[] = {
        {L7S_ABSENT_CLIENT, L7S_OUTCOME_ADMITTED, 2},
        {L7S_ABSENT_SHARED, L7S_OUTCOME_THROTTLED, 1},
        {L7S_ABSENT_SKIP, L7S_OUTCOME_ADMITTED, 0},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l7s_policy_t *policy;
        fixture_reset(fixture);
        policy = fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 60);
        fixture_by(fixture, policy, "header:x-api-key");
        policy->when_absent = cases[i].absent;
        fixture_compile(fixture);
        assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
        assert_int_equal(fixture_outcome(fixture, "10.0.0.1"), cases[i].second_client);
        assert_int_equal(used_slots(fixture), cases[i].slots);
    }
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_tuple_key_text_hides_secrets_and_escapes),
        TEST(test_tuple_long_keys_are_told_apart_by_their_hash),
        TEST(test_tuple_when_absent_skips_shares_or_counts_by_client),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
