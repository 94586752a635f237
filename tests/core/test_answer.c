/* SPDX-License-Identifier: Apache-2.0
 *
 * What is counted when a request has been answered, one rule at a time.
 */
#include "../../core/decide/answer.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"

/* Counts "401" and "403", acts on more than two of them in a minute. */
static l7s_policy_t *guessing(fixture_t *fixture, l7s_action_t action)
{
    l7s_policy_t *policy = fixture_policy(fixture, "guessing", action, 2, 60);

    fixture_count_status(policy, 401, 401);
    fixture_count_status(policy, 403, 403);
    return policy;
}

/* Asks and, if that admits, answers. Returns the verdict at the end. */
static l7s_verdict_t visit(fixture_t *fixture, const char *client, uint16_t status)
{
    fixture_request_t request = fixture_request(client, "POST", "www.example.com", "/in");
    l7s_verdict_t verdict = fixture_decide(fixture, &request);

    if (!l7s_outcome_refuses(verdict.outcome) && verdict.awaits) {
        fixture_answer(fixture, &request,
                       (l7s_answer_t){.status = status, .was_decided = true}, &verdict);
    }
    return verdict;
}

/* Only the answer: no stage was asked before. */
static l7s_verdict_t reject(fixture_t *fixture, const char *client, uint16_t status)
{
    fixture_request_t request = fixture_request(client, "GET", "www.example.com", "/");
    l7s_verdict_t verdict = {.outcome = L7S_OUTCOME_ADMITTED};

    fixture_answer(fixture, &request, (l7s_answer_t){.status = status}, &verdict);
    return verdict;
}

static l7s_outcome_t outcome(fixture_t *fixture, uint16_t status)
{
    return visit(fixture, CLIENT, status).outcome;
}

/* --- statuses --- */

static void test_answer_counts_its_statuses_only(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
        assert_int_equal(outcome(fixture, 404), L7S_OUTCOME_ADMITTED);
    }
    assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, 403), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED); /* not over it yet */
    verdict = visit(fixture, CLIENT, 401);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_LOGGED); /* it has passed */
    assert_string_equal(verdict.action, "log");
    assert_string_equal(verdict.policy, "guessing");
    assert_memory_equal(verdict.incident, "inc_", 4);
    verdict = visit(fixture, CLIENT, 200);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.status, 429);
    assert_int_equal(verdict.retry_after_seconds, 30);
    assert_int_equal(visit(fixture, "203.0.113.8", 401).outcome, L7S_OUTCOME_ADMITTED);
    fixture_pass_ms(fixture, 30000);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
}

static void test_answer_statuses_may_be_a_class(void **state)
{
    static const struct {
        uint16_t status;
        bool counts;
    } cases[] = {{399, false}, {400, true},  {408, true},
                 {499, true},  {500, false}, {200, false}};
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        fixture_reset(fixture);
        fixture_count_status(
            fixture_policy(fixture, "failing", L7S_ACTION_THROTTLE, 1, 60), 400, 499);
        fixture_compile(fixture);
        outcome(fixture, cases[i].status);
        outcome(fixture, cases[i].status);
        assert_int_equal(outcome(fixture, 200),
                         cases[i].counts ? L7S_OUTCOME_THROTTLED : L7S_OUTCOME_ADMITTED);
    }
}

static void test_answer_refused_request_charges_nothing(void **state)
{
    fixture_t *fixture = *state;
    l7s_episode_t *episode;

    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 3; i++) {
        outcome(fixture, 401);
    }
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_THROTTLED);
    }
    episode = fixture_episode(fixture, "guessing");
    assert_non_null(episode);
    assert_int_equal(atomic_load(&episode->requests), 21);
    assert_int_equal(atomic_load(&episode->acted), 20);
    assert_int_equal(atomic_load(&episode->passed), 1);
    fixture_pass_ms(fixture, 30000); /* as if they had never been */
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
}

static void test_answer_ban_begins_with_the_next_request(void **state)
{
    fixture_t *fixture = *state;
    l7s_stats_row_t *row;

    guessing(fixture, L7S_ACTION_BAN);
    fixture_compile(fixture);
    outcome(fixture, 401);
    outcome(fixture, 401);
    assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_LOGGED);
    row = fixture_stats(fixture, "guessing");
    assert_int_equal(atomic_load(&row->acted), 1);
    assert_string_equal(fixture_episode(fixture, "guessing")->facts.ban_id, "ip:" CLIENT);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_BANNED);
    fixture_pass_ms(fixture, 60000);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
}

static void test_answer_always_trips_at_each_such_answer(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "trap", L7S_ACTION_BAN, 0, 0);

    fixture_count_status(policy, 418, 418);
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
    assert_int_equal(outcome(fixture, 418), L7S_OUTCOME_LOGGED);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_BANNED);
}

static void test_answer_observing_counts_as_enforcing_would(void **state)
{
    static const l7s_action_t actions[] = {L7S_ACTION_THROTTLE, L7S_ACTION_BAN};
    fixture_t *fixture = *state;

    for (size_t i = 0; i < 2; i++) {
        fixture_reset(fixture);
        guessing(fixture, actions[i])->mode = L7S_MODE_OBSERVE;
        fixture_compile(fixture);
        for (unsigned k = 0; k < 3; k++) {
            outcome(fixture, 401);
        }
        for (unsigned k = 0; k < 20; k++) {
            assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_OBSERVED);
        }
        /* Of the would-be ban 60 s, of the throttle 30 s. */
        fixture_pass_ms(fixture, i == 0 ? 30000 : 59999);
        assert_int_equal(outcome(fixture, 200),
                         i == 0 ? L7S_OUTCOME_ADMITTED : L7S_OUTCOME_OBSERVED);
        fixture_pass_ms(fixture, 1);
        assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
        assert_int_equal(atomic_load(&fixture_stats(fixture, "guessing")->acted), 0);
    }
}

static void test_answer_log_policy_charges_no_request_that_it_logs(void **state)
{
    fixture_t *fixture = *state;

    guessing(fixture, L7S_ACTION_LOG);
    fixture_compile(fixture);
    outcome(fixture, 401);
    outcome(fixture, 401);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_LOGGED);
    }
    fixture_pass_ms(fixture, 30000);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
}

static void test_answer_in_flight_requests_are_paid_back(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");
    l7s_verdict_t verdicts[50];

    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 50; i++) {
        verdicts[i] = fixture_decide(fixture, &request);
        assert_int_equal(verdicts[i].outcome, L7S_OUTCOME_ADMITTED);
    }
    for (unsigned i = 0; i < 50; i++) {
        fixture_answer(fixture, &request,
                       (l7s_answer_t){.status = 401, .was_decided = true}, &verdicts[i]);
    }
    /* Debt ends at one period. */
    assert_int_equal(visit(fixture, CLIENT, 200).retry_after_seconds, 60);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guessing")->requests), 49);
}

static void test_answer_fleet_hears_of_it(void **state)
{
    fixture_t *fixture = *state;
    uint32_t pending = 0;

    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    outcome(fixture, 401);
    outcome(fixture, 401);
    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        pending += atomic_load(&fixture->shared.table.slots[i].pending);
    }
    assert_int_equal(pending, 2);
}

static void test_answer_is_awaited_only_where_a_policy_counts_it(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/in");

    guessing(fixture, L7S_ACTION_THROTTLE)->match.paths = fixture_strings(fixture, "/in");
    fixture_policy(fixture, "plain", L7S_ACTION_THROTTLE, 100, 60);
    fixture_compile(fixture);
    assert_true(fixture_decide(fixture, &request).awaits);
    request.facts.path = "/out";
    assert_false(fixture_decide(fixture, &request).awaits);
    request.facts.mode = L7S_MODE_OFF;
    request.facts.path = "/in";
    assert_false(fixture_decide(fixture, &request).awaits);
}

static void test_answer_allow_exempts(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "office", L7S_ACTION_ALLOW, 0, 0)->match.paths =
        fixture_strings(fixture, "/in");
    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_ALLOW_LISTED);
    }
    fixture_reset(fixture);
    guessing(fixture, L7S_ACTION_THROTTLE); /* stands before it */
    fixture_policy(fixture, "office", L7S_ACTION_ALLOW, 0, 0);
    fixture_policy(fixture, "guessing-2", L7S_ACTION_THROTTLE, 2, 60);
    fixture_count_status(&fixture->config.policies[2], 401, 401);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_ALLOW_LISTED);
    }
    assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_THROTTLED);
    assert_null(fixture_episode(fixture, "guessing-2"));
}

/* Also where another policy waits for the same answer, and whatever made it allow. */
static void test_answer_is_not_counted_by_who_was_not_asked(void **state)
{
    fixture_t *fixture = *state;

    fixture_count_status(fixture_policy(fixture, "failing", L7S_ACTION_LOG, 99, 60), 500,
                         599);
    fixture_policy(fixture, "busy", L7S_ACTION_ALLOW, 1, 3600);
    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_ADMITTED);
    for (unsigned i = 0; i < 9; i++) {
        assert_int_equal(outcome(fixture, 401), L7S_OUTCOME_ALLOW_LISTED);
    }
    assert_null(fixture_episode(fixture, "guessing"));
    assert_int_equal(atomic_load(&fixture_stats(fixture, "guessing")->matched), 1);
}

static void test_answer_is_counted_by_who_was_asked_under_another_image(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "POST", "www.example.com", "/in");

    for (unsigned i = 0; i < 3; i++) {
        fixture->config.policy_count = 0;
        fixture_count_status(fixture_policy(fixture, "gone", L7S_ACTION_BAN, 0, 0), 401,
                             401);
        guessing(fixture, L7S_ACTION_THROTTLE);
        fixture_compile(fixture);
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_ADMITTED);
        fixture->config.policy_count = 0;
        guessing(fixture, L7S_ACTION_THROTTLE);
        fixture_count_status(fixture_policy(fixture, "new", L7S_ACTION_BAN, 0, 0), 401,
                             401);
        fixture_compile(fixture);
        fixture_answer(fixture, &request,
                       (l7s_answer_t){.status = 401, .was_decided = true}, &verdict);
        assert_int_equal(verdict.outcome,
                         i < 2 ? L7S_OUTCOME_ADMITTED : L7S_OUTCOME_LOGGED);
    }
    assert_null(fixture_episode(fixture, "gone"));
    assert_null(fixture_episode(fixture, "new"));
    assert_int_equal(fixture_decide(fixture, &request).outcome, L7S_OUTCOME_THROTTLED);
}

static void test_answer_is_not_counted_by_a_policy_that_is_off_by_then(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "POST", "www.example.com", "/in");
    l7s_policy_t *policy = guessing(fixture, L7S_ACTION_THROTTLE);
    l7s_verdict_t verdict;

    fixture_compile(fixture);
    verdict = fixture_decide(fixture, &request);
    policy->mode = L7S_MODE_OFF;
    fixture_compile(fixture);
    fixture_answer(fixture, &request, (l7s_answer_t){.status = 401, .was_decided = true},
                   &verdict);
    assert_int_equal(fixture_used_tokens(fixture, "guessing"), 0);
}

/* --- requests that no stage was asked about --- */

static void test_answer_undecided_request_is_counted_as_a_whole(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    fixture_policy(fixture, "plain", L7S_ACTION_THROTTLE, 2, 60);
    fixture_compile(fixture);
    assert_int_equal(reject(fixture, CLIENT, 400).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(reject(fixture, CLIENT, 400).outcome, L7S_OUTCOME_ADMITTED);
    verdict = reject(fixture, CLIENT, 400);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_LOGGED);
    assert_string_equal(verdict.policy, "plain");
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_THROTTLED);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "plain")->matched), 4);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "plain")->acted), 1);
    fixture_pass_ms(fixture, 30000); /* the third was not charged */
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
}

static void test_answer_undecided_request_bans_and_counts_statuses(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "broken", L7S_ACTION_BAN, 2, 60);

    fixture_count_status(policy, 400, 400);
    fixture_compile(fixture);
    reject(fixture, CLIENT, 400);
    reject(fixture, CLIENT, 408);
    reject(fixture, CLIENT, 400);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
    assert_int_equal(reject(fixture, CLIENT, 400).outcome, L7S_OUTCOME_LOGGED);
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_BANNED);
}

/* It would have been refused, had it been asked about: it shows, and is not charged. */
static void test_answer_undecided_request_in_debt_is_not_charged(void **state)
{
    fixture_t *fixture = *state;

    guessing(fixture, L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 3; i++) {
        reject(fixture, CLIENT, 401);
    }
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(reject(fixture, CLIENT, 401).outcome, L7S_OUTCOME_LOGGED);
    }
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guessing")->requests), 4);
    fixture_pass_ms(fixture, 30000); /* one token is back: three were taken */
    assert_int_equal(outcome(fixture, 200), L7S_OUTCOME_ADMITTED);
}

static void test_answer_undecided_request_of_listed_client_counts_nothing(void **state)
{
    static const l7s_effect_t effects[] = {L7S_EFFECT_ALLOW, L7S_EFFECT_DENY};
    fixture_t *fixture = *state;

    for (size_t i = 0; i < 2; i++) {
        fixture_reset(fixture);
        fixture_list(fixture, "listed", effects[i], CLIENT);
        fixture_policy(fixture, "plain", L7S_ACTION_BAN, 1, 60);
        fixture_compile(fixture);
        for (unsigned k = 0; k < 5; k++) {
            assert_int_equal(reject(fixture, CLIENT, 400).outcome, L7S_OUTCOME_ADMITTED);
        }
        assert_null(fixture_episode(fixture, "plain"));
    }
}

static void test_answer_undecided_request_under_a_ban_counts_nothing(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "by-agent", L7S_ACTION_BAN, 1, 60);

    fixture_by(fixture, policy, "header:user-agent");
    fixture_policy(fixture, "plain", L7S_ACTION_THROTTLE, 100, 60);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 10; i++) {
        reject(fixture, CLIENT, 400);
    }
    assert_int_equal(atomic_load(&fixture_stats(fixture, "by-agent")->acted), 1);
    /* Two before and the one that tripped; nobody else was asked after that. */
    assert_int_equal(atomic_load(&fixture_stats(fixture, "plain")->matched), 2);
}

/* --- costs --- */

static l7s_verdict_t spend(fixture_t *fixture, l7s_cost_t cost, uint64_t amount)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/in");
    l7s_verdict_t verdict = fixture_decide(fixture, &request);
    l7s_answer_t answer = {.status = 200, .was_decided = true};

    answer.amounts[cost] = amount;
    if (!l7s_outcome_refuses(verdict.outcome) && verdict.awaits != 0) {
        fixture_answer(fixture, &request, answer, &verdict);
    }
    return verdict;
}

static void test_answer_costs_are_counted_in_their_unit(void **state)
{
    static const struct {
        l7s_cost_t cost;
        uint8_t awaits;
        const char *unit;
    } cases[] = {
        {L7S_COST_BYTES_IN, L7S_AWAITS_ANSWER | L7S_AWAITS_BYTES_IN, "bytes"},
        {L7S_COST_BYTES_OUT, L7S_AWAITS_ANSWER, "bytes"},
        {L7S_COST_BUSY_MS, L7S_AWAITS_ANSWER | L7S_AWAITS_BUSY, "milliseconds"},
        {L7S_COST_HEADER, L7S_AWAITS_ANSWER | L7S_AWAITS_HEADERS, "units"},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        l7s_verdict_t verdict;
        fixture_reset(fixture);
        fixture_policy(fixture, "budget", L7S_ACTION_THROTTLE, 6000, 60)->cost =
            cases[i].cost;
        fixture_compile(fixture);
        verdict = spend(fixture, cases[i].cost, 5999);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_ADMITTED);
        assert_int_equal(verdict.awaits, cases[i].awaits);
        assert_int_equal(spend(fixture, cases[i].cost, 1).outcome, L7S_OUTCOME_ADMITTED);
        assert_int_equal(spend(fixture, cases[i].cost, 0).outcome, L7S_OUTCOME_ADMITTED);
        assert_int_equal(spend(fixture, cases[i].cost, 100).outcome, L7S_OUTCOME_LOGGED);
        verdict = spend(fixture, cases[i].cost, 100);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
        assert_int_equal(verdict.retry_after_seconds, 1); /* 100 give back in 1 s */
        assert_string_equal(fixture_episode(fixture, "budget")->facts.unit,
                            cases[i].unit);
        assert_int_equal(atomic_load(&fixture_episode(fixture, "budget")->units), 100);
        fixture_pass_ms(fixture, 1000);
        assert_int_equal(spend(fixture, cases[i].cost, 1).outcome, L7S_OUTCOME_LOGGED);
    }
}

static void test_answer_debt_of_a_cost_ends_at_one_period(void **state)
{
    fixture_t *fixture = *state;
    uint32_t pending = 0;

    fixture_policy(fixture, "budget", L7S_ACTION_THROTTLE, 6000, 60)->cost =
        L7S_COST_BYTES_OUT;
    fixture_compile(fixture);
    spend(fixture, L7S_COST_BYTES_OUT, UINT64_MAX);
    assert_int_equal(spend(fixture, L7S_COST_BYTES_OUT, 0).retry_after_seconds, 60);
    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        pending += atomic_load(&fixture->shared.table.slots[i].pending);
    }
    assert_int_equal(pending, 12000); /* what the fleet hears is what was debited */
    fixture_pass_ms(fixture, 60000);
    assert_int_equal(spend(fixture, L7S_COST_BYTES_OUT, 0).outcome, L7S_OUTCOME_ADMITTED);
}

static void test_answer_cost_counts_its_statuses_only(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy =
        fixture_policy(fixture, "budget", L7S_ACTION_THROTTLE, 6000, 60);

    policy->cost = L7S_COST_BYTES_OUT;
    fixture_count_status(policy, 206, 206);
    fixture_compile(fixture);
    spend(fixture, L7S_COST_BYTES_OUT, 1000000);
    assert_int_equal(spend(fixture, L7S_COST_BYTES_OUT, 0).outcome, L7S_OUTCOME_ADMITTED);
}

/* --- signals --- */

static l7s_verdict_t raise_signals(fixture_t *fixture, const char *text)
{
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/in");
    l7s_verdict_t verdict = fixture_decide(fixture, &request);
    l7s_answer_t answer = {.status = 200, .was_decided = true};

    l7s_signals_read(&answer.signals, text);
    if (!l7s_outcome_refuses(verdict.outcome) && verdict.awaits != 0) {
        assert_true((verdict.awaits & L7S_AWAITS_HEADERS) != 0);
        fixture_answer(fixture, &request, answer, &verdict);
    }
    return verdict;
}

static void test_answer_signals_are_counted_once_a_request(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy =
        fixture_policy(fixture, "guessing", L7S_ACTION_THROTTLE, 2, 60);
    char said[L7S_EPISODE_SIGNALS_TEXT];

    policy->signals = fixture_strings(fixture, "failed-login odd-login");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(raise_signals(fixture, NULL).outcome, L7S_OUTCOME_ADMITTED);
        assert_int_equal(raise_signals(fixture, "other").outcome, L7S_OUTCOME_ADMITTED);
    }
    assert_int_equal(raise_signals(fixture, "failed-login,odd-login,other").outcome,
                     L7S_OUTCOME_ADMITTED);
    assert_int_equal(raise_signals(fixture, "odd-login").outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(raise_signals(fixture, "other,failed-login;detail=x").outcome,
                     L7S_OUTCOME_LOGGED);
    assert_int_equal(raise_signals(fixture, NULL).outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(fixture_episode(fixture, "guessing")->facts.detector, "signal");
    l7s_episode_signals_text(fixture_episode(fixture, "guessing"), said);
    assert_string_equal(said, "failed-login;x*1");
}

static void test_answer_one_signal_bans_the_next_request(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "shell", L7S_ACTION_BAN, 0, 0);

    policy->signals = fixture_strings(fixture, "web-shell");
    fixture_compile(fixture);
    assert_int_equal(raise_signals(fixture, "scanner").outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(raise_signals(fixture, "web-shell;detail=1").outcome,
                     L7S_OUTCOME_LOGGED);
    assert_int_equal(raise_signals(fixture, NULL).outcome, L7S_OUTCOME_BANNED);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, fixture_start)
    const struct CMUnitTest tests[] = {
        CASE(test_answer_counts_its_statuses_only),
        CASE(test_answer_statuses_may_be_a_class),
        CASE(test_answer_refused_request_charges_nothing),
        CASE(test_answer_ban_begins_with_the_next_request),
        CASE(test_answer_always_trips_at_each_such_answer),
        CASE(test_answer_observing_counts_as_enforcing_would),
        CASE(test_answer_log_policy_charges_no_request_that_it_logs),
        CASE(test_answer_in_flight_requests_are_paid_back),
        CASE(test_answer_fleet_hears_of_it),
        CASE(test_answer_is_awaited_only_where_a_policy_counts_it),
        CASE(test_answer_allow_exempts),
        CASE(test_answer_is_not_counted_by_who_was_not_asked),
        CASE(test_answer_is_counted_by_who_was_asked_under_another_image),
        CASE(test_answer_undecided_request_is_counted_as_a_whole),
        CASE(test_answer_undecided_request_bans_and_counts_statuses),
        CASE(test_answer_undecided_request_of_listed_client_counts_nothing),
        CASE(test_answer_undecided_request_under_a_ban_counts_nothing),
        CASE(test_answer_costs_are_counted_in_their_unit),
        CASE(test_answer_debt_of_a_cost_ends_at_one_period),
        CASE(test_answer_cost_counts_its_statuses_only),
        CASE(test_answer_signals_are_counted_once_a_request),
        CASE(test_answer_one_signal_bans_the_next_request),
        CASE(test_answer_is_not_counted_by_a_policy_that_is_off_by_then),
        CASE(test_answer_undecided_request_in_debt_is_not_charged),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
