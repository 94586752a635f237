/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters, for policy_reference.h.
 */
#include "policy_reference_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static reference_counter_t *find_counter(reference_run_t *run, size_t policy, size_t rate,
                                         const char *tuple)
{
    for (size_t i = 0; i < run->all->counter_count; i++) {
        reference_counter_t *counter = &run->all->counters[i];
        if (counter->policy == policy && counter->rate == rate &&
            strcmp(counter->tuple, tuple) == 0) {
            return counter;
        }
    }
    return NULL;
}

/* The rates that a request is held to, and the number of the first of them among all of
 * the policy. */
typedef struct {
    const l7s_rate_t *rates;
    size_t count, number;
} reference_held_t;

/* Of the first entry with this value: a document holds each value once. */
static const char *attribute_of(const l7s_list_t *list, const char *value,
                                const char *name)
{
    size_t at = 0;

    while (at < list->entry_count &&
           (value == NULL || strcmp(list->entries[at].text, value) != 0)) {
        at++;
    }
    for (size_t i = 0; at < list->entry_count && i < list->entries[at].attribute_count;
         i++) {
        if (strcmp(list->entries[at].attributes[i].name, name) == 0) {
            return list->entries[at].attributes[i].value;
        }
    }
    return "";
}

static const char *plan_of(const reference_run_t *run, const l7s_policy_t *policy)
{
    const char *value = NULL;

    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_HEADER) {
            value = reference_part_value(run, &policy->by[i]);
        }
    }
    return attribute_of(reference_list_named(run, policy->plan_list), value,
                        policy->plan_attribute);
}

static reference_held_t held_to(const reference_run_t *run, size_t policy)
{
    const l7s_policy_t *asked = &run->all->config->policies[policy];
    const char *name = asked->plan_count > 0 ? plan_of(run, asked) : "";
    size_t number = asked->rate_count;

    for (size_t i = 0; i < asked->plan_count; i++) {
        const l7s_plan_t *plan = &asked->plans[i];
        if (strcmp(plan->name, name) == 0) {
            return (reference_held_t){plan->rates, plan->rate_count, number};
        }
        number += plan->rate_count;
    }
    return (reference_held_t){asked->rates, asked->rate_count, 0};
}

/* Units in use now. */
static unsigned __int128 used_units(const reference_run_t *run, const l7s_rate_t *rate,
                                    const reference_counter_t *counter)
{
    unsigned __int128 clock = (unsigned __int128)run->now.mono_us * rate->requests;

    return counter != NULL && counter->tat > clock ? counter->tat - clock : 0;
}

uint64_t reference_wait(reference_run_t *run, size_t policy, const char *tuple,
                        uint32_t cost)
{
    reference_held_t held = held_to(run, policy);
    uint64_t wait = 0;

    for (size_t i = 0; i < held.count; i++) {
        const l7s_rate_t *rate = &held.rates[i];
        unsigned __int128 used =
            used_units(run, rate, find_counter(run, policy, held.number + i, tuple)) +
            cost * rate->period_us;
        unsigned __int128 room = (unsigned __int128)rate->burst * rate->period_us;
        if (used > room) {
            uint64_t needed =
                (uint64_t)((used - room + rate->requests - 1) / rate->requests);
            wait = needed > wait ? needed : wait;
        }
    }
    return wait;
}

bool reference_has_counter(reference_run_t *run, size_t policy, const char *tuple)
{
    reference_held_t held = held_to(run, policy);

    return held.count > 0 && find_counter(run, policy, held.number, tuple) != NULL;
}

static reference_counter_t *make_counter(reference_run_t *run, size_t policy, size_t rate,
                                         const char *tuple)
{
    reference_counter_t *counter = find_counter(run, policy, rate, tuple);

    if (counter == NULL) {
        if (run->all->counter_count == REFERENCE_MAX) {
            abort();
        }
        counter = &run->all->counters[run->all->counter_count++];
        counter->policy = policy;
        counter->rate = rate;
        snprintf(counter->tuple, sizeof counter->tuple, "%s", tuple);
    }
    return counter;
}

void reference_take(reference_run_t *run, size_t policy, const char *tuple)
{
    reference_held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        const l7s_rate_t *rate = &held.rates[i];
        reference_counter_t *counter = make_counter(run, policy, held.number + i, tuple);
        counter->tat = (unsigned __int128)run->now.mono_us * rate->requests +
                       used_units(run, rate, counter) + rate->period_us;
    }
}

void reference_give_back(reference_run_t *run, size_t policy, const char *tuple)
{
    reference_held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        const l7s_rate_t *rate = &held.rates[i];
        reference_counter_t *counter = find_counter(run, policy, held.number + i, tuple);
        unsigned __int128 used = used_units(run, rate, counter);
        if (used > 0) { /* else it has drained meanwhile */
            counter->tat -= used < rate->period_us ? used : rate->period_us;
        }
    }
}

void reference_book(reference_run_t *run, size_t policy, const char *tuple)
{
    reference_held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        find_counter(run, policy, held.number + i, tuple)->pending +=
            run->all->config->policies[policy].fleet;
    }
    reference_passed(run, policy, tuple);
}

/* Debt ends at one period; what is forgiven here, the fleet does not hear of, either. */
void reference_debit(reference_run_t *run, size_t policy, const char *tuple,
                     uint32_t amount)
{
    reference_held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        const l7s_rate_t *rate = &held.rates[i];
        reference_counter_t *counter = make_counter(run, policy, held.number + i, tuple);
        uint32_t most = rate->burst + rate->requests;
        unsigned __int128 used =
            used_units(run, rate, counter) + (unsigned __int128)amount * rate->period_us;
        unsigned __int128 deepest = (unsigned __int128)most * rate->period_us;
        counter->tat = (unsigned __int128)run->now.mono_us * rate->requests +
                       (used < deepest ? used : deepest);
        if (run->all->config->policies[policy].fleet) {
            counter->pending += amount < most ? amount : most;
        }
    }
}

/* --- steps --- */

static reference_step_t *find_step(reference_run_t *run, size_t policy, size_t number,
                                   const char *key)
{
    for (size_t i = 0; i < run->all->step_count; i++) {
        reference_step_t *step = &run->all->steps[i];
        if (step->policy == policy && step->number == number &&
            strcmp(step->key, key) == 0) {
            return step;
        }
    }
    if (run->all->step_count == REFERENCE_MAX) {
        abort();
    }
    reference_step_t *step = &run->all->steps[run->all->step_count++];
    step->policy = policy;
    step->number = number;
    snprintf(step->key, sizeof step->key, "%s", key);
    return step;
}

/* Episodes so far drain one by one within the step's time; the last one that fits is the
 * after-th but one, and one more than that is the most that is remembered. */
size_t reference_climb(reference_run_t *run, size_t policy, const char *key)
{
    const l7s_policy_t *climbed = &run->all->config->policies[policy];
    uint64_t now_us = run->now.mono_us;
    size_t reached = 0;

    for (size_t i = 0; i < climbed->step_count; i++) {
        reference_step_t *step = find_step(run, policy, i, key);
        uint64_t each_us = climbed->steps[i].within_seconds * 1000000ULL;
        uint64_t most_us = climbed->steps[i].after * each_us;
        uint64_t used_us = step->until_us > now_us ? step->until_us - now_us : 0;
        used_us += each_us;
        if (used_us > most_us - each_us) {
            reached = i + 1;
        }
        step->until_us = now_us + (used_us < most_us ? used_us : most_us);
    }
    return reached;
}
