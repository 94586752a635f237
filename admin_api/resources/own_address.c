/* SPDX-License-Identifier: Apache-2.0
 *
 * The look at one policy and one address (own_address.h). It reads the parsed
 * configuration instead of running the engine, since there is no request to judge yet.
 */
#include "own_address.h"

#include <string.h>

static bool is_loopback(const l7s_addr_t *addr)
{
    static const uint8_t v4[13] = {[10] = 0xff, [11] = 0xff, [12] = 127};
    static const uint8_t v6[16] = {[15] = 1};
    return memcmp(addr->bytes, v4, sizeof v4) == 0 ||
           memcmp(addr->bytes, v6, sizeof v6) == 0;
}

static bool in_list(const l7s_list_t *list, const l7s_addr_t *addr, uint64_t now_ms)
{
    for (size_t i = 0; i < list->entry_count; i++) {
        const l7s_list_entry_t *entry = &list->entries[i];
        if (list->kind == L7S_LIST_ADDRESSES &&
            (entry->expires_ms == 0 || entry->expires_ms > now_ms) &&
            l7s_cidr_contains(&entry->network, addr)) {
            return true;
        }
    }
    return false;
}

static bool in_named_list(const l7s_config_t *config, const char *name,
                          const l7s_addr_t *addr, uint64_t now_ms)
{
    for (size_t i = 0; i < config->list_count; i++) {
        if (strcmp(config->lists[i].name, name) == 0) {
            return in_list(&config->lists[i], addr, now_ms);
        }
    }
    return false;
}

/* An allow list for some applications only leaves the others. */
static bool allowed(const l7s_config_t *config, const l7s_addr_t *addr, uint64_t now_ms)
{
    for (size_t i = 0; i < config->list_count; i++) {
        const l7s_list_t *list = &config->lists[i];
        if (list->effect == L7S_EFFECT_ALLOW && list->apps.count == 0 &&
            in_list(list, addr, now_ms)) {
            return true;
        }
    }
    return false;
}

/* Does the match hold for every request of this address? */
static bool holds_always(const l7s_config_t *config, const l7s_match_t *match,
                         const l7s_addr_t *addr, uint64_t now_ms)
{
    if (match->apps.count + match->hosts.count + match->methods.count +
            match->paths.count + match->patterns.count + match->header_count +
            match->pair_count >
        0) {
        return false;
    }
    bool holds = !match->has_client;
    for (size_t i = 0; i < match->network_count && !holds; i++) {
        holds = l7s_cidr_contains(&match->networks[i], addr);
    }
    for (size_t i = 0; i < match->client_lists.count && !holds; i++) {
        holds = in_named_list(config, match->client_lists.items[i], addr, now_ms);
    }
    return holds;
}

static bool escalates_to_ban(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->step_count; i++) {
        if (policy->steps[i].sanction.action == L7S_ACTION_BAN) {
            return true;
        }
    }
    return false;
}

/* By itself, or by an override that runs or will. */
static bool enforces(const l7s_policy_t *policy, uint64_t now_ms)
{
    const l7s_override_t *override = &policy->override;
    return policy->mode == L7S_MODE_ENFORCE ||
           (override->has_mode && override->mode == L7S_MODE_ENFORCE &&
            override->until_ms > now_ms);
}

static bool hits(const l7s_config_t *config, const l7s_policy_t *policy,
                 const l7s_addr_t *addr, uint64_t now_ms)
{
    bool acts =
        policy->action == L7S_ACTION_BAN || escalates_to_ban(policy) ||
        ((policy->action == L7S_ACTION_DENY || policy->action == L7S_ACTION_DROP) &&
         !is_loopback(addr));
    bool over = policy->expires_ms != 0 && policy->expires_ms <= now_ms;
    /* What it counts may be a few answers, or none. */
    bool waits =
        policy->status_count > 0 || policy->signals.count > 0 || policy->concurrency > 0;
    if (!acts || over || waits || !enforces(policy, now_ms) || policy->rate_count > 0 ||
        policy->any_count > 0 || !holds_always(config, &policy->match, addr, now_ms)) {
        return false;
    }
    for (size_t i = 0; i < policy->except_count; i++) {
        if (holds_always(config, &policy->except[i], addr, now_ms)) {
            return false;
        }
    }
    return !allowed(config, addr, now_ms);
}

bool admin_own_address_hit(const l7s_config_t *config, const char *name,
                           const uint8_t *peer, uint64_t now_ms)
{
    l7s_addr_t addr;
    memcpy(addr.bytes, peer, sizeof addr.bytes);
    for (size_t i = 0; i < config->policy_count; i++) {
        if (strcmp(config->policies[i].name, name) == 0) {
            return hits(config, &config->policies[i], &addr, now_ms);
        }
    }
    return false;
}
