/* SPDX-License-Identifier: Apache-2.0
 *
 * See demand.h. Tokens in use are single precision numbers: seven digits, far finer than
 * the steps.
 */
#include "demand.h"

#include <stdlib.h>

#define STEPS_MAX 256
#define STEP_NUMERATOR 109
#define STEP_DENOMINATOR 100
#define LIMIT_MAX ((uint64_t)1 << 40)

struct admin_demand {
    admin_sample_t *sample;
    uint64_t period_us;
    uint64_t requests,
        burst; /* the rate's own: what a step's burst is in proportion to */
    uint32_t step_count;
    uint64_t steps[STEPS_MAX];
    float capacities[STEPS_MAX], per_us[STEPS_MAX];
};

static uint64_t burst_of(const admin_demand_t *demand, uint64_t requests)
{
    uint64_t burst =
        (uint64_t)((double)requests * (double)demand->burst / (double)demand->requests);
    return burst > 0 ? burst : 1;
}

admin_demand_t *admin_demand_create(const l7s_rate_t *rate, uint32_t max)
{
    admin_demand_t *demand = calloc(1, sizeof *demand);

    if (demand == NULL) {
        return NULL;
    }
    demand->sample = admin_sample_create(max);
    demand->period_us = rate->period_us;
    demand->requests = rate->requests;
    demand->burst = rate->burst;
    for (uint64_t limit = 1; limit < LIMIT_MAX && demand->step_count < STEPS_MAX;) {
        uint32_t step = demand->step_count++;
        demand->steps[step] = limit;
        demand->capacities[step] = (float)burst_of(demand, limit);
        demand->per_us[step] = (float)limit / (float)rate->period_us;
        uint64_t next = limit * STEP_NUMERATOR / STEP_DENOMINATOR;
        limit = next > limit ? next : limit + 1;
    }
    if (demand->sample == NULL) {
        free(demand);
        return NULL;
    }
    return demand;
}

void admin_demand_free(admin_demand_t *demand)
{
    if (demand != NULL) {
        admin_sample_free(demand->sample);
        free(demand);
    }
}

void admin_demand_add(admin_demand_t *demand, uint64_t key, uint64_t now_us,
                      uint64_t tokens)
{
    admin_sampled_t *entry = admin_sample_at(demand->sample, key);

    if (entry == NULL) {
        return;
    }
    float used = entry->demand.used;
    if (now_us > entry->demand.at_us) {
        used -=
            demand->per_us[entry->demand.level] * (float)(now_us - entry->demand.at_us);
        used = used > 0 ? used : 0;
        entry->demand.at_us = now_us;
    }
    used += (float)tokens;
    entry->demand.used = used;
    while (used > demand->capacities[entry->demand.level] &&
           entry->demand.level + 1 < demand->step_count) {
        entry->demand.level++;
    }
}

typedef struct {
    uint64_t counts[STEPS_MAX];
} levels_t;

static void count_level(void *context, const admin_sampled_t *entry)
{
    levels_t *levels = context;

    levels->counts[entry->demand.level]++;
}

admin_threshold_t admin_demand_threshold(const admin_demand_t *demand, uint64_t most)
{
    levels_t levels = {.counts = {0}};
    uint64_t above = 0, weight = admin_demand_weight(demand);
    uint32_t step = demand->step_count - 1;

    admin_sample_each(demand->sample, count_level, &levels);
    while (step > 0 && (above + levels.counts[step]) * weight <= most) {
        above += levels.counts[step--];
    }
    return (admin_threshold_t){.requests = demand->steps[step],
                               .burst = burst_of(demand, demand->steps[step]),
                               .touched = above * weight};
}

uint64_t admin_demand_keys(const admin_demand_t *demand)
{
    return admin_sample_keys(demand->sample);
}

uint64_t admin_demand_weight(const admin_demand_t *demand)
{
    return admin_sample_weight(demand->sample);
}
