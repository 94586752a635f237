/* SPDX-License-Identifier: Apache-2.0
 *
 * See counters.h. The tick: news are heard (total.h), dirty slots pushed (push.h), what
 * is in use is looked at, all is asked at once (exchange.h), and what the answers say is
 * taken in.
 */
#include "counters.h"
#include "exchange.h"
#include "hot.h"
#include "log.h"
#include "push.h"
#include "total.h"
#include <stdlib.h>

#define LOG_INTERVAL_MS 10000

struct sync_counters {
    sync_exchange_t *exchange; /* NULL: the node has no fleet */
    sync_hot_t *hot;
    sync_round_t round;
    uint64_t unknown; /* tokens whose way ended in silence */
    sync_log_gate_t full_gate, unknown_gate, hot_gate;
};

static l7s_status_t join_fleet(sync_counters_t *counters, sync_bus_t *bus,
                               const sync_options_t *options)
{
    sync_round_t *round = &counters->round;
    size_t slots = l7s_table_size(&round->shared->table);

    l7s_status_t status = sync_told_create(slots, &round->told);
    if (status == L7S_OK) {
        status = sync_hot_create(slots, &counters->hot);
    }
    if (status == L7S_OK) {
        status = sync_alone_create(slots, &round->alone);
    }
    if (status == L7S_OK) {
        status = sync_news_create(bus, &round->news);
    }
    return status != L7S_OK ? status
                            : sync_exchange_create(bus, options, &counters->exchange);
}

l7s_status_t sync_counters_create(const l7s_shared_t *shared, sync_bus_t *bus,
                                  const sync_options_t *options, sync_counters_t **out)
{
    sync_counters_t *counters = calloc(1, sizeof *counters);

    if (counters == NULL) {
        return L7S_NO_MEMORY;
    }
    counters->round.shared = shared;
    counters->round.dice = shared->table.place_key.k0;
    l7s_status_t status = bus == NULL ? L7S_OK : join_fleet(counters, bus, options);
    if (status != L7S_OK) {
        sync_counters_free(counters);
        return status;
    }
    *out = counters;
    return L7S_OK;
}

void sync_counters_free(sync_counters_t *counters)
{
    if (counters == NULL) {
        return;
    }
    sync_exchange_free(counters->exchange);
    sync_news_free(counters->round.news);
    sync_alone_free(counters->round.alone);
    sync_hot_free(counters->hot);
    sync_told_free(counters->round.told);
    free(counters);
}

/* ---- what to ask ---- */

static void hear(void *context, const sync_news_item_t *item)
{
    sync_counters_t *counters = context;

    sync_total_hear(&counters->round, item);
}

/* An l7s_table_visit_fn. */
static bool consider(void *context, uint32_t index, l7s_slot_t *slot)
{
    sync_counters_t *counters = context;
    sync_counter_t counter = sync_counter_at(&counters->round, index);

    (void)slot;
    return sync_push(counters->exchange, &counter);
}

/* Adds the read of one counter in use. A sync_hot_look_fn. */
static sync_hot_answer_t look(void *context, uint32_t index, uint64_t key_lo)
{
    sync_counters_t *counters = context;
    sync_counter_t counter = sync_counter_at(&counters->round, index);

    if (!sync_exchange_has_room(counters->exchange)) {
        return SYNC_HOT_WAITS;
    }
    if (counter.limit == NULL || !counter.limit->fleet || counter.key.lo != key_lo ||
        sync_counter_is_drained(&counter)) {
        return SYNC_HOT_DRAINED;
    }
    sync_exchange_ask(counters->exchange, &counter, 0);
    return SYNC_HOT_LOOKED;
}

/* ---- what became of it ---- */

static void heat(sync_counters_t *counters, const sync_counter_t *counter)
{
    sync_round_t *round = &counters->round;
    uint32_t index = sync_counter_index(counter);
    uint64_t now_ms = sync_mono_ms(round->now);

    if (sync_hot_has(counters->hot, index)) {
        return;
    }
    /* The first look at any moment, so that the nodes' looks spread. */
    uint64_t wait_ms =
        1 + sync_round_roll(round) % l7s_fleet_look_interval_ms(round->live_nodes);
    if (!sync_hot_add(counters->hot, index, counter->key.lo, now_ms + wait_ms) &&
        sync_log_gate(&counters->hot_gate, now_ms, LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_WARN, "L7S2072",
                 "more than %d counters are in use; memcached may evict some of them",
                 SYNC_HOT_MAX);
    }
}

/* A sync_answer_fn. */
static void settle(void *context, const sync_question_t *question,
                   const l7s_meta_op_t *op)
{
    sync_counters_t *counters = context;
    const sync_counter_t *counter = &question->counter;
    l7s_hash128_t key = l7s_slot_key(counter->slot);

    if (key.lo != counter->key.lo || key.hi != counter->key.hi) {
        return; /* evicted meanwhile */
    }
    if (op->delta > 0 && op->status != L7S_META_FAILED) {
        sync_alone_place_t place = sync_counter_place(counter);
        sync_alone_sent(counters->round.alone, &place, sync_mono_ms(counters->round.now));
    }
    switch (op->status) {
    case L7S_META_OK:
        if (!question->previous) {
            heat(counters, counter);
        }
        sync_total_learn(question, op);
        break;
    case L7S_META_FAILED:
        if (op->delta > 0) {
            sync_push_put_back(counters->exchange, question, op);
        }
        break;
    case L7S_META_UNKNOWN:
        counters->unknown += (uint32_t)op->delta; /* of a share: what was answered */
        sync_push_assume_applied(question, op);
        break;
    case L7S_META_NOT_FOUND:
        break;
    }
}

static void report(sync_counters_t *counters)
{
    uint64_t now_ms = sync_mono_ms(counters->round.now);
    size_t tried = sync_exchange_overrun(counters->exchange);

    if (tried > 0 && sync_log_gate(&counters->full_gate, now_ms, LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_WARN, "L7S2070",
                 "more counters want to be exchanged than fit in one tick (%zu were "
                 "tried); the others wait for the next",
                 tried);
    }
    if (counters->unknown > 0 &&
        sync_log_gate(&counters->unknown_gate, now_ms, LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_WARN, "L7S2071",
                 "memcached did not answer in time; %llu counted requests may not have "
                 "reached the fleet",
                 (unsigned long long)counters->unknown);
        counters->unknown = 0;
    }
}

/* ---- the tick ---- */

static void exchange_with_fleet(sync_counters_t *counters)
{
    sync_round_t *round = &counters->round;

    if (round->live_nodes > 1) {
        sync_news_read(round->news, round->now, hear, counters);
    }
    (void)l7s_table_visit_dirty(&round->shared->table, consider, counters);
    sync_exchange_end_turns(counters->exchange);
    sync_hot_look(counters->hot, sync_mono_ms(round->now),
                  l7s_fleet_look_interval_ms(round->live_nodes), look, counters);
    sync_exchange_run(counters->exchange, round->now, settle, counters);
    sync_news_tell(round->news, round->now);
    report(counters);
}

void sync_counters_tick(sync_counters_t *counters, const l7s_image_t *image,
                        l7s_now_t now)
{
    sync_round_t *round = &counters->round;

    round->image = image;
    round->now = now;
    round->live_nodes = atomic_load(&round->shared->header->live_nodes);
    if (round->began_ms == 0) {
        round->began_ms = (uint32_t)sync_mono_ms(now);
    }
    if (counters->exchange == NULL) {
        (void)l7s_table_visit_dirty(&round->shared->table, consider, counters);
    } else if (sync_exchange_begin(counters->exchange)) {
        exchange_with_fleet(counters);
    } /* else nothing can be named: what is pending waits */
}
