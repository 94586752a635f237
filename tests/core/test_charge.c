/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is charged for a request, and what happens when somebody else takes the last
 * token.
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

static void test_charge_refused_request_charges_nobody(void **state)
{
    fixture_t *fixture = *state;

    fixture_by(fixture, fixture_policy(fixture, "all", L7S_ACTION_THROTTLE, 100, 60),
               "global");
    fixture_policy(fixture, "one", L7S_ACTION_THROTTLE, 1, 60);
    fixture_by(fixture, fixture_policy(fixture, "after", L7S_ACTION_LOG, 100, 60),
               "global");
    fixture_compile(fixture);
    fixture_outcome(fixture, CLIENT);
    for (unsigned i = 0; i < 50; i++) {
        assert_int_equal(fixture_outcome(fixture, CLIENT), L7S_OUTCOME_THROTTLED);
    }
    assert_int_equal(fixture_used_tokens(fixture, "all"), 1);
    assert_int_equal(fixture_used_tokens(fixture, "one"), 1);
    assert_int_equal(fixture_used_tokens(fixture, "after"), 1);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "all")->matched), 51);
    assert_int_equal(atomic_load(&fixture_stats(fixture, "after")->matched), 1);
}

static void test_charge_nonconforming_policy_is_not_charged_in_any_mode(void **state)
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
        fixture_outcome(fixture, CLIENT);
        fixture_outcome(fixture, CLIENT);
        for (unsigned k = 0; k < 5; k++) {
            verdict = fixture_get(fixture, CLIENT, "/");
            assert_int_equal(verdict.outcome, cases[i].outcome);
            assert_string_equal(verdict.action, cases[i].word);
        }
        assert_int_equal(fixture_used_tokens(fixture, "limit"), 2);
    }
}

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
    fixture_outcome(fixture, CLIENT); /* so that there is something to steal from */
    /* Exceptions are looked at one policy after the other. */
    fixture_match_header(fixture, fixture_except(fixture, late), "x-late", L7S_IS_ABSENT,
                         "");
    fixture_compile(fixture);
}

static void test_charge_lost_race_refunds_and_refuses(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    add_robbed(fixture, L7S_MODE_ENFORCE);
    verdict = decide_robbed(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_string_equal(verdict.policy, "b-robbed");
    assert_int_equal(verdict.retry_after_seconds, 6);
    assert_int_equal(fixture_used_tokens(fixture, "a-first"), 1);
    assert_int_equal(fixture_used_tokens(fixture, "b-robbed"), 1);
    assert_int_equal(fixture_used_tokens(fixture, "c-late"), 1);
}

static void test_charge_lost_race_of_an_observer_charges_the_others(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    add_robbed(fixture, L7S_MODE_OBSERVE);
    verdict = decide_robbed(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.policy, "b-robbed");
    assert_int_equal(fixture_used_tokens(fixture, "a-first"), 2);
    assert_int_equal(fixture_used_tokens(fixture, "c-late"), 2);
    assert_int_equal(fixture_used_tokens(fixture, "b-robbed"), 1);
}

typedef struct {
    fixture_t *fixture;
    unsigned admitted;
} worker_t;

static void *work(void *context)
{
    worker_t *worker = context;

    for (unsigned i = 0; i < 500; i++) {
        worker->admitted +=
            fixture_outcome(worker->fixture, CLIENT) == L7S_OUTCOME_ADMITTED;
    }
    return NULL;
}

static void test_charge_threads_share_a_limit_exactly(void **state)
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
    assert_int_equal(fixture_used_tokens(fixture, "b-narrow"), 700);
    assert_int_equal(fixture_used_tokens(fixture, "a-wide"), 700);
}

static void test_charge_full_table_admits_and_raises_the_alarm(void **state)
{
    fixture_t *fixture = *state;
    unsigned admitted = 0;

    fixture_policy(fixture, "limit", L7S_ACTION_THROTTLE, 1, 3600);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 5000; i++) {
        char client[20];
        snprintf(client, sizeof client, "10.0.%u.%u", i / 250, i % 250);
        admitted += fixture_outcome(fixture, client) == L7S_OUTCOME_ADMITTED;
    }
    assert_int_equal(admitted, 5000);
    assert_true(atomic_load(&fixture->shared.table.stats->overflowed) +
                    atomic_load(&fixture->shared.table.stats->evicted_live) >
                0);
}

/* An allow policy that trips late ends nothing that has not been asked already. */
static void test_charge_lost_race_of_an_allow_policy_charges_the_others(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    add_robbed(fixture, L7S_MODE_ENFORCE);
    fixture->config.policies[1].action = L7S_ACTION_ALLOW;
    fixture_compile(fixture);
    verdict = decide_robbed(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_ALLOW_LISTED);
    assert_int_equal(fixture_used_tokens(fixture, "a-first"), 2);
    assert_int_equal(fixture_used_tokens(fixture, "b-robbed"), 1);
    assert_int_equal(fixture_used_tokens(fixture, "c-late"), 2);
}

/* Strict, without a store: its tokens are taken last, and one of two limits alone is not
 * taken. */
static void test_charge_lost_race_of_a_strict_policy_gives_all_back(void **state)
{
    static const l7s_mode_t modes[] = {L7S_MODE_ENFORCE, L7S_MODE_OBSERVE};
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 2; i++) {
        bool enforced = modes[i] == L7S_MODE_ENFORCE;
        fixture_reset(fixture);
        add_robbed(fixture, modes[i]);
        fixture->config.policies[1].strict = true;
        fixture_compile(fixture);
        assert_int_equal(decide_robbed(fixture).outcome,
                         enforced ? L7S_OUTCOME_THROTTLED : L7S_OUTCOME_OBSERVED);
        assert_int_equal(fixture_used_tokens(fixture, "a-first"), enforced ? 1 : 2);
        assert_int_equal(fixture_used_tokens(fixture, "b-robbed"), 1);
        assert_int_equal(fixture_used_tokens(fixture, "c-late"), enforced ? 1 : 2);
    }
}

#define TEST(function) cmocka_unit_test_setup(function, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_charge_refused_request_charges_nobody),
        TEST(test_charge_nonconforming_policy_is_not_charged_in_any_mode),
        TEST(test_charge_lost_race_refunds_and_refuses),
        TEST(test_charge_lost_race_of_an_observer_charges_the_others),
        TEST(test_charge_threads_share_a_limit_exactly),
        TEST(test_charge_full_table_admits_and_raises_the_alarm),
        TEST(test_charge_lost_race_of_an_allow_policy_charges_the_others),
        TEST(test_charge_lost_race_of_a_strict_policy_gives_all_back),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
