/* SPDX-License-Identifier: Apache-2.0
 *
 * What is asked of memcached in one tick: numbers by their names, with what each question
 * is about. Does not decide what to ask, nor what an answer means.
 *
 * Bound: SYNC_QUESTIONS_MAX per tick. Whose turn did not come is served first in the
 * next.
 */
#ifndef SYNC_EXCHANGE_H
#define SYNC_EXCHANGE_H

#include "../../core/bus/meta.h"
#include "bus.h"
#include "counter.h"

#define SYNC_QUESTIONS_MAX 131072

typedef struct sync_exchange sync_exchange_t;

/* `bus` is borrowed. */
L7S_MUST_USE l7s_status_t sync_exchange_create(sync_bus_t *bus,
                                               const sync_options_t *options,
                                               sync_exchange_t **out);
void sync_exchange_free(sync_exchange_t *exchange);

/* Begins a tick. False: without keys nothing can be named. */
bool sync_exchange_begin(sync_exchange_t *exchange);

/* Is there room for a question about the counter in this place? For those that are served
 * in the order of their places: when there is not, the next tick begins here. */
bool sync_exchange_has_turn(sync_exchange_t *exchange, uint32_t index);
/* Is there room out of turn? */
bool sync_exchange_has_room(const sync_exchange_t *exchange);

/* Adds `delta` to the number of the running period, or only reads it. Near the limit the
 * one before is read too, while that was the last one seen: others may have pushed to it
 * after our last look. There is room for it. */
void sync_exchange_ask(sync_exchange_t *exchange, const sync_counter_t *counter,
                       uint64_t delta);
/* All questions about counters in the order of their places stand. */
void sync_exchange_end_turns(sync_exchange_t *exchange);

/* What a question is about. */
typedef struct {
    sync_counter_t counter;
    uint64_t began_ms; /* when the period did, wall clock */
    uint32_t period;
    bool previous; /* the number of the period before */
} sync_question_t;

/* Asks, and hands over every question with what became of it. */
typedef void (*sync_answer_fn)(void *context, const sync_question_t *question,
                               const l7s_meta_op_t *op);
void sync_exchange_run(sync_exchange_t *exchange, l7s_now_t now, sync_answer_fn answer,
                       void *context);

/* While answers are handed over: there was no time for this question. Returns false when
 * there was no server for it. */
bool sync_exchange_postpone(sync_exchange_t *exchange, const sync_question_t *question,
                            const l7s_meta_op_t *op);

/* How many were asked, if the tick had no room or no time for all; else 0. */
size_t sync_exchange_overrun(const sync_exchange_t *exchange);

#endif
