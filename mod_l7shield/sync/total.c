/* SPDX-License-Identifier: Apache-2.0
 *
 * See total.h.
 */
#include "total.h"
#include "clock.h"
#include "shares.h"

/* Debits what others used since the number was last seen. `same`: it was this number. */
static void charge(const sync_counter_t *counter, bool same, uint64_t others)
{
    const sync_round_t *round = counter->round;
    const l7s_rate_t *rate = &counter->limit->rate;
    _Atomic uint64_t *tat = &counter->slot->tat;
    uint64_t now_ms = sync_mono_ms(round->now);
    sync_alone_place_t place = sync_counter_place(counter);
    uint32_t since_ms = sync_told_seen(round->told, place.index, (uint32_t)now_ms);

    others = sync_alone_uncharged(round->alone, &place, others, now_ms);
    if (same && others > 0) {
        uint64_t idle_ms = l7s_bucket_idle_ms(rate, atomic_load(tat), round->now.mono_us);
        others =
            l7s_fleet_undrained(rate, others, idle_ms < since_ms ? idle_ms : since_ms);
    }
    if (others > 0) {
        l7s_bucket_debit(rate, tat, round->now.mono_us, others);
    }
}

static uint64_t bucket_used(const sync_counter_t *counter)
{
    return l7s_bucket_used(&counter->limit->rate, atomic_load(&counter->slot->tat),
                           counter->round->now.mono_us);
}

/* ---- read ---- */

static void tell(const sync_counter_t *counter)
{
    if (counter->round->live_nodes > 1 &&
        l7s_fleet_must_tell(&counter->limit->rate, sync_counter_headroom(counter),
                            sync_counter_moved(counter),
                            sync_counter_silent_ms(counter))) {
        sync_counter_tell(counter, bucket_used(counter));
    }
}

void sync_total_learn(const sync_question_t *question, const l7s_meta_op_t *op)
{
    const sync_counter_t *counter = &question->counter;
    const l7s_rate_t *rate = &counter->limit->rate;
    uint64_t wall_ms = counter->round->now.wall_ms, began_ms = question->began_ms;
    uint64_t elapsed_ms = l7s_fleet_elapsed_ms(
        rate, wall_ms > began_ms ? wall_ms - began_ms : 0, op->left_s);

    if (counter->limit->tally) {
        sync_share_learn(counter, question->period, elapsed_ms, op);
        return;
    }
    l7s_fleet_view_t view = sync_counter_view(counter);
    bool same = view.period == question->period;
    uint64_t others = l7s_fleet_learn(rate, &view, question->period, op->value,
                                      (uint32_t)op->delta, elapsed_ms);
    sync_counter_set_view(counter, &view);
    charge(counter, same, others);
    if (op->delta > 0) {
        tell(counter);
    }
}

/* ---- heard ---- */

/* A sender's clock may be a little ahead of ours or behind it. */
static bool is_timely(const sync_counter_t *counter, const l7s_fleet_news_t *news)
{
    uint64_t began_ms;
    uint32_t period = l7s_fleet_period(&counter->limit->rate, counter->key,
                                       counter->round->now.wall_ms, &began_ms);

    return news->period != 0 && news->period - period + 1 <= 2;
}

/* NULL: there is none, and news that say nothing make none. */
static l7s_slot_t *slot_for(const sync_counter_t *counter, const l7s_fleet_news_t *news)
{
    const l7s_image_limit_t *limit = counter->limit;
    const l7s_table_t *table = &counter->round->shared->table;
    l7s_slot_t *slot = l7s_table_find(table, counter->key);

    if (slot == NULL &&
        l7s_fleet_hear(&limit->rate, &(l7s_fleet_view_t){0}, news, 0, 0) > 0) {
        slot = l7s_table_claim(table, counter->key, limit->id, &limit->rate,
                               counter->round->now);
    }
    return slot != NULL && atomic_load(&slot->limit) == limit->id ? slot : NULL;
}

static void take_in(const sync_counter_t *counter, const l7s_fleet_news_t *news)
{
    l7s_fleet_view_t view = sync_counter_view(counter);
    bool same = view.period == news->period;

    if (same && news->total <= view.total) {
        return;
    }
    uint64_t others =
        l7s_fleet_hear(&counter->limit->rate, &view, news,
                       atomic_load(&counter->slot->pending), bucket_used(counter));
    sync_counter_set_view(counter, &view);
    charge(counter, same, others);
}

void sync_total_hear(sync_round_t *round, const sync_news_item_t *item)
{
    const l7s_fleet_news_t *news = &item->what;
    sync_counter_t counter = {
        .round = round, .limit = sync_round_limit(round, item->limit), .key = item->key};

    if (counter.limit == NULL || !counter.limit->fleet || !is_timely(&counter, news)) {
        return;
    }
    if (counter.limit->tally) {
        sync_share_hear(&counter, news);
        return;
    }
    counter.slot = slot_for(&counter, news);
    if (counter.slot != NULL) {
        take_in(&counter, news);
        sync_told_note(round->told, sync_counter_index(&counter), news->total,
                       news->period, (uint32_t)sync_mono_ms(round->now));
    }
}
