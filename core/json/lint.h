/* SPDX-License-Identifier: Apache-2.0
 *
 * What is valid and probably not meant: a policy looked at beside all others. A table of
 * rules, each of which is certain where it speaks: it knows what it does not know, and
 * keeps silent there.
 */
#ifndef L7S_LINT_H
#define L7S_LINT_H

#include "config.h"

/* What nodes told of the policy lately; all 0: nothing. */
typedef struct {
    uint64_t matched, over; /* requests; over: acted on, or would have been */
} l7s_lint_observed_t;

/* Adds what is found to `warnings`: codes shadowed, unreachable, contradictory,
 * overlaps_allow_list, threshold_below_p99, unbounded_keys, long_ban, with pointers
 * relative to the policy number `index` of the configuration. */
void l7s_lint(const l7s_config_t *config, size_t index,
              const l7s_lint_observed_t *observed, uint64_t now_ms,
              l7s_problems_t *warnings);

/* --- lint_match.c --- */

/* Does the first match hold wherever the second does? False: perhaps not. */
bool l7s_match_covers(const l7s_match_t *whole, const l7s_match_t *part);
/* The same for all that policies match, exceptions included. */
bool l7s_policy_covers(const l7s_policy_t *whole, const l7s_policy_t *part);
/* Two conditions on one field that nothing fulfils; *second is the later one. */
bool l7s_conditions_contradict(const l7s_header_match_t *conditions, size_t count,
                               size_t *second);

#endif
