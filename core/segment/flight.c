/* SPDX-License-Identifier: Apache-2.0
 *
 * Places of requests in flight. Keys are keyed hashes already, so a part of one says
 * where it lives.
 *
 * A chunk is given to another key only when nobody holds a place in it. Whoever takes a
 * place looks at the key once more afterwards: of the two at least one sees the other,
 * since both act before they look.
 */
#include "flight.h"

#include <errno.h>
#include <signal.h>

#define WINDOW 8
#define TRIES 4

static l7s_window_t window_of(const l7s_flights_t *flights, l7s_hash128_t key)
{
    return (l7s_window_t){.base = (char *)flights->chunks,
                          .stride = sizeof(l7s_flight_t),
                          .first = (uint32_t)(key.hi >> 20) & (L7S_FLIGHTS - 1),
                          .mask = L7S_FLIGHTS - 1,
                          .count = WINDOW};
}

/* The key of a key's n-th chunk. */
static l7s_hash128_t nth(l7s_hash128_t key, uint32_t number)
{
    key.hi ^= number * 0x9e3779b97f4a7c15ULL;
    return l7s_cell_storable(key);
}

static l7s_flight_t *find(const l7s_flights_t *flights, l7s_hash128_t key)
{
    l7s_window_t window = window_of(flights, key);

    return (l7s_flight_t *)l7s_window_find(&window, key);
}

static bool is_empty(l7s_flight_t *chunk)
{
    for (uint32_t i = 0; i < L7S_FLIGHT_PLACES; i++) {
        if (atomic_load(&chunk->owners[i]) != 0) {
            return false;
        }
    }
    return true;
}

/* A chunk that nobody flies in, and what its cell holds. */
static l7s_flight_t *find_empty(const l7s_window_t *window, uint64_t *seen)
{
    for (uint32_t i = 0; i < window->count; i++) {
        l7s_cell_t *cell = l7s_window_cell(window, i);
        *seen = atomic_load_explicit(&cell->lo, memory_order_acquire);
        if ((*seen == 0 || *seen >= L7S_CELL_TICKETS) && is_empty((l7s_flight_t *)cell)) {
            return (l7s_flight_t *)cell;
        }
    }
    return NULL;
}

/* NULL: all chunks of the window are in use. */
static l7s_flight_t *find_or_claim(const l7s_flights_t *flights, l7s_hash128_t key)
{
    l7s_window_t window = window_of(flights, key);

    for (unsigned attempt = 0; attempt < L7S_CELL_ATTEMPTS; attempt++) {
        l7s_flight_t *chunk = (l7s_flight_t *)l7s_window_find(&window, key);
        uint64_t seen, ticket;
        if (chunk != NULL) {
            return chunk;
        }
        chunk = find_empty(&window, &seen);
        if (chunk == NULL) {
            return NULL;
        }
        if (l7s_cell_acquire((l7s_cell_t *)chunk, seen, flights->tickets, &ticket) &&
            l7s_cell_publish(&window, (l7s_cell_t *)chunk, ticket, key, attempt)) {
            return chunk;
        }
        l7s_cell_pause();
    }
    return NULL;
}

static uint32_t places_of(uint32_t max, uint32_t number)
{
    uint32_t left = max - number * L7S_FLIGHT_PLACES;

    return left < L7S_FLIGHT_PLACES ? left : L7S_FLIGHT_PLACES;
}

uint32_t l7s_flights_count(const l7s_flights_t *flights, l7s_hash128_t key, uint32_t max)
{
    uint32_t count = 0;

    for (uint32_t n = 0; n * L7S_FLIGHT_PLACES < max; n++) {
        l7s_flight_t *chunk = find(flights, nth(key, n));
        for (uint32_t i = 0; chunk != NULL && i < places_of(max, n); i++) {
            count += atomic_load_explicit(&chunk->owners[i], memory_order_relaxed) != 0;
        }
    }
    return count;
}

/* *lost: the chunk was given to another key in between. */
static bool take_in(const l7s_flights_t *flights, l7s_flight_t *chunk, l7s_hash128_t key,
                    uint32_t places, int32_t owner, uint32_t *place, bool *lost)
{
    for (uint32_t i = 0; i < places; i++) {
        int32_t nobody = 0;
        if (atomic_load_explicit(&chunk->owners[i], memory_order_relaxed) != 0 ||
            !atomic_compare_exchange_strong(&chunk->owners[i], &nobody, owner)) {
            continue;
        }
        *place = (uint32_t)(chunk - flights->chunks) * L7S_FLIGHT_PLACES + i;
        *lost = !l7s_cell_holds((l7s_cell_t *)chunk, key);
        if (*lost) {
            l7s_flights_release(flights, *place, owner);
        }
        return !*lost;
    }
    return false;
}

l7s_taken_t l7s_flights_take(const l7s_flights_t *flights, l7s_hash128_t key,
                             uint32_t max, int32_t owner, uint32_t *place)
{
    unsigned tries = 0;

    for (uint32_t n = 0; n * L7S_FLIGHT_PLACES < max;) {
        l7s_hash128_t own = nth(key, n);
        l7s_flight_t *chunk = find_or_claim(flights, own);
        bool lost = false;
        if (chunk == NULL || tries == TRIES) {
            atomic_fetch_add_explicit(flights->overflowed, 1, memory_order_relaxed);
            return L7S_FLIGHT_UNCOUNTED;
        }
        if (take_in(flights, chunk, own, places_of(max, n), owner, place, &lost)) {
            return L7S_FLIGHT_TAKEN;
        }
        tries += lost;
        n += !lost;
    }
    return L7S_FLIGHT_FULL;
}

void l7s_flights_release(const l7s_flights_t *flights, uint32_t place, int32_t owner)
{
    l7s_flight_t *chunk = &flights->chunks[place / L7S_FLIGHT_PLACES % L7S_FLIGHTS];

    (void)atomic_compare_exchange_strong(&chunk->owners[place % L7S_FLIGHT_PLACES],
                                         &owner, 0);
}

static bool is_dead(int32_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Neighbouring places have mostly the same owner: `last` spares system calls. */
static uint32_t recover_chunk(l7s_flight_t *chunk, int32_t *last, bool *last_dead)
{
    uint32_t freed = 0;

    for (uint32_t i = 0; i < L7S_FLIGHT_PLACES; i++) {
        int32_t owner = atomic_load_explicit(&chunk->owners[i], memory_order_relaxed);
        if (owner == 0) {
            continue;
        }
        if (owner != *last) {
            *last = owner;
            *last_dead = is_dead(owner);
        }
        if (*last_dead) {
            freed += atomic_compare_exchange_strong(&chunk->owners[i], &owner, 0);
        }
    }
    return freed;
}

uint32_t l7s_flights_recover(const l7s_flights_t *flights, l7s_cell_watch_t *watch)
{
    int32_t last = 0;
    bool last_dead = false;
    uint32_t freed = 0;

    for (uint32_t i = 0; i < L7S_FLIGHTS; i++) {
        l7s_flight_t *chunk = &flights->chunks[i];
        (void)l7s_cell_recover(watch, i, (l7s_cell_t *)chunk);
        freed += recover_chunk(chunk, &last, &last_dead);
    }
    return freed;
}
