/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies that limit what is in flight.
 */
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"
#define OWNER 4711

static l7s_policy_t *limit(fixture_t *fixture, const char *name, l7s_action_t action,
                           uint32_t max)
{
    l7s_policy_t *policy = fixture_policy(fixture, name, action, 0, 0);

    policy->concurrency = max;
    return policy;
}

static l7s_verdict_t begin(fixture_t *fixture, const char *client)
{
    fixture_request_t request = fixture_request(client, "GET", "www.example.com", "/");

    request.facts.owner = OWNER;
    return fixture_decide(fixture, &request);
}

static void end(fixture_t *fixture, l7s_verdict_t *verdict)
{
    l7s_decide_over(&fixture->shared, &verdict->held);
}

static uint32_t in_flight(const fixture_t *fixture)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < L7S_FLIGHTS; i++) {
        for (uint32_t k = 0; k < L7S_FLIGHT_PLACES; k++) {
            count += atomic_load(&fixture->shared.flights.chunks[i].owners[k]) != 0;
        }
    }
    return count;
}

static void test_flight_limit_refuses_until_one_is_over(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t first, second, third;

    limit(fixture, "few", L7S_ACTION_THROTTLE, 2);
    fixture_compile(fixture);
    first = begin(fixture, CLIENT);
    second = begin(fixture, CLIENT);
    assert_int_equal(second.outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(second.held.count, 1);
    third = begin(fixture, CLIENT);
    assert_int_equal(third.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(third.status, 429);
    assert_int_equal(third.retry_after_seconds, 1);
    assert_int_equal(third.held.count, 0);
    assert_int_equal(begin(fixture, "203.0.113.8").outcome, L7S_OUTCOME_ADMITTED);
    end(fixture, &first);
    end(fixture, &first); /* twice is harmless */
    assert_int_equal(begin(fixture, CLIENT).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(begin(fixture, CLIENT).outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(fixture_episode(fixture, "few")->facts.detector, "concurrency");
    assert_int_equal(fixture_episode(fixture, "few")->facts.limit, 2);
}

static void test_flight_request_refused_by_another_policy_holds_nothing(void **state)
{
    fixture_t *fixture = *state;

    limit(fixture, "a-few", L7S_ACTION_THROTTLE, 10);
    fixture_policy(fixture, "b-rate", L7S_ACTION_THROTTLE, 1, 60);
    fixture_compile(fixture);
    assert_int_equal(begin(fixture, CLIENT).outcome, L7S_OUTCOME_ADMITTED);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(begin(fixture, CLIENT).outcome, L7S_OUTCOME_THROTTLED);
    }
    assert_int_equal(in_flight(fixture), 1);
}

static void test_flight_refused_request_charges_no_rate(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t first;

    fixture_policy(fixture, "a-rate", L7S_ACTION_THROTTLE, 2, 60);
    limit(fixture, "b-few", L7S_ACTION_THROTTLE, 1);
    fixture_compile(fixture);
    first = begin(fixture, CLIENT);
    for (unsigned i = 0; i < 20; i++) {
        assert_string_equal(begin(fixture, CLIENT).policy, "b-few");
    }
    end(fixture, &first);
    assert_int_equal(begin(fixture, CLIENT).outcome, L7S_OUTCOME_ADMITTED);
}

static void test_flight_observing_counts_as_enforcing_would(void **state)
{
    static const struct {
        l7s_action_t action;
        l7s_mode_t mode;
        l7s_outcome_t outcome;
    } cases[] = {
        {L7S_ACTION_THROTTLE, L7S_MODE_OBSERVE, L7S_OUTCOME_OBSERVED},
        {L7S_ACTION_DENY, L7S_MODE_ENFORCE, L7S_OUTCOME_DENIED},
        {L7S_ACTION_LOG, L7S_MODE_ENFORCE, L7S_OUTCOME_LOGGED},
        {L7S_ACTION_BAN, L7S_MODE_ENFORCE, L7S_OUTCOME_BANNED},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_reset(fixture);
        limit(fixture, "few", cases[i].action, 2)->mode = cases[i].mode;
        fixture_compile(fixture);
        begin(fixture, CLIENT);
        begin(fixture, CLIENT);
        for (unsigned k = 0; k < 5; k++) {
            assert_int_equal(begin(fixture, CLIENT).outcome, cases[i].outcome);
        }
        assert_int_equal(in_flight(fixture), 2);
    }
}

static void test_flight_places_of_several_policies_are_bounded(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;
    char name[8] = "p0";

    for (; name[1] < '8'; name[1]++) {
        limit(fixture, name, L7S_ACTION_THROTTLE, 5);
    }
    fixture_compile(fixture);
    verdict = begin(fixture, CLIENT);
    assert_int_equal(verdict.held.count, L7S_FLIGHTS_PER_REQUEST);
    end(fixture, &verdict);
    assert_int_equal(in_flight(fixture), 0);
}

static void test_flight_without_owner_nothing_is_held(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");

    limit(fixture, "few", L7S_ACTION_THROTTLE, 1);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5; i++) {
        assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_ADMITTED);
    }
    assert_int_equal(in_flight(fixture), 0);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, fixture_start)
    const struct CMUnitTest tests[] = {
        CASE(test_flight_limit_refuses_until_one_is_over),
        CASE(test_flight_request_refused_by_another_policy_holds_nothing),
        CASE(test_flight_refused_request_charges_no_rate),
        CASE(test_flight_observing_counts_as_enforcing_would),
        CASE(test_flight_places_of_several_policies_are_bounded),
        CASE(test_flight_without_owner_nothing_is_held),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
