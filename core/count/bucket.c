/* SPDX-License-Identifier: Apache-2.0
 *
 * GCRA on one 64-bit word; bucket.h has the arithmetic's proof. In this file "used" is
 * how far the theoretical arrival time lies ahead of now, in units of 1/requests
 * microseconds: 0 for a full bucket, burst * period_us for an empty one, more for one in
 * debt.
 *
 * Accesses are relaxed: the word is all there is to the state, nothing is published by
 * it.
 */
#include "bucket.h"

/* (requests + burst) * period_us stays below this, so that a cost added to any state is
 * still a positive signed number. */
#define UNITS_MAX ((uint64_t)1 << 62)

bool l7s_rate_valid(const l7s_rate_t *rate)
{
    if (rate->requests == 0 || rate->burst == 0 || rate->period_us == 0) {
        return false;
    }
    uint64_t tokens = (uint64_t)rate->requests + rate->burst;
    uint64_t units;
    return !__builtin_mul_overflow(tokens, rate->period_us, &units) && units < UNITS_MAX;
}

static inline uint64_t clock_units(const l7s_rate_t *rate, uint64_t now_us)
{
    return now_us * rate->requests;
}

static inline uint64_t capacity_units(const l7s_rate_t *rate)
{
    return rate->burst * rate->period_us;
}

/* Never more than the debt limit, so that a damaged word cannot lock a client out for
 * longer than a legitimate one could. */
static inline uint64_t used_units(const l7s_rate_t *rate, uint64_t tat, uint64_t clock)
{
    int64_t ahead = (int64_t)(tat - clock);
    if (ahead <= 0) {
        return 0;
    }
    uint64_t limit = ((uint64_t)rate->burst + rate->requests) * rate->period_us;
    return (uint64_t)ahead < limit ? (uint64_t)ahead : limit;
}

/* Do `cost` tokens conform to a bucket that is `ahead` of the clock? A damaged word need
 * not be limited for this: it stays beyond the capacity. Cost 0 always conforms unless
 * the bucket is in debt. */
static inline bool admits(const l7s_rate_t *rate, int64_t ahead, uint32_t cost)
{
    return rate->burst >= cost &&
           ahead <= (int64_t)((rate->burst - cost) * rate->period_us);
}

uint64_t l7s_bucket_fresh(const l7s_rate_t *rate, uint64_t now_us)
{
    return clock_units(rate, now_us);
}

bool l7s_bucket_conforms(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us,
                         uint32_t cost)
{
    return admits(rate, (int64_t)(tat - clock_units(rate, now_us)), cost);
}

bool l7s_bucket_take(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                     uint32_t cost)
{
    uint64_t clock = clock_units(rate, now_us);
    uint64_t seen = atomic_load_explicit(tat, memory_order_relaxed);
    int64_t ahead;
    do {
        ahead = (int64_t)(seen - clock);
        if (!admits(rate, ahead, cost)) {
            return false;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        tat, &seen, (ahead > 0 ? seen : clock) + cost * rate->period_us,
        memory_order_relaxed, memory_order_relaxed));
    return true;
}

void l7s_bucket_refund(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                       uint32_t cost)
{
    uint64_t clock = clock_units(rate, now_us);
    uint64_t seen = atomic_load_explicit(tat, memory_order_relaxed);
    uint64_t used, back;
    do {
        used = used_units(rate, seen, clock);
        if (used == 0) {
            return;
        }
        back = cost <= rate->burst ? cost * rate->period_us : used;
        back = back < used ? back : used;
    } while (!atomic_compare_exchange_weak_explicit(
        tat, &seen, clock + used - back, memory_order_relaxed, memory_order_relaxed));
}

void l7s_bucket_debit(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                      uint64_t tokens)
{
    uint64_t clock = clock_units(rate, now_us);
    uint64_t limit_tokens = (uint64_t)rate->burst + rate->requests;
    uint64_t limit = limit_tokens * rate->period_us;
    uint64_t charge = (tokens < limit_tokens ? tokens : limit_tokens) * rate->period_us;
    uint64_t seen = atomic_load_explicit(tat, memory_order_relaxed);
    uint64_t used;
    do {
        used = used_units(rate, seen, clock) + charge;
        used = used < limit ? used : limit;
    } while (!atomic_compare_exchange_weak_explicit(
        tat, &seen, clock + used, memory_order_relaxed, memory_order_relaxed));
}

uint64_t l7s_bucket_used(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us)
{
    return used_units(rate, tat, clock_units(rate, now_us));
}

uint64_t l7s_bucket_idle_ms(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us)
{
    int64_t behind = (int64_t)(clock_units(rate, now_us) - tat);
    return behind > 0 ? (uint64_t)behind / rate->requests / 1000 : 0;
}

uint32_t l7s_bucket_headroom(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us)
{
    uint64_t used = used_units(rate, tat, clock_units(rate, now_us));
    uint64_t capacity = capacity_units(rate);
    return used >= capacity ? 0 : (uint32_t)((capacity - used) / rate->period_us);
}

bool l7s_bucket_drained(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us)
{
    return (int64_t)(tat - clock_units(rate, now_us)) <= 0;
}

uint64_t l7s_bucket_wait_us(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us,
                            uint32_t cost)
{
    if (cost > rate->burst) {
        return UINT64_MAX;
    }
    uint64_t used = used_units(rate, tat, clock_units(rate, now_us));
    uint64_t room = capacity_units(rate) - cost * rate->period_us;
    if (used <= room) {
        return 0;
    }
    return (used - room + rate->requests - 1) / rate->requests;
}
