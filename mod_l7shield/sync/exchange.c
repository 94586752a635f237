/* SPDX-License-Identifier: Apache-2.0
 *
 * See exchange.h.
 */
#include "exchange.h"
#include "clock.h"
#include <stdlib.h>

/* memcached's share of a tick; a healthy server needs a microsecond per question. */
#define BUDGET_MS 40
#define PER_COUNTER 2 /* questions at most */

struct sync_exchange {
    sync_bus_t *bus;
    l7s_meta_t *meta;
    uint32_t resume_at; /* the place at which the last tick ended */
    bool full, late;    /* the tick had no room, or no time, for all */
    size_t count;
    sync_question_t *questions;
    l7s_meta_op_t *ops; /* parallel to them */
};

l7s_status_t sync_exchange_create(sync_bus_t *bus, const sync_options_t *options,
                                  sync_exchange_t **out)
{
    sync_exchange_t *exchange = calloc(1, sizeof *exchange);

    if (exchange == NULL) {
        return L7S_NO_MEMORY;
    }
    exchange->bus = bus;
    exchange->questions = calloc(SYNC_QUESTIONS_MAX, sizeof *exchange->questions);
    exchange->ops = calloc(SYNC_QUESTIONS_MAX, sizeof *exchange->ops);
    l7s_status_t status = L7S_NO_MEMORY;
    if (exchange->questions != NULL && exchange->ops != NULL) {
        status =
            l7s_meta_create(options->servers, options->server_count, &exchange->meta);
    }
    if (status != L7S_OK) {
        sync_exchange_free(exchange);
        return status;
    }
    *out = exchange;
    return L7S_OK;
}

void sync_exchange_free(sync_exchange_t *exchange)
{
    if (exchange == NULL) {
        return;
    }
    l7s_meta_free(exchange->meta);
    free(exchange->questions);
    free(exchange->ops);
    free(exchange);
}

/* ---- room ---- */

bool sync_exchange_begin(sync_exchange_t *exchange)
{
    exchange->count = 0;
    exchange->full = exchange->late = false;
    return sync_bus_name_key(exchange->bus) != NULL;
}

bool sync_exchange_has_room(const sync_exchange_t *exchange)
{
    return exchange->count + PER_COUNTER <= SYNC_QUESTIONS_MAX;
}

bool sync_exchange_has_turn(sync_exchange_t *exchange, uint32_t index)
{
    if (index < exchange->resume_at || exchange->full) {
        return false;
    }
    if (!sync_exchange_has_room(exchange)) {
        exchange->full = true;
        exchange->resume_at = index;
        return false;
    }
    return true;
}

void sync_exchange_end_turns(sync_exchange_t *exchange)
{
    if (!exchange->full) {
        exchange->resume_at = 0;
    }
}

size_t sync_exchange_overrun(const sync_exchange_t *exchange)
{
    return exchange->full || exchange->late ? exchange->count : 0;
}

/* ---- questions ---- */

/* A number that was seen in this period and is gone (memcached was restarted, flushed or
 * short of memory) begins again with what is in use here, so that a node that has not
 * seen it yet learns of it. Never with more than was seen: nobody else is charged for it
 * again. */
static uint32_t seed_of(const sync_question_t *question)
{
    const sync_counter_t *counter = &question->counter;
    l7s_fleet_view_t view = sync_counter_view(counter);

    if (question->previous || counter->limit->tally || view.period != question->period) {
        return 0;
    }
    uint32_t used = sync_counter_used(counter);
    return used < view.total ? used : (uint32_t)view.total;
}

static void add(sync_exchange_t *exchange, const sync_question_t *question,
                uint64_t delta)
{
    l7s_meta_op_t *op = &exchange->ops[exchange->count];

    exchange->questions[exchange->count++] = *question;
    l7s_fleet_counter_name(sync_bus_name_key(exchange->bus), question->counter.key,
                           question->period, op->key);
    op->server = (uint32_t)l7s_pool_route(sync_bus_pool(exchange->bus), op->key);
    op->delta = delta;
    op->ttl = l7s_fleet_ttl_seconds(&question->counter.limit->rate);
    op->seed = seed_of(question);
    op->status = L7S_META_FAILED;
    op->value = 0;
}

void sync_exchange_ask(sync_exchange_t *exchange, const sync_counter_t *counter,
                       uint64_t delta)
{
    sync_question_t question = {.counter = *counter};
    uint32_t known = sync_counter_view(counter).period;

    question.period = l7s_fleet_period(&counter->limit->rate, counter->key,
                                       counter->round->now.wall_ms, &question.began_ms);
    if (known != 0 && known + 1 == question.period && sync_counter_is_near(counter)) {
        sync_question_t previous = question;
        previous.previous = true;
        previous.period = known;
        add(exchange, &previous, 0);
    }
    add(exchange, &question, delta);
}

/* ---- answers ---- */

void sync_exchange_run(sync_exchange_t *exchange, l7s_now_t now, sync_answer_fn answer,
                       void *context)
{
    unsigned budget = sync_bus_time_left_ms(exchange->bus);

    if (exchange->count > 0 && !sync_bus_rests(exchange->bus)) {
        l7s_meta_run(exchange->meta, exchange->ops, exchange->count,
                     budget < BUDGET_MS ? budget : BUDGET_MS, sync_mono_ms(now));
    }
    for (size_t i = 0; i < exchange->count; i++) {
        answer(context, &exchange->questions[i], &exchange->ops[i]);
    }
}

bool sync_exchange_postpone(sync_exchange_t *exchange, const sync_question_t *question,
                            const l7s_meta_op_t *op)
{
    if (!l7s_meta_up(exchange->meta, op->server)) {
        return false;
    }
    if (!exchange->late) {
        exchange->late = true;
        exchange->resume_at = sync_counter_index(&question->counter);
    }
    return true;
}
