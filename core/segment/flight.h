/* SPDX-License-Identifier: Apache-2.0
 *
 * Requests in flight, counted by key. A request holds a place of its key for as long as
 * it runs, and the places are the count: no number can drift away from them. A place
 * holds the id of the process that took it, so those of a child that was killed are found
 * and freed, and the count is exact again.
 *
 *   a chunk, 128 bytes:  | key (cell.h) | owner 0 | owner 1 |  …  | owner 27 |
 *
 * A key with room for more than 28 requests has further chunks, each under a key of its
 * own. Chunks lie in windows of eight; one without a request in it may be taken for
 * another key. Where all are in use the request goes uncounted, and `overflowed` grows.
 */
#ifndef L7S_FLIGHT_H
#define L7S_FLIGHT_H

#include "cell.h"

#define L7S_FLIGHTS 4096 /* chunks */
#define L7S_FLIGHT_PLACES 28
#define L7S_FLIGHT_MAX 1000 /* the most that a policy may let fly */

typedef struct {
    _Atomic uint64_t key_lo, key_hi;
    _Atomic int32_t owners[L7S_FLIGHT_PLACES]; /* pid; 0: free */
} l7s_flight_t;

_Static_assert(sizeof(l7s_flight_t) == 128, "a chunk is two cache lines");

typedef struct {
    l7s_flight_t *chunks;
    _Atomic uint64_t *tickets;    /* numbers the claims, see cell.h */
    _Atomic uint64_t *overflowed; /* requests that went uncounted */
} l7s_flights_t;

/* How many requests of `key` are in flight; counts no further than `max`. */
uint32_t l7s_flights_count(const l7s_flights_t *flights, l7s_hash128_t key, uint32_t max);

typedef enum { L7S_FLIGHT_TAKEN, L7S_FLIGHT_FULL, L7S_FLIGHT_UNCOUNTED } l7s_taken_t;

/* Takes a place for process `owner` unless `max` are taken; *place names it. */
l7s_taken_t l7s_flights_take(const l7s_flights_t *flights, l7s_hash128_t key,
                             uint32_t max, int32_t owner, uint32_t *place);

/* Gives it back, if it is still this owner's. */
void l7s_flights_release(const l7s_flights_t *flights, uint32_t place, int32_t owner);

/* Sync process only, about once a second: frees the places of dead processes, and chunks
 * whose claimer died. Returns how many places were freed. */
uint32_t l7s_flights_recover(const l7s_flights_t *flights, l7s_cell_watch_t *watch);

#endif
