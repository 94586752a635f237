/* SPDX-License-Identifier: Apache-2.0
 *
 * The policy guard's memory: how many distinct clients came, and on how many of them each
 * policy acted, in a window of two halves. Workers only raise registers of small
 * sketches; the sync process turns the halves, estimates, and demotes a policy that acts
 * on too many (mod_l7shield/sync/guard.c) by a flag in its row of the statistics, which
 * every decision reads.
 *
 * A sketch is HyperLogLog (Flajolet et al., 2007) with linear counting below: with 1,024
 * registers it is off by 3 %, with 256 by 6.5 %. The hash is keyed with a secret of this
 * boot, so that nobody can choose addresses that count for many or for none.
 */
#ifndef L7S_GUARD_H
#define L7S_GUARD_H

#include "../addr.h"
#include "../hash.h"
#include "stats.h"
#include <stdatomic.h>
#include <string.h>

#define L7S_GUARD_ALL 1024
#define L7S_GUARD_POLICY 256

typedef struct {
    _Atomic uint32_t half;  /* 1 or 2: the one that counts now; 0: nobody wants to know */
    _Atomic uint32_t turns; /* how often it changed */
    uint32_t reserved[14];
    _Atomic uint8_t all[2][L7S_GUARD_ALL];
} l7s_guard_head_t;

typedef struct {
    _Atomic uint8_t acted[2][L7S_GUARD_POLICY];
} l7s_guard_row_t;

_Static_assert(sizeof(l7s_guard_head_t) % 64 == 0, "rows begin at a cache line");

typedef struct {
    l7s_guard_head_t *head;
    l7s_guard_row_t *rows; /* by row of the statistics */
    l7s_hashkey_t key;
} l7s_guard_t;

/* Bytes of head and rows together. */
static inline size_t l7s_guard_memory(void)
{
    return sizeof(l7s_guard_head_t) + L7S_STATS_ROWS * sizeof(l7s_guard_row_t);
}

/* Of a client: an IPv4 address, or the /64 of an IPv6 one. */
static inline uint64_t l7s_guard_hash(const l7s_guard_t *guard, const l7s_addr_t *client)
{
    uint64_t high, low;
    memcpy(&high, client->bytes, 8);
    memcpy(&low, client->bytes + 8, 8);
    uint64_t x = (high != 0 ? high : low) ^ guard->key.k0;
    x = (x ^ x >> 32) * (guard->key.k1 | 1);
    x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9ULL;
    return x ^ x >> 32;
}

/* The position of the first one among the bits that choose no register. */
static inline uint8_t l7s_guard_rank(uint64_t hash)
{
    return (uint8_t)(1 + __builtin_clzll(hash | L7S_GUARD_ALL));
}

void l7s_guard_raise(_Atomic uint8_t *at, uint8_t rank);

/* A request of this client is being decided. */
static inline void l7s_guard_see(const l7s_guard_t *guard, const l7s_addr_t *client)
{
    uint32_t half = atomic_load_explicit(&guard->head->half, memory_order_relaxed);
    if (half == 0) {
        return;
    }
    uint64_t hash = l7s_guard_hash(guard, client);
    _Atomic uint8_t *at = &guard->head->all[half - 1][hash % L7S_GUARD_ALL];
    uint8_t rank = l7s_guard_rank(hash);
    if (__builtin_expect(atomic_load_explicit(at, memory_order_relaxed) < rank, 0)) {
        l7s_guard_raise(at, rank);
    }
}

/* The policy of this row refused a request of this client. */
void l7s_guard_acted(const l7s_guard_t *guard, uint32_t row, const l7s_addr_t *client);

/* Sync process only. The other half counts from now on, empty; `on` false: none does. */
void l7s_guard_turn(const l7s_guard_t *guard, bool on);
/* Distinct clients of both halves together; acted on by the policy of a row. */
uint64_t l7s_guard_clients(const l7s_guard_t *guard);
uint64_t l7s_guard_clients_acted(const l7s_guard_t *guard, uint32_t row);

#endif
