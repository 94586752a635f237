/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters of a node: a fixed table of 64-byte slots in shared memory, one per
 * (limit, tuple), used by every worker of every child without a lock.
 *
 *   buckets of 16 slots (1 KiB, 16 cache lines)
 *   +--------+--------+-- … --+---------+
 *   | slot 0 | slot 1 |       | slot 15 |   home bucket = place hash of the key
 *   +--------+--------+-- … --+---------+
 *
 * A key lives in its home bucket only: a look-up touches mostly one line, of an unknown
 * key 16 in a row. Sixteen, because eight fill up unevenly: with half of all slots in use
 * one counter in 150 found its bucket full, of sixteen one in 1,600. A
 * full bucket evicts its least valuable slot (drained first, then the longest untouched
 * below its limit; one over its limit last, and never while it is in use). Where nothing
 * may be evicted the claim fails: the caller admits, counts on the limit's overflow and
 * an alarm is raised.
 *
 * Ownership: workers create slots and move TAT and pending; the sync process reads both,
 * owns total and period, and releases drained slots. A worker killed in the middle of a
 * claim leaves a slot BUSY; the sync process frees it on its second sight.
 */
#ifndef L7S_TABLE_H
#define L7S_TABLE_H

#include "../clock.h"
#include "../count/bucket.h"
#include "../count/tally.h"
#include "../hash.h"
#include "../status.h"
#include "cell.h"

/* Layout version 2. All times are of this boot. */
typedef struct {
    _Atomic uint64_t key_lo;  /*  0 0 = free, below 2^32 = being claimed (cell.h) */
    _Atomic uint64_t key_hi;  /*  8 */
    _Atomic uint64_t tat;     /* 16 bucket state, see bucket.h, or a tally's (tally.h) */
    _Atomic uint32_t pending; /* 24 tokens taken here and not yet pushed */
    _Atomic uint32_t
        pending_since;          /* 28 low 32 bits of mono milliseconds, set at 0 -> n */
    _Atomic uint64_t total;     /* 32 fleet total last seen in `period` */
    _Atomic uint32_t period;    /* 40 number of the bucket period, 0 = never pushed */
    _Atomic uint32_t touched_s; /* 44 mono seconds of the last take */
    _Atomic uint32_t limit;     /* 48 low 32 bits of the limit's identity */
    _Atomic uint32_t episode;   /* 52 1 + index of the running episode, 0 = none */
    _Atomic uint32_t tally_s;   /* 56 period of a tally in seconds, 0 = a bucket */
    _Atomic uint32_t requests;  /* 60 of its rate: tells without an image if it drained */
} l7s_slot_t;

_Static_assert(sizeof(l7s_slot_t) == 64, "one slot is one cache line");

/* Somebody is about to use it. Written once a second, not with every request. */
static inline void l7s_slot_touch(l7s_slot_t *slot, uint32_t now_s)
{
    if (atomic_load_explicit(&slot->touched_s, memory_order_relaxed) != now_s) {
        atomic_store_explicit(&slot->touched_s, now_s, memory_order_relaxed);
    }
}

#define L7S_BUCKET_SLOTS 16

/* Counters that tell how full the table is; part of the shared memory. */
typedef struct {
    _Atomic uint64_t claimed;
    _Atomic uint64_t released;
    _Atomic uint64_t evicted_idle; /* drained: nothing was lost */
    _Atomic uint64_t evicted_live; /* a counter in use was lost: the alarm */
    _Atomic uint64_t overflowed;   /* no slot at all: the request went uncounted */
    _Atomic uint64_t tickets;      /* numbers the claims, see cell.h */
} l7s_table_stats_t;

/* One process' view; the pointers differ per process, what they point to is shared.
 * `dirty` has one bit per slot: set by a worker when pending leaves zero, cleared by the
 * sync process, so that a tick looks at what moved and not at the whole table. */
typedef struct {
    l7s_slot_t *slots;
    _Atomic uint64_t *dirty;
    l7s_table_stats_t *stats;
    uint32_t buckets; /* any number */
    l7s_hashkey_t place_key;
} l7s_table_t;

/* The slot of `key`, or NULL. Never changes anything. */
l7s_slot_t *l7s_table_find(const l7s_table_t *table, l7s_hash128_t key);

/* The slot of `key`, created with a full bucket of `rate` when it is not there. NULL: the
 * bucket holds only counters that are all worth more (stats->overflowed has grown). */
l7s_slot_t *l7s_table_claim(const l7s_table_t *table, l7s_hash128_t key, uint32_t limit,
                            const l7s_rate_t *rate, l7s_now_t now);

/* The same for a tally with a period of `tally_s` seconds; a new one is empty. */
l7s_slot_t *l7s_table_claim_tally(const l7s_table_t *table, l7s_hash128_t key,
                                  uint32_t limit, uint32_t tally_s, l7s_now_t now);

/* Records that `tokens` of `slot` have been taken and must reach the fleet. */
void l7s_table_mark(const l7s_table_t *table, l7s_slot_t *slot, uint32_t tokens,
                    l7s_now_t now);

uint32_t l7s_table_size(const l7s_table_t *table); /* slots */

/* The key in `slot`; its lo is 0 while the slot is free or being claimed. */
l7s_hash128_t l7s_slot_key(const l7s_slot_t *slot);

/* Sync process only. Releases `slot` if it still holds `key`. For slots that are drained
 * and were not touched for two seconds: a worker may be about to use a younger one. */
bool l7s_table_release(const l7s_table_t *table, l7s_slot_t *slot, l7s_hash128_t key);

/* Sync process only. Hands every dirty slot to `visit` and clears its bit; a slot whose
 * `visit` returns true stays dirty. Returns how many were visited. */
typedef bool (*l7s_table_visit_fn)(void *context, uint32_t index, l7s_slot_t *slot);
uint32_t l7s_table_visit_dirty(const l7s_table_t *table, l7s_table_visit_fn visit,
                               void *context);

/* Sync process only. Hands the occupied ones of `count` slots from `first` on to `visit`
 * (may be NULL; its answer does not matter) and frees those whose claimer died, which are
 * busy with the same ticket as when the last sweep passed. A full round must take at
 * least a second. Returns how many dead claims were freed. */
uint32_t l7s_table_sweep(const l7s_table_t *table, uint32_t first, uint32_t count,
                         l7s_cell_watch_t *watch, l7s_table_visit_fn visit,
                         void *context);

#endif
