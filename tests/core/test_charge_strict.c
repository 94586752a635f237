/* SPDX-License-Identifier: Apache-2.0
 *
 * Decisions on strict policies, with a store that says what the test wants.
 */
#include "policy_fixture.h"

// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <cmocka.h>
// clang-format on

#define CLIENT "203.0.113.7"
#define PERIOD_US 60000000ULL
#define ASKED_MAX 64

/* The fake store: answers with `verdicts` one after the other, the last one for ever. */
static struct {
    l7s_strict_verdict_t verdicts[8];
    unsigned count;
    uint64_t used; /* of each limit, in answers */
    unsigned asked;
    l7s_strict_question_t questions[ASKED_MAX];
} store;

static l7s_strict_verdict_t answer(void *context, l7s_strict_question_t *question)
{
    unsigned next = store.asked < store.count ? store.asked : store.count - 1;

    (void)context;
    if (store.asked < ASKED_MAX) {
        store.questions[store.asked] = *question;
    }
    store.asked++;
    for (uint32_t i = 0; i < question->count; i++) {
        question->limits[i].used = store.used;
    }
    return store.verdicts[next];
}

static void store_says(l7s_strict_verdict_t verdict, uint64_t used)
{
    memset(&store, 0, sizeof store);
    store.verdicts[0] = verdict;
    store.count = 1;
    store.used = used;
}

static int reset(void **state)
{
    fixture_reset(*state);
    store_says(L7S_STRICT_ADMITTED, 0);
    return 0;
}

static l7s_policy_t *strict_policy(fixture_t *fixture, const char *name,
                                   l7s_action_t action, l7s_down_t down)
{
    l7s_policy_t *policy = fixture_policy(fixture, name, action, 5, 60);

    policy->strict = true;
    policy->when_down = down;
    return policy;
}

static l7s_verdict_t get(fixture_t *fixture)
{
    fixture_request_t request =
        fixture_request(CLIENT, "GET", "www.example.com", "/index.html");

    request.facts.strict = answer;
    return fixture_decide(fixture, &request);
}

static unsigned admitted_of(fixture_t *fixture, unsigned requests)
{
    unsigned admitted = 0;

    for (unsigned i = 0; i < requests; i++) {
        admitted += get(fixture).outcome == L7S_OUTCOME_ADMITTED;
    }
    return admitted;
}

static uint64_t pending(const fixture_t *fixture)
{
    uint64_t sum = 0;

    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        sum += atomic_load(&fixture->shared.table.slots[i].pending);
    }
    return sum;
}

/* --- verdicts of the store --- */

static void test_charge_strict_asks_with_its_limit_and_deadline(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);
    fixture_compile(fixture);
    assert_true(l7s_image_has_strict(fixture->image));
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(store.asked, 1);
    assert_int_equal(store.questions[0].count, 1);
    assert_int_equal(store.questions[0].cost, 1);
    assert_int_equal(store.questions[0].deadline_us,
                     fixture->now.mono_us + L7S_STRICT_WAIT_US);
    assert_int_equal(store.questions[0].limits[0].rate.requests, 5);
    assert_int_equal(store.questions[0].limits[0].used, 0);
    assert_int_equal(atomic_load(&fixture->shared.header->mailbox.admitted), 1);
    assert_int_equal(pending(fixture), 0); /* its tokens do not travel by the tick */
}

static void test_charge_strict_store_alone_counts(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);
    fixture_compile(fixture);
    /* Ten times its burst: the store has said each time that there is room. */
    assert_int_equal(admitted_of(fixture, 50), 50);
    assert_int_equal(store.asked, 50);
}

static void test_charge_strict_refused_key_does_not_ask_again(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);
    fixture_compile(fixture);
    store_says(L7S_STRICT_REFUSED, 5 * PERIOD_US);
    verdict = get(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.status, 429);
    assert_int_equal(verdict.retry_after_seconds, 12);
    assert_string_equal(verdict.policy, "exact");
    assert_int_equal(verdict.incident[0], 'i');
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(store.asked, 1); /* what was learned is known in phase 1 */
    fixture_pass_ms(fixture, 12000);
    store_says(L7S_STRICT_ADMITTED, 5 * PERIOD_US);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(store.asked, 1);
    assert_int_equal(store.questions[0].limits[0].used, 4 * PERIOD_US);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(store.asked, 1);
}

static void test_charge_strict_refusal_gives_back_local_tokens(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "a-local", L7S_ACTION_THROTTLE, 3, 60);
    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);
    fixture_policy(fixture, "z-local", L7S_ACTION_THROTTLE, 3, 60);
    fixture_compile(fixture);
    store_says(L7S_STRICT_REFUSED, 0); /* used 0: nothing is learned, each one asks */
    for (unsigned i = 0; i < 10; i++) {
        l7s_verdict_t verdict = get(fixture);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
        assert_string_equal(verdict.policy, "exact");
    }
    assert_int_equal(store.asked, 10);
    store_says(L7S_STRICT_ADMITTED, 0);
    assert_int_equal(admitted_of(fixture, 10), 3);
    assert_int_equal(store.asked, 3); /* whom a local policy refuses, nobody asks about */
}

static void test_charge_strict_observed_refuses_nobody_and_asks_alike(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_CLOSED)->mode =
        L7S_MODE_OBSERVE;
    fixture_policy(fixture, "local", L7S_ACTION_THROTTLE, 3, 60);
    fixture_compile(fixture);
    store_says(L7S_STRICT_REFUSED, 5 * PERIOD_US);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_OBSERVED);
    assert_int_equal(store.asked, 1);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_OBSERVED);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_OBSERVED);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_THROTTLED); /* by "local" */
}

static void test_charge_strict_ban_begins_by_the_stores_verdict(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "guess", L7S_ACTION_BAN, L7S_DOWN_LOCAL);
    fixture_compile(fixture);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_ADMITTED);
    store_says(L7S_STRICT_REFUSED, 5 * PERIOD_US);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_BANNED);
    assert_int_equal(atomic_load(&fixture->shared.bans.head->active), 1);
}

static void test_charge_strict_all_rates_of_a_policy_are_one_question(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy =
        strict_policy(fixture, "pair", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);

    policy->rates[1] = (l7s_rate_t){100, 100, 3600000000ULL};
    policy->rate_count = 2;
    fixture_compile(fixture);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_ADMITTED);
    assert_int_equal(store.asked, 1);
    assert_int_equal(store.questions[0].count, 2);
    assert_int_equal(store.questions[0].limits[1].rate.burst, 100);
}

/* --- no verdict --- */

static void test_charge_strict_miss_local_counts_on_this_node(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);
    fixture_compile(fixture);
    store_says(L7S_STRICT_MISSED, 0);
    assert_int_equal(admitted_of(fixture, 20), 5);
    assert_int_equal(store.asked, 5);
    assert_int_equal(atomic_load(&fixture->shared.header->mailbox.missed), 5);
}

static void test_charge_strict_miss_open_admits(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_OPEN);
    fixture_policy(fixture, "local", L7S_ACTION_THROTTLE, 15, 60);
    fixture_compile(fixture);
    store_says(L7S_STRICT_MISSED, 0);
    assert_int_equal(admitted_of(fixture, 20), 15); /* the other policy goes on */
    assert_int_equal(atomic_load(&fixture->shared.header->mailbox.missed), 15);
}

static void test_charge_strict_miss_closed_refuses_without_blame(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "gate", L7S_ACTION_BAN, L7S_DOWN_CLOSED);
    fixture_policy(fixture, "local", L7S_ACTION_THROTTLE, 3, 60);
    fixture_compile(fixture);
    store_says(L7S_STRICT_MISSED, 0);
    for (unsigned i = 0; i < 10; i++) {
        l7s_verdict_t verdict = get(fixture);
        assert_int_equal(verdict.outcome, L7S_OUTCOME_DENIED);
        assert_int_equal(verdict.status, 503);
        assert_int_equal(verdict.retry_after_seconds, 2);
        assert_string_equal(verdict.policy, "gate");
        assert_string_equal(verdict.action, "deny");
        assert_string_equal(verdict.incident, "");
    }
    assert_int_equal(atomic_load(&fixture->shared.bans.head->active), 0);
    assert_null(fixture_episode(fixture, "gate"));
    assert_int_equal(atomic_load(&fixture_stats(fixture, "gate")->acted), 10);
    store_says(L7S_STRICT_ADMITTED, 0);
    assert_int_equal(admitted_of(fixture, 10), 3); /* nothing was charged meanwhile */
}

static void test_charge_strict_miss_then_refusal_gives_back_what_was_taken(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "first", L7S_ACTION_THROTTLE, L7S_DOWN_LOCAL);
    strict_policy(fixture, "second", L7S_ACTION_THROTTLE, L7S_DOWN_CLOSED);
    fixture_compile(fixture);
    store_says(L7S_STRICT_MISSED, 0);
    for (unsigned i = 0; i < 20; i++) { /* "first" is never used up */
        assert_string_equal(get(fixture).policy, "second");
    }
}

/* Neither a policy that only logs nor one that only observes refuses for want of an
 * answer. */
static void test_charge_strict_miss_closed_refuses_only_who_would_be_refused(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "watch", L7S_ACTION_LOG, L7S_DOWN_CLOSED);
    fixture_compile(fixture);
    store_says(L7S_STRICT_MISSED, 0);
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_ADMITTED);
    fixture_reset(fixture);
    strict_policy(fixture, "gate", L7S_ACTION_DENY, L7S_DOWN_CLOSED)->mode =
        L7S_MODE_OBSERVE;
    fixture_compile(fixture);
    l7s_verdict_t verdict = get(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.action, "would_deny");
    assert_int_equal(atomic_load(&fixture_stats(fixture, "gate")->would_act), 1);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "gate")->acted), 0);
}

static void test_charge_strict_without_a_store_counts_exactly_here(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_CLOSED);
    fixture_compile(fixture);
    store_says(L7S_STRICT_ALONE, 0);
    assert_int_equal(admitted_of(fixture, 20), 5);
    assert_int_equal(atomic_load(&fixture->shared.header->mailbox.missed), 0);
}

static void test_charge_strict_without_a_caller_who_waits_counts_here(void **state)
{
    fixture_t *fixture = *state;
    unsigned admitted = 0;

    strict_policy(fixture, "exact", L7S_ACTION_THROTTLE, L7S_DOWN_CLOSED);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 20; i++) {
        fixture_request_t request =
            fixture_request(CLIENT, "GET", "www.example.com", "/");
        admitted += fixture_decide(fixture, &request).outcome == L7S_OUTCOME_ADMITTED;
    }
    assert_int_equal(admitted, 5);
}

static void test_charge_strict_scope_node_and_always_never_ask(void **state)
{
    fixture_t *fixture = *state;

    strict_policy(fixture, "node", L7S_ACTION_THROTTLE, L7S_DOWN_CLOSED)->fleet = false;
    fixture_policy(fixture, "log", L7S_ACTION_LOG, 0, 0)->strict = true;
    fixture_compile(fixture);
    assert_false(l7s_image_has_strict(fixture->image));
    assert_int_equal(get(fixture).outcome, L7S_OUTCOME_LOGGED);
    assert_int_equal(store.asked, 0);
}

#define TEST(name) cmocka_unit_test_setup(name, reset)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_charge_strict_asks_with_its_limit_and_deadline),
        TEST(test_charge_strict_store_alone_counts),
        TEST(test_charge_strict_refused_key_does_not_ask_again),
        TEST(test_charge_strict_refusal_gives_back_local_tokens),
        TEST(test_charge_strict_observed_refuses_nobody_and_asks_alike),
        TEST(test_charge_strict_ban_begins_by_the_stores_verdict),
        TEST(test_charge_strict_all_rates_of_a_policy_are_one_question),
        TEST(test_charge_strict_miss_local_counts_on_this_node),
        TEST(test_charge_strict_miss_open_admits),
        TEST(test_charge_strict_miss_closed_refuses_without_blame),
        TEST(test_charge_strict_miss_then_refusal_gives_back_what_was_taken),
        TEST(test_charge_strict_without_a_store_counts_exactly_here),
        TEST(test_charge_strict_without_a_caller_who_waits_counts_here),
        TEST(test_charge_strict_scope_node_and_always_never_ask),
        TEST(test_charge_strict_miss_closed_refuses_only_who_would_be_refused),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
