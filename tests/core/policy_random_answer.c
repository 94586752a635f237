/* SPDX-License-Identifier: Apache-2.0
 *
 * What random policies (policy_random.h) count and do beyond a rate of requests: by the
 * answer, in flight, step by step; and random answers.
 */
#include "policy_random.h"
#include "seeded.h"

#include <stdio.h>
#include <string.h>

#define PICK(seed, table) table[seeded_below(seed, sizeof(table) / sizeof *(table))]

static const char *const SIGNALS[] = {"failed-login", "scan", "bot"};

static bool chance(uint64_t *seed, unsigned percent)
{
    return seeded_below(seed, 100) < percent;
}

static void random_statuses(uint64_t *seed, l7s_policy_t *policy)
{
    static const uint16_t ranges[][2] = {
        {200, 299}, {401, 401}, {403, 404}, {400, 499}, {500, 599}};

    for (unsigned i = 0; i < 1 + seeded_below(seed, 2); i++) {
        const uint16_t *range = PICK(seed, ranges);
        fixture_count_status(policy, range[0], range[1]);
    }
}

void random_deferral(fixture_t *fixture, uint64_t *seed, l7s_policy_t *policy)
{
    static const l7s_cost_t costs[] = {L7S_COST_BYTES_IN, L7S_COST_BYTES_OUT,
                                       L7S_COST_BUSY_MS, L7S_COST_HEADER};

    if (policy->rate_count > 0 && chance(seed, 40)) {
        policy->cost = PICK(seed, costs);
    }
    if (chance(seed, 30)) {
        policy->signals = fixture_strings(
            fixture, chance(seed, 50) ? "scan" : "failed-login bot unheard");
    }
    if (chance(seed, 30) ||
        (policy->signals.count == 0 && policy->cost == L7S_COST_REQUESTS)) {
        random_statuses(seed, policy);
    }
    if (policy->rate_count == 0) { /* the answer is on its way */
        policy->action = chance(seed, 50) ? L7S_ACTION_BAN : L7S_ACTION_LOG;
    }
}

void random_steps(uint64_t *seed, l7s_policy_t *policy)
{
    static const l7s_action_t actions[] = {L7S_ACTION_DENY, L7S_ACTION_THROTTLE,
                                           L7S_ACTION_DROP, L7S_ACTION_BAN,
                                           L7S_ACTION_CHALLENGE};
    static const uint32_t withins[] = {1, 60, 300};
    bool bans = policy->action == L7S_ACTION_BAN;

    policy->step_count = 1 + seeded_below(seed, 3);
    for (size_t i = 0; i < policy->step_count; i++) {
        policy->steps[i] = (l7s_step_t){
            .after = 2 + (uint32_t)seeded_below(seed, 3),
            .within_seconds = PICK(seed, withins),
            .sanction = {.action = bans ? L7S_ACTION_BAN : PICK(seed, actions),
                         .status = (uint16_t)(400 + seeded_below(seed, 30)),
                         .seconds = 1 + (uint32_t)seeded_below(seed, 60),
                         .challenge = L7S_CHALLENGE_COOKIE,
                         .refuses = chance(seed, 50)}};
    }
}

l7s_answer_t random_answer(uint64_t *seed)
{
    static const uint16_t statuses[] = {200, 200, 200, 301, 401, 401, 403, 404, 500};
    l7s_answer_t answer = {.status = PICK(seed, statuses), .was_decided = true};

    for (unsigned i = L7S_COST_REQUESTS + 1; i < L7S_COSTS; i++) {
        answer.amounts[i] = chance(seed, 30) ? 0 : seeded_below(seed, 8);
    }
    if (chance(seed, 5)) {
        answer.amounts[L7S_COST_BYTES_OUT] = 0xffffffffffULL;
    }
    for (unsigned i = 0; chance(seed, 40) && i < 3; i++) {
        l7s_signals_read(&answer.signals, PICK(seed, SIGNALS));
    }
    return answer;
}
