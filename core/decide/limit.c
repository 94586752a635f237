/* SPDX-License-Identifier: Apache-2.0
 *
 * See limit.h.
 */
#include "limit.h"

static uint32_t seconds_of(const l7s_image_limit_t *limit)
{
    return (uint32_t)(limit->rate.period_us / 1000000);
}

uint64_t l7s_limit_fresh(const l7s_image_limit_t *limit, uint64_t now_us)
{
    return limit->tally ? L7S_TALLY_FRESH : l7s_bucket_fresh(&limit->rate, now_us);
}

bool l7s_limit_drained(const l7s_image_limit_t *limit, uint64_t word, uint64_t now_us)
{
    return limit->tally ? l7s_tally_drained(seconds_of(limit), word, now_us)
                        : l7s_bucket_drained(&limit->rate, word, now_us);
}

uint32_t l7s_limit_used(const l7s_image_limit_t *limit, uint64_t word, uint64_t now_us)
{
    return limit->tally ? l7s_tally_count(seconds_of(limit), word, now_us)
                        : (uint32_t)(l7s_bucket_used(&limit->rate, word, now_us) /
                                     limit->rate.period_us);
}

uint32_t l7s_limit_headroom(const l7s_image_limit_t *limit, uint64_t word,
                            uint64_t now_us)
{
    if (!limit->tally) {
        return l7s_bucket_headroom(&limit->rate, word, now_us);
    }
    uint32_t used = l7s_limit_used(limit, word, now_us), quarter = used / 4;
    uint32_t left = used < limit->rate.burst ? limit->rate.burst - used : 0;
    return left > quarter ? left : quarter;
}
