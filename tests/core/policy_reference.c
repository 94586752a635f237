/* SPDX-License-Identifier: Apache-2.0
 *
 * See policy_reference.h. Slow on purpose.
 */
#include "policy_reference_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void *grow(size_t count, size_t width)
{
    void *items = calloc(count, width);

    if (items == NULL) {
        abort();
    }
    return items;
}

void reference_begin(reference_t *reference, fixture_t *fixture)
{
    memset(reference, 0, sizeof *reference);
    reference->config = &fixture->config;
    reference->count_key = &fixture->count_key;
    reference->located = fixture->shared.geo != NULL;
    reference->node_mode = L7S_MODE_ENFORCE;
    reference->counters = grow(REFERENCE_MAX, sizeof *reference->counters);
    reference->bans = grow(REFERENCE_MAX, sizeof *reference->bans);
    reference->episodes = grow(REFERENCE_MAX, sizeof *reference->episodes);
    reference->steps = grow(REFERENCE_MAX, sizeof *reference->steps);
    reference->flying = grow(REFERENCE_MAX, sizeof *reference->flying);
}

void reference_end(reference_t *reference)
{
    free(reference->counters);
    free(reference->bans);
    free(reference->episodes);
    free(reference->steps);
    free(reference->flying);
}

/* --- policies --- */

static l7s_mode_t policy_mode(const reference_run_t *run, const l7s_policy_t *policy,
                              const reference_tuple_t *tuple)
{
    l7s_mode_t mode = l7s_mode_least(run->app_mode, policy->mode);
    l7s_hash128_t key = l7s_hash128_xor(
        l7s_key_digest(run->all->count_key, &tuple->encoding),
        l7s_limit_identity(run->all->count_key, policy->name, policy->spec, 0));

    if (key.hi % 100 >= policy->rollout_percent ||
        (run->request->client_is_proxy && tuple->has_client)) {
        mode = l7s_mode_least(mode, L7S_MODE_OBSERVE);
    }
    return mode;
}

static bool is_deferred(const l7s_policy_t *policy)
{
    return policy->status_count > 0 || policy->signals.count > 0 ||
           policy->cost != L7S_COST_REQUESTS;
}

static size_t in_flight(const reference_run_t *run, size_t policy, const char *tuple)
{
    size_t count = 0;

    for (size_t i = 0; i < run->all->flying_count; i++) {
        const reference_flight_t *flight = &run->all->flying[i];
        count += flight->policy == policy && strcmp(flight->tuple, tuple) == 0;
    }
    return count;
}

/* True: it is one too many. Else it will have a place, if it is admitted. */
static bool is_crowded(reference_run_t *run, size_t index, const char *tuple)
{
    reference_open_t *open = run->open;

    if (in_flight(run, index, tuple) >= run->all->config->policies[index].concurrency) {
        return true;
    }
    open->wanted[open->wanted_count].policy = index;
    snprintf(open->wanted[open->wanted_count++].tuple, REFERENCE_KEY, "%s", tuple);
    return false;
}

/* What it is asked is whether its detector trips. */
static reference_said_t ask_detector(reference_run_t *run, reference_trip_t *trip)
{
    const l7s_policy_t *policy = &run->all->config->policies[trip->policy];
    const char *tuple = trip->tuple->text;

    if (policy->concurrency > 0) {
        if (run->request->owner == 0 ||
            run->open->wanted_count == L7S_FLIGHTS_PER_REQUEST ||
            (!trip->simulated && !is_crowded(run, trip->policy, tuple))) {
            return REFERENCE_GOES_ON;
        }
        trip->wait_us = 1000000;
        return reference_trips(run, trip);
    }
    if (is_deferred(policy)) {
        run->open->asked[run->open->asked_count++] = trip->policy;
        trip->wait_us = trip->simulated ? 0 : reference_wait(run, trip->policy, tuple, 0);
        return trip->simulated || trip->wait_us > 0 ? reference_trips(run, trip)
                                                    : REFERENCE_GOES_ON;
    }
    trip->wait_us = trip->simulated ? 0 : reference_wait(run, trip->policy, tuple, 1);
    return !trip->simulated && trip->wait_us == 0 && policy->rate_count > 0
               ? REFERENCE_CONFORMS
               : reference_trips(run, trip);
}

static reference_said_t ask(reference_run_t *run, size_t index,
                            char tuple_text[REFERENCE_KEY])
{
    const l7s_policy_t *policy = &run->all->config->policies[index];
    reference_tuple_t tuple;
    reference_trip_t trip = {.policy = index, .tuple = &tuple};
    const reference_ban_t *ban;

    reference_make_tuple(run, policy, &tuple);
    if (tuple.skipped || strcmp(run->spoken, policy->name) == 0) {
        return REFERENCE_GOES_ON;
    }
    memcpy(tuple_text, tuple.text, sizeof tuple.text);
    trip.mode = policy_mode(run, policy, &tuple);
    run->all->stats[index].matched++;
    ban = reference_is_address(run, policy) ? NULL : reference_find_ban(run, tuple.text);
    if (ban != NULL) {
        bool spared = run->request->client_is_proxy && tuple.has_client;
        l7s_mode_t stage =
            spared ? l7s_mode_least(run->app_mode, L7S_MODE_OBSERVE) : run->app_mode;
        return reference_ban_speaks(run, ban, stage, tuple.text) ? REFERENCE_ENDS
                                                                 : REFERENCE_GOES_ON;
    }
    trip.simulated = reference_is_simulated(run, index, &tuple, trip.mode);
    return ask_detector(run, &trip);
}

/* --- lists --- */

static bool lists_speak(reference_run_t *run, l7s_effect_t effect)
{
    const l7s_config_t *config = run->all->config;

    for (size_t i = 0; i < config->list_count; i++) {
        const l7s_list_t *list = &config->lists[i];
        l7s_mode_t mode = list->apps.count > 0 ? run->app_mode : run->mode;
        if (list->effect != effect || !reference_in_list(run, list, 0) ||
            !reference_any_text(&list->apps, run->app) || mode == L7S_MODE_OFF) {
            continue;
        }
        if (effect == L7S_EFFECT_ALLOW) {
            reference_say(run, L7S_OUTCOME_ALLOW_LISTED, list->name, 0, 0);
            return true;
        }
        reference_say(
            run, mode == L7S_MODE_ENFORCE ? L7S_OUTCOME_LISTED : L7S_OUTCOME_OBSERVED,
            list->name, 403, 0);
        if (mode == L7S_MODE_ENFORCE) {
            return true;
        }
    }
    return false;
}

static bool address_speaks(reference_run_t *run)
{
    const reference_ban_t *ban;

    if (run->request->client_is_proxy) {
        return false;
    }
    if (lists_speak(run, L7S_EFFECT_ALLOW)) {
        return true;
    }
    ban = reference_find_address_ban(run);
    return (ban != NULL && reference_ban_speaks(run, ban, run->mode, NULL)) ||
           lists_speak(run, L7S_EFFECT_DENY);
}

static bool counts_by_user(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_USER) {
            return true;
        }
    }
    return false;
}

/* Those that count by user, or all others. What the admitted request has taken joins
 * `taken`. True: one of them ends the evaluation. */
static bool policies_speak(reference_run_t *run, bool by_user)
{
    static char tuples[L7S_POLICIES_MAX][REFERENCE_KEY];
    size_t conforming[L7S_POLICIES_MAX], count = 0;
    bool ended = false;

    for (size_t i = 0; i < run->all->config->policy_count && !ended; i++) {
        reference_said_t said = REFERENCE_GOES_ON;
        if (counts_by_user(&run->all->config->policies[i]) == by_user &&
            reference_matches(run, &run->all->config->policies[i])) {
            said = ask(run, i, tuples[i]);
        }
        if (said == REFERENCE_CONFORMS) {
            conforming[count++] = i;
        }
        ended = said == REFERENCE_ENDS;
    }
    for (size_t i = 0; i < count && !l7s_outcome_refuses(run->verdict->outcome); i++) {
        reference_taken_t *taken = &run->all->taken[run->all->taken_count++];
        taken->policy = conforming[i];
        memcpy(taken->tuple, tuples[conforming[i]], sizeof taken->tuple);
        reference_take(run, conforming[i], taken->tuple);
    }
    return ended;
}

/* --- the stages --- */

static void take_places(reference_run_t *run)
{
    for (size_t i = 0; i < run->open->wanted_count; i++) {
        if (run->all->flying_count == REFERENCE_MAX) {
            abort();
        }
        run->all->flying[run->all->flying_count] = run->open->wanted[i];
        run->all->flying[run->all->flying_count++].request = run->open;
    }
    run->open->wanted_count = 0;
}

void reference_over(reference_t *reference, const reference_open_t *open)
{
    size_t kept = 0;

    for (size_t i = 0; i < reference->flying_count; i++) {
        if (reference->flying[i].request != open) {
            reference->flying[kept++] = reference->flying[i];
        }
    }
    reference->flying_count = kept;
}

/* All that is asked has been asked. */
static void settle(reference_run_t *run)
{
    bool refused = l7s_outcome_refuses(run->verdict->outcome);

    for (size_t i = 0; i < run->all->taken_count; i++) {
        const reference_taken_t *taken = &run->all->taken[i];
        if (refused) {
            reference_give_back(run, taken->policy, taken->tuple);
        } else {
            reference_book(run, taken->policy, taken->tuple);
        }
    }
    run->all->taken_count = 0;
    if (refused) {
        run->open->asked_count = 0;
        reference_over(run->all, run->open);
    } else {
        take_places(run);
    }
}

static reference_run_t begin(reference_t *reference, reference_open_t *open,
                             const l7s_request_t *request, l7s_now_t now)
{
    reference_run_t run = {.all = reference,
                           .open = open,
                           .request = request,
                           .now = now,
                           .verdict = &open->verdict};

    run.mode = l7s_mode_least(request->mode, reference->node_mode);
    reference_find_app(&run);
    return run;
}

bool reference_decide(reference_t *reference, const l7s_request_t *request, l7s_now_t now,
                      reference_open_t *open)
{
    reference_run_t run;
    bool ended = true;

    memset(open, 0, sizeof *open);
    run = begin(reference, open, request, now);
    if (run.mode == L7S_MODE_OFF) {
        return false;
    }
    if (!address_speaks(&run) && run.app_mode != L7S_MODE_OFF) {
        ended = policies_speak(&run, false);
    }
    reference->verdicts[open->verdict.outcome]++;
    if (ended) {
        settle(&run);
    }
    return !ended;
}

void reference_decide_user(reference_t *reference, const l7s_request_t *request,
                           l7s_now_t now, reference_open_t *open)
{
    reference_run_t run = begin(reference, open, request, now);

    reference->verdicts[open->verdict.outcome]--;
    if (run.app_mode != L7S_MODE_OFF) {
        policies_speak(&run, true);
    }
    settle(&run);
    reference->verdicts[open->verdict.outcome]++;
}

/* --- the answer --- */

static bool is_counted(const l7s_policy_t *policy, const l7s_answer_t *answer)
{
    bool status = policy->status_count == 0, signal = policy->signals.count == 0;

    for (size_t i = 0; i < policy->status_count; i++) {
        status = status || (answer->status >= policy->statuses[i].lowest &&
                            answer->status <= policy->statuses[i].highest);
    }
    for (size_t i = 0; i < answer->signals.count; i++) {
        signal =
            signal || reference_any_text(&policy->signals, answer->signals.items[i].name);
    }
    return status && signal;
}

/* A policy that its key is in debt to would have refused the request, or did not and only
 * observes; then the request is not charged to it. */
static void count_answer(reference_run_t *run, size_t index)
{
    const l7s_policy_t *policy = &run->all->config->policies[index];
    bool requests = policy->cost == L7S_COST_REQUESTS;
    uint32_t amount = requests ? 1 : (uint32_t)run->answer->amounts[policy->cost];
    reference_tuple_t tuple;
    reference_trip_t trip = {.policy = index, .tuple = &tuple};

    if (amount == 0 || !is_counted(policy, run->answer)) {
        return;
    }
    reference_make_tuple(run, policy, &tuple);
    trip.mode = policy_mode(run, policy, &tuple);
    bool enforces = policy->action >= L7S_ACTION_DENY && trip.mode == L7S_MODE_ENFORCE;
    if (reference_is_simulated(run, index, &tuple, trip.mode) ||
        (reference_wait(run, index, tuple.text, 0) > 0 && !enforces)) {
        return;
    }
    reference_debit(run, index, tuple.text, amount);
    run->units = requests ? 0 : amount;
    trip.wait_us = reference_wait(run, index, tuple.text, 0);
    if (policy->rate_count == 0 || trip.wait_us > 0) {
        reference_trips(run, &trip);
    } else {
        reference_passed(run, index, tuple.text);
    }
    run->units = 0;
}

void reference_answer(reference_t *reference, const l7s_request_t *request,
                      const l7s_answer_t *answer, l7s_now_t now, reference_open_t *open)
{
    reference_run_t run = begin(reference, open, request, now);

    run.answer = answer;
    for (size_t i = 0; i < open->asked_count; i++) {
        count_answer(&run, open->asked[i]);
    }
}
