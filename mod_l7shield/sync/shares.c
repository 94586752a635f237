/* SPDX-License-Identifier: Apache-2.0
 *
 * See shares.h.
 */
#include "shares.h"
#include "clock.h"

static l7s_share_place_t place_of(const sync_share_t *share)
{
    return (l7s_share_place_t){.table = &share->shared->table,
                               .limits = share->limit,
                               .digest =
                                   l7s_hash128_xor(share->key, share->limit->identity),
                               .now = share->now};
}

uint64_t sync_share_take(const sync_share_t *share)
{
    l7s_share_place_t place = place_of(share);

    return l7s_share_pack(l7s_share_take(&place));
}

void sync_share_put_back(const sync_share_t *share, uint64_t delta)
{
    l7s_share_place_t place = place_of(share);

    l7s_share_mark(&place, l7s_share_unpack(delta));
}

static uint32_t index_of(const sync_share_t *share, const l7s_slot_t *slot)
{
    return (uint32_t)(slot - share->shared->table.slots);
}

static l7s_fleet_view_t view_of(l7s_slot_t *slot)
{
    l7s_fleet_view_t view = {.total = 0};

    if (slot != NULL) {
        view.total = atomic_load(&slot->total);
        view.period = atomic_load(&slot->period);
    }
    return view;
}

static void set_view(l7s_slot_t *slot, const l7s_fleet_view_t *view)
{
    atomic_store(&slot->total, view->total);
    atomic_store(&slot->period, view->period);
}

static void tell(const sync_share_t *share, const l7s_share_place_t *place,
                 l7s_slot_t *slot)
{
    uint32_t index = index_of(share, slot), now_ms = (uint32_t)sync_mono_ms(share->now);
    l7s_fleet_view_t view = view_of(slot);
    l7s_share_t used = l7s_share_used(place);
    uint64_t moved = sync_told_moved(share->told, index, view.total, view.period,
                                     share->limit->rate.burst);

    if (share->live_nodes < 2 ||
        !l7s_share_must_tell(share->limit, used, moved,
                             sync_told_silent_ms(share->told, index, now_ms))) {
        return;
    }
    const sync_news_item_t item = {.key = share->key,
                                   .limit = share->limit->id,
                                   .what = {.total = view.total,
                                            .used = l7s_share_pack(used),
                                            .period = view.period}};
    if (sync_news_add(share->news, &item, share->live_nodes, share->now)) {
        sync_told_note(share->told, index, view.total, view.period, now_ms);
    }
}

void sync_share_learn(const sync_share_t *share, uint32_t period, uint64_t elapsed_ms,
                      const l7s_meta_op_t *op)
{
    l7s_share_place_t place = place_of(share);
    l7s_slot_t *slot = l7s_share_slot(&place, L7S_RATIO_ANSWERED);
    l7s_fleet_view_t view = view_of(slot);

    if (slot == NULL) {
        return; /* evicted meanwhile */
    }
    uint32_t since_ms = sync_told_seen(share->told, index_of(share, slot),
                                       (uint32_t)sync_mono_ms(share->now));
    if (view.period == period) {
        elapsed_ms = since_ms;
    }
    l7s_share_t others = l7s_share_learn(&share->limit->rate, &view, period, op->value,
                                         l7s_share_unpack(op->delta), elapsed_ms);
    set_view(slot, &view);
    if (others.answered > 0) {
        (void)l7s_share_add(&place, others);
    }
    if (op->delta > 0) {
        tell(share, &place, slot);
    }
}

void sync_share_hear(const sync_share_t *share, const l7s_fleet_news_t *news)
{
    l7s_share_place_t place = place_of(share);
    l7s_slot_t *slot = l7s_share_slot(&place, L7S_RATIO_ANSWERED);
    l7s_fleet_view_t view = view_of(slot);
    uint32_t now_ms = (uint32_t)sync_mono_ms(share->now);
    l7s_share_t others = l7s_share_hear(&view, news, l7s_share_sent(&place));

    if (others.answered > 0) {
        slot = l7s_share_add(&place, others);
    }
    if (slot != NULL) {
        set_view(slot, &view);
        (void)sync_told_seen(share->told, index_of(share, slot), now_ms);
        sync_told_note(share->told, index_of(share, slot), news->total, news->period,
                       now_ms);
    }
}
