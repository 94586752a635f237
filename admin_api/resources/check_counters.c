/* SPDX-License-Identifier: Apache-2.0
 *
 * Asking memcached (check_counters.h). Its numbers mean here what they mean to a node
 * that sees a key for the first time (core/count/fleet.h).
 */
#include "check_counters.h"

#include "../../core/bus/meta.h"
#include "../../core/bus/pool.h"
#include "../../core/count/fleet.h"
#include "../../core/count/strict.h"
#include "../../core/decide/limit.h"
#include <stdlib.h>

#define READ_BUDGET_MS 100

typedef struct {
    admin_check_limit_t *limit;
    uint32_t period;
    uint64_t began_ms;
} purpose_t;

typedef struct {
    admin_check_engine_t *engine;
    l7s_pool_t *pool; /* for routes only */
    size_t count;
    l7s_meta_op_t *ops;
    purpose_t *purposes;
} reading_t;

static void ask(reading_t *reading, admin_check_limit_t *limit, uint32_t period,
                uint64_t began_ms)
{
    l7s_meta_op_t *op = &reading->ops[reading->count];

    reading->purposes[reading->count++] = (purpose_t){limit, period, began_ms};
    if (limit->limit.strict) {
        l7s_strict_name(&reading->engine->name_key, limit->key, op->key);
    } else {
        l7s_fleet_counter_name(&reading->engine->name_key, limit->key, period, op->key);
    }
    op->server = (uint32_t)l7s_pool_route(reading->pool, op->key);
}

/* Right after a new period began the number of the one before says more. */
static void ask_limit(reading_t *reading, admin_check_limit_t *limit)
{
    uint64_t began_ms, before_ms, wall_ms = reading->engine->now.wall_ms;
    const l7s_rate_t *rate = &limit->limit.rate;

    if (limit->limit.strict) {
        ask(reading, limit, 0, 0);
    } else if (limit->limit.fleet) {
        uint32_t period = l7s_fleet_period(rate, limit->key, wall_ms, &began_ms);
        ask(reading, limit, period, began_ms);
        period = l7s_fleet_period(rate, limit->key, began_ms - 1, &before_ms);
        ask(reading, limit, period, before_ms);
    } else {
        limit->known = ADMIN_KNOWN_NODES;
    }
}

static uint64_t elapsed_of(const reading_t *reading, const purpose_t *purpose,
                           const l7s_meta_op_t *op)
{
    uint64_t wall_ms = reading->engine->now.wall_ms;
    uint64_t since = wall_ms > purpose->began_ms ? wall_ms - purpose->began_ms : 0;

    return l7s_fleet_elapsed_ms(&purpose->limit->limit.rate, since, op->left_s);
}

/* Tokens of the bucket that are in use as this number tells. */
static uint64_t units_of(const reading_t *reading, const purpose_t *purpose,
                         const l7s_meta_op_t *op)
{
    const l7s_rate_t *rate = &purpose->limit->limit.rate;
    uint64_t wall_ms = reading->engine->now.wall_ms;
    l7s_fleet_view_t view = {.total = 0};

    if (purpose->limit->limit.strict) {
        l7s_strict_tat_t tat = l7s_strict_found(rate, op->value, wall_ms * 1000);
        return l7s_strict_used(rate, tat.tat, wall_ms * 1000);
    }
    return l7s_fleet_learn(rate, &view, purpose->period, op->value, 0,
                           elapsed_of(reading, purpose, op)) *
           rate->period_us;
}

static uint32_t part_of(uint32_t count, uint64_t part, uint64_t whole)
{
    return (uint32_t)((count * part + whole - 1) / whole);
}

/* Of the number before the running one what the last period still reaches. */
static void take_share(const reading_t *reading, const purpose_t *purpose,
                       const l7s_meta_op_t *op)
{
    admin_check_limit_t *limit = purpose->limit;
    uint64_t period_ms = limit->limit.rate.period_us / 1000;
    uint64_t age_ms = reading->engine->now.wall_ms - purpose->began_ms;
    uint64_t ended_ms = age_ms > 2 * period_ms ? age_ms - 2 * period_ms : 0;
    uint64_t reaches_ms = ended_ms < period_ms ? period_ms - ended_ms : 0;
    l7s_fleet_view_t view = {.total = 0};
    l7s_share_t share =
        l7s_share_learn(&limit->limit.rate, &view, purpose->period, op->value,
                        (l7s_share_t){0, 0}, elapsed_of(reading, purpose, op));

    limit->share.answered += part_of(share.answered, reaches_ms, period_ms);
    limit->share.failed += part_of(share.failed, reaches_ms, period_ms);
}

static void charge(admin_check_engine_t *engine, admin_check_limit_t *limit,
                   uint64_t units)
{
    const l7s_rate_t *rate = &limit->limit.rate;
    l7s_slot_t *slot = l7s_table_claim(&engine->shared.table, limit->key, limit->limit.id,
                                       rate, engine->now);

    if (slot == NULL) {
        return;
    }
    uint64_t seen = l7s_bucket_used(rate, atomic_load(&slot->tat), engine->now.mono_us);
    if (units > seen) {
        l7s_strict_learn(rate, &slot->tat, engine->now.mono_us, units);
    }
}

static void settle(reading_t *reading, size_t i)
{
    const purpose_t *purpose = &reading->purposes[i];
    const l7s_meta_op_t *op = &reading->ops[i];
    bool answered = op->status == L7S_META_OK || op->status == L7S_META_NOT_FOUND;

    if (answered && purpose->limit->known == ADMIN_KNOWN_NOT) {
        purpose->limit->known =
            purpose->limit->limit.strict ? ADMIN_KNOWN_STORE : ADMIN_KNOWN_FLEET;
    }
    if (op->status == L7S_META_OK && purpose->limit->limit.tally) {
        take_share(reading, purpose, op);
    } else if (op->status == L7S_META_OK) {
        charge(reading->engine, purpose->limit, units_of(reading, purpose, op));
    }
}

/* Of its counter; of a fresh one where nothing is known. */
static uint64_t word_of(const admin_check_engine_t *engine,
                        const admin_check_limit_t *limit)
{
    const l7s_slot_t *slot = l7s_table_find(&engine->shared.table, limit->key);

    return slot != NULL ? atomic_load(&slot->tat)
                        : l7s_limit_fresh(&limit->limit, engine->now.mono_us);
}

static void measure(admin_check_engine_t *engine, admin_check_limit_t *limit)
{
    const l7s_rate_t *rate = &limit->limit.rate;
    uint64_t word = word_of(engine, limit), now_us = engine->now.mono_us;

    limit->left = l7s_limit_headroom(&limit->limit, word, now_us);
    limit->used = limit->limit.tally ? l7s_limit_used(&limit->limit, word, now_us)
                                     : rate->burst - limit->left;
    limit->wait_us = limit->limit.tally ? 0 : l7s_bucket_wait_us(rate, word, now_us, 1);
}

static void count_share(admin_check_engine_t *engine, const admin_check_policy_t *policy)
{
    const admin_check_limit_t *answered = &policy->limits[L7S_RATIO_ANSWERED];
    l7s_share_place_t place = {.table = &engine->shared.table,
                               .limits =
                                   l7s_image_limit(engine->image, answered->limit.id),
                               .digest = policy->digest,
                               .now = engine->now};

    if (answered->share.answered > 0 && place.limits != NULL && place.limits->tally) {
        (void)l7s_share_add(&place, answered->share);
    }
}

static void measure_policy(admin_check_engine_t *engine, admin_check_policy_t *policy)
{
    bool is_share =
        policy->policy->ratio.percent > 0 && policy->limit_count == L7S_RATIO_TALLIES;

    if (is_share) {
        count_share(engine, policy);
    }
    for (uint32_t i = 0; i < policy->limit_count; i++) {
        measure(engine, &policy->limits[i]);
    }
    if (is_share) {
        policy->share_wait_s = l7s_ratio_wait_s(
            &policy->policy->ratio, word_of(engine, &policy->limits[L7S_RATIO_ANSWERED]),
            word_of(engine, &policy->limits[L7S_RATIO_FAILED]), engine->now.mono_us);
    }
}

static l7s_status_t run(reading_t *reading, const admin_daemon_t *daemon)
{
    l7s_meta_t *meta = NULL;
    l7s_status_t status =
        l7s_meta_create(daemon->options->servers, daemon->options->server_count, &meta);

    if (status == L7S_OK) {
        l7s_meta_run(meta, reading->ops, reading->count, READ_BUDGET_MS,
                     reading->engine->now.mono_us / 1000);
        for (size_t i = 0; i < reading->count; i++) {
            settle(reading, i);
        }
    }
    l7s_meta_free(meta);
    return status;
}

l7s_status_t admin_check_counters_read(admin_check_engine_t *engine,
                                       const admin_daemon_t *daemon)
{
    size_t most = 2 * L7S_RATES_MAX * engine->policy_count + 1;
    reading_t reading = {.engine = engine,
                         .ops = calloc(most, sizeof *reading.ops),
                         .purposes = calloc(most, sizeof *reading.purposes)};
    bool alone = daemon->options->server_count == 0; /* nobody to ask */
    l7s_status_t status =
        reading.ops == NULL || reading.purposes == NULL ? L7S_NO_MEMORY
        : alone                                         ? L7S_OK
                : l7s_pool_create(daemon->options->servers, daemon->options->server_count,
                                  READ_BUDGET_MS, &reading.pool);

    for (size_t i = 0; i < engine->policy_count && status == L7S_OK && !alone; i++) {
        for (uint32_t k = 0; k < engine->policies[i].limit_count; k++) {
            ask_limit(&reading, &engine->policies[i].limits[k]);
        }
    }
    if (status == L7S_OK && reading.count > 0) {
        status = run(&reading, daemon);
    }
    for (size_t i = 0; i < engine->policy_count && status == L7S_OK; i++) {
        measure_policy(engine, &engine->policies[i]);
    }
    if (reading.pool != NULL) {
        l7s_pool_free(reading.pool);
    }
    free(reading.ops);
    free(reading.purposes);
    return status;
}
