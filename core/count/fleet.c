/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules by which counters of many nodes become one limit: when local tokens travel
 * and what a total from the store means. Pure numbers: no store, no clock, no table.
 *
 * Nothing from the store is believed beyond the plausible: one look debits at most one
 * bucket, so whoever can write to memcached can slow a client down, not shut it out.
 */
#include "fleet.h"
#include <endian.h>
#include <string.h>

#define TTL_MARGIN_S 10        /* clocks that differ, and memcached's whole seconds */
#define TTL_MAX_S (30 * 86400) /* memcached reads anything longer as a date */
#define PERIODS_PER_NUMBER 2   /* a bucket period, in rate periods */
#define AGE_FRACTION 8         /* of the rate period: the longest that tokens wait */
#define FAR_AGE_FRACTION 5     /* the same, far from the limit */
#define NEAR_FRACTION 8        /* of the bucket: more in use is near the limit */
#define TELL_FRACTION 12       /* of the bucket: a change worth telling */
#define TELL_MS 2000           /* the longest silence about a key near its limit */
#define LOOK_MS 2000           /* between two looks of the whole fleet */
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

bool l7s_fleet_is_near(const l7s_rate_t *rate, uint32_t headroom)
{
    uint32_t used = headroom < rate->burst ? rate->burst - headroom : 0;
    return used > rate->burst / NEAR_FRACTION;
}

bool l7s_fleet_must_push(const l7s_rate_t *rate, uint32_t pending,
                         uint64_t pending_age_ms, uint32_t headroom, uint32_t live_nodes)
{
    if (pending == 0) {
        return false;
    }
    uint64_t nodes = live_nodes > 0 ? live_nodes : 1;
    unsigned fraction =
        l7s_fleet_is_near(rate, headroom) ? AGE_FRACTION : FAR_AGE_FRACTION;
    return 2 * nodes * pending > headroom ||
           pending_age_ms >= fraction_ms(rate, fraction);
}

/* Parcels grow with the fleet, until the error that they make (a random walk of as many
 * steps as the bucket holds parcels) would be felt, and are smaller the nearer the limit
 * is. Small buckets have none. */
static uint64_t parcel_size(const l7s_rate_t *rate, uint32_t headroom, uint64_t nodes)
{
    bool near = l7s_fleet_is_near(rate, headroom);
    uint64_t by_nodes = near ? nodes / 10 : nodes * 2 / 5;
    uint64_t by_burst = rate->burst / (!near ? 25 : headroom > rate->burst / 2 ? 33 : 50);
    uint64_t size = by_nodes < by_burst ? by_nodes : by_burst;
    return size > 0 ? size : 1;
}

uint32_t l7s_fleet_parcel(const l7s_rate_t *rate, uint32_t pending, uint32_t headroom,
                          uint32_t live_nodes, uint64_t dice)
{
    uint64_t size = parcel_size(rate, headroom, live_nodes);
    uint64_t parcels = (pending + dice % size) / size;
    return parcels * size < UINT32_MAX ? (uint32_t)(parcels * size) : UINT32_MAX;
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

uint64_t l7s_fleet_undrained(const l7s_rate_t *rate, uint64_t others, uint64_t idle_ms)
{
    uint64_t gone = forgiven(rate, true, idle_ms);
    return others > gone ? others - gone : 0;
}

static uint64_t plausible(const l7s_rate_t *rate, const l7s_fleet_view_t *view,
                          uint64_t others)
{
    uint64_t most = view->may_owe ? (uint64_t)rate->burst + rate->requests : rate->burst;
    return others < most ? others : most;
}

uint64_t l7s_fleet_learn(const l7s_rate_t *rate, l7s_fleet_view_t *view, uint32_t period,
                         uint64_t total, uint32_t pushed, uint64_t elapsed_ms)
{
    const l7s_fleet_view_t seen = *view;
    if (seen.period != 0 && period == seen.period - 1) {
        return 0; /* an answer that comes late: the newer number stands */
    }
    view->total = total;
    view->period = period;
    uint64_t base = seen.period == period ? seen.total : 0;
    uint64_t others = total > base ? total - base : 0;
    others = others > pushed ? others - pushed : 0;
    if (seen.period != period) {
        bool in_view = seen.period != 0 && period == seen.period + 1;
        uint64_t gone = forgiven(rate, in_view, elapsed_ms);
        others = others > gone ? others - gone : 0;
    }
    return plausible(rate, view, others);
}

bool l7s_fleet_must_tell(const l7s_rate_t *rate, uint32_t headroom, uint64_t moved,
                         uint64_t silent_ms)
{
    return l7s_fleet_is_near(rate, headroom) && moved > 0 &&
           (moved >= rate->burst / TELL_FRACTION || silent_ms >= TELL_MS);
}

/* Of the teller's bucket, by now. */
static uint64_t told_use(const l7s_rate_t *rate, const l7s_fleet_news_t *news)
{
    uint64_t most = ((uint64_t)rate->burst + rate->requests) * rate->period_us;
    uint64_t used = news->used < most ? news->used : most, gone;
    if (__builtin_mul_overflow(news->age_ms, 1000ULL * rate->requests, &gone)) {
        return 0;
    }
    return used > gone ? used - gone : 0;
}

/* Tokens that bring a bucket up to what the teller's holds, with our own on top: what is
 * pending here the teller cannot know. */
static uint64_t missing(const l7s_rate_t *rate, const l7s_fleet_news_t *news,
                        uint32_t pending, uint64_t used)
{
    uint64_t most = (uint64_t)rate->burst + rate->requests;
    uint64_t ours = (pending < most ? pending : most) * rate->period_us;
    uint64_t both = told_use(rate, news) + ours;
    return both > used ? (both - used + rate->period_us - 1) / rate->period_us : 0;
}

uint64_t l7s_fleet_hear(const l7s_rate_t *rate, l7s_fleet_view_t *view,
                        const l7s_fleet_news_t *news, uint32_t pending, uint64_t used)
{
    const l7s_fleet_view_t seen = *view;
    bool newer = seen.period == 0 || (int32_t)(news->period - seen.period) > 0;
    if (!newer && (news->period != seen.period || news->total <= seen.total)) {
        return 0;
    }
    view->total = news->total;
    view->period = news->period;
    uint64_t others = newer ? news->total : news->total - seen.total;
    if (newer) {
        uint64_t gap = missing(rate, news, pending, used);
        bool in_view = seen.period != 0 && news->period == seen.period + 1;
        others = in_view && others < gap ? others : gap;
    }
    return plausible(rate, view, others);
}

uint64_t l7s_fleet_look_interval_ms(uint32_t live_nodes)
{
    return (uint64_t)LOOK_MS * (live_nodes > 0 ? live_nodes : 1);
}

void l7s_fleet_counter_name(const l7s_hashkey_t *name_key, l7s_hash128_t key,
                            uint32_t period, char out[L7S_COUNTER_NAME])
{
    uint8_t input[21] = {'c'};
    const uint64_t words[2] = {htole64(key.lo), htole64(key.hi)};
    const uint32_t number = htole32(period);
    memcpy(input + 1, words, sizeof words);
    memcpy(input + 17, &number, sizeof number);
    out[0] = 'c';
    l7s_hash128_text(l7s_siphash128(name_key, input, sizeof input), out + 1);
}
