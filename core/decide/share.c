/* SPDX-License-Identifier: Apache-2.0
 *
 * See share.h. Slots may be evicted one by one. Without the tally of what was answered
 * the other one would say that everything failed: it means nothing then, and begins anew
 * with it.
 */
#include "share.h"

uint64_t l7s_share_pack(l7s_share_t share)
{
    return (uint64_t)share.failed << 32 | share.answered;
}

l7s_share_t l7s_share_unpack(uint64_t number)
{
    return (l7s_share_t){.answered = (uint32_t)number,
                         .failed = (uint32_t)(number >> 32)};
}

/* --- where they are --- */

static uint32_t seconds_of(const l7s_share_place_t *place)
{
    return (uint32_t)(place->limits->rate.period_us / 1000000);
}

static l7s_hash128_t key_of(const l7s_share_place_t *place, unsigned which)
{
    return l7s_hash128_xor(place->digest, place->limits[which].identity);
}

l7s_slot_t *l7s_share_slot(const l7s_share_place_t *place, unsigned which)
{
    return l7s_table_find(place->table, key_of(place, which));
}

/* The slot, with `count` more in it. NULL: no room. */
static l7s_slot_t *add(const l7s_share_place_t *place, unsigned which, uint32_t count)
{
    l7s_slot_t *slot =
        l7s_table_claim_tally(place->table, key_of(place, which), place->limits[which].id,
                              seconds_of(place), place->now);

    if (slot != NULL) {
        l7s_tally_add(seconds_of(place), &slot->tat, place->now.mono_us, count);
    }
    return slot;
}

static void begin_anew(const l7s_share_place_t *place)
{
    l7s_slot_t *failed = l7s_share_slot(place, L7S_RATIO_FAILED);

    if (failed != NULL) {
        atomic_store_explicit(&failed->tat, L7S_TALLY_FRESH, memory_order_relaxed);
        atomic_store_explicit(&failed->pending, 0, memory_order_relaxed);
    }
}

l7s_slot_t *l7s_share_add(const l7s_share_place_t *place, l7s_share_t share)
{
    l7s_slot_t *answered;

    if (l7s_share_slot(place, L7S_RATIO_ANSWERED) == NULL) {
        begin_anew(place);
    }
    answered = add(place, L7S_RATIO_ANSWERED, share.answered);
    if (answered != NULL && share.failed > 0) {
        (void)add(place, L7S_RATIO_FAILED, share.failed);
    }
    return answered;
}

/* Only the slot of what was answered asks to be visited; what failed goes with it. */
void l7s_share_mark(const l7s_share_place_t *place, l7s_share_t share)
{
    l7s_slot_t *answered = l7s_share_slot(place, L7S_RATIO_ANSWERED);
    l7s_slot_t *failed =
        share.failed > 0 ? l7s_share_slot(place, L7S_RATIO_FAILED) : NULL;

    if (answered != NULL && share.answered > 0) {
        l7s_table_mark(place->table, answered, share.answered, place->now);
    }
    if (failed != NULL) {
        atomic_fetch_add_explicit(&failed->pending, share.failed, memory_order_release);
    }
}

static uint32_t at_most(uint32_t count, uint32_t most)
{
    return count < most ? count : most;
}

static l7s_share_t within(l7s_share_t share, l7s_share_t most)
{
    return (l7s_share_t){.answered = at_most(share.answered, most.answered),
                         .failed = at_most(share.failed, most.failed)};
}

static uint32_t take(l7s_slot_t *slot)
{
    return slot != NULL
               ? atomic_exchange_explicit(&slot->pending, 0, memory_order_acquire)
               : 0;
}

l7s_share_t l7s_share_take(const l7s_share_place_t *place)
{
    l7s_share_t taken;

    taken.answered = take(l7s_share_slot(place, L7S_RATIO_ANSWERED));
    taken.failed = take(l7s_share_slot(place, L7S_RATIO_FAILED));
    return within(taken, l7s_share_used(place));
}

static uint32_t used_of(const l7s_share_place_t *place, unsigned which)
{
    const l7s_slot_t *slot = l7s_share_slot(place, which);

    return slot != NULL
               ? l7s_tally_count(seconds_of(place),
                                 atomic_load_explicit(&slot->tat, memory_order_relaxed),
                                 place->now.mono_us)
               : 0;
}

l7s_share_t l7s_share_used(const l7s_share_place_t *place)
{
    return (l7s_share_t){.answered = used_of(place, L7S_RATIO_ANSWERED),
                         .failed = used_of(place, L7S_RATIO_FAILED)};
}

static uint32_t above(uint32_t count, uint32_t base)
{
    return count > base ? count - base : 0;
}

static l7s_share_t minus(l7s_share_t share, l7s_share_t base)
{
    return (l7s_share_t){.answered = above(share.answered, base.answered),
                         .failed = above(share.failed, base.failed)};
}

static uint32_t pending_of(const l7s_slot_t *slot)
{
    return slot != NULL ? atomic_load_explicit(&slot->pending, memory_order_relaxed) : 0;
}

l7s_share_t l7s_share_sent(const l7s_share_place_t *place)
{
    l7s_share_t pending = {.answered =
                               pending_of(l7s_share_slot(place, L7S_RATIO_ANSWERED)),
                           .failed = pending_of(l7s_share_slot(place, L7S_RATIO_FAILED))};

    return minus(l7s_share_used(place), pending);
}

/* --- what a number means --- */

#define TELL_FRACTION 12 /* of what was answered: a change worth telling */
#define TELL_MS 2000     /* the longest silence about what is worth it */

/* Whoever can write to memcached can make much of little; that more failed than was
 * answered, or that a tally is full, nobody believes. */
static l7s_share_t plausible(l7s_share_t share)
{
    share.answered = at_most(share.answered, L7S_TALLY_MAX - 1);
    share.failed = at_most(share.failed, share.answered);
    return share;
}

/* Of what was counted in the last `elapsed_ms`, as much as lies within a period if it
 * came evenly. */
static uint32_t recent(const l7s_rate_t *rate, uint32_t count, uint64_t elapsed_ms)
{
    uint64_t period_ms = rate->period_us / 1000;

    return elapsed_ms <= period_ms ? count : (uint32_t)(count * period_ms / elapsed_ms);
}

l7s_share_t l7s_share_learn(const l7s_rate_t *rate, l7s_fleet_view_t *view,
                            uint32_t period, uint64_t total, l7s_share_t pushed,
                            uint64_t elapsed_ms)
{
    const l7s_fleet_view_t seen = *view;
    l7s_share_t others = l7s_share_unpack(total);

    if (seen.period != 0 && period == seen.period - 1) {
        return (l7s_share_t){0, 0}; /* an answer that comes late: the newer stands */
    }
    view->total = total;
    view->period = period;
    if (seen.period == period) {
        others = minus(others, l7s_share_unpack(seen.total));
    }
    others = minus(others, pushed);
    others.answered = recent(rate, others.answered, elapsed_ms);
    others.failed = recent(rate, others.failed, elapsed_ms);
    return plausible(others);
}

bool l7s_share_must_tell(const l7s_image_limit_t *limits, l7s_share_t used,
                         uint64_t moved, uint64_t silent_ms)
{
    uint64_t least = limits[L7S_RATIO_ANSWERED].rate.burst;
    uint64_t base = used.answered > least ? used.answered : least;
    uint32_t by = l7s_share_unpack(moved).answered;

    return 2ULL * used.failed * least >=
               (uint64_t)used.answered * limits[L7S_RATIO_FAILED].rate.burst &&
           by > 0 && (by >= base / TELL_FRACTION || silent_ms >= TELL_MS);
}

l7s_share_t l7s_share_hear(l7s_fleet_view_t *view, const l7s_fleet_news_t *news,
                           l7s_share_t own)
{
    const l7s_fleet_view_t seen = *view;
    l7s_share_t told = l7s_share_unpack(news->total);
    l7s_share_t before = l7s_share_unpack(seen.total);
    bool newer = seen.period == 0 || (int32_t)(news->period - seen.period) > 0;

    if (!newer && (news->period != seen.period || told.answered <= before.answered)) {
        return (l7s_share_t){0, 0};
    }
    view->total = news->total;
    view->period = news->period;
    if (!newer) {
        return plausible(minus(told, before));
    }
    l7s_share_t gap = minus(l7s_share_unpack(news->used), own);
    bool in_view = seen.period != 0 && news->period == seen.period + 1;
    return plausible(in_view ? within(told, gap) : gap);
}
