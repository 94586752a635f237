/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules by which counters of many nodes become one limit: when local tokens travel
 * and what a total from the store means. Pure numbers: no store, no clock, no table.
 *
 * Nothing from the store is believed beyond the plausible: one look debits at most one
 * bucket, so whoever can write to memcached can slow a client down, not shut it out.
 */
#include "fleet.h"
#include <string.h>

#define TTL_MARGIN_S 10        /* clocks that differ, and memcached's whole seconds */
#define TTL_MAX_S (30 * 86400) /* memcached reads anything longer as a date */
#define PERIODS_PER_NUMBER 2   /* a bucket period, in rate periods */
#define AGE_FRACTION 8         /* of the rate period: the longest that tokens wait */
#define GRACE_FRACTION 4       /* of it: the longest between two looks at a key in use */

static uint64_t number_ms(const l7s_rate_t *rate)
{
    uint64_t length = PERIODS_PER_NUMBER * (rate->period_us / 1000);
    return length > 0 ? length : 1;
}

uint32_t l7s_fleet_period(const l7s_rate_t *rate, l7s_hash128_t key, uint64_t wall_ms,
                          uint64_t *began_ms)
{
    uint64_t length = number_ms(rate);
    uint64_t stagger = key.hi % length;
    uint64_t number = (wall_ms + stagger) / length;
    uint64_t start = number * length;
    *began_ms = start > stagger ? start - stagger : 0;
    uint32_t low = (uint32_t)number;
    return low != 0 ? low : 1;
}

uint32_t l7s_fleet_ttl_seconds(const l7s_rate_t *rate)
{
    uint64_t ttl = (number_ms(rate) + 999) / 1000 + TTL_MARGIN_S;
    return ttl < TTL_MAX_S ? (uint32_t)ttl : TTL_MAX_S;
}

static uint64_t fraction_ms(const l7s_rate_t *rate, unsigned fraction)
{
    return rate->period_us / 1000 / fraction;
}

bool l7s_fleet_must_push(const l7s_rate_t *rate, uint32_t pending,
                         uint64_t pending_age_ms, uint32_t headroom, uint32_t live_nodes)
{
    if (pending == 0) {
        return false;
    }
    uint64_t nodes = live_nodes > 0 ? live_nodes : 1;
    return 2 * nodes * pending > headroom ||
           pending_age_ms >= fraction_ms(rate, AGE_FRACTION);
}

bool l7s_fleet_is_light(const l7s_rate_t *rate, uint32_t pending, uint64_t pending_age_ms,
                        uint32_t live_nodes)
{
    uint64_t nodes = live_nodes > 0 ? live_nodes : 1;
    uint64_t asked = nodes * pending, share;
    /* pending / age <= requests / period / nodes, without a division. */
    return !__builtin_mul_overflow(asked, rate->period_us / 1000, &asked) &&
           (__builtin_mul_overflow(pending_age_ms, (uint64_t)rate->requests, &share) ||
            asked <= share);
}

/* Tokens that the rate gave back in `elapsed_ms`; saturates far above any bucket. */
static uint64_t drained(const l7s_rate_t *rate, uint64_t elapsed_ms)
{
    uint64_t most = UINT64_MAX / 1000 / rate->requests;
    if (elapsed_ms > most) {
        return UINT64_MAX;
    }
    return elapsed_ms * 1000 * rate->requests / rate->period_us;
}

uint64_t l7s_fleet_elapsed_ms(const l7s_rate_t *rate, uint64_t since_period_ms,
                              uint64_t left_s)
{
    uint64_t ttl_s = l7s_fleet_ttl_seconds(rate);
    /* Whole seconds: the middle of the one that it may be. */
    uint64_t age_ms = left_s < ttl_s ? (ttl_s - left_s) * 1000 - 500 : 0;
    return age_ms < since_period_ms ? age_ms : since_period_ms;
}

/* How much of what others used before the first look at a period has drained since. A key
 * that was in view until the period began was looked at a moment ago: nothing of it has
 * been given back unseen, or each rollover would forgive what the others use. */
static uint64_t forgiven(const l7s_rate_t *rate, bool in_view, uint64_t elapsed_ms)
{
    uint64_t grace = in_view ? fraction_ms(rate, GRACE_FRACTION) : 0;
    return drained(rate, elapsed_ms > grace ? elapsed_ms - grace : 0);
}

uint64_t l7s_fleet_learn(const l7s_rate_t *rate, l7s_fleet_view_t *view, uint32_t period,
                         uint64_t total, uint32_t pushed, uint64_t elapsed_ms)
{
    const l7s_fleet_view_t seen = *view;
    if (seen.period != 0 && period == seen.period - 1) {
        return 0; /* an answer that comes late: the newer number stands */
    }
    *view = (l7s_fleet_view_t){.total = total, .period = period};
    uint64_t base = seen.period == period ? seen.total : 0;
    uint64_t others = total > base ? total - base : 0;
    others = others > pushed ? others - pushed : 0;
    if (seen.period != period) {
        bool in_view = seen.period != 0 && period == seen.period + 1;
        uint64_t gone = forgiven(rate, in_view, elapsed_ms);
        others = others > gone ? others - gone : 0;
    }
    return others < rate->burst ? others : rate->burst;
}

void l7s_fleet_counter_name(const l7s_hashkey_t *name_key, l7s_hash128_t key,
                            uint32_t period, char out[L7S_COUNTER_NAME])
{
    uint8_t input[21] = {'c'};
    for (unsigned i = 0; i < 8; i++) {
        input[1 + i] = (uint8_t)(key.lo >> (8 * i));
        input[9 + i] = (uint8_t)(key.hi >> (8 * i));
    }
    for (unsigned i = 0; i < 4; i++) {
        input[17 + i] = (uint8_t)(period >> (8 * i));
    }
    out[0] = 'c';
    l7s_hash128_text(l7s_siphash128(name_key, input, sizeof input), out + 1);
}
