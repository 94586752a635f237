/* SPDX-License-Identifier: Apache-2.0
 *
 * See counters.h. A slot that was pushed stays dirty for one tick more, so that what
 * could not leave (memcached known not to have seen it) can simply be put back.
 *
 * Bounds: OPERATIONS_MAX exchanges per tick, the rest stays dirty and is served first in
 * the next.
 */
#include "counters.h"
#include "../../core/bus/meta.h"
#include "../../core/decide/limit.h"
#include "../../core/key.h"
#include "alone.h"
#include "hot.h"
#include "log.h"
#include "news.h"
#include "shares.h"
#include "told.h"
#include <stdlib.h>

#define OPERATIONS_MAX 131072
#define LOG_INTERVAL_MS 10000
/* memcached's share of a tick; a healthy server needs a microsecond per operation. What
 * does not fit stays dirty and comes first in the next tick. */
#define BUDGET_MS 40

/* What an operation is about; parallel to `ops`. */
typedef struct {
    l7s_hash128_t key;
    const l7s_image_limit_t *limit; /* borrowed from the image for the tick */
    uint64_t began_ms;
    uint32_t index, period;
    bool previous; /* the number of the period before */
} purpose_t;

struct sync_counters {
    const l7s_shared_t *shared;
    sync_bus_t *bus;
    l7s_meta_t *meta;
    sync_alone_t *alone;
    uint32_t began_ms; /* mono, of the first tick */
    sync_news_t *news;
    const l7s_image_t *image; /* of the tick */
    l7s_now_t now;            /* of the tick */
    uint32_t live_nodes;
    uint32_t resume_at; /* the slot at which the last tick ran out of operations */
    bool full, late;    /* the tick had no room, or no time, for all */
    size_t count;
    uint64_t unknown; /* tokens whose way ended in silence */
    sync_log_gate_t full_gate, unknown_gate, hot_gate;
    uint64_t dice; /* of parcels and of first looks */
    sync_told_t *told;
    sync_hot_t *hot;
    purpose_t *purposes;
    l7s_meta_op_t *ops;
};

static l7s_status_t allocate(sync_counters_t *counters)
{
    size_t slots = l7s_table_size(&counters->shared->table);

    l7s_status_t status = sync_told_create(slots, &counters->told);
    if (status == L7S_OK) {
        status = sync_hot_create(slots, &counters->hot);
    }
    counters->purposes = calloc(OPERATIONS_MAX, sizeof *counters->purposes);
    counters->ops = calloc(OPERATIONS_MAX, sizeof *counters->ops);
    return status != L7S_OK || counters->purposes == NULL || counters->ops == NULL
               ? L7S_NO_MEMORY
               : L7S_OK;
}

l7s_status_t sync_counters_create(const l7s_shared_t *shared, sync_bus_t *bus,
                                  const sync_options_t *options, sync_counters_t **out)
{
    sync_counters_t *counters = calloc(1, sizeof *counters);

    if (counters == NULL) {
        return L7S_NO_MEMORY;
    }
    counters->shared = shared;
    counters->bus = bus;
    l7s_status_t status = L7S_OK;
    counters->dice = shared->table.place_key.k0;
    if (bus != NULL) {
        status = allocate(counters);
    }
    if (bus != NULL && status == L7S_OK) {
        status = sync_alone_create(l7s_table_size(&shared->table), &counters->alone);
    }
    if (bus != NULL && status == L7S_OK) {
        status = sync_news_create(bus, &counters->news);
    }
    if (bus != NULL && status == L7S_OK) {
        status =
            l7s_meta_create(options->servers, options->server_count, &counters->meta);
    }
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
    l7s_meta_free(counters->meta);
    sync_alone_free(counters->alone);
    sync_news_free(counters->news);
    sync_told_free(counters->told);
    sync_hot_free(counters->hot);
    free(counters->purposes);
    free(counters->ops);
    free(counters);
}

/* ---- what to ask ---- */

/* With debt, up to two buckets. */
static uint32_t used_tokens(const sync_counters_t *counters,
                            const l7s_image_limit_t *limit, const l7s_slot_t *slot)
{
    return l7s_limit_used(limit, atomic_load(&slot->tat), counters->now.mono_us);
}

/* A number that was seen in this period and is gone (memcached was restarted, flushed or
 * short of memory) begins again with what is in use here, so that a node that has not
 * seen it yet learns of it. Never with more than was seen: nobody else is charged for it
 * again. */
static uint32_t seed_of(const sync_counters_t *counters, const purpose_t *purpose)
{
    const l7s_slot_t *slot = &counters->shared->table.slots[purpose->index];
    uint64_t total = atomic_load(&slot->total);

    if (purpose->previous || purpose->limit->tally ||
        atomic_load(&slot->period) != purpose->period) {
        return 0;
    }
    uint32_t used = used_tokens(counters, purpose->limit, slot);
    return used < total ? used : (uint32_t)total;
}

static void add_operation(sync_counters_t *counters, const purpose_t *purpose,
                          uint64_t delta)
{
    l7s_meta_op_t *op = &counters->ops[counters->count];

    counters->purposes[counters->count++] = *purpose;
    l7s_fleet_counter_name(sync_bus_name_key(counters->bus), purpose->key,
                           purpose->period, op->key);
    op->server = (uint32_t)l7s_pool_route(sync_bus_pool(counters->bus), op->key);
    op->delta = delta;
    op->ttl = l7s_fleet_ttl_seconds(&purpose->limit->rate);
    op->seed = seed_of(counters, purpose);
    op->status = L7S_META_FAILED;
    op->value = 0;
}

/* NULL: no policy in force has this slot's limit. */
static const l7s_image_limit_t *limit_of(const sync_counters_t *counters,
                                         const l7s_slot_t *slot)
{
    return counters->image == NULL
               ? NULL
               : l7s_image_limit(counters->image, atomic_load(&slot->limit));
}

/* Any number that differs from call to call and from node to node; nobody gains by
 * guessing it. SplitMix64, G. Steele et al., 2014. */
static uint64_t roll(sync_counters_t *counters)
{
    uint64_t mixed = counters->dice += 0x9e3779b97f4a7c15U;

    mixed = (mixed ^ mixed >> 30) * 0xbf58476d1ce4e5b9U;
    mixed = (mixed ^ mixed >> 27) * 0x94d049bb133111ebU;
    return mixed ^ mixed >> 31;
}

static uint32_t headroom_of(const sync_counters_t *counters,
                            const l7s_image_limit_t *limit, const l7s_slot_t *slot)
{
    return l7s_limit_headroom(limit, atomic_load(&slot->tat), counters->now.mono_us);
}

/* Of a share whatever counts may matter. */
static bool is_near(const sync_counters_t *counters, const l7s_image_limit_t *limit,
                    const l7s_slot_t *slot)
{
    return limit->tally ||
           l7s_fleet_is_near(&limit->rate, headroom_of(counters, limit, slot));
}

static bool is_drained(const sync_counters_t *counters, const l7s_image_limit_t *limit,
                       const l7s_slot_t *slot)
{
    return l7s_limit_drained(limit, atomic_load(&slot->tat), counters->now.mono_us);
}

static sync_share_t share_of(const sync_counters_t *counters,
                             const l7s_image_limit_t *limit, l7s_hash128_t key)
{
    return (sync_share_t){.shared = counters->shared,
                          .told = counters->told,
                          .news = counters->news,
                          .live_nodes = counters->live_nodes,
                          .now = counters->now,
                          .limit = limit,
                          .key = key};
}

static uint32_t age_ms(const sync_counters_t *counters, const l7s_slot_t *slot)
{
    uint32_t now_ms = (uint32_t)(counters->now.mono_us / 1000);

    return now_ms - atomic_load(&slot->pending_since);
}

/* Tokens that have been waiting for a store that was away are old news: no more of them
 * travel than the bucket still holds, or an outage would be paid for after its end. */
static uint32_t worth_pushing(const l7s_rate_t *rate, uint32_t pending,
                              uint32_t waited_ms, uint32_t headroom)
{
    uint32_t used = rate->burst - headroom;
    bool old = waited_ms > rate->period_us / 1000 / 2 + 1000;

    return old && used < pending ? used : pending;
}

/* Asks for the number of the running period. Near the limit also for the one before,
 * while that was the last one seen: others may have pushed to it after our last look. */
static void look(sync_counters_t *counters, uint32_t index, l7s_slot_t *slot,
                 const l7s_image_limit_t *limit, uint64_t delta)
{
    purpose_t purpose = {.key = l7s_slot_key(slot), .limit = limit, .index = index};
    uint32_t known = atomic_load(&slot->period);

    purpose.period = l7s_fleet_period(&limit->rate, purpose.key, counters->now.wall_ms,
                                      &purpose.began_ms);
    if (known != 0 && known + 1 == purpose.period && is_near(counters, limit, slot)) {
        purpose_t previous = purpose;
        previous.previous = true;
        previous.period = known;
        add_operation(counters, &previous, 0);
    }
    add_operation(counters, &purpose, delta);
}

static sync_alone_place_t place_of(const sync_counters_t *counters, uint32_t index,
                                   l7s_hash128_t key)
{
    return (sync_alone_place_t){
        .index = index, .key_lo = key.lo, .nodes = counters->live_nodes};
}

static uint32_t take_tokens(sync_counters_t *counters, uint32_t index, l7s_slot_t *slot,
                            const l7s_image_limit_t *limit, uint32_t headroom)
{
    uint32_t waited = age_ms(counters, slot);
    sync_alone_place_t place = place_of(counters, index, l7s_slot_key(slot));
    uint32_t pending =
        sync_alone_left(counters->alone, &place, atomic_exchange(&slot->pending, 0),
                        used_tokens(counters, limit, slot));
    uint32_t worth = worth_pushing(&limit->rate, pending, waited, headroom);

    return l7s_fleet_parcel(&limit->rate, worth, headroom, counters->live_nodes,
                            roll(counters));
}

static void push(sync_counters_t *counters, uint32_t index, l7s_slot_t *slot,
                 const l7s_image_limit_t *limit, uint32_t headroom)
{
    sync_share_t share = share_of(counters, limit, l7s_slot_key(slot));
    uint64_t delta = limit->tally ? sync_share_take(&share)
                                  : take_tokens(counters, index, slot, limit, headroom);

    if (delta > 0) {
        look(counters, index, slot, limit, delta);
    }
}

/* Has the tick room for this slot? When it has not, the next one begins here. */
static bool has_room(sync_counters_t *counters, uint32_t index)
{
    if (index < counters->resume_at || counters->full) {
        return false;
    }
    if (counters->count + 2 > OPERATIONS_MAX) {
        counters->full = true;
        counters->resume_at = index;
        return false;
    }
    return true;
}

/* Pending tokens that their age alone wants to push, though they have drained here; of a
 * share, though it would tell nothing if all nodes counted as little. */
static bool may_forget(const sync_counters_t *counters, const l7s_image_limit_t *limit,
                       const l7s_slot_t *slot, uint32_t pending, uint32_t headroom)
{
    const l7s_rate_t *rate = &limit->rate;
    uint32_t nodes = counters->live_nodes;

    if (l7s_fleet_must_push(rate, pending, 0, headroom, nodes)) {
        return false;
    }
    if (limit->tally) {
        return (uint64_t)nodes * used_tokens(counters, limit, slot) < rate->burst;
    }
    return is_drained(counters, limit, slot) &&
           l7s_fleet_is_light(rate, pending, age_ms(counters, slot), nodes);
}

static void forget(const sync_counters_t *counters, const l7s_image_limit_t *limit,
                   l7s_slot_t *slot)
{
    if (limit != NULL && limit->tally && limit->place == L7S_RATIO_ANSWERED) {
        sync_share_t share = share_of(counters, limit, l7s_slot_key(slot));
        (void)sync_share_take(&share);
    }
    (void)atomic_exchange(&slot->pending, 0);
}

/* True: the slot stays dirty. */
static bool consider(void *context, uint32_t index, l7s_slot_t *slot)
{
    sync_counters_t *counters = context;
    const l7s_image_limit_t *limit = limit_of(counters, slot);
    uint32_t pending = atomic_load(&slot->pending);

    if (limit == NULL || !limit->fleet || counters->meta == NULL) {
        forget(counters, limit, slot);
        return false;
    }
    if (pending == 0 || l7s_slot_key(slot).lo == 0) {
        return false;
    }
    const l7s_rate_t *rate = &limit->rate;
    uint32_t headroom = headroom_of(counters, limit, slot);
    if (!l7s_fleet_must_push(rate, pending, age_ms(counters, slot), headroom,
                             counters->live_nodes)) {
        return true;
    }
    if (may_forget(counters, limit, slot, pending, headroom)) {
        forget(counters, limit, slot); /* a light source: it never travels */
        return false;
    }
    if (has_room(counters, index)) {
        push(counters, index, slot, limit, headroom);
    }
    return true;
}

/* ---- counters in use ---- */

static void heat(sync_counters_t *counters, uint32_t index, uint64_t key_lo)
{
    uint64_t now_ms = sync_mono_ms(counters->now);

    if (sync_hot_has(counters->hot, index)) {
        return;
    }
    /* The first look at any moment, so that the nodes' looks spread. */
    uint64_t wait_ms =
        1 + roll(counters) % l7s_fleet_look_interval_ms(counters->live_nodes);
    if (!sync_hot_add(counters->hot, index, key_lo, now_ms + wait_ms) &&
        sync_log_gate(&counters->hot_gate, now_ms, LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_WARN, "L7S2072",
                 "more than %d counters are in use; memcached may evict some of them",
                 SYNC_HOT_MAX);
    }
}

/* Adds the read of one counter in use. A sync_hot_look_fn. */
static sync_hot_answer_t bump(void *context, uint32_t index, uint64_t key_lo)
{
    sync_counters_t *counters = context;
    l7s_slot_t *slot = &counters->shared->table.slots[index];
    const l7s_image_limit_t *limit = limit_of(counters, slot);

    if (counters->count + 2 > OPERATIONS_MAX) {
        return SYNC_HOT_WAITS;
    }
    if (limit == NULL || !limit->fleet || l7s_slot_key(slot).lo != key_lo ||
        is_drained(counters, limit, slot)) {
        return SYNC_HOT_DRAINED;
    }
    look(counters, index, slot, limit, 0);
    return SYNC_HOT_LOOKED;
}

/* Debits what others used since the number was last seen. `same`: it was this number. */
static void charge(sync_counters_t *counters, uint32_t index, l7s_slot_t *slot,
                   const l7s_rate_t *rate, bool same, uint64_t others)
{
    sync_alone_place_t place = place_of(counters, index, l7s_slot_key(slot));
    uint32_t since_ms =
        sync_told_seen(counters->told, index, (uint32_t)sync_mono_ms(counters->now));

    others = sync_alone_uncharged(counters->alone, &place, others,
                                  sync_mono_ms(counters->now));
    if (same && others > 0) {
        uint64_t idle_ms =
            l7s_bucket_idle_ms(rate, atomic_load(&slot->tat), counters->now.mono_us);
        others =
            l7s_fleet_undrained(rate, others, idle_ms < since_ms ? idle_ms : since_ms);
    }
    if (others > 0) {
        l7s_bucket_debit(rate, &slot->tat, counters->now.mono_us, others);
    }
}

/* ---- news ---- */

/* A sender's clock may be a little ahead of ours or behind it. */
static bool is_timely(const sync_counters_t *counters, const l7s_rate_t *rate,
                      const sync_news_item_t *item)
{
    uint64_t began_ms;
    uint32_t period = l7s_fleet_period(rate, item->key, counters->now.wall_ms, &began_ms);

    return item->what.period != 0 && item->what.period - period + 1 <= 2;
}

/* Takes in one piece of news. A counter that is not known here yet is made: its first
 * request is judged by what it used elsewhere. */
static void hear(void *context, const sync_news_item_t *item)
{
    sync_counters_t *counters = context;
    const l7s_table_t *table = &counters->shared->table;
    const l7s_image_limit_t *limit =
        counters->image == NULL ? NULL : l7s_image_limit(counters->image, item->limit);

    if (limit == NULL || !limit->fleet || !is_timely(counters, &limit->rate, item)) {
        return;
    }
    if (limit->tally) {
        sync_share_t share = share_of(counters, limit, item->key);
        sync_share_hear(&share, &item->what);
        return;
    }
    const l7s_rate_t *rate = &limit->rate;
    l7s_slot_t *slot = l7s_table_find(table, item->key);
    if (slot == NULL &&
        l7s_fleet_hear(rate, &(l7s_fleet_view_t){0}, &item->what, 0, 0) > 0) {
        slot = l7s_table_claim(table, item->key, item->limit, rate, counters->now);
    }
    if (slot == NULL || atomic_load(&slot->limit) != item->limit) {
        return;
    }
    l7s_fleet_view_t view = {.total = atomic_load(&slot->total),
                             .period = atomic_load(&slot->period),
                             .may_owe = limit->deferred};
    bool same = view.period == item->what.period;
    uint32_t index = (uint32_t)(slot - table->slots);
    if (!same || item->what.total > view.total) {
        uint64_t used =
            l7s_bucket_used(rate, atomic_load(&slot->tat), counters->now.mono_us);
        uint64_t others =
            l7s_fleet_hear(rate, &view, &item->what, atomic_load(&slot->pending), used);
        atomic_store(&slot->total, view.total);
        atomic_store(&slot->period, view.period);
        charge(counters, index, slot, rate, same, others);
    }
    sync_told_note(counters->told, index, item->what.total, item->what.period,
                   (uint32_t)sync_mono_ms(counters->now));
}

/* After a push: is what we know now worth telling to all? */
static void tell(sync_counters_t *counters, const purpose_t *purpose, l7s_slot_t *slot)
{
    const l7s_rate_t *rate = &purpose->limit->rate;
    uint32_t index = purpose->index, now_ms = (uint32_t)sync_mono_ms(counters->now);
    uint64_t total = atomic_load(&slot->total), tat = atomic_load(&slot->tat);
    uint64_t moved =
        sync_told_moved(counters->told, index, total, purpose->period, rate->burst);
    uint32_t silent_ms = sync_told_silent_ms(counters->told, index, now_ms);

    if (counters->live_nodes < 2 ||
        !l7s_fleet_must_tell(rate, headroom_of(counters, purpose->limit, slot), moved,
                             silent_ms)) {
        return;
    }
    const sync_news_item_t item = {
        .key = purpose->key,
        .limit = atomic_load(&slot->limit),
        .what = {.total = total,
                 .used = l7s_bucket_used(rate, tat, counters->now.mono_us),
                 .period = purpose->period}};
    if (sync_news_add(counters->news, &item, counters->live_nodes, counters->now)) {
        sync_told_note(counters->told, index, total, purpose->period, now_ms);
    }
}

/* ---- what the answers mean ---- */

static void learn(sync_counters_t *counters, const purpose_t *purpose,
                  const l7s_meta_op_t *op, l7s_slot_t *slot)
{
    const l7s_rate_t *rate = &purpose->limit->rate;
    uint64_t wall_ms = counters->now.wall_ms;
    uint64_t since = wall_ms > purpose->began_ms ? wall_ms - purpose->began_ms : 0;
    uint64_t elapsed = l7s_fleet_elapsed_ms(rate, since, op->left_s);
    if (!purpose->previous) {
        heat(counters, purpose->index, purpose->key.lo);
    }
    if (purpose->limit->tally) {
        sync_share_t share = share_of(counters, purpose->limit, purpose->key);
        sync_share_learn(&share, purpose->period, elapsed, op);
        return;
    }
    l7s_fleet_view_t view = {.total = atomic_load(&slot->total),
                             .period = atomic_load(&slot->period),
                             .may_owe = purpose->limit->deferred};
    bool same = view.period == purpose->period;
    uint64_t others = l7s_fleet_learn(rate, &view, purpose->period, op->value,
                                      (uint32_t)op->delta, elapsed);

    atomic_store(&slot->total, view.total);
    atomic_store(&slot->period, view.period);
    charge(counters, purpose->index, slot, rate, same, others);
    if (op->delta > 0) {
        tell(counters, purpose, slot);
    }
}

/* Tokens whose way ended in silence are taken to have arrived: if they did, the next
 * total does not look like somebody else's use; if not, a little of theirs goes unseen.
 */
static void assume_applied(const purpose_t *purpose, const l7s_meta_op_t *op,
                           l7s_slot_t *slot)
{
    if (atomic_load(&slot->period) == purpose->period) {
        (void)atomic_fetch_add(&slot->total, op->delta);
    }
}

/* They wait for the store; until then this node takes its share of the limit only. With a
 * server that is up there was just no time left, and the next tick begins with them. */
static void put_back(sync_counters_t *counters, const purpose_t *purpose,
                     const l7s_meta_op_t *op, l7s_slot_t *slot)
{
    sync_alone_place_t place = place_of(counters, purpose->index, purpose->key);
    sync_share_t share = share_of(counters, purpose->limit, purpose->key);

    if (purpose->limit->tally) {
        sync_share_put_back(&share, op->delta);
    } else {
        (void)atomic_fetch_add(&slot->pending, (uint32_t)op->delta);
    }
    if (l7s_meta_up(counters->meta, op->server)) {
        counters->resume_at = counters->late ? counters->resume_at : purpose->index;
        counters->late = true;
        return;
    }
    if (purpose->limit->tally) {
        return; /* a share need not be divided */
    }
    int32_t before = (int32_t)(counters->began_ms - atomic_load(&slot->pending_since));
    uint64_t charge =
        sync_alone_failed(counters->alone, &place, (uint32_t)op->delta, before > 0);
    if (charge > 0) {
        l7s_bucket_debit(&purpose->limit->rate, &slot->tat, counters->now.mono_us,
                         charge);
    }
}

static void settle(sync_counters_t *counters, size_t i)
{
    const purpose_t *purpose = &counters->purposes[i];
    const l7s_meta_op_t *op = &counters->ops[i];
    l7s_slot_t *slot = &counters->shared->table.slots[purpose->index];
    l7s_hash128_t key = l7s_slot_key(slot);

    if (key.lo != purpose->key.lo || key.hi != purpose->key.hi) {
        return; /* evicted meanwhile */
    }
    if (op->delta > 0 && op->status != L7S_META_FAILED) {
        sync_alone_place_t place = place_of(counters, purpose->index, key);
        sync_alone_sent(counters->alone, &place, sync_mono_ms(counters->now));
    }
    switch (op->status) {
    case L7S_META_OK:
        learn(counters, purpose, op, slot);
        break;
    case L7S_META_FAILED:
        if (op->delta > 0) {
            put_back(counters, purpose, op, slot);
        }
        break;
    case L7S_META_UNKNOWN:
        counters->unknown += (uint32_t)op->delta; /* of a share: what was answered */
        assume_applied(purpose, op, slot);
        break;
    case L7S_META_NOT_FOUND:
        break;
    }
}

static void report(sync_counters_t *counters)
{
    uint64_t now_ms = sync_mono_ms(counters->now);

    if ((counters->full || counters->late) &&
        sync_log_gate(&counters->full_gate, now_ms, LOG_INTERVAL_MS, NULL)) {
        sync_log(SYNC_WARN, "L7S2070",
                 "more counters want to be exchanged than fit in one tick (%zu were "
                 "tried); the others wait for the next",
                 counters->count);
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

void sync_counters_tick(sync_counters_t *counters, const l7s_image_t *image,
                        l7s_now_t now)
{
    bool online = counters->meta != NULL && sync_bus_name_key(counters->bus) != NULL;

    counters->image = image;
    counters->now = now;
    if (counters->began_ms == 0) {
        counters->began_ms = (uint32_t)sync_mono_ms(now);
    }
    counters->count = 0;
    counters->full = counters->late = false;
    counters->live_nodes = atomic_load(&counters->shared->header->live_nodes);
    if (counters->meta != NULL && !online) {
        return; /* without keys nothing can be named: what is pending waits */
    }
    if (online && counters->live_nodes > 1) {
        sync_news_read(counters->news, now, hear, counters);
    }
    (void)l7s_table_visit_dirty(&counters->shared->table, consider, counters);
    if (!counters->full) {
        counters->resume_at = 0;
    }
    if (!online) {
        return;
    }
    sync_hot_look(counters->hot, sync_mono_ms(now),
                  l7s_fleet_look_interval_ms(counters->live_nodes), bump, counters);
    unsigned budget = sync_bus_time_left_ms(counters->bus);
    if (counters->count > 0 && !sync_bus_rests(counters->bus)) {
        l7s_meta_run(counters->meta, counters->ops, counters->count,
                     budget < BUDGET_MS ? budget : BUDGET_MS, sync_mono_ms(now));
    }
    for (size_t i = 0; i < counters->count; i++) {
        settle(counters, i);
    }
    sync_news_tell(counters->news, now);
    report(counters);
}
