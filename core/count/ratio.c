/* SPDX-License-Identifier: Apache-2.0
 *
 * See ratio.h. Weights of tallies are compared, so nothing is rounded but what is shown.
 */
#include "ratio.h"
#include "tally.h"

bool l7s_ratio_is_enough(const l7s_ratio_t *ratio, uint64_t answered, uint64_t now_us)
{
    return l7s_tally_weight(ratio->seconds, answered, now_us) >=
           ratio->min_requests * (ratio->seconds * 1000ULL);
}

bool l7s_ratio_exceeds(const l7s_ratio_t *ratio, uint64_t answered, uint64_t failed,
                       uint64_t now_us)
{
    uint64_t all = l7s_tally_weight(ratio->seconds, answered, now_us);
    uint64_t bad = l7s_tally_weight(ratio->seconds, failed, now_us);

    return l7s_ratio_is_enough(ratio, answered, now_us) &&
           bad * 100 >= all * ratio->percent && !l7s_tally_is_full(answered);
}

/* What other nodes saw arrives tally by tally: for a moment more may have failed than
 * were answered. */
uint32_t l7s_ratio_percent(const l7s_ratio_t *ratio, uint64_t answered, uint64_t failed,
                           uint64_t now_us)
{
    uint64_t all = l7s_tally_weight(ratio->seconds, answered, now_us);
    uint64_t bad = l7s_tally_weight(ratio->seconds, failed, now_us);

    return all == 0 ? 0 : bad >= all ? 100 : (uint32_t)(bad * 100 / all);
}

/* Without further answers it is exceeded for one stretch of time: within a window both
 * weights fall on straight lines, and in the next both fall alike. So its end is found by
 * halving. */
uint32_t l7s_ratio_wait_s(const l7s_ratio_t *ratio, uint64_t answered, uint64_t failed,
                          uint64_t now_us)
{
    uint32_t within = 0, after = 2 * ratio->seconds;

    if (!l7s_ratio_exceeds(ratio, answered, failed, now_us)) {
        return 0;
    }
    while (after - within > 1) {
        uint32_t middle = within + (after - within) / 2;
        if (l7s_ratio_exceeds(ratio, answered, failed, now_us + middle * 1000000ULL)) {
            within = middle;
        } else {
            after = middle;
        }
    }
    return after;
}

uint32_t l7s_ratio_least_failed(const l7s_ratio_t *ratio)
{
    uint64_t least = ((uint64_t)ratio->percent * ratio->min_requests + 99) / 100;

    return least > 0 ? (uint32_t)least : 1;
}
