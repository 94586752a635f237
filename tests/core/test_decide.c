/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is asked, in which order: lists, bans, policies; test_decide_random.c compares the
 * whole with a reference.
 */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

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

static void test_decide_allow_policy_ends_the_evaluation(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "counted", L7S_ACTION_THROTTLE, 100, 60);
    fixture_policy(fixture, "health", L7S_ACTION_ALLOW, 0, 0)->match.paths =
        fixture_strings(fixture, "/health");
    fixture_policy(fixture, "closed", L7S_ACTION_DENY, 0, 0);
    fixture_compile(fixture);
    verdict = fixture_get(fixture, CLIENT, "/health");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_ALLOW_LISTED);
    assert_string_equal(verdict.policy, "health");
    assert_int_equal(fixture_used_tokens(fixture, "counted"), 1);
    assert_int_equal(fixture_get(fixture, CLIENT, "/").outcome, L7S_OUTCOME_DENIED);
    assert_null(fixture_episode(fixture, "health"));
}

static void test_decide_allow_list_beats_bans_and_deny_lists(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "ban", L7S_ACTION_BAN, 1, 60);
    l7s_verdict_t verdict;

    fixture_by(fixture, policy, "network");
    fixture_list(fixture, "closed", L7S_EFFECT_DENY, "203.0.113.0/24");
    fixture_list(fixture, "office", L7S_EFFECT_ALLOW, "203.0.113.128/25");
    fixture_compile(fixture);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_LISTED);
    verdict = fixture_get(fixture, "203.0.113.200", "/");
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
        memset(&verdict, 0xff, sizeof verdict); /* as the caller's stack may be */
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
        assert_int_equal(verdict.awaits, 0);
        assert_int_equal(verdict.tokens + verdict.awaiting + verdict.held.count, 0);
        assert_false(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                        L7S_MODE_OBSERVE, fixture->now, &verdict));
        assert_int_equal(verdict.outcome, L7S_OUTCOME_ADMITTED);
        assert_false(l7s_decide_address(&fixture->shared, NULL, &peer, L7S_MODE_ENFORCE,
                                        fixture->now, &verdict));
    }
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
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_LISTED);
    l7s_bans_lift(&fixture->shared.bans,
                  l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &client),
                  fixture->now.wall_ms + 10000, fixture->now);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
    assert_int_equal(fixture_outcome(fixture, CLIENT),
                     L7S_OUTCOME_THROTTLED); /* limits hold */
    assert_int_equal(fixture_outcome(fixture, "203.0.113.8"), L7S_OUTCOME_LISTED);
    assert_false(l7s_decide_address(&fixture->shared, fixture->image, &peer,
                                    L7S_MODE_ENFORCE, fixture->now, &verdict));
    fixture_pass_ms(fixture, 10000);
    assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_LISTED);
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

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_decide_allow_policy_ends_the_evaluation),
        TEST(test_decide_allow_list_beats_bans_and_deny_lists),
        TEST(test_decide_list_of_an_app_is_judged_in_that_app),
        TEST(test_decide_address_refuses_by_bans_and_unbound_lists_only),
        TEST(test_decide_held_client_passes_deny_lists_and_network_bans),
        TEST(test_decide_memo_never_mistakes_a_client),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
