/* SPDX-License-Identifier: Apache-2.0
 *
 * The slots of one bucket: find, claim, evict, release. Claiming follows cell.h, which
 * keeps a key from getting two slots; this file decides which slot may go.
 *
 * A worker that found its slot uses it a moment later, without holding it. So nothing
 * that was touched in the last two seconds is freed as idle while there is another
 * choice, and a claim of an existing slot touches it.
 */
#include "table.h"

#include <stddef.h>

#define YOUNG_S 2
/* A counter over its limit is kept this long after its last token, whatever asks. */
#define GUARD_S 10
#define NEVER UINT64_MAX

_Static_assert(offsetof(l7s_slot_t, key_lo) == 0 && offsetof(l7s_slot_t, key_hi) == 8,
               "a slot begins with its cell");

/* Where a key lives must not be known outside, and keys are themselves the output of a
 * keyed PRF that no outsider sees: a keyed multiplication spreads and hides it well
 * enough and costs a tenth of SipHash. */
static inline uint64_t place(const l7s_table_t *table, l7s_hash128_t key)
{
    return (key.lo ^ table->place_key.k0) * (table->place_key.k1 | 1);
}

/* The home bucket; its slots are tried from a place of the key's own, so that the first
 * look mostly hits. */
static inline l7s_window_t window_of(const l7s_table_t *table, l7s_hash128_t key)
{
    uint64_t hash = place(table, key);
    /* The upper half picks the bucket, by multiplication instead of a remainder. */
    uint64_t home = (hash >> 32) * table->buckets >> 32;
    l7s_slot_t *bucket = table->slots + home * L7S_BUCKET_SLOTS;
    return (l7s_window_t){
        .base = (char *)bucket,
        .stride = sizeof(l7s_slot_t),
        .first = (uint32_t)(hash >> 28),
        .mask = L7S_BUCKET_SLOTS - 1,
        .count = L7S_BUCKET_SLOTS,
    };
}

/* Apart, so that the first look, which mostly hits, is all that a caller's loop holds. */
static __attribute__((noinline)) l7s_cell_t *find_further(const l7s_table_t *table,
                                                          l7s_hash128_t key)
{
    l7s_window_t window = window_of(table, key);
    return l7s_window_find(&window, key);
}

l7s_slot_t *l7s_table_find(const l7s_table_t *table, l7s_hash128_t key)
{
    key = l7s_cell_storable(key);
    l7s_window_t window = window_of(table, key);
    l7s_cell_t *first = l7s_window_cell(&window, 0);
    return (l7s_slot_t *)(l7s_cell_holds(first, key) ? first : find_further(table, key));
}

static bool is_drained(l7s_slot_t *slot, l7s_now_t now)
{
    uint64_t tat = atomic_load_explicit(&slot->tat, memory_order_relaxed);
    uint32_t requests = atomic_load_explicit(&slot->requests, memory_order_relaxed);
    uint32_t tally_s = atomic_load_explicit(&slot->tally_s, memory_order_relaxed);
    if (tally_s != 0) {
        return l7s_tally_drained(tally_s, tat, now.mono_us);
    }
    return (int64_t)(tat - now.mono_us * requests) <= 0;
}

/* What a claimer asks for; `key` in its storable form. */
typedef struct {
    l7s_hash128_t key;
    const l7s_rate_t *rate; /* NULL: a tally … */
    uint32_t tally_s;       /* … of this period */
    uint32_t limit;
    l7s_now_t now;
} claim_t;

/* A running episode says that a policy acted on this key; for the claimer's own limit a
 * bucket itself can be asked. */
static bool is_over(l7s_slot_t *slot, const claim_t *claim)
{
    if (atomic_load_explicit(&slot->episode, memory_order_relaxed) != 0) {
        return true;
    }
    uint64_t tat = atomic_load_explicit(&slot->tat, memory_order_relaxed);
    return claim->rate != NULL &&
           atomic_load_explicit(&slot->limit, memory_order_relaxed) == claim->limit &&
           !l7s_bucket_conforms(claim->rate, tat, claim->now.mono_us, 1);
}

enum { IDLE, DRAINED, IN_USE, OVER };

/* The worth of an occupied slot: class, then how recently it was touched. The lowest is
 * evicted first, NEVER never. */
static uint64_t worth(l7s_slot_t *slot, const claim_t *claim)
{
    uint32_t touched = atomic_load_explicit(&slot->touched_s, memory_order_relaxed);
    int32_t passed = (int32_t)(l7s_now_s(claim->now) - touched);
    uint32_t age = passed > 0 ? (uint32_t)passed : 0; /* clocks of threads differ a bit */
    uint64_t rank = IN_USE;
    if (is_drained(slot, claim->now)) {
        rank = age >= YOUNG_S ? IDLE : DRAINED;
    } else if (is_over(slot, claim)) {
        if (age < GUARD_S) {
            return NEVER;
        }
        rank = OVER;
    }
    return rank << 32 | (UINT32_MAX - age);
}

typedef struct {
    l7s_slot_t *slot; /* NULL: nothing may be evicted */
    uint64_t seen;    /* its key_lo, 0 when it is free */
    bool busy;        /* another claim runs in this bucket: worth another look */
} victim_t;

/* While another claim runs, its slot may turn out to be the better victim than a counter
 * in use; a claimer that does not get ready in time is not waited for. */
static victim_t choose(const l7s_window_t *window, const claim_t *claim, bool patient)
{
    victim_t victim = {.slot = NULL};
    uint64_t lowest = NEVER;
    for (uint32_t i = 0; i < window->count; i++) {
        l7s_slot_t *slot = (l7s_slot_t *)l7s_window_cell(window, i);
        uint64_t lo = atomic_load_explicit(&slot->key_lo, memory_order_acquire);
        if (lo == 0) {
            return (victim_t){.slot = slot};
        }
        if (lo < L7S_CELL_TICKETS) {
            victim.busy = true;
            continue;
        }
        uint64_t value = worth(slot, claim);
        if (value < lowest) {
            lowest = value;
            victim.slot = slot;
            victim.seen = lo;
        }
    }
    if (victim.busy && patient && lowest >> 32 >= IN_USE) {
        victim.slot = NULL;
    }
    return victim;
}

static void prepare(l7s_slot_t *slot, const claim_t *claim)
{
    const l7s_rate_t *rate = claim->rate;
    atomic_store_explicit(&slot->tat,
                          rate != NULL ? l7s_bucket_fresh(rate, claim->now.mono_us)
                                       : L7S_TALLY_FRESH,
                          memory_order_relaxed);
    atomic_store_explicit(&slot->pending, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->pending_since, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->total, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->period, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->touched_s, l7s_now_s(claim->now), memory_order_relaxed);
    atomic_store_explicit(&slot->limit, claim->limit, memory_order_relaxed);
    atomic_store_explicit(&slot->episode, 0, memory_order_relaxed);
    atomic_store_explicit(&slot->tally_s, claim->tally_s, memory_order_relaxed);
    atomic_store_explicit(&slot->requests, rate != NULL ? rate->requests : 0,
                          memory_order_relaxed);
}

static void count(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

/* One attempt to put the key into `victim`. */
static bool occupy(const l7s_table_t *table, const l7s_window_t *window,
                   const victim_t *victim, const claim_t *claim, unsigned attempt)
{
    l7s_cell_t *cell = (l7s_cell_t *)victim->slot;
    l7s_table_stats_t *stats = table->stats;
    uint64_t ticket;
    if (!l7s_cell_acquire(cell, victim->seen, &stats->tickets, &ticket)) {
        return false;
    }
    if (victim->seen != 0) {
        bool idle = is_drained(victim->slot, claim->now);
        count(idle ? &stats->evicted_idle : &stats->evicted_live);
    }
    prepare(victim->slot, claim);
    if (!l7s_cell_publish(window, cell, ticket, claim->key, attempt)) {
        return false;
    }
    count(&stats->claimed);
    return true;
}

static __attribute__((noinline)) l7s_slot_t *create(const l7s_table_t *table,
                                                    const claim_t *claim)
{
    l7s_window_t home = window_of(table, claim->key), *window = &home;
    for (unsigned attempt = 0; attempt < L7S_CELL_ATTEMPTS; attempt++) {
        victim_t victim = choose(window, claim, attempt < L7S_CELL_ATTEMPTS / 2);
        if (victim.slot != NULL && occupy(table, window, &victim, claim, attempt)) {
            return victim.slot;
        }
        if (victim.slot == NULL && !victim.busy) {
            break;
        }
        l7s_cell_pause();
        l7s_slot_t *slot = (l7s_slot_t *)l7s_window_find(window, claim->key);
        if (slot != NULL) {
            l7s_slot_touch(slot, l7s_now_s(claim->now));
            return slot;
        }
    }
    count(&table->stats->overflowed);
    return NULL;
}

l7s_slot_t *l7s_table_claim(const l7s_table_t *table, l7s_hash128_t key, uint32_t limit,
                            const l7s_rate_t *rate, l7s_now_t now)
{
    key = l7s_cell_storable(key);
    l7s_window_t window = window_of(table, key);
    l7s_slot_t *slot = (l7s_slot_t *)l7s_window_find(&window, key);
    if (__builtin_expect(slot == NULL, 0)) {
        claim_t claim = {.key = key, .rate = rate, .limit = limit, .now = now};
        return create(table, &claim);
    }
    l7s_slot_touch(slot, l7s_now_s(now));
    return slot;
}

l7s_slot_t *l7s_table_claim_tally(const l7s_table_t *table, l7s_hash128_t key,
                                  uint32_t limit, uint32_t tally_s, l7s_now_t now)
{
    claim_t claim = {
        .key = l7s_cell_storable(key), .tally_s = tally_s, .limit = limit, .now = now};
    l7s_slot_t *slot = l7s_table_find(table, key);
    if (slot == NULL) {
        return create(table, &claim);
    }
    l7s_slot_touch(slot, l7s_now_s(now));
    return slot;
}

void l7s_table_mark(const l7s_table_t *table, l7s_slot_t *slot, uint32_t tokens,
                    l7s_now_t now)
{
    uint32_t seen = atomic_load_explicit(&slot->pending, memory_order_relaxed);
    uint32_t sum;
    do {
        sum = seen + tokens < seen ? UINT32_MAX : seen + tokens;
        if (seen == 0) {
            atomic_store_explicit(&slot->pending_since, (uint32_t)(now.mono_us / 1000),
                                  memory_order_relaxed);
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &slot->pending, &seen, sum, memory_order_release, memory_order_relaxed));
    if (seen == 0) {
        size_t index = (size_t)(slot - table->slots);
        atomic_fetch_or_explicit(&table->dirty[index / 64], (uint64_t)1 << (index % 64),
                                 memory_order_release);
    }
}

uint32_t l7s_table_size(const l7s_table_t *table)
{
    return table->buckets * L7S_BUCKET_SLOTS;
}

l7s_hash128_t l7s_slot_key(const l7s_slot_t *slot)
{
    return l7s_cell_key((l7s_cell_t *)slot);
}

bool l7s_table_release(const l7s_table_t *table, l7s_slot_t *slot, l7s_hash128_t key)
{
    key = l7s_cell_storable(key);
    if (!l7s_cell_holds((l7s_cell_t *)slot, key) ||
        !atomic_compare_exchange_strong(&slot->key_lo, &key.lo, 0)) {
        return false;
    }
    count(&table->stats->released);
    return true;
}

/* Visits the slots of one word of the bitmap; returns the bits that stay set. A slot that
 * still holds pending tokens stays too: a worker that added to them has set no bit. */
static uint64_t visit_word(const l7s_table_t *table, uint32_t base, uint64_t bits,
                           l7s_table_visit_fn visit, void *context, uint32_t *visited)
{
    uint64_t again = 0;
    for (; bits != 0; bits &= bits - 1) {
        uint32_t bit = (uint32_t)__builtin_ctzll(bits);
        l7s_slot_t *slot = &table->slots[base + bit];
        if (l7s_slot_key(slot).lo == 0) {
            continue;
        }
        bool stays = visit(context, base + bit, slot);
        ++*visited;
        if (stays || atomic_load_explicit(&slot->pending, memory_order_acquire) != 0) {
            again |= (uint64_t)1 << bit;
        }
    }
    return again;
}

uint32_t l7s_table_visit_dirty(const l7s_table_t *table, l7s_table_visit_fn visit,
                               void *context)
{
    uint32_t visited = 0;
    uint32_t words = (l7s_table_size(table) + 63) / 64;
    for (uint32_t word = 0; word < words; word++) {
        if (atomic_load_explicit(&table->dirty[word], memory_order_relaxed) == 0) {
            continue;
        }
        uint64_t bits = atomic_exchange(&table->dirty[word], 0);
        uint64_t again = visit_word(table, word * 64, bits, visit, context, &visited);
        if (again != 0) {
            atomic_fetch_or_explicit(&table->dirty[word], again, memory_order_release);
        }
    }
    return visited;
}

uint32_t l7s_table_sweep(const l7s_table_t *table, uint32_t first, uint32_t count,
                         l7s_cell_watch_t *watch, l7s_table_visit_fn visit, void *context)
{
    uint32_t freed = 0;
    uint32_t size = l7s_table_size(table);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = (uint32_t)(((uint64_t)first + i) % size);
        l7s_slot_t *slot = &table->slots[index];
        uint64_t lo = atomic_load_explicit(&slot->key_lo, memory_order_relaxed);
        if (lo == 0) {
            continue;
        }
        if (lo < L7S_CELL_TICKETS) {
            freed += l7s_cell_recover(watch, index, (l7s_cell_t *)slot);
        } else if (visit != NULL) {
            visit(context, index, slot);
        }
    }
    return freed;
}
