/* SPDX-License-Identifier: Apache-2.0
 *
 * The share of failing answers among all answers to a key: two tallies (tally.h) of the
 * same period, and the rule by which they are too much. Both lose what they hold alike,
 * so the share stays what it was while nothing is answered, and the key is free again
 * when too few answers are left to tell.
 */
#ifndef L7S_RATIO_H
#define L7S_RATIO_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t percent;      /* 1…100; 0: no such detector */
    uint32_t min_requests; /* fewer answers tell nothing; at least 1 */
    uint32_t seconds;      /* the tallies' period */
} l7s_ratio_t;

/* Of a key, where its tallies stand: in the order of a policy's limits. */
enum { L7S_RATIO_ANSWERED, L7S_RATIO_FAILED, L7S_RATIO_TALLIES };

/* Were at least min_requests answered? */
bool l7s_ratio_is_enough(const l7s_ratio_t *ratio, uint64_t answered, uint64_t now_us);

/* At least min_requests were answered, and at least so many percent of them failed.
 * A tally of answers that is full tells nothing any more: false. */
bool l7s_ratio_exceeds(const l7s_ratio_t *ratio, uint64_t answered, uint64_t failed,
                       uint64_t now_us);

/* What share failed, in whole percent, rounded down; 0 when nothing was answered. */
uint32_t l7s_ratio_percent(const l7s_ratio_t *ratio, uint64_t answered, uint64_t failed,
                           uint64_t now_us);

/* In how many whole seconds it is not exceeded any more, if nothing else is answered. 0:
 * it is not. */
uint32_t l7s_ratio_wait_s(const l7s_ratio_t *ratio, uint64_t answered, uint64_t failed,
                          uint64_t now_us);

/* The least number of failing answers that can exceed it. */
uint32_t l7s_ratio_least_failed(const l7s_ratio_t *ratio);

#endif
