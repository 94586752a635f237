/* SPDX-License-Identifier: Apache-2.0
 *
 * See push.h.
 */
#include "push.h"
#include "clock.h"
#include "shares.h"

/* Tokens that have been waiting for a store that was away are old news: no more of them
 * travel than the bucket still holds, or an outage would be paid for after its end. */
static uint32_t worth_pushing(const l7s_rate_t *rate, uint32_t pending,
                              uint32_t waited_ms, uint32_t headroom)
{
    uint32_t used = rate->burst - headroom;
    bool old = waited_ms > rate->period_us / 1000 / 2 + 1000;

    return old && used < pending ? used : pending;
}

static uint32_t take_tokens(const sync_counter_t *counter, uint32_t headroom)
{
    const l7s_rate_t *rate = &counter->limit->rate;
    sync_round_t *round = counter->round;
    sync_alone_place_t place = sync_counter_place(counter);
    uint32_t waited_ms = sync_counter_age_ms(counter);
    uint32_t pending =
        sync_alone_left(round->alone, &place, atomic_exchange(&counter->slot->pending, 0),
                        sync_counter_used(counter));

    return l7s_fleet_parcel(rate, worth_pushing(rate, pending, waited_ms, headroom),
                            headroom, round->live_nodes, sync_round_roll(round));
}

/* Pending tokens that their age alone wants to push, though they have drained here; of a
 * share, though it would tell nothing if all nodes counted as little. */
static bool may_forget(const sync_counter_t *counter, uint32_t pending, uint32_t headroom)
{
    const l7s_rate_t *rate = &counter->limit->rate;
    uint32_t nodes = counter->round->live_nodes;

    if (l7s_fleet_must_push(rate, pending, 0, headroom, nodes)) {
        return false;
    }
    if (counter->limit->tally) {
        return (uint64_t)nodes * sync_counter_used(counter) < rate->burst;
    }
    return sync_counter_is_drained(counter) &&
           l7s_fleet_is_light(rate, pending, sync_counter_age_ms(counter), nodes);
}

static void forget(const sync_counter_t *counter)
{
    const l7s_image_limit_t *limit = counter->limit;

    if (limit != NULL && limit->tally && limit->place == L7S_RATIO_ANSWERED) {
        (void)sync_share_take(counter);
    }
    (void)atomic_exchange(&counter->slot->pending, 0);
}

bool sync_push(sync_exchange_t *exchange, const sync_counter_t *counter)
{
    const l7s_image_limit_t *limit = counter->limit;
    uint32_t pending = atomic_load(&counter->slot->pending);

    if (limit == NULL || !limit->fleet || exchange == NULL) {
        forget(counter);
        return false;
    }
    if (pending == 0 || counter->key.lo == 0) {
        return false;
    }
    uint32_t headroom = sync_counter_headroom(counter);
    if (!l7s_fleet_must_push(&limit->rate, pending, sync_counter_age_ms(counter),
                             headroom, counter->round->live_nodes)) {
        return true;
    }
    if (may_forget(counter, pending, headroom)) {
        forget(counter); /* a light source: it never travels */
        return false;
    }
    if (sync_exchange_has_turn(exchange, sync_counter_index(counter))) {
        uint64_t delta =
            limit->tally ? sync_share_take(counter) : take_tokens(counter, headroom);
        if (delta > 0) {
            sync_exchange_ask(exchange, counter, delta);
        }
    }
    return true;
}

void sync_push_put_back(sync_exchange_t *exchange, const sync_question_t *question,
                        const l7s_meta_op_t *op)
{
    const sync_counter_t *counter = &question->counter;
    const sync_round_t *round = counter->round;

    if (counter->limit->tally) {
        sync_share_put_back(counter, op->delta);
    } else {
        (void)atomic_fetch_add(&counter->slot->pending, (uint32_t)op->delta);
    }
    /* With a server that is up there was just no time left, and the next tick begins with
     * these; a share need not be divided. */
    if (sync_exchange_postpone(exchange, question, op) || counter->limit->tally) {
        return;
    }
    sync_alone_place_t place = sync_counter_place(counter);
    int32_t before =
        (int32_t)(round->began_ms - atomic_load(&counter->slot->pending_since));
    uint64_t charge =
        sync_alone_failed(round->alone, &place, (uint32_t)op->delta, before > 0);
    if (charge > 0) {
        l7s_bucket_debit(&counter->limit->rate, &counter->slot->tat, round->now.mono_us,
                         charge);
    }
}

void sync_push_assume_applied(const sync_question_t *question, const l7s_meta_op_t *op)
{
    l7s_slot_t *slot = question->counter.slot;

    if (atomic_load(&slot->period) == question->period) {
        (void)atomic_fetch_add(&slot->total, op->delta);
    }
}
