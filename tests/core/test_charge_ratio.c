/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies on the share of failing answers.
 */
#include "policy_fixture.h"
#include "seeded.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define CLIENT "203.0.113.7"
#define OTHER "203.0.113.8"

/* At the beginning of a window, so that what follows lies in one. */
static int reset(void **state)
{
    fixture_t *fixture = *state;

    fixture_reset(fixture);
    fixture->now.mono_us = 600 * 1000000ULL;
    return 0;
}

/* 80 % of at least ten within a minute. */
static l7s_policy_t *scanning(fixture_t *fixture, const char *name, l7s_action_t action)
{
    l7s_policy_t *policy = fixture_policy(fixture, name, action, 0, 0);

    policy->ratio = (l7s_ratio_t){.percent = 80, .min_requests = 10, .seconds = 60};
    fixture_count_status(policy, 400, 599);
    return policy;
}

/* Asks and, if that admits, answers. */
static l7s_verdict_t visit(fixture_t *fixture, const char *client, const char *host,
                           uint16_t status)
{
    fixture_request_t request = fixture_request(client, "GET", host, "/");
    l7s_verdict_t verdict = fixture_decide(fixture, &request);

    if (!l7s_outcome_refuses(verdict.outcome) && verdict.awaits) {
        fixture_answer(fixture, &request,
                       (l7s_answer_t){.status = status, .was_decided = true}, &verdict);
    }
    return verdict;
}

static l7s_outcome_t get(fixture_t *fixture, const char *client, uint16_t status)
{
    return visit(fixture, client, "www.example.com", status).outcome;
}

static void get_many(fixture_t *fixture, const char *client, unsigned good, unsigned bad)
{
    for (unsigned i = 0; i < good; i++) {
        assert_int_equal(get(fixture, client, 200), L7S_OUTCOME_ADMITTED);
    }
    for (unsigned i = 0; i < bad; i++) {
        assert_int_equal(get(fixture, client, 404), L7S_OUTCOME_ADMITTED);
    }
}

static void test_ratio_stops_from_the_next_request_on_and_nobody_else(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, OTHER, 2, 0);
    get_many(fixture, CLIENT, 2, 7);
    verdict = visit(fixture, CLIENT, "www.example.com", 404); /* 8 of 10 */
    assert_int_equal(verdict.outcome, L7S_OUTCOME_LOGGED);
    assert_string_equal(verdict.policy, "scanning");
    verdict = visit(fixture, CLIENT, "www.example.com", 200);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_THROTTLED);
    assert_int_equal(verdict.status, 429);
    assert_int_equal(verdict.retry_after_seconds, 61);
    assert_int_equal(get(fixture, OTHER, 200), L7S_OUTCOME_ADMITTED);
}

static void test_ratio_neither_few_answers_nor_a_small_share_trip(void **state)
{
    fixture_t *fixture = *state;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 0, 9);
    get_many(fixture, OTHER, 70, 0);
    for (unsigned i = 0; i < 30; i++) {
        get_many(fixture, OTHER, 1, 3); /* at most 56 % */
        fixture_pass_ms(fixture, 100);
    }
    assert_null(fixture_episode(fixture, "scanning"));
    /* A good answer may be the one that makes them enough. */
    assert_int_equal(get(fixture, CLIENT, 200), L7S_OUTCOME_LOGGED);
    assert_int_equal(get(fixture, CLIENT, 200), L7S_OUTCOME_THROTTLED);
}

static void test_ratio_refused_requests_feed_nothing_and_it_ends(void **state)
{
    fixture_t *fixture = *state;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 0, 9);
    assert_int_equal(get(fixture, CLIENT, 404), L7S_OUTCOME_LOGGED);
    for (unsigned second = 0; second <= 60; second++) {
        assert_int_equal(get(fixture, CLIENT, 404), L7S_OUTCOME_THROTTLED);
        fixture_pass_ms(fixture, 1000);
    }
    /* Too few are left to tell: but one more is enough, whatever its answer. */
    assert_int_equal(get(fixture, CLIENT, 200), L7S_OUTCOME_LOGGED);
    assert_int_equal(get(fixture, CLIENT, 404), L7S_OUTCOME_THROTTLED);
    fixture_pass_ms(fixture, 30000);
    get_many(fixture, CLIENT, 100, 20);
}

/* What another policy refuses is none of the back end's answers. */
static void test_ratio_does_not_count_what_others_refuse(void **state)
{
    fixture_t *fixture = *state;

    fixture_policy(fixture, "a-rate", L7S_ACTION_THROTTLE, 5, 600);
    scanning(fixture, "b-scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 1, 4);
    for (unsigned i = 0; i < 50; i++) {
        assert_string_equal(visit(fixture, CLIENT, "www.example.com", 404).policy,
                            "a-rate");
    }
    assert_null(fixture_episode(fixture, "b-scanning"));
}

static void test_ratio_observing_counts_as_enforcing_would(void **state)
{
    static const struct {
        l7s_action_t action;
        l7s_mode_t mode;
        l7s_outcome_t outcome;
    } cases[] = {
        {L7S_ACTION_THROTTLE, L7S_MODE_OBSERVE, L7S_OUTCOME_OBSERVED},
        {L7S_ACTION_THROTTLE, L7S_MODE_ENFORCE, L7S_OUTCOME_THROTTLED},
        {L7S_ACTION_DENY, L7S_MODE_ENFORCE, L7S_OUTCOME_DENIED},
        {L7S_ACTION_DROP, L7S_MODE_ENFORCE, L7S_OUTCOME_DROPPED},
        {L7S_ACTION_LOG, L7S_MODE_ENFORCE, L7S_OUTCOME_LOGGED},
        {L7S_ACTION_BAN, L7S_MODE_ENFORCE, L7S_OUTCOME_BANNED},
        {L7S_ACTION_BAN, L7S_MODE_OBSERVE, L7S_OUTCOME_OBSERVED},
    };
    fixture_t *fixture = *state;

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        reset(state);
        scanning(fixture, "scanning", cases[i].action)->mode = cases[i].mode;
        fixture_compile(fixture);
        get_many(fixture, CLIENT, 0, 9);
        assert_int_equal(get(fixture, CLIENT, 404), L7S_OUTCOME_LOGGED);
        for (unsigned k = 0; k < 50; k++) {
            assert_int_equal(get(fixture, CLIENT, 404), cases[i].outcome);
        }
        bool bans = cases[i].action == L7S_ACTION_BAN;
        fixture_pass_ms(fixture, bans ? 50000 : 90000); /* a ban lasts for a minute */
        assert_int_equal(get(fixture, CLIENT, 200),
                         bans ? cases[i].outcome : L7S_OUTCOME_ADMITTED);
    }
}

static void test_ratio_episode_says_what_was_observed(void **state)
{
    fixture_t *fixture = *state;
    const l7s_episode_t *episode;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 1, 8);
    get(fixture, CLIENT, 404);
    get(fixture, CLIENT, 404);
    episode = fixture_episode(fixture, "scanning");
    assert_non_null(episode);
    assert_string_equal(episode->facts.detector, "ratio");
    assert_string_equal(episode->facts.unit, "percent");
    assert_int_equal(episode->facts.limit, 80);
    assert_int_equal(episode->facts.per_seconds, 60);
    assert_int_equal(episode->facts.observed, 90);
    assert_int_equal(atomic_load(&episode->acted), 1);
    assert_int_equal(atomic_load(&episode->passed), 1);
}

static void test_ratio_of_a_shared_key_is_all_of_them(void **state)
{
    fixture_t *fixture = *state;

    fixture_by(fixture, scanning(fixture, "broken", L7S_ACTION_DENY), "host");
    fixture_compile(fixture);
    for (char client[] = "203.0.113.0"; client[10] < '9'; client[10]++) {
        assert_int_equal(visit(fixture, client, "a.example.com", 502).outcome,
                         L7S_OUTCOME_ADMITTED);
    }
    assert_int_equal(visit(fixture, CLIENT, "a.example.com", 502).outcome,
                     L7S_OUTCOME_LOGGED);
    assert_int_equal(visit(fixture, OTHER, "a.example.com", 200).outcome,
                     L7S_OUTCOME_DENIED);
    assert_int_equal(visit(fixture, OTHER, "b.example.com", 200).outcome,
                     L7S_OUTCOME_ADMITTED);
}

/* The slot of one of a key's two tallies. */
static l7s_slot_t *slot_of(fixture_t *fixture, uint32_t place)
{
    const l7s_table_t *table = &fixture->shared.table;
    uint32_t count = 0;
    const l7s_image_limit_t *limits = l7s_image_limits(fixture->image, &count);

    assert_int_equal(count, L7S_RATIO_TALLIES);
    for (uint32_t i = 0; i < l7s_table_size(table); i++) {
        if (l7s_slot_key(&table->slots[i]).lo != 0 &&
            atomic_load(&table->slots[i].limit) == limits[place].id) {
            return &table->slots[i];
        }
    }
    return NULL;
}

/* One tally may be evicted without the other: nobody is stopped for what good answers
 * are not known of any more. */
static void test_ratio_failures_mean_nothing_without_the_answers(void **state)
{
    fixture_t *fixture = *state;
    l7s_slot_t *answered;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 500, 100);
    answered = slot_of(fixture, L7S_RATIO_ANSWERED);
    assert_true(
        l7s_table_release(&fixture->shared.table, answered, l7s_slot_key(answered)));
    get_many(fixture, CLIENT, 200, 20);
    assert_int_equal(l7s_tally_count(60, slot_of(fixture, L7S_RATIO_FAILED)->tat,
                                     fixture->now.mono_us),
                     20);
}

static void test_ratio_key_without_failures_has_one_slot(void **state)
{
    fixture_t *fixture = *state;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 20, 0);
    assert_non_null(slot_of(fixture, L7S_RATIO_ANSWERED));
    assert_null(slot_of(fixture, L7S_RATIO_FAILED));
}

/* While it acts on a key both tallies are kept. */
static void test_ratio_episode_holds_both_slots(void **state)
{
    fixture_t *fixture = *state;

    scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 0, 9);
    get(fixture, CLIENT, 404);
    assert_int_not_equal(slot_of(fixture, L7S_RATIO_ANSWERED)->episode, 0);
    assert_int_equal(slot_of(fixture, L7S_RATIO_ANSWERED)->episode,
                     slot_of(fixture, L7S_RATIO_FAILED)->episode);
}

static void test_ratio_coming_back_escalates(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = scanning(fixture, "scanning", L7S_ACTION_THROTTLE);

    policy->step_count = 1;
    policy->steps[0] = (l7s_step_t){
        .after = 2,
        .within_seconds = 3600,
        .sanction = {.action = L7S_ACTION_BAN, .seconds = 600, .status = 403}};
    fixture_compile(fixture);
    get_many(fixture, CLIENT, 0, 9);
    get(fixture, CLIENT, 404);
    assert_int_equal(get(fixture, CLIENT, 404), L7S_OUTCOME_THROTTLED);
    l7s_episode_close(&fixture->shared.episodes, fixture_episode(fixture, "scanning"));
    fixture_pass_ms(fixture, 120000);
    get_many(fixture, CLIENT, 0, 9);
    get(fixture, CLIENT, 404);
    assert_int_equal(get(fixture, CLIENT, 404), L7S_OUTCOME_BANNED);
}

/* --- against a list of all answers --- */

#define CLIENTS 5
#define ANSWERS 4096

/* Of one client, all that it was answered. */
typedef struct {
    size_t count;
    struct {
        uint64_t at_ms;
        bool failed;
    } all[ANSWERS];
} history_t;

/* Whole answers of the running window and the share of those of the one before, times the
 * period. */
static bool too_many_failed(const history_t *history, const l7s_ratio_t *ratio,
                            uint64_t now_ms)
{
    uint64_t period_ms = ratio->seconds * 1000ULL, answered = 0, failed = 0;
    uint64_t begin_ms = now_ms / period_ms * period_ms;

    for (size_t i = 0; i < history->count; i++) {
        uint64_t at_ms = history->all[i].at_ms;
        uint64_t weight = at_ms >= begin_ms ? period_ms
                          : at_ms + period_ms >= begin_ms
                              ? period_ms - (now_ms - begin_ms)
                              : 0;
        answered += weight;
        failed += history->all[i].failed ? weight : 0;
    }
    return answered >= ratio->min_requests * period_ms &&
           failed * 100 >= answered * ratio->percent;
}

static void ask_one(fixture_t *fixture, const l7s_policy_t *policy, history_t *history,
                    unsigned client, uint16_t status)
{
    uint64_t now_ms = fixture->now.mono_us / 1000;
    char address[] = "203.0.113.0";
    bool was_over = too_many_failed(history, &policy->ratio, now_ms), is_over = was_over;
    bool acts = policy->mode == L7S_MODE_ENFORCE;
    l7s_outcome_t outcome = L7S_OUTCOME_ADMITTED;

    address[10] = (char)('0' + client);
    if (!was_over) {
        history->all[history->count].at_ms = now_ms;
        history->all[history->count++].failed = status >= 400;
        is_over = too_many_failed(history, &policy->ratio, now_ms);
    }
    if (was_over) {
        outcome = acts ? L7S_OUTCOME_THROTTLED : L7S_OUTCOME_OBSERVED;
    } else if (is_over) {
        outcome = L7S_OUTCOME_LOGGED; /* it has passed */
    }
    assert_int_equal(get(fixture, address, status), outcome);
}

static void test_ratio_random_clients_are_judged_by_their_answers(void **state)
{
    fixture_t *fixture = *state;
    history_t *histories = calloc(CLIENTS, sizeof *histories);
    unsigned refused = 0;
    uint64_t seed = 9;

    assert_non_null(histories);
    for (unsigned round = 0; round < 60; round++) {
        reset(state);
        fixture->now.mono_us += seeded_below(&seed, 100000000);
        memset(histories, 0, CLIENTS * sizeof *histories);
        l7s_policy_t *policy = scanning(fixture, "scanning", L7S_ACTION_THROTTLE);
        policy->mode = round % 2 == 0 ? L7S_MODE_ENFORCE : L7S_MODE_OBSERVE;
        policy->ratio =
            (l7s_ratio_t){.percent = 20 + (uint32_t)seeded_below(&seed, 81),
                          .min_requests = 1 + (uint32_t)seeded_below(&seed, 30),
                          .seconds = 1 + (uint32_t)seeded_below(&seed, 60)};
        fixture_compile(fixture);
        for (unsigned i = 0; i < 500; i++) {
            unsigned client = (unsigned)seeded_below(&seed, CLIENTS);
            /* The first one never fails, the last one always. */
            bool fails = seeded_below(&seed, CLIENTS - 1) < client;
            ask_one(fixture, policy, &histories[client], client, fails ? 404 : 200);
            fixture_pass_ms(fixture, seeded_below(&seed, 500));
        }
        refused += fixture_stats(fixture, "scanning")->acted > 0;
        assert_int_equal(fixture->shared.table.stats->evicted_live, 0);
    }
    assert_true(refused > 20);
    free(histories);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup(name, reset)
    const struct CMUnitTest tests[] = {
        CASE(test_ratio_stops_from_the_next_request_on_and_nobody_else),
        CASE(test_ratio_neither_few_answers_nor_a_small_share_trip),
        CASE(test_ratio_refused_requests_feed_nothing_and_it_ends),
        CASE(test_ratio_does_not_count_what_others_refuse),
        CASE(test_ratio_observing_counts_as_enforcing_would),
        CASE(test_ratio_episode_says_what_was_observed),
        CASE(test_ratio_of_a_shared_key_is_all_of_them),
        CASE(test_ratio_failures_mean_nothing_without_the_answers),
        CASE(test_ratio_key_without_failures_has_one_slot),
        CASE(test_ratio_episode_holds_both_slots),
        CASE(test_ratio_coming_back_escalates),
        CASE(test_ratio_random_clients_are_judged_by_their_answers),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
