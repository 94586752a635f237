/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy's `escalate` becomes: a limit for each step, behind the limits that
 * requests are charged to, and what is done about a key that exceeds it.
 */
#include "compiler.h"

#include <stdio.h>
#include <string.h>

static bool counts_by(const l7s_policy_t *policy, l7s_part_t part)
{
    return policy->by_count == 1 && policy->by[0].part == part;
}

static unsigned twins_before(const l7s_policy_t *policy, unsigned place)
{
    const l7s_step_t *step = &policy->steps[place];
    unsigned twins = 0;

    for (unsigned i = 0; i < place; i++) {
        twins += policy->steps[i].after == step->after &&
                 policy->steps[i].within_seconds == step->within_seconds;
    }
    return twins;
}

/* A step is a limit of one episode per period that admits after - 1 of them at once: the
 * next one within a period exceeds it. It does not travel (escalate.c). */
static l7s_image_limit_t step_limit(const l7s_compiler_t *compiler,
                                    const l7s_policy_t *policy, unsigned place,
                                    uint32_t index)
{
    const l7s_step_t *step = &policy->steps[place];
    char spec[64];
    l7s_image_limit_t limit = {.rate = {.requests = 1,
                                        .burst = step->after - 1,
                                        .period_us = step->within_seconds * 1000000ULL},
                               .policy = index,
                               .by_client = counts_by(policy, L7S_PART_CLIENT),
                               .by_network = counts_by(policy, L7S_PART_NETWORK),
                               .ipv4_prefix = policy->ipv4_prefix,
                               .ipv6_prefix = policy->ipv6_prefix};

    /* Another threshold counts anew, and so does another tuple. Two steps with the same
     * one do not share a counter: each would charge it. */
    snprintf(spec, sizeof spec, "escalate %u %u %.*s", step->after, step->within_seconds,
             (int)twins_before(policy, place), "====");
    limit.identity =
        l7s_hash128_xor(l7s_limit_identity(compiler->count_key, policy->name, spec, 0),
                        l7s_limit_identity(compiler->count_key, policy->name,
                                           policy->spec != NULL ? policy->spec : "", 0));
    limit.id = (uint32_t)limit.identity.lo;
    limit.id = limit.id == 0 ? 1 : limit.id;
    return limit;
}

l7s_image_sanction_t l7s_compiler_sanction(l7s_compiler_t *compiler,
                                           const l7s_sanction_t *sanction)
{
    return (l7s_image_sanction_t){
        .response = l7s_builder_text(&compiler->builder, sanction->response),
        .seconds = sanction->seconds,
        .status = sanction->status,
        .action = (uint8_t)sanction->action,
        .kind = (uint8_t)sanction->challenge,
        .bits = sanction->bits,
        .refuses = sanction->refuses,
    };
}

void l7s_compiler_add_steps(l7s_compiler_t *compiler, uint32_t index)
{
    l7s_builder_t *builder = &compiler->builder;
    const l7s_policy_t *policy = compiler->policies[index];
    l7s_run_t run = {l7s_builder_count(builder, L7S_SECTION_STEPS),
                     (uint32_t)policy->step_count};
    bool may_ban = policy->action == L7S_ACTION_BAN;
    l7s_image_policy_t *record;

    for (unsigned i = 0; i < policy->step_count; i++) {
        const l7s_step_t *step = &policy->steps[i];
        l7s_image_limit_t limit = step_limit(compiler, policy, i, index);
        l7s_image_step_t out = {.sanction =
                                    l7s_compiler_sanction(compiler, &step->sanction)};

        out.limit = l7s_builder_add(builder, L7S_SECTION_LIMITS, &limit, 1);
        l7s_builder_add(builder, L7S_SECTION_STEPS, &out, 1);
        may_ban |= step->sanction.action == L7S_ACTION_BAN;
    }
    if (!builder->failed) {
        record = l7s_builder_at(builder, L7S_SECTION_POLICIES, index);
        record->steps = run;
        record->may_ban = may_ban;
    }
}
