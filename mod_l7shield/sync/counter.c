/* SPDX-License-Identifier: Apache-2.0
 *
 * See counter.h.
 */
#include "counter.h"
#include "../../core/decide/limit.h"
#include "clock.h"

const l7s_image_limit_t *sync_round_limit(const sync_round_t *round, uint32_t id)
{
    return round->image == NULL ? NULL : l7s_image_limit(round->image, id);
}

/* Nobody gains by guessing it. SplitMix64, G. Steele et al., 2014. */
uint64_t sync_round_roll(sync_round_t *round)
{
    uint64_t mixed = round->dice += 0x9e3779b97f4a7c15U;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebU;
    return mixed ^ mixed >> 31;
}

sync_counter_t sync_counter_at(sync_round_t *round, uint32_t index)
{
    l7s_slot_t *slot = &round->shared->table.slots[index];

    return (sync_counter_t){.round = round,
                            .limit = sync_round_limit(round, atomic_load(&slot->limit)),
                            .slot = slot,
                            .key = l7s_slot_key(slot)};
}

uint32_t sync_counter_index(const sync_counter_t *counter)
{
    return (uint32_t)(counter->slot - counter->round->shared->table.slots);
}

sync_alone_place_t sync_counter_place(const sync_counter_t *counter)
{
    return (sync_alone_place_t){.index = sync_counter_index(counter),
                                .key_lo = counter->key.lo,
                                .nodes = counter->round->live_nodes};
}

/* ---- what is in use ---- */

uint32_t sync_counter_used(const sync_counter_t *counter)
{
    return l7s_limit_used(counter->limit, atomic_load(&counter->slot->tat),
                          counter->round->now.mono_us);
}

uint32_t sync_counter_headroom(const sync_counter_t *counter)
{
    return l7s_limit_headroom(counter->limit, atomic_load(&counter->slot->tat),
                              counter->round->now.mono_us);
}

bool sync_counter_is_near(const sync_counter_t *counter)
{
    return counter->limit->tally ||
           l7s_fleet_is_near(&counter->limit->rate, sync_counter_headroom(counter));
}

bool sync_counter_is_drained(const sync_counter_t *counter)
{
    return l7s_limit_drained(counter->limit, atomic_load(&counter->slot->tat),
                             counter->round->now.mono_us);
}

uint32_t sync_counter_age_ms(const sync_counter_t *counter)
{
    uint32_t now_ms = (uint32_t)sync_mono_ms(counter->round->now);

    return now_ms - atomic_load(&counter->slot->pending_since);
}

/* ---- its number ---- */

l7s_fleet_view_t sync_counter_view(const sync_counter_t *counter)
{
    return (l7s_fleet_view_t){.total = atomic_load(&counter->slot->total),
                              .period = atomic_load(&counter->slot->period),
                              .may_owe = counter->limit->deferred};
}

void sync_counter_set_view(const sync_counter_t *counter, const l7s_fleet_view_t *view)
{
    atomic_store(&counter->slot->total, view->total);
    atomic_store(&counter->slot->period, view->period);
}

uint64_t sync_counter_moved(const sync_counter_t *counter)
{
    l7s_fleet_view_t view = sync_counter_view(counter);

    return sync_told_moved(counter->round->told, sync_counter_index(counter), view.total,
                           view.period, counter->limit->rate.burst);
}

uint32_t sync_counter_silent_ms(const sync_counter_t *counter)
{
    return sync_told_silent_ms(counter->round->told, sync_counter_index(counter),
                               (uint32_t)sync_mono_ms(counter->round->now));
}

void sync_counter_tell(const sync_counter_t *counter, uint64_t used)
{
    const sync_round_t *round = counter->round;
    l7s_fleet_view_t view = sync_counter_view(counter);
    const sync_news_item_t item = {
        .key = counter->key,
        .limit = counter->limit->id,
        .what = {.total = view.total, .used = used, .period = view.period}};

    if (sync_news_add(round->news, &item, round->live_nodes, round->now)) {
        sync_told_note(round->told, sync_counter_index(counter), view.total, view.period,
                       (uint32_t)sync_mono_ms(round->now));
    }
}
