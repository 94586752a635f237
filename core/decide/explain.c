/* SPDX-License-Identifier: Apache-2.0
 *
 * See explain.h. Matcher and tuples are too large for the stacks of whoever asks.
 */
#include "explain.h"

#include "evaluation.h"

#include <stdlib.h>

typedef struct {
    l7s_matcher_t matcher;
    l7s_tuples_t tuples;
} asked_t;

static bool is_candidate(const l7s_matcher_t *matcher, uint32_t index)
{
    return (matcher->candidates[index / 64] >> index % 64 & 1) != 0;
}

static void explain_policy(asked_t *asked, uint32_t index, l7s_explain_t *explain)
{
    const l7s_image_t *image = asked->matcher.image;
    const l7s_image_policy_t *policy = l7s_image_policy(image, index);
    l7s_explained_policy_t out = {.name = l7s_image_text(image, policy->name)};
    char key[L7S_EXPLAIN_KEY] = "{}";

    out.matches = is_candidate(&asked->matcher, index) &&
                  l7s_matcher_policy(&asked->matcher, index);
    if (out.matches) {
        const l7s_hash128_t *digest = l7s_tuples_digest(&asked->tuples, policy->spec);
        l7s_run_t limits = policy->ratio.percent > 0
                               ? policy->tallies
                               : l7s_plan_limits(&asked->matcher, policy);
        out.counts = digest != NULL;
        out.digest = digest != NULL ? *digest : (l7s_hash128_t){0, 0};
        out.limits =
            (const l7s_image_limit_t *)l7s_image_section(image, L7S_SECTION_LIMITS) +
            limits.first;
        out.limit_count = limits.count;
        l7s_tuples_json(&asked->tuples, policy->spec, key);
    }
    out.key = key;
    explain->policy(explain->context, &out);
}

static void explain_policies(asked_t *asked, bool by_user, l7s_explain_t *explain)
{
    const l7s_image_t *image = asked->matcher.image;

    for (uint32_t i = 0; i < l7s_image_policies(image); i++) {
        if ((l7s_image_policy(image, i)->by_user != 0) == by_user) {
            explain_policy(asked, i, explain);
        }
    }
}

static void explain_list(asked_t *asked, uint32_t index, l7s_explain_t *explain)
{
    const l7s_image_t *image = asked->matcher.image;
    const l7s_image_list_t *list =
        (const l7s_image_list_t *)l7s_image_section(image, L7S_SECTION_LISTS) + index;
    l7s_explained_list_t out = {
        .name = l7s_image_text(image, list->name),
        .effect = (l7s_effect_t)list->effect,
        .contains = l7s_matcher_in_list(&asked->matcher, index),
        .applies = l7s_matcher_in_apps(&asked->matcher, list->apps),
    };

    explain->list(explain->context, &out);
}

l7s_status_t l7s_explain(const l7s_image_t *image, const l7s_request_t *request,
                         l7s_explain_t *explain)
{
    asked_t *asked = calloc(1, sizeof *asked);

    if (asked == NULL) {
        return L7S_NO_MEMORY;
    }
    l7s_matcher_begin(&asked->matcher, image, request);
    l7s_tuples_begin(&asked->tuples, &asked->matcher);
    l7s_matcher_index(&asked->matcher);
    explain->app = asked->matcher.app;
    explain->app_mode = asked->matcher.app_mode;
    for (uint32_t i = 0; i < image->sections[L7S_SECTION_LISTS].count; i++) {
        explain_list(asked, i, explain);
    }
    explain_policies(asked, false, explain);
    explain_policies(asked, true, explain);
    free(asked);
    return L7S_OK;
}
