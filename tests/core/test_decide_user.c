/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies that count by the authenticated user: when they are asked, whom they charge.
 */
#include "../../core/image/image_layout.h"
#include "policy_fixture.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
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
    fixture_lend(fixture, request);
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

/* --- what a refusal gives back --- */

/* Tokens of a policy that counts by client or by path, and nothing else does. */
typedef struct {
    uint32_t used, pending;
} tokens_t;

static tokens_t tokens_of(const fixture_t *fixture, const char *name)
{
    const l7s_table_t *table = &fixture->shared.table;
    tokens_t tokens = {0, 0};

    for (uint32_t i = 0; i < l7s_table_size(table); i++) {
        const l7s_slot_t *slot = &table->slots[i];
        const l7s_image_limit_t *limit =
            l7s_image_limit(fixture->image, atomic_load(&slot->limit));
        if (limit == NULL ||
            strcmp(l7s_image_text(fixture->image,
                                  l7s_image_policy(fixture->image, limit->policy)->name),
                   name) != 0) {
            continue;
        }
        tokens.used += (uint32_t)(l7s_bucket_used(&limit->rate, atomic_load(&slot->tat),
                                                  fixture->now.mono_us) /
                                  limit->rate.period_us);
        tokens.pending += atomic_load(&slot->pending);
    }
    return tokens;
}

static void expect_tokens(const fixture_t *fixture, const char *policy, uint32_t used)
{
    tokens_t tokens = tokens_of(fixture, policy);

    assert_int_equal(tokens.used, used);
    assert_int_equal(tokens.pending, used);
}

static void test_decide_user_refused_request_charges_no_policy(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *two;

    two = fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 100, 60);
    two->rates[1] = (l7s_rate_t){200, 200, 3600000000ULL};
    two->rate_count = 2;
    fixture_by(fixture, fixture_policy(fixture, "by-path", L7S_ACTION_THROTTLE, 3, 60),
               "path");
    by_user(fixture, L7S_ACTION_THROTTLE, "user");
    fixture_compile(fixture);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    expect_tokens(fixture, "by-client", 4);
    for (unsigned i = 0; i < 5; i++) {
        expect(fixture, CLIENT, "alice", L7S_OUTCOME_THROTTLED);
    }
    expect_tokens(fixture, "by-client", 4);
    expect_tokens(fixture, "by-path", 2);
    expect(fixture, CLIENT, "bob", L7S_OUTCOME_ADMITTED);
    expect_tokens(fixture, "by-path", 3);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "by-client")->matched), 8);
}

/* The second of two policies by user refuses: the first one is not charged either. */
static void test_decide_user_refused_by_one_is_charged_by_no_other(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 100, 60);
    fixture_by(fixture, fixture_policy(fixture, "wide", L7S_ACTION_THROTTLE, 50, 60),
               "user");
    by_user(fixture, L7S_ACTION_THROTTLE, "user");
    fixture_compile(fixture);
    for (unsigned i = 0; i < 6; i++) {
        (void)visit(fixture, CLIENT, "alice");
    }
    expect_tokens(fixture, "by-client", 2);
    expect_tokens(fixture, "wide", 2);
    expect_tokens(fixture, "by-user", 2);
}

static void test_decide_user_refused_request_has_not_passed_an_episode(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "watch", L7S_ACTION_THROTTLE, 3, 60)->mode = L7S_MODE_OBSERVE;
    by_user(fixture, L7S_ACTION_THROTTLE, "user")->rates[0] =
        (l7s_rate_t){4, 4, 3600000000ULL};
    fixture_compile(fixture);
    for (unsigned i = 0; i < 3; i++) {
        expect(fixture, CLIENT, "alice", L7S_OUTCOME_ADMITTED);
    }
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_OBSERVED);
    fixture_pass_ms(fixture, 41000); /* two tokens of the watching one are back */
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_THROTTLED);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "watch")->passed), 0);
    expect(fixture, CLIENT, "bob", L7S_OUTCOME_ADMITTED);
    assert_int_equal(atomic_load(&fixture_episode(fixture, "watch")->passed), 1);
}

static void test_decide_user_refused_request_is_in_flight_no_more(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");
    l7s_policy_t *policy = by_user(fixture, L7S_ACTION_DENY, "user");

    policy->rate_count = 0;
    policy = fixture_policy(fixture, "at-once", L7S_ACTION_THROTTLE, 0, 0);
    policy->concurrency = 1;
    policy->fleet = false;
    fixture_compile(fixture);
    request.facts.owner = 7;
    for (unsigned i = 0; i < 3; i++) {
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_ADMITTED);
        assert_int_equal(verdict.held.count, 1);
        ask_user(fixture, &request, "alice", false, &verdict);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_DENIED);
        assert_int_equal(verdict.held.count, 0);
    }
}

/* Whoever fails to sign in has been charged by then, and stays so: once. */
static void test_decide_user_unknown_to_the_end_is_charged_once(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");
    l7s_verdict_t verdict;

    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 100, 60);
    by_user(fixture, L7S_ACTION_THROTTLE, "user");
    fixture_compile(fixture);
    for (unsigned i = 1; i < 6; i++) {
        verdict = fixture_decide(fixture, &request);
        assert_int_equal(tokens_of(fixture, "by-client").used, i);
        ask_user(fixture, &request, NULL, true, &verdict);
        expect_tokens(fixture, "by-client", i);
    }
    expect_tokens(fixture, "by-user", 2);
}

static void test_decide_user_meets_the_policies_that_hold_by_then(void **state)
{
    static const bool refuses[] = {false, true};
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 2; i++) {
        fixture_request_t request =
            fixture_request(CLIENT, "GET", "www.example.com", "/");
        fixture_reset(fixture);
        fixture_policy(fixture, "gone", L7S_ACTION_THROTTLE, 5, 60);
        l7s_policy_t *policy = by_user(fixture, L7S_ACTION_DENY, "user");
        fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 5, 60);
        fixture_compile(fixture);
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        fixture->config.policies[0] = fixture->config.policies[2];
        fixture->config.policy_count = 2;
        policy->rate_count = refuses[i] ? 0 : 1;
        fixture_compile(fixture);
        ask_user(fixture, &request, "alice", false, &verdict);
        assert_int_equal(l7s_outcome_refuses(verdict.outcome), refuses[i]);
        expect_tokens(fixture, "by-client", !refuses[i]);
    }
}

static l7s_strict_verdict_t admit(void *context, l7s_strict_question_t *question)
{
    (void)context;
    question->limits[0].used = question->limits[0].rate.period_us;
    return L7S_STRICT_ADMITTED;
}

/* What the store has taken is gone. */
static void test_decide_user_cannot_give_back_what_the_store_took(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");
    l7s_verdict_t verdict;

    fixture_policy(fixture, "exact", L7S_ACTION_THROTTLE, 9, 60)->strict = true;
    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 9, 60);
    by_user(fixture, L7S_ACTION_DENY, "user")->rate_count = 0;
    fixture_compile(fixture);
    request.facts.strict = admit;
    verdict = fixture_decide(fixture, &request);
    ask_user(fixture, &request, "alice", false, &verdict);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_DENIED);
    assert_int_equal(tokens_of(fixture, "exact").used, 1);
    expect_tokens(fixture, "by-client", 0);
}

/* … but what was counted here for want of the store's answer goes back. */
static void test_decide_user_gives_back_what_a_strict_policy_counted_here(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "exact", L7S_ACTION_THROTTLE, 9, 60)->strict = true;
    by_user(fixture, L7S_ACTION_DENY, "user")->rate_count = 0;
    fixture_compile(fixture);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_DENIED);
    assert_int_equal(tokens_of(fixture, "exact").used, 0);
}

/* A policy that would have refused it, had it been enforced, speaks in the verdict: that
 * must not hide that another one exempts the request from those behind it. */
static void test_decide_user_is_not_asked_about_whom_an_allow_policy_exempts(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");
    l7s_verdict_t verdict;

    fixture_policy(fixture, "watch", L7S_ACTION_DENY, 0, 0)->mode = L7S_MODE_OBSERVE;
    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 9, 60);
    fixture_policy(fixture, "spared", L7S_ACTION_ALLOW, 0, 0);
    by_user(fixture, L7S_ACTION_DENY, "user")->rate_count = 0;
    fixture_compile(fixture);
    verdict = fixture_decide(fixture, &request);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_int_equal(verdict.awaits, 0);
    expect_tokens(fixture, "by-client", 1);
}

/* Nobody waits for a user whom no policy that matches asks for. */
static void test_decide_user_is_not_awaited_where_its_policies_do_not_match(void **state)
{
    fixture_t *fixture = *state;
    fixture_request_t request = fixture_request(CLIENT, "GET", "www.example.com", "/");

    by_user(fixture, L7S_ACTION_THROTTLE, "user")->match.paths =
        fixture_strings(fixture, "/login");
    fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 9, 60);
    fixture_compile(fixture);
    assert_int_equal(fixture_decide(fixture, &request).awaits, 0);
    expect_tokens(fixture, "by-client", 1);
    request = fixture_request(CLIENT, "GET", "www.example.com", "/login");
    assert_int_equal(fixture_decide(fixture, &request).awaits, L7S_AWAITS_USER);
}
/* Another key has got the slot by then: nothing of it is given back or booked. */
static void test_decide_user_leaves_a_slot_alone_that_is_anothers(void **state)
{
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 2; i++) {
        fixture_request_t request =
            fixture_request(CLIENT, "GET", "www.example.com", "/");
        l7s_slot_t *slot = NULL;
        fixture_reset(fixture);
        fixture_policy(fixture, "by-client", L7S_ACTION_THROTTLE, 9, 60);
        by_user(fixture, L7S_ACTION_DENY, "user")->rate_count = i;
        fixture_compile(fixture);
        l7s_verdict_t verdict = fixture_decide(fixture, &request);
        assert_int_equal(verdict.tokens, 1);
        slot = request.tokens[0].slot;
        atomic_store(&slot->key_lo, request.tokens[0].key_lo ^ 1);
        ask_user(fixture, &request, "alice", false, &verdict);
        assert_int_equal(l7s_outcome_refuses(verdict.outcome), i == 0);
        assert_int_equal(tokens_of(fixture, "by-client").used, 1);
        assert_int_equal(tokens_of(fixture, "by-client").pending, 0);
    }
}

static void test_decide_user_gives_back_as_much_as_there_is_room_for(void **state)
{
    enum { BEYOND = 7 };
    fixture_t *fixture = *state;
    char name[32];

    for (unsigned i = 0; i < L7S_TOKENS_PER_REQUEST + BEYOND; i++) {
        snprintf(name, sizeof name, "limit-%03u", i);
        fixture_policy(fixture, name, L7S_ACTION_THROTTLE, 9, 60);
    }
    by_user(fixture, L7S_ACTION_DENY, "user")->rate_count = 0;
    fixture_compile(fixture);
    expect(fixture, CLIENT, "alice", L7S_OUTCOME_DENIED);
    for (unsigned i = 0; i < L7S_TOKENS_PER_REQUEST + BEYOND; i++) {
        snprintf(name, sizeof name, "limit-%03u", i);
        expect_tokens(fixture, name, i >= L7S_TOKENS_PER_REQUEST);
    }
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
        CASE(test_decide_user_refused_request_charges_no_policy),
        CASE(test_decide_user_refused_by_one_is_charged_by_no_other),
        CASE(test_decide_user_refused_request_has_not_passed_an_episode),
        CASE(test_decide_user_refused_request_is_in_flight_no_more),
        CASE(test_decide_user_unknown_to_the_end_is_charged_once),
        CASE(test_decide_user_meets_the_policies_that_hold_by_then),
        CASE(test_decide_user_cannot_give_back_what_the_store_took),
        CASE(test_decide_user_gives_back_what_a_strict_policy_counted_here),
        CASE(test_decide_user_is_not_asked_about_whom_an_allow_policy_exempts),
        CASE(test_decide_user_is_not_awaited_where_its_policies_do_not_match),
        CASE(test_decide_user_leaves_a_slot_alone_that_is_anothers),
        CASE(test_decide_user_gives_back_as_much_as_there_is_room_for),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
