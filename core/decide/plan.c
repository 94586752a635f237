/* SPDX-License-Identifier: Apache-2.0
 *
 * See plan.h. Two short runs are compared: what the entry grants and what the policy
 * offers, both at most as long as plans and attributes may be many.
 */
#include "plan.h"

static bool grants(const l7s_image_t *image, const l7s_image_string_t *entry,
                   uint32_t grant)
{
    const uint32_t *refs = l7s_image_refs(image, entry->grants);

    for (uint32_t i = 0; i < entry->grants.count; i++) {
        if (refs[i] == grant) {
            return true;
        }
    }
    return false;
}

l7s_run_t l7s_plan_find(l7s_matcher_t *matcher, const l7s_image_policy_t *policy)
{
    const l7s_image_t *image = matcher->image;
    const l7s_image_plan_t *plans =
        (const l7s_image_plan_t *)l7s_image_section(image, L7S_SECTION_PLANS) +
        policy->plans.first;
    const char *value = l7s_matcher_header(matcher, policy->plan_header);
    const l7s_image_string_t *entry =
        value != NULL ? l7s_image_string(image, policy->plan_list, value) : NULL;

    for (uint32_t i = 0; entry != NULL && i < policy->plans.count; i++) {
        if (grants(image, entry, plans[i].grant)) {
            return plans[i].limits;
        }
    }
    return policy->limits;
}
