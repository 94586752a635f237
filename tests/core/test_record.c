/* SPDX-License-Identifier: Apache-2.0
 *
 * What an episode keeps of its requests.
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

static void test_record_episode_tells_who_what_and_how_often(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "POST", "shop.test", "/login");
    l7s_episode_t *episode;

    fixture_app(fixture, "shop", "shop.test", "");
    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 2, 2);
    fixture_compile(fixture);
    request.headers[0] = "user-agent: curl/8";
    for (unsigned i = 0; i < 5; i++) {
        fixture_decide(fixture, &request);
    }
    episode = fixture_episode(fixture, "limit");
    assert_non_null(episode);
    assert_int_equal(atomic_load(&episode->requests), 3);
    assert_int_equal(atomic_load(&episode->acted), 3);
    fixture_pass_ms(fixture, 1000);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(atomic_load(&episode->passed), 1);
    assert_int_equal(atomic_load(&episode->requests), 4);
    assert_string_equal(episode->facts.action, "throttle");
    assert_string_equal(episode->facts.detector, "rate");
    assert_string_equal(episode->facts.app, "shop");
    assert_string_equal(episode->facts.host, "shop.test");
    assert_string_equal(episode->facts.path, "/login");
    assert_string_equal(episode->facts.method, "POST");
    assert_string_equal(episode->facts.user_agent, "curl/8");
    assert_string_equal(episode->facts.ban_id, "");
    assert_int_equal(episode->facts.limit, 2);
    assert_int_equal(episode->facts.per_seconds, 2);
    assert_int_equal(episode->facts.mode, L7S_MODE_ENFORCE);
    assert_int_equal(episode->facts.revision, 7);
    l7s_episode_close(&fixture->shared.episodes, episode);
    fixture_pass_ms(fixture, 1000);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    assert_null(fixture_episode(fixture, "limit"));
}

/* What a request with this target leaves in its episode. */
static const char *recorded_query(fixture_t *fixture, bool records, const char *target)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "example.com", "/");
    void *state = fixture;

    fixture_start(&state);
    fixture_policy(fixture, "login", L7S_ACTION_DENY, 0, 0);
    fixture->config.records_query = records;
    fixture_compile(fixture);
    request.facts.target = target;
    fixture_decide(fixture, &request);
    return fixture_episode(fixture, "login")->facts.query;
}

static void test_record_episode_keeps_the_query_only_when_told_to(void **state)
{
    fixture_t *fixture = *state;
    char target[400] = "/?a=";

    memset(target + 4, 'x', sizeof target - 5);
    assert_string_equal(recorded_query(fixture, true, "/?a=1&b=%41?c"), "a=1&b=%41?c");
    assert_string_equal(recorded_query(fixture, true, "/?"), "");
    assert_string_equal(recorded_query(fixture, true, "/"), "");
    assert_string_equal(recorded_query(fixture, true, NULL), "");
    assert_int_equal(strlen(recorded_query(fixture, true, target)), 159);
    assert_string_equal(recorded_query(fixture, false, "/?a=1"), "");
}

static void test_record_many_keys_fold_into_a_campaign(void **state)
{
    fixture_t *fixture = *state;
    l7s_episode_t *campaign = NULL;
    unsigned alone = 0;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 1);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 50; i++) {
        char client[20];
        snprintf(client, sizeof client, "10.0.0.%u", i);
        assert_int_equal(fixture_outcome(fixture, client), L7S_OUTCOME_ADMITTED);
        assert_int_equal(fixture_outcome(fixture, client), L7S_OUTCOME_THROTTLED);
    }
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        l7s_episode_t *episode = &fixture->shared.episodes.entries[i];
        if (atomic_load(&episode->key_lo) != 0) {
            alone += !episode->facts.campaign;
            campaign = episode->facts.campaign ? episode : campaign;
        }
    }
    assert_int_equal(alone, L7S_CAMPAIGN_KEYS);
    assert_non_null(campaign);
    assert_int_equal(atomic_load(&campaign->acted), 50 - L7S_CAMPAIGN_KEYS);
    fixture_pass_ms(fixture, 1000);
    assert_int_equal(fixture_outcome(fixture, "10.0.0.49"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(atomic_load(&campaign->passed), 1);
}

/* A slot points to a place where episodes come and go. */
static void test_record_passed_leaves_an_episode_alone_that_is_anothers(void **state)
{
    fixture_t *fixture = *state;
    l7s_episode_t *episode;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 1);
    fixture_compile(fixture);
    fixture_outcome(fixture, CLIENT);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_THROTTLED);
    episode = fixture_episode(fixture, "limit");
    l7s_hash128_t key = {0x1234567800000000ULL, 1};
    atomic_store(&episode->key_lo, key.lo);
    fixture_pass_ms(fixture, 1000);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(atomic_load(&episode->passed), 0);
    assert_int_equal(atomic_load(&episode->requests), 1);
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_record_episode_tells_who_what_and_how_often),
        TEST(test_record_episode_keeps_the_query_only_when_told_to),
        TEST(test_record_many_keys_fold_into_a_campaign),
        TEST(test_record_passed_leaves_an_episode_alone_that_is_anothers),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
