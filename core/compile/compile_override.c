/* SPDX-License-Identifier: Apache-2.0
 *
 * Which policies an image is made from: those in force, each as its override leaves it.
 */
#include "../json/override.h"
#include "compiler.h"

#include <stdlib.h>

bool l7s_compiler_in_force(l7s_compiler_t *compiler, uint64_t expires_ms)
{
    if (expires_ms == 0) {
        return true;
    }
    if (expires_ms <= compiler->now_ms) {
        return false;
    }
    if (compiler->next_expiry_ms == 0 || expires_ms < compiler->next_expiry_ms) {
        compiler->next_expiry_ms = expires_ms;
    }
    return true;
}

/* Both ends are moments at which to compile again. */
static bool override_runs(l7s_compiler_t *compiler, const l7s_override_t *override)
{
    if (override->until_ms == 0 || !l7s_compiler_in_force(compiler, override->until_ms)) {
        return false;
    }
    return override->starts_ms == 0 ||
           !l7s_compiler_in_force(compiler, override->starts_ms);
}

/* NULL: no memory. */
static const l7s_policy_t *as_overridden(l7s_compiler_t *compiler,
                                         const l7s_policy_t *policy)
{
    l7s_policy_t *copy = &compiler->overridden[compiler->overridden_count++];

    return l7s_override_apply(policy, copy) == L7S_OK ? copy : NULL;
}

bool l7s_compiler_choose_policies(l7s_compiler_t *compiler)
{
    const l7s_config_t *config = compiler->config;
    size_t count = config->policy_count + 1, overrides = 0;

    for (size_t i = 0; i < config->policy_count; i++) {
        overrides += config->policies[i].override.until_ms != 0;
    }
    compiler->policies = calloc(count, sizeof *compiler->policies);
    compiler->overridden = calloc(overrides + 1, sizeof *compiler->overridden);
    if (compiler->policies == NULL || compiler->overridden == NULL) {
        return false;
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        const l7s_policy_t *policy = &config->policies[i];
        if (!l7s_compiler_in_force(compiler, policy->expires_ms)) {
            continue;
        }
        if (override_runs(compiler, &policy->override)) {
            policy = as_overridden(compiler, policy);
        }
        if (policy == NULL) {
            return false;
        }
        compiler->policies[compiler->policy_count++] = policy;
    }
    return true;
}

void l7s_compiler_end_policies(l7s_compiler_t *compiler)
{
    for (size_t i = 0; i < compiler->overridden_count; i++) {
        l7s_override_end(&compiler->overridden[i]);
    }
    free(compiler->overridden);
    free(compiler->policies);
}
