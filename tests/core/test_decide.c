/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions one rule at a time; test_decide_random.c compares the whole with a reference.
 */
#include "policy_fixture.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static l7s_verdict_t get(fixture_t *fixture, const char *client, const char *path)
{
    fixture_request_t request = fixture_request(client, "GET", "www.example.com", path);

    return fixture_decide(fixture, &request);
}

static l7s_outcome_t outcome(fixture_t *fixture, const char *client)
{
    return get(fixture, client, "/").outcome;
}

static uint64_t used_slots(const fixture_t *fixture)
{
    uint64_t used = 0;

    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        used += atomic_load(&fixture->shared.table.slots[i].key_lo) != 0;
    }
    return used;
}

/* Tokens in use of the only counter of a limit. */
static uint32_t used_tokens(const fixture_t *fixture, const char *policy)
{
    l7s_hash128_t identity = l7s_limit_identity(&fixture->count_key, policy, policy, 0);
    uint32_t id = (uint32_t)identity.lo;
    const l7s_image_limit_t *limit = l7s_image_limit(fixture->image, id);

    assert_non_null(limit);
    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        l7s_slot_t *slot = &fixture->shared.table.slots[i];
        if (atomic_load(&slot->key_lo) != 0 && atomic_load(&slot->limit) == id) {
            return limit->rate.burst - l7s_bucket_headroom(&limit->rate,
                                                           atomic_load(&slot->tat),
                                                           fixture->now.mono_us);
        }
    }
    return 0;
}

/* --- throttle, deny, log, allow --- */

static void test_decide_over_limit_throttles_and_rounds_retry_after_up(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 2, 5);
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    fixture_pass_ms(fixture, 400);
    verdict = get(fixture, CLIENT, "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.status, 429);
    assert_int_equal(verdict.retry_after_seconds, 3); /* 2.1 seconds */
    assert_string_equal(verdict.action, "throttle");
    assert_string_equal(verdict.policy, "limit");
    assert_string_equal(verdict.key, "client=203.0.113.7");
    assert_memory_equal(verdict.incident, "inc_", 4);
    assert_int_equal(outcome(fixture, "203.0.113.8"), L7S_OUTCOME_ADMITTED);
    fixture_pass_ms(fixture, 2100);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_THROTTLED);
}

static void test_decide_refused_request_charges_nobody(void **state)
{
    fixture_t *fixture = *state;

    fixture_by(fixture, fixture_policy(fixture, "all", L7S_ACTION_THROTTLE, 100, 60),
               "global");
    fixture_policy(fixture, "one", L7S_ACTION_THROTTLE, 1, 60);
    fixture_by(fixture, fixture_policy(fixture, "after", L7S_ACTION_LOG, 100, 60),
               "global");
    fixture_compile(fixture);
    outcome(fixture, CLIENT);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_THROTTLED);
    }
    assert_int_equal(used_tokens(fixture, "all"), 1);
    assert_int_equal(used_tokens(fixture, "one"), 1);
    assert_int_equal(used_tokens(fixture, "after"), 1);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "all")->matched), 51);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "after")->matched), 1);
}

static void test_decide_nonconforming_policy_is_not_charged_in_any_mode(void **state)
{
    static const struct {
        l7s_action_t action;
        l7s_mode_t mode;
        l7s_outcome_t outcome;
        const char *word;
    } cases[] = {
        {L7S_ACTION_THROTTLE, L7S_MODE_ENFORCE, L7S_OUTCOME_THROTTLED, "throttle"},
        {L7S_ACTION_THROTTLE, L7S_MODE_OBSERVE, L7S_OUTCOME_OBSERVED, "would_throttle"},
        {L7S_ACTION_DENY, L7S_MODE_ENFORCE, L7S_OUTCOME_DENIED, "deny"},
        {L7S_ACTION_DENY, L7S_MODE_OBSERVE, L7S_OUTCOME_OBSERVED, "would_deny"},
        {L7S_ACTION_DROP, L7S_MODE_ENFORCE, L7S_OUTCOME_DROPPED, "drop"},
        {L7S_ACTION_DROP, L7S_MODE_OBSERVE, L7S_OUTCOME_OBSERVED, "would_drop"},
        {L7S_ACTION_LOG, L7S_MODE_ENFORCE, L7S_OUTCOME_LOGGED, "log"},
        {L7S_ACTION_LOG, L7S_MODE_OBSERVE, L7S_OUTCOME_LOGGED, "log"},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l7s_verdict_t verdict;
        fixture_reset(fixture);
        fixture_policy(fixture, "limit", cases[i].action, 2, 60)->mode = cases[i].mode;
        fixture_compile(fixture);
        outcome(fixture, CLIENT);
        outcome(fixture, CLIENT);
        for (unsigned k = 0; k < 5; k++) {
            verdict = get(fixture, CLIENT, "/");
            assert_int_equal(verdict.outcome, cases[i].outcome);
            assert_string_equal(verdict.action, cases[i].word);
        }
        assert_int_equal(used_tokens(fixture, "limit"), 2);
    }
}

static void test_decide_observed_policy_lets_the_next_one_decide(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "a-log", L7S_ACTION_LOG, 0, 0);
    fixture_policy(fixture, "b-watch", L7S_ACTION_DENY, 0, 0)->mode = L7S_MODE_OBSERVE;
    fixture_policy(fixture, "c-watch", L7S_ACTION_DENY, 0, 0)->mode = L7S_MODE_OBSERVE;
    fixture_policy(fixture, "d-deny", L7S_ACTION_DENY, 0, 0)->match.paths =
        fixture_strings(fixture, "/closed");
    fixture_compile(fixture);
    verdict = get(fixture, CLIENT, "/open");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.policy, "b-watch");
    verdict = get(fixture, CLIENT, "/closed");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_DENIED);
    assert_string_equal(verdict.policy, "d-deny");
    assert_int_equal(verdict.retry_after_seconds, 0);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "a-log")->logged), 2);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "b-watch")->would_act), 2);
    assert_int_equal(atomic_load(&fixture->shared.header->verdicts[L7S_OUTCOME_DENIED]),
                     1);
}

static void test_decide_allow_policy_ends_the_evaluation(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "counted", L7S_ACTION_THROTTLE, 100, 60);
    fixture_policy(fixture, "health", L7S_ACTION_ALLOW, 0, 0)->match.paths =
        fixture_strings(fixture, "/health");
    fixture_policy(fixture, "closed", L7S_ACTION_DENY, 0, 0);
    fixture_compile(fixture);
    verdict = get(fixture, CLIENT, "/health");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_ALLOW_LISTED);
    assert_string_equal(verdict.policy, "health");
    assert_int_equal(used_tokens(fixture, "counted"), 1);
    assert_int_equal(get(fixture, CLIENT, "/").outcome, L7S_OUTCOME_DENIED);
    assert_null(fixture_episode(fixture, "health"));
}

static void test_decide_several_rates_must_all_conform(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 3, 1);
    l7s_verdict_t verdict;

    policy->rate_count = 2;
    policy->rates[1] = (l7s_rate_t){5, 5, 60000000};
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
        fixture_pass_ms(fixture, 400);
    }
    verdict = get(fixture, CLIENT, "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.retry_after_seconds, 10);
    assert_int_equal(used_slots(fixture), 2);
}

/* --- modes --- */

static void test_decide_least_strict_mode_wins(void **state)
{
    static const l7s_mode_t modes[] = {L7S_MODE_OFF, L7S_MODE_OBSERVE, L7S_MODE_ENFORCE};
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 81; i++) {
        l7s_mode_t directive = modes[i % 3], node = modes[i / 3 % 3];
        l7s_mode_t app = modes[i / 9 % 3], own = modes[i / 27];
        l7s_mode_t least =
            l7s_mode_least(l7s_mode_least(directive, node), l7s_mode_least(app, own));
        fixture_request_t request = fixture_request(CLIENT, "GET", "shop.test", "/");
        fixture_reset(fixture);
        fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0)->mode = own;
        fixture_app(fixture, "shop", "shop.test", "")->mode = app;
        fixture_compile(fixture);
        request.facts.mode = directive;
        atomic_store(&fixture->shared.header->mode, node);
        assert_int_equal(fixture_decide(fixture, &request).outcome,
                         least == L7S_MODE_ENFORCE   ? L7S_OUTCOME_DENIED
                         : least == L7S_MODE_OBSERVE ? L7S_OUTCOME_OBSERVED
                                                     : L7S_OUTCOME_ADMITTED);
        assert_int_equal(atomic_load(&fixture_stats(fixture, "deny")->matched),
                         least != L7S_MODE_OFF);
    }
}

static void test_decide_rollout_acts_on_its_share_of_keys(void **state)
{
    fixture_t *fixture = *state;
    unsigned acted = 0;

    fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0)->rollout_percent = 30;
    fixture_compile(fixture);
    for (unsigned i = 0; i < 1000; i++) {
        char client[20];
        l7s_outcome_t first;
        snprintf(client, sizeof client, "10.0.%u.%u", i / 250, i % 250);
        first = outcome(fixture, client);
        assert_true(first == L7S_OUTCOME_DENIED || first == L7S_OUTCOME_OBSERVED);
        assert_int_equal(outcome(fixture, client), first);
        acted += first == L7S_OUTCOME_DENIED;
    }
    assert_in_range(acted, 250, 350);
}

static void test_decide_trusted_proxy_is_only_observed(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request("10.0.0.1", "GET", "a.test", "/");

    fixture_list(fixture, "closed", L7S_EFFECT_DENY, "10.0.0.0/8");
    fixture_policy(fixture, "ban", L7S_ACTION_BAN, 1, 60);
    fixture_by(fixture, fixture_policy(fixture, "all", L7S_ACTION_THROTTLE, 3, 60),
               "global");
    fixture_compile(fixture);
    request.facts.client_is_proxy = true;
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_OBSERVED);
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_OBSERVED);
    /* What does not count by client holds for it, too. */
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_THROTTLED);
    request.facts.client_is_proxy = false;
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_LISTED);
}

/* --- lists --- */

static void test_decide_allow_list_beats_bans_and_deny_lists(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "ban", L7S_ACTION_BAN, 1, 60);
    l7s_verdict_t verdict;

    fixture_by(fixture, policy, "network");
    fixture_list(fixture, "closed", L7S_EFFECT_DENY, "203.0.113.0/24");
    fixture_list(fixture, "office", L7S_EFFECT_ALLOW, "203.0.113.128/25");
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_LISTED);
    verdict = get(fixture, "203.0.113.200", "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_ALLOW_LISTED);
    assert_string_equal(verdict.policy, "office");
    assert_int_equal(used_slots(fixture), 0);
}

static void test_decide_list_of_an_app_is_judged_in_that_app(void **state)
{
    static const struct {
        const char *client, *host;
        l7s_outcome_t outcome;
    } cases[] = {
        {"10.0.0.1", "shop.test", L7S_OUTCOME_LISTED},
        {"10.0.0.1", "blog.test", L7S_OUTCOME_ADMITTED},
        {"10.1.0.1", "shop.test", L7S_OUTCOME_ALLOW_LISTED},
        {"10.1.0.1", "blog.test", L7S_OUTCOME_ADMITTED},
    };
    fixture_t *fixture = *state;

    fixture_app(fixture, "shop", "shop.test", "");
    fixture_list(fixture, "closed", L7S_EFFECT_DENY, "10.0.0.0/8")->apps =
        fixture_strings(fixture, "shop");
    fixture_list(fixture, "partner", L7S_EFFECT_ALLOW, "10.1.0.0/16")->apps =
        fixture_strings(fixture, "shop");
    fixture_compile(fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_request_t request =
            fixture_request(cases[i].client, "GET", cases[i].host, "/");
        assert_int_equal(fixture_decide(fixture, &request).outcome, cases[i].outcome);
    }
}

static void test_decide_address_refuses_by_bans_and_unbound_lists_only(void **state)
{
    static const struct {
        const char *peer, *policy;
        bool refused;
    } cases[] = {
        {"10.0.0.1", "closed", true}, {"10.1.0.1", "", false}, {"10.2.0.1", "", false},
        {"192.0.2.1", "", false},     {"192.0.2.2", "", true}, {"10.2.0.2", "", false},
    };
    fixture_t *fixture = *state;

    fixture_list(fixture, "closed", L7S_EFFECT_DENY, "10.0.0.0/16");
    fixture_list(fixture, "shop-closed", L7S_EFFECT_DENY, "10.1.0.0/16")->apps =
        fixture_strings(fixture, "shop");
    fixture_list(fixture, "shop-partner", L7S_EFFECT_ALLOW, "10.2.0.0/16")->apps =
        fixture_strings(fixture, "shop");
    fixture_compile(fixture);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l7s_addr_t peer = fixture_addr(cases[i].peer);
        l7s_ban_t ban = {.network = l7s_addr_client(&peer),
                         .is_address = true,
                         .since_ms = fixture->now.wall_ms,
                         .until_ms = UINT64_MAX,
                         .status = 403,
                         .id = "ip:"};
        l7s_verdict_t verdict;
        ban.digest =
            l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &ban.network);
        if (peer.bytes[15] == 2) {
            assert_int_equal(l7s_bans_put(&fixture->shared.bans, &ban, fixture->now),
                             L7S_OK);
        }
        assert_int_equal(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                            L7S_MODE_ENFORCE, fixture->now, &verdict),
                         cases[i].refused);
        if (cases[i].refused) {
            assert_string_equal(verdict.policy, cases[i].policy);
            assert_int_equal(verdict.retry_after_seconds, 0);
            assert_int_equal(verdict.status, 403);
        }
        assert_false(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                        L7S_MODE_OBSERVE, fixture->now, &verdict));
        assert_int_equal(verdict.outcome, L7S_OUTCOME_ADMITTED);
        assert_false(l7s_decide_address(&fixture->shared, NULL, &peer, L7S_MODE_ENFORCE,
                                        fixture->now, &verdict));
    }
}

/* --- bans --- */

static void test_decide_ban_begins_at_the_first_excess_and_ends(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_verdict_t verdict, later;
    l7s_ban_t ban;

    snprintf(fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 1)->response,
             L7S_POLICY_NAME_MAX, "sorry");
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    verdict = get(fixture, CLIENT, "/");
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
    later = get(fixture, CLIENT, "/");
    assert_int_equal(later.outcome, L7S_OUTCOME_BANNED);
    assert_int_equal(later.retry_after_seconds, 30); /* 29.5 */
    assert_string_equal(later.incident, verdict.incident);
    assert_string_equal(later.response, "sorry");
    assert_string_equal(later.key, "client=203.0.113.7");
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->acted), 2);
    fixture_pass_ms(fixture, 30000);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
}

static void test_decide_network_ban_covers_neighbours(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_by(fixture, fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 60),
               "network");
    fixture_compile(fixture);
    outcome(fixture, CLIENT);
    outcome(fixture, CLIENT);
    verdict = get(fixture, "203.0.113.99", "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
    assert_string_equal(verdict.key, "network=203.0.113.0/24");
    assert_int_equal(outcome(fixture, "203.0.114.1"), L7S_OUTCOME_ADMITTED);
}

static void count_bans(void *context, const l7s_ban_t *ban)
{
    assert_memory_equal(ban->id, "header:h-", 9);
    assert_null(strstr(ban->id, "secret"));
    ++*(unsigned *)context;
}

static void test_decide_ban_of_a_header_is_found_where_it_counts(void **state)
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

static void test_decide_observed_ban_simulates_its_duration(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_verdict_t verdict;
    unsigned bans = 0;

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 1)->mode = L7S_MODE_OBSERVE;
    fixture_compile(fixture);
    outcome(fixture, CLIENT);
    for (unsigned i = 0; i < 10; i++) {
        verdict = get(fixture, CLIENT, "/");
        assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
        assert_string_equal(verdict.action, "would_ban");
        fixture_pass_ms(fixture, 5900); /* each would conform to the rate */
    }
    assert_int_equal(used_tokens(fixture, "guard"), 0);
    l7s_bans_visit(&fixture->shared.bans, fixture->now, count_bans, &bans);
    assert_int_equal(bans, 0);
    assert_false(l7s_bans_find_address(&fixture->shared.bans, &fixture->count_key, &peer,
                                       fixture->now, NULL));
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->acted), 0);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->requests), 10);
    fixture_pass_ms(fixture, 1001);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
}

static void test_decide_held_off_ban_refuses_nobody(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_cidr_t client = l7s_addr_client(&peer);
    l7s_hash128_t digest =
        l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &client);

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 3600);
    fixture_compile(fixture);
    outcome(fixture, CLIENT);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
    l7s_bans_lift(&fixture->shared.bans, digest, fixture->now.wall_ms + 10000,
                  fixture->now);
    fixture_pass_ms(fixture, 1);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_OBSERVED);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->ban_until_ms),
                     fixture->now.wall_ms - 1 + 60000);
    fixture_pass_ms(fixture, 10000);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
}

static void test_decide_held_client_passes_deny_lists_and_network_bans(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_cidr_t client = l7s_addr_client(&peer);
    l7s_verdict_t verdict;

    fixture_list(fixture, "closed", L7S_EFFECT_DENY, "203.0.113.0/24");
    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 3600);
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_LISTED);
    l7s_bans_lift(&fixture->shared.bans,
                  l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &client),
                  fixture->now.wall_ms + 10000, fixture->now);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_THROTTLED); /* limits hold */
    assert_int_equal(outcome(fixture, "203.0.113.8"), L7S_OUTCOME_LISTED);
    assert_false(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                    L7S_MODE_ENFORCE, fixture->now, &verdict));
    fixture_pass_ms(fixture, 10000);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_LISTED);
}

static void test_decide_demoted_policy_only_observes_and_so_do_its_bans(void **state)
{
    fixture_t *fixture = *state;
    l7s_stats_row_t *row;

    fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 60);
    fixture_compile(fixture);
    l7s_guard_turn(&fixture->shared.guard, true);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
    assert_int_equal(outcome(fixture, "203.0.113.8"), L7S_OUTCOME_ADMITTED);
    uint32_t index = l7s_stats_row(&fixture->shared.stats, "guard");
    assert_int_equal(l7s_guard_clients(&fixture->shared.guard), 2);
    assert_int_equal(l7s_guard_clients_acted(&fixture->shared.guard, index), 1);
    row = &fixture->shared.stats.rows[index];
    atomic_store(&row->demoted, 1);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_OBSERVED);
    assert_int_equal(outcome(fixture, "203.0.113.8"), L7S_OUTCOME_OBSERVED);
    assert_int_equal(atomic_load(&row->acted), 2);
    atomic_store(&row->demoted, 0);
    assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_BANNED);
}

static void test_decide_ban_of_another_node_opens_its_episode_here(void **state)
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
    verdict = get(fixture, CLIENT, "/");
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

/* --- episodes --- */

static void test_decide_episode_tells_who_what_and_how_often(void **state)
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

static void test_decide_episode_keeps_the_query_only_when_told_to(void **state)
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

static void test_decide_many_keys_fold_into_a_campaign(void **state)
{
    fixture_t *fixture = *state;
    l7s_episode_t *campaign = NULL;
    unsigned alone = 0;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 1);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 50; i++) {
        char client[20];
        snprintf(client, sizeof client, "10.0.0.%u", i);
        assert_int_equal(outcome(fixture, client), L7S_OUTCOME_ADMITTED);
        assert_int_equal(outcome(fixture, client), L7S_OUTCOME_THROTTLED);
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
    assert_int_equal(outcome(fixture, "10.0.0.49"), L7S_OUTCOME_ADMITTED);
    assert_int_equal(atomic_load(&campaign->passed), 1);
}

/* --- races --- */

/* Stands for another worker: while the header is asked for, it uses the last token. */
static const char *steal(void *context, const char *name)
{
    fixture_t *fixture = context;
    uint32_t count;
    const l7s_image_limit_t *limit = l7s_image_limits(fixture->image, &count);

    if (strcmp(name, "x-late") != 0) {
        return NULL;
    }
    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        l7s_slot_t *slot = &fixture->shared.table.slots[i];
        while (atomic_load(&slot->limit) == limit[2].id &&
               l7s_bucket_take(&limit[2].rate, &slot->tat, fixture->now.mono_us, 1)) {
        }
    }
    return "yes";
}

static l7s_verdict_t decide_robbed(fixture_t *fixture)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "a.test", "/");
    l7s_verdict_t verdict;

    request.facts.header = steal;
    request.facts.context = fixture;
    l7s_decide(&fixture->shared, fixture->image, &request.facts, fixture->now, &verdict);
    return verdict;
}

static void add_robbed(fixture_t *fixture, l7s_mode_t mode)
{
    l7s_policy_t *late, *robbed;

    fixture_policy(fixture, "a-first", L7S_ACTION_THROTTLE, 100, 60);
    robbed = fixture_policy(fixture, "b-robbed", L7S_ACTION_THROTTLE, 50, 60);
    robbed->mode = mode;
    robbed->rate_count = 2; /* the second one is stolen from */
    robbed->rates[1] = (l7s_rate_t){10, 10, 60000000};
    late = fixture_policy(fixture, "c-late", L7S_ACTION_THROTTLE, 100, 60);
    fixture_compile(fixture);
    outcome(fixture, CLIENT); /* so that there is something to steal from */
    /* Exceptions are looked at one policy after the other. */
    fixture_match_header(fixture, fixture_except(fixture, late), "x-late", L7S_IS_ABSENT,
                         "");
    fixture_compile(fixture);
}

static void test_decide_lost_race_refunds_and_refuses(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    add_robbed(fixture, L7S_MODE_ENFORCE);
    verdict = decide_robbed(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(verdict.policy, "b-robbed");
    assert_int_equal(verdict.retry_after_seconds, 6);
    assert_int_equal(used_tokens(fixture, "a-first"), 1);
    assert_int_equal(used_tokens(fixture, "b-robbed"), 1);
    assert_int_equal(used_tokens(fixture, "c-late"), 1);
}

static void test_decide_lost_race_of_an_observer_charges_the_others(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    add_robbed(fixture, L7S_MODE_OBSERVE);
    verdict = decide_robbed(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.policy, "b-robbed");
    assert_int_equal(used_tokens(fixture, "a-first"), 2);
    assert_int_equal(used_tokens(fixture, "c-late"), 2);
    assert_int_equal(used_tokens(fixture, "b-robbed"), 1);
}

typedef struct {
    fixture_t *fixture;
    unsigned admitted;
} worker_t;

static void *work(void *context)
{
    worker_t *worker = context;

    for (unsigned i = 0; i < 500; i++) {
        worker->admitted += outcome(worker->fixture, CLIENT) == L7S_OUTCOME_ADMITTED;
    }
    return NULL;
}

static void test_decide_threads_share_a_limit_exactly(void **state)
{
    fixture_t *fixture = *state;
    pthread_t threads[4];
    worker_t workers[4];
    unsigned admitted = 0;

    fixture_policy(fixture, "a-wide", L7S_ACTION_THROTTLE, 5000, 3600);
    fixture_by(fixture,
               fixture_policy(fixture, "b-narrow", L7S_ACTION_THROTTLE, 700, 3600),
               "global");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 4; i++) {
        workers[i] = (worker_t){fixture, 0};
        assert_int_equal(pthread_create(&threads[i], NULL, work, &workers[i]), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
        admitted += workers[i].admitted;
    }
    assert_int_equal(admitted, 700);
    assert_int_equal(used_tokens(fixture, "b-narrow"), 700);
    assert_int_equal(used_tokens(fixture, "a-wide"), 700);
}

/* --- keys as people read them --- */

static void test_decide_key_text_hides_secrets_and_escapes(void **state)
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

static void test_decide_long_keys_are_told_apart_by_their_hash(void **state)
{
    fixture_t *fixture = *state;
    char path[L7S_PATH_MAX];
    l7s_verdict_t one, other;

    memset(path, 'a', sizeof path);
    path[0] = '/';
    path[sizeof path - 1] = '\0';
    fixture_by(fixture, fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0), "path");
    fixture_compile(fixture);
    one = get(fixture, CLIENT, path);
    path[sizeof path - 2] = 'b';
    other = get(fixture, CLIENT, path);
    assert_memory_equal(one.key, "path=h:", 7);
    assert_string_not_equal(one.key, other.key);
}

static void test_decide_when_absent_skips_shares_or_counts_by_client(void **state)
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
        assert_int_equal(outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
        assert_int_equal(outcome(fixture, "10.0.0.1"), cases[i].second_client);
        assert_int_equal(used_slots(fixture), cases[i].slots);
    }
}

static void test_decide_full_table_admits_and_raises_the_alarm(void **state)
{
    fixture_t *fixture = *state;
    unsigned admitted = 0;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 3600);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5000; i++) {
        char client[20];
        snprintf(client, sizeof client, "10.0.%u.%u", i / 250, i % 250);
        admitted += outcome(fixture, client) == L7S_OUTCOME_ADMITTED;
    }
    assert_int_equal(admitted, 5000);
    assert_true(atomic_load(&fixture->shared.table.stats->overflowed) +
                    atomic_load(&fixture->shared.table.stats->evicted_live) >
                0);
}

/* Clients change on a connection behind a proxy, and the counting key may change too. */
static void test_decide_memo_never_mistakes_a_client(void **state)
{
    fixture_t *fixture = *state;
    l7s_memo_t memo = {0};

    for (unsigned round = 0; round < 2; round++) {
        fixture_reset(fixture);
        fixture->count_key.k1 += round;
        fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 3, 3600);
        fixture_compile(fixture);
        for (unsigned i = 0; i < 12; i++) {
            fixture_request_t request =
                fixture_request(i % 2 ? "10.0.0.1" : "10.0.0.2", "GET", "h", "/");
            request.facts.memo = i % 3 ? &memo : NULL;
            assert_int_equal(fixture_decide(fixture, &request).outcome,
                             i < 6 ? L7S_OUTCOME_ADMITTED : L7S_OUTCOME_THROTTLED);
        }
        assert_int_equal(used_slots(fixture), 2);
    }
}

/* What a connection remembers is of one image, one host, one client and one value. */
static void test_decide_index_memo_never_mistakes_a_request(void **state)
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
static void test_decide_many_contained_texts_are_each_found(void **state)
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

static void test_decide_header_equals_any_string_of_a_list(void **state)
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
        TEST(test_decide_over_limit_throttles_and_rounds_retry_after_up),
        TEST(test_decide_refused_request_charges_nobody),
        TEST(test_decide_nonconforming_policy_is_not_charged_in_any_mode),
        TEST(test_decide_observed_policy_lets_the_next_one_decide),
        TEST(test_decide_allow_policy_ends_the_evaluation),
        TEST(test_decide_several_rates_must_all_conform),
        TEST(test_decide_least_strict_mode_wins),
        TEST(test_decide_rollout_acts_on_its_share_of_keys),
        TEST(test_decide_trusted_proxy_is_only_observed),
        TEST(test_decide_allow_list_beats_bans_and_deny_lists),
        TEST(test_decide_list_of_an_app_is_judged_in_that_app),
        TEST(test_decide_address_refuses_by_bans_and_unbound_lists_only),
        TEST(test_decide_ban_begins_at_the_first_excess_and_ends),
        TEST(test_decide_network_ban_covers_neighbours),
        TEST(test_decide_ban_of_a_header_is_found_where_it_counts),
        TEST(test_decide_observed_ban_simulates_its_duration),
        TEST(test_decide_held_off_ban_refuses_nobody),
        TEST(test_decide_held_client_passes_deny_lists_and_network_bans),
        TEST(test_decide_demoted_policy_only_observes_and_so_do_its_bans),
        TEST(test_decide_ban_of_another_node_opens_its_episode_here),
        TEST(test_decide_episode_tells_who_what_and_how_often),
        TEST(test_decide_episode_keeps_the_query_only_when_told_to),
        TEST(test_decide_many_keys_fold_into_a_campaign),
        TEST(test_decide_lost_race_refunds_and_refuses),
        TEST(test_decide_lost_race_of_an_observer_charges_the_others),
        TEST(test_decide_threads_share_a_limit_exactly),
        TEST(test_decide_key_text_hides_secrets_and_escapes),
        TEST(test_decide_long_keys_are_told_apart_by_their_hash),
        TEST(test_decide_when_absent_skips_shares_or_counts_by_client),
        TEST(test_decide_full_table_admits_and_raises_the_alarm),
        TEST(test_decide_memo_never_mistakes_a_client),
        TEST(test_decide_index_memo_never_mistakes_a_request),
        TEST(test_decide_many_contained_texts_are_each_found),
        TEST(test_decide_header_equals_any_string_of_a_list),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
