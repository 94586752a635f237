/* SPDX-License-Identifier: Apache-2.0
 *
 * Whoever comes back meets a stronger action: what counts as coming back, when a step
 * applies, and when it ends.
 */
#include "../../core/decide/escalate.h"
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
#define MINUTES(n) ((n)*60000ULL)

static l7s_verdict_t get(fixture_t *fixture, const char *client)
{
    fixture_request_t request = fixture_request(client, "GET", "www.example.com", "/");

    return fixture_decide(fixture, &request);
}

static void add_step(l7s_policy_t *policy, uint32_t after, uint32_t within_seconds,
                     l7s_action_t action, uint32_t seconds)
{
    l7s_step_t *step = &policy->steps[policy->step_count++];

    step->after = after;
    step->within_seconds = within_seconds;
    step->sanction = (l7s_sanction_t){.action = action, .seconds = seconds};
    step->sanction.status = action == L7S_ACTION_BAN ? 410 : 404;
    snprintf(step->sanction.response, sizeof step->sanction.response, "step");
}

/* The running episode ends, as the sync process ends it after a minute of quiet. */
static void end_episode(fixture_t *fixture)
{
    l7s_episode_t *episode = fixture_episode(fixture, "guard");

    assert_non_null(episode);
    fixture_pass_ms(fixture, L7S_EPISODE_QUIET_MS + 1000);
    l7s_episode_close(&fixture->shared.episodes, episode);
}

/* A client that is admitted, then trips: what its episode begins with. */
static l7s_verdict_t trip(fixture_t *fixture)
{
    assert_int_equal(get(fixture, CLIENT).outcome, L7S_OUTCOME_ADMITTED);
    return get(fixture, CLIENT);
}

static void assert_reported(fixture_t *fixture, l7s_action_t action)
{
    uint32_t escalated = atomic_load(&fixture_episode(fixture, "guard")->escalated);

    assert_true((escalated & 0xff) > 1);
    assert_int_equal(escalated >> 8, action);
}

static void test_escalate_third_episode_in_time_meets_the_step(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;

    add_step(fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1), 3, 3600,
             L7S_ACTION_DENY, 0);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 2; i++) {
        for (unsigned k = 0; k < 5; k++) { /* one episode, however long */
            assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_THROTTLED);
            fixture_pass_ms(fixture, 1000);
        }
        end_episode(fixture);
    }
    verdict = trip(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_DENIED);
    assert_string_equal(verdict.action, "deny");
    assert_int_equal(verdict.status, 404);
    assert_string_equal(verdict.response, "step");
    assert_reported(fixture, L7S_ACTION_DENY);
    assert_int_equal(get(fixture, CLIENT).outcome, L7S_OUTCOME_DENIED);
    fixture_pass_ms(fixture, 1000);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_DENIED); /* until it ends */
    end_episode(fixture);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_DENIED); /* the fourth */
    end_episode(fixture);
    fixture_pass_ms(fixture, MINUTES(180));
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_THROTTLED);
}

static void test_escalate_spread_out_episodes_never_meet_it(void **state)
{
    fixture_t *fixture = *state;

    add_step(fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1), 2, 3600,
             L7S_ACTION_DENY, 0);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 20; i++) {
        assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_THROTTLED);
        end_episode(fixture);
        fixture_pass_ms(fixture, MINUTES(59));
    }
}

/* However they lie: the after-th that begins in time meets it. */
static void test_escalate_any_spacing_within_the_time_is_caught(void **state)
{
    static const unsigned gaps[][3] = {{0, 0, 56}, {56, 0, 0}, {20, 18, 18}, {1, 50, 4}};
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 4; i++) {
        fixture_reset(fixture);
        add_step(fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1), 4, 3600,
                 L7S_ACTION_DENY, 0);
        fixture_compile(fixture);
        for (unsigned k = 0; k < 3; k++) {
            assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_THROTTLED);
            end_episode(fixture);
            fixture_pass_ms(fixture, MINUTES(gaps[i][k]));
        }
        assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_DENIED);
    }
}

/* The last one decides, and no episode counts twice. */
static void test_escalate_steps_with_one_threshold_count_each_episode_once(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1);

    for (unsigned i = 0; i < L7S_STEPS_MAX; i++) {
        add_step(policy, 4, 3600, i < 3 ? L7S_ACTION_DENY : L7S_ACTION_DROP, 0);
    }
    fixture_compile(fixture);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_THROTTLED);
        end_episode(fixture);
    }
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_DROPPED);
}

/* The hammering client of a ban never lets its episode end. */
static void test_escalate_ban_made_anew_counts(void **state)
{
    fixture_t *fixture = *state;
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_verdict_t verdict;
    l7s_ban_t ban;

    add_step(fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 1), 3, 3600,
             L7S_ACTION_BAN, 86400);
    fixture_compile(fixture);
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(trip(fixture).retry_after_seconds, 60);
        for (unsigned k = 0; k < 100; k++) {
            assert_int_equal(get(fixture, CLIENT).outcome, L7S_OUTCOME_BANNED);
            fixture_pass_ms(fixture, 600);
        }
    }
    verdict = trip(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_BANNED);
    assert_int_equal(verdict.retry_after_seconds, 86400);
    assert_int_equal(verdict.status, 410);
    assert_true(l7s_bans_find_address(&fixture->shared.bans, &fixture->count_key, &peer,
                                      fixture->now, &ban));
    assert_int_equal(ban.until_ms, fixture->now.wall_ms + 86400000);
    assert_int_equal(ban.status, 410);
    assert_string_equal(ban.response, "step");
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->ban_until_ms),
                     ban.until_ms);
    fixture_pass_ms(fixture, MINUTES(60) * 24);
    assert_int_equal(trip(fixture).retry_after_seconds, 60);
}

/* What other nodes made counts as if it had been made here, and once only. */
static void test_escalate_learned_bans_count(void **state)
{
    fixture_t *fixture = *state;
    l7s_ban_t ban = {.is_address = true, .status = 403, .policy = "guard"};
    l7s_addr_t peer = fixture_addr(CLIENT);

    add_step(fixture_policy(fixture, "guard", L7S_ACTION_BAN, 1, 1), 3, 3600,
             L7S_ACTION_BAN, 86400);
    fixture_policy(fixture, "other", L7S_ACTION_THROTTLE, 1000, 1);
    fixture_compile(fixture);
    ban.network = l7s_addr_client(&peer);
    ban.digest = l7s_key_digest_cidr(&fixture->count_key, L7S_PART_CLIENT, &ban.network);
    l7s_escalate_learned(&fixture->shared, fixture->image, &ban, fixture->now);
    snprintf(ban.policy, sizeof ban.policy, "other");
    l7s_escalate_learned(&fixture->shared, fixture->image, &ban, fixture->now);
    snprintf(ban.policy, sizeof ban.policy, "gone");
    l7s_escalate_learned(&fixture->shared, fixture->image, &ban, fixture->now);
    assert_int_equal(trip(fixture).retry_after_seconds, 60);
    fixture_pass_ms(fixture, 60001);
    assert_int_equal(trip(fixture).retry_after_seconds, 86400);
}

static void test_escalate_observing_policy_counts_and_simulates(void **state)
{
    fixture_t *fixture = *state;
    l7s_verdict_t verdict;
    l7s_policy_t *policy = fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1);

    policy->mode = L7S_MODE_OBSERVE;
    add_step(policy, 2, 3600, L7S_ACTION_BAN, 600);
    fixture_compile(fixture);
    assert_string_equal(trip(fixture).action, "would_throttle");
    end_episode(fixture);
    verdict = trip(fixture);
    assert_int_equal(verdict.outcome, L7S_OUTCOME_OBSERVED);
    assert_string_equal(verdict.action, "would_ban");
    assert_reported(fixture, L7S_ACTION_BAN);
    fixture_pass_ms(fixture, 599000); /* it would conform by far */
    assert_string_equal(get(fixture, CLIENT).action, "would_ban");
    assert_int_equal(atomic_load(&fixture_episode(fixture, "guard")->acted), 0);
    fixture_pass_ms(fixture, 1001);
    assert_int_equal(get(fixture, CLIENT).outcome, L7S_OUTCOME_ADMITTED);
}

static void test_escalate_last_step_that_applies_decides(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1);
    l7s_addr_t peer = fixture_addr(CLIENT);
    l7s_episode_t *episode;

    add_step(policy, 2, 3600, L7S_ACTION_DENY, 0);
    add_step(policy, 3, 3600, L7S_ACTION_BAN, 600);
    fixture_compile(fixture);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_THROTTLED);
    end_episode(fixture);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_DENIED);
    end_episode(fixture);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_BANNED);
    assert_true(l7s_bans_find_address(&fixture->shared.bans, &fixture->count_key, &peer,
                                      fixture->now, NULL));
    episode = fixture_episode(fixture, "guard");
    assert_string_equal(episode->facts.ban_id, "ip:203.0.113.7");
    assert_reported(fixture, L7S_ACTION_BAN);
    /* The ban's end does not end the episode of somebody who knocks on. */
    fixture_pass_ms(fixture, 600001);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_BANNED);
}

static void test_escalate_step_that_was_taken_away_is_not_looked_for(void **state)
{
    fixture_t *fixture = *state;
    l7s_policy_t *policy = fixture_policy(fixture, "guard", L7S_ACTION_THROTTLE, 1, 1);

    add_step(policy, 2, 3600, L7S_ACTION_DENY, 0);
    add_step(policy, 2, 3600, L7S_ACTION_BAN, 600);
    policy->steps[1].sanction.action = L7S_ACTION_DENY;
    fixture_compile(fixture);
    trip(fixture);
    end_episode(fixture);
    assert_int_equal(trip(fixture).outcome, L7S_OUTCOME_DENIED);
    policy->step_count = 1;
    fixture_compile(fixture);
    assert_int_equal(get(fixture, CLIENT).outcome, L7S_OUTCOME_THROTTLED);
}

/* A shared entry says nothing about one of its keys; a ban is each key's own. */
static void test_escalate_keys_of_a_campaign(void **state)
{
    static const struct {
        l7s_action_t action;
        uint32_t seconds;
        l7s_outcome_t second;
    } cases[] = {{L7S_ACTION_THROTTLE, 0, L7S_OUTCOME_THROTTLED},
                 {L7S_ACTION_BAN, 600, L7S_OUTCOME_BANNED}};
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 2; i++) {
        l7s_verdict_t verdict = {.outcome = L7S_OUTCOME_ADMITTED};
        fixture_reset(fixture);
        add_step(fixture_policy(fixture, "guard", cases[i].action, 1, 1), 2, 3600,
                 cases[i].seconds > 0 ? L7S_ACTION_BAN : L7S_ACTION_DENY,
                 cases[i].seconds);
        fixture_compile(fixture);
        for (unsigned round = 0; round < 2; round++) {
            for (unsigned k = 0; k < 40; k++) {
                char client[20];
                snprintf(client, sizeof client, "10.0.0.%u", k);
                get(fixture, client);
                verdict = get(fixture, client);
            }
            fixture_pass_ms(fixture, 60001);
        }
        assert_int_equal(verdict.outcome, cases[i].second);
        assert_int_equal(verdict.retry_after_seconds, cases[i].seconds ? 600 : 1);
    }
}

static void test_escalate_limits_are_forgiven_and_stay_on_the_node(void **state)
{
    fixture_t *fixture = *state;
    const l7s_image_limit_t *limits;
    uint32_t count;

    add_step(fixture_policy(fixture, "a", L7S_ACTION_BAN, 1, 1), 3, 3600, L7S_ACTION_BAN,
             600);
    add_step(fixture_policy(fixture, "b", L7S_ACTION_THROTTLE, 1, 1), 5, 60,
             L7S_ACTION_BAN, 600);
    fixture_compile(fixture);
    limits = l7s_image_limits(fixture->image, &count);
    assert_int_equal(count, 4);
    for (unsigned i = 2; i < 4; i++) {
        assert_true(limits[i].by_client);
        assert_int_equal(limits[i].rate.requests, 1);
        assert_ptr_equal(l7s_image_limit(fixture->image, limits[i].id), &limits[i]);
    }
    assert_int_equal(limits[2].rate.burst, 2);
    assert_int_equal(limits[3].rate.period_us, 60000000);
    assert_false(limits[2].fleet);
}

/* --- many workers --- */

typedef struct {
    fixture_t *fixture;
    pthread_barrier_t *start;
} worker_t;

static void *knock(void *context)
{
    worker_t *worker = context;

    pthread_barrier_wait(worker->start);
    for (unsigned i = 0; i < 50; i++) {
        get(worker->fixture, CLIENT);
    }
    return NULL;
}

static void knock_together(fixture_t *fixture)
{
    pthread_t threads[4];
    pthread_barrier_t start;
    worker_t worker = {fixture, &start};

    pthread_barrier_init(&start, NULL, 4);
    for (unsigned i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, knock, &worker), 0);
    }
    for (unsigned i = 0; i < 4; i++) {
        pthread_join(threads[i], NULL);
    }
    pthread_barrier_destroy(&start);
}

static uint64_t episodes_used(const fixture_t *fixture)
{
    const l7s_image_limit_t *limits;
    uint32_t count;
    uint64_t used = 0;

    limits = l7s_image_limits(fixture->image, &count);
    for (uint32_t i = 0; i < l7s_table_size(&fixture->shared.table); i++) {
        l7s_slot_t *slot = &fixture->shared.table.slots[i];
        if (atomic_load(&slot->key_lo) != 0 &&
            atomic_load(&slot->limit) == limits[count - 1].id) {
            used += l7s_bucket_used(&limits[count - 1].rate, atomic_load(&slot->tat),
                                    fixture->now.mono_us);
        }
    }
    return used / limits[count - 1].rate.period_us;
}

static void test_escalate_workers_count_an_episode_once(void **state)
{
    static const l7s_action_t actions[] = {L7S_ACTION_THROTTLE, L7S_ACTION_BAN};
    fixture_t *fixture = *state;

    for (unsigned i = 0; i < 40; i++) {
        uint64_t used;
        fixture_reset(fixture);
        add_step(fixture_policy(fixture, "guard", actions[i % 2], 1, 3600), 50, 3600,
                 L7S_ACTION_BAN, 86400);
        fixture_compile(fixture);
        knock_together(fixture);
        used = episodes_used(fixture);
        /* Two that begin one ban at the same moment may both leave it to the other. */
        assert_in_range(used, i % 2 == 0 ? 1 : 0, 1);
    }
}

#define TEST(name) cmocka_unit_test_setup(name, fixture_start)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_escalate_third_episode_in_time_meets_the_step),
        TEST(test_escalate_spread_out_episodes_never_meet_it),
        TEST(test_escalate_any_spacing_within_the_time_is_caught),
        TEST(test_escalate_steps_with_one_threshold_count_each_episode_once),
        TEST(test_escalate_ban_made_anew_counts),
        TEST(test_escalate_learned_bans_count),
        TEST(test_escalate_observing_policy_counts_and_simulates),
        TEST(test_escalate_last_step_that_applies_decides),
        TEST(test_escalate_step_that_was_taken_away_is_not_looked_for),
        TEST(test_escalate_keys_of_a_campaign),
        TEST(test_escalate_limits_are_forgiven_and_stay_on_the_node),
        TEST(test_escalate_workers_count_an_episode_once),
    };

    return cmocka_run_group_tests(tests, fixture_set_up, fixture_tear_down);
}
