/* SPDX-License-Identifier: Apache-2.0
 *
 * See shares.h.
 */
#include "shares.h"
#include "clock.h"

static l7s_share_place_t place_of(const sync_counter_t *counter)
{
    return (l7s_share_place_t){
        .table = &counter->round->shared->table,
        .limits = counter->limit,
        .digest = l7s_hash128_xor(counter->key, counter->limit->identity),
        .now = counter->round->now};
}

static uint32_t see(const sync_counter_t *counter)
{
    return sync_told_seen(counter->round->told, sync_counter_index(counter),
                          (uint32_t)sync_mono_ms(counter->round->now));
}

uint64_t sync_share_take(const sync_counter_t *counter)
{
    l7s_share_place_t place = place_of(counter);

    return l7s_share_pack(l7s_share_take(&place));
}

void sync_share_put_back(const sync_counter_t *counter, uint64_t delta)
{
    l7s_share_place_t place = place_of(counter);

    l7s_share_mark(&place, l7s_share_unpack(delta));
}

static void tell(const sync_counter_t *counter, const l7s_share_place_t *place)
{
    l7s_share_t used = l7s_share_used(place);

    if (counter->round->live_nodes > 1 &&
        l7s_share_must_tell(counter->limit, used, sync_counter_moved(counter),
                            sync_counter_silent_ms(counter))) {
        sync_counter_tell(counter, l7s_share_pack(used));
    }
}

void sync_share_learn(const sync_counter_t *counter, uint32_t period, uint64_t elapsed_ms,
                      const l7s_meta_op_t *op)
{
    l7s_share_place_t place = place_of(counter);
    l7s_fleet_view_t view = sync_counter_view(counter);
    uint32_t since_ms = see(counter);

    if (view.period == period) {
        elapsed_ms = since_ms;
    }
    l7s_share_t others = l7s_share_learn(&counter->limit->rate, &view, period, op->value,
                                         l7s_share_unpack(op->delta), elapsed_ms);
    sync_counter_set_view(counter, &view);
    if (others.answered > 0) {
        (void)l7s_share_add(&place, others);
    }
    if (op->delta > 0) {
        tell(counter, &place);
    }
}

void sync_share_hear(const sync_counter_t *counter, const l7s_fleet_news_t *news)
{
    sync_counter_t heard = *counter;
    l7s_share_place_t place = place_of(counter);
    l7s_fleet_view_t view = {.total = 0};

    heard.slot = l7s_share_slot(&place, L7S_RATIO_ANSWERED);
    if (heard.slot != NULL) {
        view = sync_counter_view(&heard);
    }
    l7s_share_t others = l7s_share_hear(&view, news, l7s_share_sent(&place));
    if (others.answered > 0) {
        heard.slot = l7s_share_add(&place, others);
    }
    if (heard.slot != NULL) {
        sync_counter_set_view(&heard, &view);
        (void)see(&heard);
        sync_told_note(heard.round->told, sync_counter_index(&heard), news->total,
                       news->period, (uint32_t)sync_mono_ms(heard.round->now));
    }
}
