/* SPDX-License-Identifier: Apache-2.0
 *
 * One policy regarded closely: in which mode it acts, and what it measures.
 */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

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

static void test_trip_several_rates_must_all_conform(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 3, 1);
    l7s_verdict_t verdict;

    policy->rate_count = 2;
    policy->rates[1] = (l7s_rate_t){5, 5, 60000000};
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_ADMITTED);
        fixture_pass_ms(fixture, 400);
    }
    verdict = fixture_get(fixture, CLIENT, "/");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.retry_after_seconds, 10);
    assert_int_equal(used_slots(fixture), 2);
}

static void test_trip_least_strict_mode_wins(void **state)
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

static void test_trip_rollout_acts_on_its_share_of_keys(void **state)
{
    fixture_t *fixture = *state;
    unsigned acted = 0;

    fixture_policy(fixture, "deny", L7S_ACTION_DENY, 0, 0)->rollout_percent = 30;
    fixture_compile(fixture);
    for (unsigned i = 0; i < 1000; i++) {
        char client[20];
        l7s_outcome_t first;
        snprintf(client, sizeof client, "10.0.%u.%u", i / 250, i % 250);
        first = fixture_outcome(fixture, client);
        assert_true(first == L7S_OUTCOME_DENIED || first == L7S_OUTCOME_OBSERVED);
        assert_int_equal(fixture_outcome(fixture, client), first);
        acted += first == L7S_OUTCOME_DENIED;
    }
    assert_in_range(acted, 250, 350);
}

static void test_trip_trusted_proxy_is_only_observed(void **state)
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

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_trip_several_rates_must_all_conform),
        TEST(test_trip_least_strict_mode_wins),
        TEST(test_trip_rollout_acts_on_its_share_of_keys),
        TEST(test_trip_trusted_proxy_is_only_observed),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
