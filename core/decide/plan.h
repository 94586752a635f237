/* SPDX-License-Identifier: Apache-2.0
 *
 * Which limits of a policy a request is held to. Mostly they are the policy's own; with
 * plans, the value of the header that it counts by is looked up in a list of strings, and
 * an attribute of that entry names the plan. For the evaluation of requests only.
 */
#ifndef L7S_PLAN_H
#define L7S_PLAN_H

#include "../match/match.h"

/* The limits of the request's plan; the policy's own for who has none. */
__attribute__((noinline)) l7s_run_t l7s_plan_find(l7s_matcher_t *matcher,
                                                  const l7s_image_policy_t *policy);

static inline l7s_run_t l7s_plan_limits(l7s_matcher_t *matcher,
                                        const l7s_image_policy_t *policy)
{
    return policy->plans.count == 0 ? policy->limits : l7s_plan_find(matcher, policy);
}

#endif
