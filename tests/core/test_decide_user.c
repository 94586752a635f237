/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies that count by the authenticated user: when they are asked, whom they charge.
 */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

static l7s_policy_t *by_user(fixture_t *fixture, l7s_action_t action, const char *by)
{
    l7s_policy_t *policy = fixture_policy(fixture, "by-user", action, 2, 60);

    fixture_by(fixture, policy, by);
    return policy;
}

static void ask_user(fixture_t *fixture, fixture_request_t *request, const char *user,
                     bool answered, l7s_verdict_t *verdict)
{
    request->facts.user = user;
    request->scratch = fixture->scratch;
    request->facts.context = request;
    l7s_decide_user(&fixture->shared, fixture->image, &request->facts, answered,
                    fixture->now, verdict);
}

/* Both stages. */
static l7s_verdict_t visit(fixture_t *fixture, const char *client, const char *user)
{
    fixture_request_t request = fixture_request(client, "GET", "www.example.com", "/");
    l7s_verdict_t verdict = fixture_decide(fixture, &request);

    if ((verdict.awaits & L7S_AWAITS_USER) != 0) {
        ask_user(fixture, &request, user, false, &verdict);
    }
    return verdict;
}

static void expect(fixture_t *fixture, const char *client, const char *user,
                   l7s_outcome_t outcome)
{
    assert_int_equal(visit(fixture, client, user).outcome, outcome);
}

static void test_decide_user_counts_a_user_wherever_it_comes_from(void **state)
{
    fixture_t *fixture = *state;

    by_user(fixture, L7S_ACTION_THROTTLE, "user");
    fixture_compile(fixture);
    expect(fixture, "203.0.113.1", "alice", L7S_OUTCOME_ADMITTED);
    expect(fixture, "203.0.113.2", "alice", L7S_OUTCOME_ADMITTED);
    l7s_verdict_t verdict = visit(fixture, "203.0.113.3", "alice");
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(verdict.key, "user=alice");
    expect(fixture, "203.0.113.3", "bob", L7S_OUTCOME_ADMITTED);
}

static void test_decide_user_nobody_counts_by_client_unless_told_otherwise(void **state)
{
    static const struct {
        l7s_absent_t absent;
        l7s_outcome_t same, other;
    } cases[] = {
        {L7S_ABSENT_CLIENT, L7S_OUTCOME_THROTTLED, L7S_OUTCOME_ADMITTED},
        {L7S_ABSENT_SKIP, L7S_OUTCOME_ADMITTED, L7S_OUTCOME_ADMITTED},
        {L7S_ABSENT_SHARED, L7S_OUTCOME_THROTTLED, L7S_OUTCOME_THROTTLED},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_reset(fixture);
        by_user(fixture, L7S_ACTION_THROTTLE, "user")->when_absent = cases[i].absent;
        fixture_compile(fixture);
        expect(fixture, CLIENT, NULL, L7S_OUTCOME_ADMITTED);
        expect(fixture, CLIENT, NULL, L7S_OUTCOME_ADMITTED);
        expect(fixture, CLIENT, NULL, cases[i].same);
        expect(fixture, "203.0.113.8", NULL, cases[i].other);
        expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    }
}

static void test_decide_user_of_a_tuple_counts_each_combination(void **state)
{
    fixture_t *fixture = *state;

    by_user(fixture, L7S_ACTION_THROTTLE, "user client");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 2; i++) {
        expect(fixture, "203.0.113.1", "alice", L7S_OUTCOME_ADMITTED);
        expect(fixture, "203.0.113.2", "alice", L7S_OUTCOME_ADMITTED);
    }
    expect(fixture, "203.0.113.1", "alice", L7S_OUTCOME_THROTTLED);
}

static void test_decide_user_each_stage_charges_its_own_policies_once(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 3, 60);
    by_user(fixture, L7S_ACTION_LOG, "user");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 2; i++) {
        expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    }
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_LOGGED);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_THROTTLED); /* and no user was asked */
    assert_int_equal(atomic_load(&fixture_stats(fixture, "by-user")->matched), 3);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "by-client")->matched), 4);
}

static void test_decide_user_each_request_is_one_verdict(void **state)
{
    fixture_t *fixture = *state;
    _Atomic uint64_t *verdicts = fixture->shared.header->verdicts;

    by_user(fixture, L7S_ACTION_THROTTLE, "user");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5; i++) {
        (void)visit(fixture, CLIENT, "alice");
    }
    assert_int_equal(atomic_load(&verdicts[L7S_OUTCOME_ADMITTED]), 2);
    assert_int_equal(atomic_load(&verdicts[L7S_OUTCOME_THROTTLED]), 3);
}

static void test_decide_user_is_awaited_only_where_a_policy_asks(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 3, 60);
    fixture_compile(fixture);
    assert_int_equal(visit(fixture, CLIENT, NULL).awaits, 0);
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");
    by_user(fixture, L7S_ACTION_THROTTLE, "user");
    fixture_list(fixture, "office", L7S_EFFECT_ALLOW, "203.0.113.99");
    fixture_compile(fixture);
    assert_int_equal(fixture_decide(fixture, &request).awaits, L7S_AWAITS_USER);
    request = fixture_request("203.0.113.99", "GET", "www.example.com", "/");
    assert_int_equal(fixture_decide(fixture, &request).awaits, 0);
}

static void test_decide_user_ban_holds_for_the_user_alone(void **state)
{
    fixture_t *fixture = *state;

    by_user(fixture, L7S_ACTION_BAN, "user");
    fixture_compile(fixture);
    expect(fixture, "203.0.113.1", "alice", L7S_OUTCOME_ADMITTED);
    expect(fixture, "203.0.113.1", "alice", L7S_OUTCOME_ADMITTED);
    expect(fixture, "203.0.113.1", "alice", L7S_OUTCOME_BANNED);
    fixture_pass_ms(fixture, 40000); /* the bucket holds one again, the ban lasts */
    expect(fixture, "203.0.113.2", "alice", L7S_OUTCOME_BANNED);
    expect(fixture, "203.0.113.1", "bob", L7S_OUTCOME_ADMITTED);
    expect(fixture, "203.0.113.1", NULL, L7S_OUTCOME_ADMITTED);
}

static void test_decide_user_answered_request_is_counted_and_not_refused(void **state)
{
    fixture_t *fixture = *state;

    by_user(fixture, L7S_ACTION_BAN, "user");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 4; i++) {
        fixture_request_t request =
            fixture_request(CLIENT, "GET", "www.example.com", "/");
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        ask_user(fixture, &request, NULL, true, &verdict);
        assert_false(l7s_outcome_refuses(verdict.outcome));
    }
    expect(fixture, CLIENT, NULL, L7S_OUTCOME_BANNED);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
}

static void test_decide_user_observed_policy_only_watches(void **state)
{
    fixture_t *fixture = *state;

    by_user(fixture, L7S_ACTION_THROTTLE, "user")->mode = L7S_MODE_OBSERVE;
    fixture_compile(fixture);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_OBSERVED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, fixture_start)
    const struct CMUnitTest tests[] = {
        CASE(test_decide_user_counts_a_user_wherever_it_comes_from),
        CASE(test_decide_user_nobody_counts_by_client_unless_told_otherwise),
        CASE(test_decide_user_of_a_tuple_counts_each_combination),
        CASE(test_decide_user_each_stage_charges_its_own_policies_once),
        CASE(test_decide_user_each_request_is_one_verdict),
        CASE(test_decide_user_is_awaited_only_where_a_policy_asks),
        CASE(test_decide_user_ban_holds_for_the_user_alone),
        CASE(test_decide_user_answered_request_is_counted_and_not_refused),
        CASE(test_decide_user_observed_policy_only_watches),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
