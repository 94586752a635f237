/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows when somebody objects: the verdict, bans, statistics.
 */
#include "../../core/segment/ban_id.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static void test_settle_over_limit_throttles_and_rounds_retry_after_up(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 2, 5);
    fixture_compile(fixture);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    fixture_pass_ms(fixture, 400);
    verdict = fixture_get(fixture, CLIENT, "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.status, 429);
    assert_int_equal(verdict.retry_after_seconds, 3); /* 2.1 seconds */
    assert_string_equal(verdict.action, "throttle");
    assert_string_equal(verdict.policy, "limit");
    assert_string_equal(verdict.key, "client=203.0.113.7");
    assert_memory_equal(verdict.incident, "inc_", 4);
    assert_int_equal(fixture_outcome(fixture, "203.0.113.8"), L7S_OUTCOME_ADMITTED);
    fixture_pass_ms(fixture, 2100);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_THROTTLED);
}

static void test_settle_observed_policy_lets_the_next_one_decide(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "a-log", L7S_ACTION_LOG, 0, 0);
    fixture_policy(fixture, "b-watch", L7S_ACTION_DENY, 0, 0)->mode = L7S_MODE_OBSERVE;
    fixture_policy(fixture, "c-watch", L7S_ACTION_DENY, 0, 0)->mode = L7S_MODE_OBSERVE;
    fixture_policy(fixture, "d-deny", L7S_ACTION_DENY, 0, 0)->match.paths =
        fixture_strings(fixture, "/closed");
    fixture_compile(fixture);
    verdict = fixture_get(fixture, CLIENT, "/open");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.policy, "b-watch");
    verdict = fixture_get(fixture, CLIENT, "/closed");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_DENIED);
    assert_string_equal(verdict.policy, "d-deny");
    assert_int_equal(verdict.retry_after_seconds, 0);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "a-log")->logged), 2);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "b-watch")->would_act), 2);
    assert_int_equal(atomic_load(&fixture->shared.header->verdicts[L7S_OUTCOME_DENIED]),
                     1);
}

static void test_settle_ban_begins_at_the_first_excess_and_ends(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_verdict_t verdict, later;
    l7s_ban_t ban;

    snprintf(fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 1)->response,
             L7S_POLICY_NAME_MAX, "sorry");
    fixture_compile(fixture);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    verdict = fixture_get(fixture, CLIENT, "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
    assert_int_equal(verdict.retry_after_seconds, 60);
    assert_string_equal(verdict.action, "ban");
    assert_true(l7s_bans_find_address(&fixture->shared.bans, &fixture->count_key, &peer,
                                      fixture->now, &ban));
    assert_string_equal(ban.id, "ip:203.0.113.7");
    assert_string_equal(ban.policy, "guard");
    assert_string_equal(ban.incident, verdict.incident);
    assert_int_equal(ban.until_ms, fixture->now.wall_ms + 60000);
    fixture_pass_ms(fixture, 30500);
    later = fixture_get(fixture, CLIENT, "/");
    assert_int_equal(later.outcome, L7S_OUTCOME_BANNED);
    assert_int_equal(later.retry_after_seconds, 30); /* 29.5 */
    assert_string_equal(later.incident, verdict.incident);
    assert_string_equal(later.response, "sorry");
    assert_string_equal(later.key, "client=203.0.113.7");
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->acted), 2);
    fixture_pass_ms(fixture, 30000);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
}

static void test_settle_network_ban_covers_neighbours(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_by(fixture, fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 60),
               "network");
    fixture_compile(fixture);
    fixture_outcome(fixture, CLIENT);
    fixture_outcome(fixture, CLIENT);
    verdict = fixture_get(fixture, "203.0.113.99", "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
    assert_string_equal(verdict.key, "network=203.0.113.0/24");
    assert_int_equal(fixture_outcome(fixture, "203.0.114.1"), L7S_OUTCOME_ADMITTED);
}

static void count_bans(void *context, const l7s_ban_t *ban)
{
    assert_memory_equal(ban->id, "header:h-", 9);
    assert_null(strstr(ban->id, "secret"));
    ++*(unsigned *)context;
}

static void test_settle_ban_of_a_header_is_found_where_it_counts(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "keys", L7S_ACTION_BAN, 1, 60);
    fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", "/api");
    l7s_verdict_t verdict;
    unsigned bans = 0;

    policy->match.paths = fixture_strings(fixture, "/api/**");
    fixture_by(fixture, policy, "header:x-api-key");
    policy = fixture_policy(fixture, "watch", L7S_ACTION_LOG, 1000, 1);
    policy->match.paths = fixture_strings(fixture, "/other");
    fixture_by(fixture, policy, "header:x-api-key");
    fixture_compile(fixture);
    request.headers[0] = "x-api-key: secret-1";
    fixture_decide(fixture, &request);
    verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
    assert_memory_equal(verdict.key, "header:x-api-key=h:", 19);
    assert_null(strstr(fixture_episode(fixture, "keys")->facts.key, "secret"));
    request.facts.client = fixture_addr("198.51.100.1");
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_BANNED);
    request.facts.path = "/other";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_BANNED);
    request.facts.path = "/";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    request.facts.path = "/api";
    request.headers[0] = "x-api-key: secret-2";
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    l7s_bans_visit(&fixture->shared.bans, fixture->now, count_bans, &bans);
    assert_int_equal(bans, 1);
}

static void test_settle_observed_ban_simulates_its_duration(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_verdict_t verdict;
    unsigned bans = 0;

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 1)->mode = L7S_MODE_OBSERVE;
    fixture_compile(fixture);
    fixture_outcome(fixture, CLIENT);
    for (unsigned i = 0; i < 10; i++) {
        verdict = fixture_get(fixture, CLIENT, "/");
        assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
        assert_string_equal(verdict.action, "would_ban");
        fixture_pass_ms(fixture, 5900); /* each would conform to the rate */
    }
    assert_int_equal(fixture_used_tokens(fixture, "guard"), 0);
    l7s_bans_visit(&fixture->shared.bans, fixture->now, count_bans, &bans);
    assert_int_equal(bans, 0);
    assert_false(l7s_bans_find_address(&fixture->shared.bans, &fixture->count_key, &peer,
                                       fixture->now, NULL));
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->acted), 0);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->requests), 10);
    fixture_pass_ms(fixture, 1001);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
}

static void test_settle_held_off_ban_refuses_nobody(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_cidr_t client = l7s_addr_client(&peer);
    l7s_hash128_t digest =
        l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &client);

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 3600);
    fixture_compile(fixture);
    fixture_outcome(fixture, CLIENT);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
    l7s_bans_lift(&fixture->shared.bans, digest, fixture->now.wall_ms + 10000,
                  fixture->now);
    fixture_pass_ms(fixture, 1);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_OBSERVED);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->ban_until_ms),
                     fixture->now.wall_ms - 1 + 60000);
    fixture_pass_ms(fixture, 10000);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
}

static void test_settle_demoted_policy_only_observes_and_so_do_its_bans(void **state)
{
    fixture_t *fixture = *state;
    l7s_stats_row_t *row;

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 60);
    fixture_compile(fixture);
    l7s_guard_turn(&fixture->shared.guard, true);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
    assert_int_equal(fixture_outcome(fixture, "203.0.113.8"), L7S_OUTCOME_ADMITTED);
    uint32_t index = l7s_stats_row(&fixture->shared.stats, "guard");
    assert_int_equal(l7s_guard_clients(&fixture->shared.guard), 2);
    assert_int_equal(l7s_guard_clients_acted(&fixture->shared.guard, index), 1);
    row = &fixture->shared.stats.rows[index];
    atomic_store(&row->demoted, 1);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_OBSERVED);
    assert_int_equal(fixture_outcome(fixture, "203.0.113.8"), L7S_OUTCOME_OBSERVED);
    assert_int_equal(atomic_load(&row->acted), 2);
    atomic_store(&row->demoted, 0);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
}

static void test_settle_ban_of_another_node_opens_its_episode_here(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_ban_t ban = {.network = l7s_addr_client(&peer),
                     .is_address = true,
                     .since_ms = fixture->now.wall_ms,
                     .until_ms = fixture->now.wall_ms + 1000,
                     .status = 418,
                     .origin = L7S_ORIGIN_DAEMON,
                     .id = "ip:203.0.113.7",
                     .policy = "guard",
                     .incident = "inc_OTHER"};
    l7s_episode_t *episode;
    l7s_verdict_t verdict;

    ban.digest = l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &ban.network);
    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 60);
    fixture_compile(fixture);
    assert_int_equal(l7s_bans_put(&fixture->shared.bans, &ban, fixture->now), L7S_OK);
    verdict = fixture_get(fixture, CLIENT, "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
    assert_int_equal(verdict.status, 418);
    episode = fixture_episode(fixture, "guard");
    assert_non_null(episode);
    assert_string_equal(verdict.incident, episode->facts.id);
    assert_string_equal(episode->facts.key, "{\"client\":\"203.0.113.7\"}");
    assert_string_equal(episode->facts.ban_id, "ip:203.0.113.7");
    assert_int_equal(atomic_load(&episode->ban_until_ms), ban.until_ms);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "guard")->acted), 1);
}

/* By hand, for ever or for longer than can be said. */
static void test_settle_ban_says_how_long_as_far_as_that_can_be_said(void **state)
{
    static const struct {
        uint64_t ms;
        uint32_t retry_after_seconds;
    } cases[] = {
        {1, 1},
        {1001, 2},
        {60ULL * 86400 * 1000, 60 * 86400},
        {(uint64_t)UINT32_MAX * 1001, UINT32_MAX},
        {UINT64_MAX / 2, UINT32_MAX},
        {UINT64_MAX, 0},
    };
    fixture_t *fixture = *state;
    l7s_addr_t addr = fixture_addr(CLIENT);

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l7s_ban_t ban = {
            .network = l7s_addr_client(&addr), .is_address = true, .status = 403};
        fixture_reset(fixture);
        fixture_compile(fixture);
        ban.digest =
            l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &ban.network);
        ban.since_ms = fixture->now.wall_ms;
        ban.until_ms =
            cases[i].ms == UINT64_MAX ? UINT64_MAX : ban.since_ms + cases[i].ms;
        l7s_ban_id(&ban.network, ban.id);
        assert_int_equal(l7s_bans_put(&fixture->shared.bans, &ban, fixture->now), L7S_OK);
        l7s_verdict_t verdict = fixture_get(fixture, CLIENT, "/");
        assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
        assert_int_equal(verdict.retry_after_seconds, cases[i].retry_after_seconds);
    }
}

/* It acts all the same, and names no incident. */
static void test_settle_without_room_for_an_episode_refuses_and_bans(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 60);
    fixture_compile(fixture);
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        atomic_store(&fixture->shared.episodes.entries[i].key_lo, UINT64_MAX - i);
    }
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    for (unsigned i = 0; i < 2; i++) { /* the ban begins, the ban holds */
        verdict = fixture_get(fixture, CLIENT, "/");
        assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
        assert_string_equal(verdict.policy, "guard");
        assert_string_equal(verdict.incident, "");
        assert_int_equal(atomic_load(&fixture->shared.header->episodes_dropped), i + 1);
    }
    assert_int_equal(atomic_load(&fixture_stats(fixture, "guard")->acted), 2);
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_settle_over_limit_throttles_and_rounds_retry_after_up),
        TEST(test_settle_observed_policy_lets_the_next_one_decide),
        TEST(test_settle_ban_begins_at_the_first_excess_and_ends),
        TEST(test_settle_network_ban_covers_neighbours),
        TEST(test_settle_ban_of_a_header_is_found_where_it_counts),
        TEST(test_settle_observed_ban_simulates_its_duration),
        TEST(test_settle_held_off_ban_refuses_nobody),
        TEST(test_settle_demoted_policy_only_observes_and_so_do_its_bans),
        TEST(test_settle_ban_of_another_node_opens_its_episode_here),
        TEST(test_settle_ban_says_how_long_as_far_as_that_can_be_said),
        TEST(test_settle_without_room_for_an_episode_refuses_and_bans),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
