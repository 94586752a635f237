/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict.h. The taking itself is bucket.c's: one algorithm, wherever the word lies.
 */
#include "strict.h"

/* Seats and items of nodes are refused beyond 30 s of skew; twice that is implausible. */
#define SKEW_MAX_US 60000000ULL
#define TTL_MARGIN_S 61
#define TTL_MAX_S (30 * 86400) /* memcached reads anything longer as a date */

static uint64_t capacity_units(const l7s_rate_t *rate)
{
    return rate->burst * rate->period_us;
}

uint64_t l7s_strict_used(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us)
{
    int64_t ahead = (int64_t)(tat - now_us * rate->requests);
    uint64_t limit = capacity_units(rate) + rate->requests * rate->period_us;

    if (ahead <= 0) {
        return 0;
    }
    return (uint64_t)ahead < limit ? (uint64_t)ahead : limit;
}

void l7s_strict_learn(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                      uint64_t used)
{
    uint64_t capacity = capacity_units(rate);
    uint64_t learned = now_us * rate->requests + (used < capacity ? used : capacity);
    uint64_t seen = atomic_load_explicit(tat, memory_order_relaxed);

    while ((int64_t)(learned - seen) > 0 &&
           !atomic_compare_exchange_weak_explicit(
               tat, &seen, learned, memory_order_relaxed, memory_order_relaxed)) {
    }
}

l7s_strict_tat_t l7s_strict_found(const l7s_rate_t *rate, uint64_t stored,
                                  uint64_t wall_us)
{
    uint64_t clock = wall_us * rate->requests, skew = SKEW_MAX_US * rate->requests;
    int64_t ahead = (int64_t)(stored - clock);

    if (ahead > 0 && (uint64_t)ahead > capacity_units(rate) + skew) {
        return (l7s_strict_tat_t){.tat = clock + capacity_units(rate), .damaged = true};
    }
    return (l7s_strict_tat_t){.tat = stored};
}

l7s_strict_tat_t l7s_strict_absent(const l7s_rate_t *rate, uint64_t used,
                                   uint64_t wall_us)
{
    uint64_t capacity = capacity_units(rate);

    return (l7s_strict_tat_t){.tat = wall_us * rate->requests +
                                     (used < capacity ? used : capacity)};
}

bool l7s_strict_take(const l7s_rate_t *rate, l7s_strict_tat_t *state, uint64_t wall_us,
                     uint32_t cost)
{
    _Atomic uint64_t tat = state->tat;

    if (!l7s_bucket_take(rate, &tat, wall_us, cost)) {
        return false;
    }
    state->tat = atomic_load_explicit(&tat, memory_order_relaxed);
    return true;
}

uint64_t l7s_strict_ttl(const l7s_rate_t *rate, uint64_t tat, uint64_t wall_us)
{
    uint64_t drain_us = l7s_strict_used(rate, tat, wall_us) / rate->requests;
    uint64_t seconds = drain_us / 1000000 + TTL_MARGIN_S;

    return seconds <= TTL_MAX_S ? seconds : wall_us / 1000000 + seconds;
}

void l7s_strict_name(const l7s_hashkey_t *name_key, l7s_hash128_t key,
                     char out[L7S_STRICT_NAME])
{
    uint8_t input[17] = {'s'};

    for (unsigned i = 0; i < 8; i++) {
        input[1 + i] = (uint8_t)(key.lo >> (8 * i));
        input[9 + i] = (uint8_t)(key.hi >> (8 * i));
    }
    out[0] = 's';
    l7s_hash128_text(l7s_siphash128(name_key, input, sizeof input), out + 1);
}
