/* SPDX-License-Identifier: Apache-2.0
 *
 * The claim protocol of cell.h. It knows keys and tickets only; what a slot holds and
 * which slot may be taken is its owners' business (table.c, episode.c).
 *
 * All accesses that the argument "one of two claimers sees the other" needs are
 * sequentially consistent: the announcement, the look at the rivals, the publication.
 */
#include "cell.h"

/* Attempts that give way to a rival before its ticket is cancelled. */
#define PATIENCE 3

#define ANNOUNCED 1u

void l7s_cell_pause(void)
{
    for (unsigned i = 0; i < 32; i++) {
#if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
#else
        atomic_signal_fence(memory_order_seq_cst);
#endif
    }
}

l7s_hash128_t l7s_cell_key(l7s_cell_t *cell)
{
    uint64_t lo = atomic_load_explicit(&cell->lo, memory_order_acquire);
    uint64_t hi = atomic_load_explicit(&cell->hi, memory_order_acquire);
    bool stable = atomic_load_explicit(&cell->lo, memory_order_relaxed) == lo;
    if (lo < L7S_CELL_TICKETS || !stable) {
        return (l7s_hash128_t){0, 0};
    }
    return (l7s_hash128_t){lo, hi};
}

bool l7s_cell_acquire(l7s_cell_t *cell, uint64_t seen, _Atomic uint64_t *tickets,
                      uint64_t *ticket)
{
    uint64_t number = atomic_fetch_add_explicit(tickets, 1, memory_order_relaxed);
    *ticket = 2 + 2 * (number & 0x3fffffff);
    return atomic_compare_exchange_strong(&cell->lo, &seen, *ticket);
}

typedef enum { RIVAL_NONE, RIVAL_PUBLISHED, RIVAL_ANNOUNCED } rival_t;

/* What another cell of the window means to a claimer of `key`. With `cancel` an announced
 * rival is put out of the race first; when that fails its state has moved on and is read
 * again. It moves a bounded number of times: each move is another claimer's progress. */
static rival_t look(l7s_cell_t *cell, l7s_hash128_t key, bool cancel)
{
    for (;;) {
        uint64_t lo = atomic_load(&cell->lo);
        if (lo == key.lo) {
            return atomic_load(&cell->hi) == key.hi ? RIVAL_PUBLISHED : RIVAL_NONE;
        }
        if (lo >= L7S_CELL_TICKETS || (lo & ANNOUNCED) == 0 ||
            atomic_load(&cell->hi) != key.hi) {
            return RIVAL_NONE;
        }
        if (!cancel) {
            return RIVAL_ANNOUNCED;
        }
        if (atomic_compare_exchange_strong(&cell->lo, &lo, 0)) {
            return RIVAL_NONE;
        }
    }
}

bool l7s_cell_publish(const l7s_window_t *window, l7s_cell_t *cell, uint64_t ticket,
                      l7s_hash128_t key, unsigned attempt)
{
    uint64_t mine = ticket | ANNOUNCED;
    atomic_store_explicit(&cell->hi, key.hi, memory_order_relaxed);
    if (!atomic_compare_exchange_strong(&cell->lo, &ticket, mine)) {
        return false;
    }
    bool cancel = attempt >= PATIENCE;
    for (uint32_t i = 0; i < window->count; i++) {
        l7s_cell_t *other = l7s_window_cell(window, i);
        if (other != cell && look(other, key, cancel) != RIVAL_NONE) {
            atomic_compare_exchange_strong(&cell->lo, &mine, 0);
            return false;
        }
    }
    return atomic_compare_exchange_strong(&cell->lo, &mine, key.lo);
}

/* The place where `index` is remembered, or one that is free or two rounds old (that
 * claim has ended by itself), or L7S_CELL_SIGHTS. */
static uint32_t find_sight(const l7s_cell_watch_t *watch, uint32_t index)
{
    uint32_t place = L7S_CELL_SIGHTS;
    for (uint32_t i = 0; i < L7S_CELL_SIGHTS; i++) {
        bool used = watch->sights[i].ticket != 0;
        if (used && watch->sights[i].index == index) {
            return i;
        }
        if (!used || watch->round - watch->sights[i].round >= 2) {
            place = i;
        }
    }
    return place;
}

bool l7s_cell_recover(l7s_cell_watch_t *watch, uint32_t index, l7s_cell_t *cell)
{
    uint64_t lo = atomic_load_explicit(&cell->lo, memory_order_relaxed);
    if (lo == 0 || lo >= L7S_CELL_TICKETS) {
        return false;
    }
    watch->round += index <= watch->last ? 1 : 0;
    watch->last = index;
    uint32_t place = find_sight(watch, index);
    if (place == L7S_CELL_SIGHTS) {
        return false;
    }
    if (watch->sights[place].index == index && watch->sights[place].ticket == lo) {
        watch->sights[place].ticket = 0;
        return atomic_compare_exchange_strong(&cell->lo, &lo, 0);
    }
    watch->sights[place].index = index;
    watch->sights[place].round = watch->round;
    watch->sights[place].ticket = lo;
    return false;
}
