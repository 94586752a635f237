/* SPDX-License-Identifier: Apache-2.0
 *
 * Plans in an image. What a policy asks of a list's entries (attribute "plan" is "gold")
 * is a grant with a number; an entry refers to the grants that its attributes give, as
 * far as any policy asks for them, and a plan to the one it needs. So a request compares
 * numbers, and the image holds neither attributes nor the names of plans.
 */
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

/* All texts are borrowed from the configuration. */
typedef struct {
    const char *list, *attribute, *value;
} grant_t;

static int compare(const void *left, const void *right)
{
    const grant_t *a = left, *b = right;
    int order = strcmp(a->list, b->list);

    if (order == 0) {
        order = strcmp(a->attribute, b->attribute);
    }
    return order != 0 ? order : strcmp(a->value, b->value);
}

void l7s_compiler_add_grants(l7s_compiler_t *compiler)
{
    l7s_vector_t *grants = &compiler->grants;
    size_t distinct = 0;
    grant_t *items;

    for (uint32_t i = 0; i < compiler->policy_count; i++) {
        const l7s_policy_t *policy = compiler->policies[i];
        if (!l7s_vector_reserve(grants, sizeof *items, policy->plan_count)) {
            compiler->builder.failed = true;
            return;
        }
        items = grants->items;
        for (size_t k = 0; k < policy->plan_count; k++) {
            items[grants->count++] = (grant_t){policy->plan_list, policy->plan_attribute,
                                               policy->plans[k].name};
        }
    }
    items = grants->items;
    if (grants->count > 1) {
        qsort(items, grants->count, sizeof *items, compare);
    }
    for (size_t i = 0; i < grants->count; i++) {
        if (distinct == 0 || compare(&items[distinct - 1], &items[i]) != 0) {
            items[distinct++] = items[i];
        }
    }
    grants->count = distinct;
}

/* Its number, or L7S_NONE: nobody asks for it. */
static uint32_t find_grant(const l7s_compiler_t *compiler, grant_t wanted)
{
    const grant_t *items = compiler->grants.items;
    const grant_t *found =
        compiler->grants.count == 0
            ? NULL
            : bsearch(&wanted, items, compiler->grants.count, sizeof *items, compare);

    return found != NULL ? (uint32_t)(found - items) : L7S_NONE;
}

l7s_run_t l7s_compiler_grants(l7s_compiler_t *compiler, const char *list,
                              const l7s_list_entry_t *entry)
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < entry->attribute_count; i++) {
        uint32_t grant = find_grant(compiler, (grant_t){list, entry->attributes[i].name,
                                                        entry->attributes[i].value});
        if (grant != L7S_NONE) {
            uint32_t at =
                l7s_builder_add(&compiler->builder, L7S_SECTION_REFS, &grant, 1);
            run.first = run.count++ == 0 ? at : run.first;
        }
    }
    return run;
}

void l7s_compiler_add_plan(l7s_compiler_t *compiler, const l7s_policy_t *policy,
                           const l7s_plan_t *plan, l7s_run_t limits)
{
    l7s_image_plan_t out = {.limits = limits};

    out.grant = find_grant(
        compiler, (grant_t){policy->plan_list, policy->plan_attribute, plan->name});
    l7s_builder_add(&compiler->builder, L7S_SECTION_PLANS, &out, 1);
}
