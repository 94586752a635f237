/* SPDX-License-Identifier: Apache-2.0
 *
 * A cell is the 128-bit key at the head of a slot in shared memory: how a key gets
 * exactly one slot of a small window although many processes ask for it at once, without
 * a lock and without waiting for a claimer that was preempted or killed.
 *
 *   lo = 0            free
 *   lo even, < 2^32   acquired: the holder of this ticket writes the slot
 *   lo odd,  < 2^32   announced: the slot is written, hi names the key it is for
 *   lo >= 2^32        published: (lo, hi) is the key
 *
 * A claimer acquires a cell, fills the slot, announces the key and only then looks
 * through the window. Of two claimers of one key at least one sees the other, since each
 * announces before it looks; who sees a rival gives way, and at the third try cancels the
 * rival's ticket instead. A cancelled ticket cannot publish. So nobody waits, nothing is
 * visible before it is complete, and no key is ever published twice.
 *
 * Tickets are not reused within 2^30 claims, so a late compare-and-swap of a preempted
 * claimer fails. The one exception is a claimer that the sync process took for dead while
 * it was stopped between acquiring and announcing for longer than a sweep.
 */
#ifndef L7S_CELL_H
#define L7S_CELL_H

#include "../hash.h"
#include <stdatomic.h>
#include <stdbool.h>

typedef struct {
    _Atomic uint64_t lo, hi;
} l7s_cell_t;

#define L7S_CELL_TICKETS ((uint64_t)1 << 32)

/* `count` cells from `first` on; cell i lies at base + ((first + i) & mask) * stride. */
typedef struct {
    char *base;
    size_t stride;
    uint32_t first, mask, count;
} l7s_window_t;

static inline l7s_cell_t *l7s_window_cell(const l7s_window_t *window, uint32_t index)
{
    return (l7s_cell_t *)(void *)(window->base +
                                  (size_t)((window->first + index) & window->mask) *
                                      window->stride);
}

/* The form in which a key is stored: one in 2^32 looks like a ticket and is moved. */
static inline l7s_hash128_t l7s_cell_storable(l7s_hash128_t key)
{
    if (__builtin_expect(key.lo >> 32 == 0, 0)) {
        key.lo |= (uint64_t)1 << 63;
    }
    return key;
}

static inline bool l7s_cell_holds(l7s_cell_t *cell, l7s_hash128_t key)
{
    return atomic_load_explicit(&cell->lo, memory_order_acquire) == key.lo &&
           atomic_load_explicit(&cell->hi, memory_order_relaxed) == key.hi;
}

/* The cell that holds `key` (in storable form), or NULL. */
static inline l7s_cell_t *l7s_window_find(const l7s_window_t *window, l7s_hash128_t key)
{
    for (uint32_t i = 0; i < window->count; i++) {
        l7s_cell_t *cell = l7s_window_cell(window, i);
        if (l7s_cell_holds(cell, key)) {
            return cell;
        }
    }
    return NULL;
}

/* The published key, or zeros. */
l7s_hash128_t l7s_cell_key(l7s_cell_t *cell);

/* Acquires a cell that was last seen with `seen` in lo. False: somebody was faster. */
bool l7s_cell_acquire(l7s_cell_t *cell, uint64_t seen, _Atomic uint64_t *tickets,
                      uint64_t *ticket);

/* Publishes `key` in the acquired and filled `cell`. Returns true when it stands there.
 * False: the cell is free again; look and try once more (`attempt` is one greater then).
 */
bool l7s_cell_publish(const l7s_window_t *window, l7s_cell_t *cell, uint64_t ticket,
                      l7s_hash128_t key, unsigned attempt);

/* A few cycles for a rival to finish. */
void l7s_cell_pause(void);

#define L7S_CELL_ATTEMPTS 32

/* What a sweep remembers of busy cells, to tell at its next round who died. Zeroed by the
 * caller before first use. When it is full, further dead claims wait for a later round.
 */
#define L7S_CELL_SIGHTS 64
typedef struct {
    uint32_t round; /* grows when the sweep begins again at a lower index */
    uint32_t last;  /* index of the last busy cell */
    struct {
        uint32_t index, round;
        uint64_t ticket; /* 0: nothing is remembered here */
    } sights[L7S_CELL_SIGHTS];
} l7s_cell_watch_t;

/* Frees `cell` when it holds the ticket that it held in the round before. Called for the
 * cells in ascending order of `index`, round by round. */
bool l7s_cell_recover(l7s_cell_watch_t *watch, uint32_t index, l7s_cell_t *cell);

#endif
