/* SPDX-License-Identifier: Apache-2.0
 *
 * See lint.h. One function a rule, and the table of all.
 */
#include "lint.h"

#include <stdio.h>
#include <string.h>

#define LONG_BAN_SECONDS (30u * 86400)
/* So many requests say something about one in a hundred. */
#define OBSERVED_LEAST 10000

typedef struct {
    const l7s_config_t *config;
    size_t index;
    const l7s_policy_t *policy; /* that number */
    const l7s_lint_observed_t *observed;
    uint64_t now_ms;
    l7s_problems_t *warnings;
} lint_t;

static void warn(const lint_t *lint, const char *pointer, const char *code,
                 const char *message)
{
    l7s_problems_add(lint->warnings, pointer, code, "%s", message);
}

/* --- shadowed --- */

/* Does the policy end the evaluation of everything that it matches? */
static bool decides_all(const l7s_policy_t *policy)
{
    return policy->mode == L7S_MODE_ENFORCE && policy->rollout_percent == 100 &&
           policy->rate_count == 0 && policy->plan_count == 0 &&
           policy->concurrency == 0 && policy->status_count == 0 &&
           policy->cost == L7S_COST_REQUESTS && policy->action != L7S_ACTION_LOG &&
           policy->action != L7S_ACTION_CHALLENGE &&
           (policy->when_absent != L7S_ABSENT_SKIP);
}

static void find_shadow(const lint_t *lint)
{
    for (size_t i = 0; i < lint->index; i++) {
        const l7s_policy_t *before = &lint->config->policies[i];
        if (decides_all(before) && before->expires_ms == 0 &&
            l7s_policy_covers(before, lint->policy)) {
            l7s_problems_add(lint->warnings, "/priority", "shadowed",
                             "\"%s\" comes before it and decides about everything that "
                             "this matches: it is never asked",
                             before->name);
            return;
        }
    }
}

/* --- unreachable --- */

static void find_unreachable(const lint_t *lint)
{
    const l7s_policy_t *policy = lint->policy;
    char pointer[48];

    for (size_t i = 0; i < policy->except_count; i++) {
        if (l7s_match_covers(&policy->except[i], &policy->match)) {
            snprintf(pointer, sizeof pointer, "/match/except/%zu", i);
            warn(lint, pointer, "unreachable",
                 "exempts everything that the policy matches: it matches nothing");
        }
    }
    if (policy->expires_ms != 0 && policy->expires_ms <= lint->now_ms) {
        warn(lint, "/expires_at", "unreachable", "has passed: the policy is not asked");
    }
}

/* --- contradictory --- */

static void find_contradictions_in(const lint_t *lint, const l7s_match_t *match,
                                   const char *where)
{
    char pointer[64];
    size_t second;

    if (l7s_conditions_contradict(match->headers, match->header_count, &second)) {
        snprintf(pointer, sizeof pointer, "%s/headers/%zu", where, second);
        warn(lint, pointer, "contradictory",
             "no request has this header and fulfils the condition before it on the same "
             "one, too");
    }
    if (l7s_conditions_contradict(match->pairs, match->pair_count, &second)) {
        snprintf(pointer, sizeof pointer, "%s/%s", where,
                 match->pairs[second].field == L7S_FIELD_QUERY ? "query" : "cookies");
        warn(lint, pointer, "contradictory",
             "asks that one name be absent, and something of its value");
    }
}

static void find_contradictions(const lint_t *lint)
{
    const l7s_policy_t *policy = lint->policy;
    char where[48];

    find_contradictions_in(lint, &policy->match, "/match");
    for (size_t i = 0; i < policy->except_count; i++) {
        snprintf(where, sizeof where, "/match/except/%zu", i);
        find_contradictions_in(lint, &policy->except[i], where);
    }
    for (size_t i = 0; i < policy->any_count; i++) {
        snprintf(where, sizeof where, "/match/any/%zu", i);
        find_contradictions_in(lint, &policy->any[i], where);
    }
}

/* --- overlapping an allow list --- */

static bool overlap(const l7s_cidr_t *a, const l7s_cidr_t *b)
{
    return a->prefix <= b->prefix ? l7s_cidr_contains(a, &b->base)
                                  : l7s_cidr_contains(b, &a->base);
}

static bool list_holds(const lint_t *lint, const l7s_list_t *list,
                       const l7s_cidr_t *network)
{
    for (size_t i = 0; i < list->entry_count; i++) {
        const l7s_list_entry_t *entry = &list->entries[i];
        if ((entry->expires_ms == 0 || entry->expires_ms > lint->now_ms) &&
            overlap(&entry->network, network)) {
            return true;
        }
    }
    return false;
}

static bool is_asked_for(const lint_t *lint, const l7s_list_t *list)
{
    const l7s_match_t *match = &lint->policy->match;

    for (size_t i = 0; i < match->client_lists.count; i++) {
        if (strcmp(match->client_lists.items[i], list->name) == 0) {
            return true;
        }
    }
    for (size_t i = 0; i < match->network_count; i++) {
        if (list->kind == L7S_LIST_ADDRESSES &&
            list_holds(lint, list, &match->networks[i])) {
            return true;
        }
    }
    return false;
}

static void find_allow_lists(const lint_t *lint)
{
    for (size_t i = 0; i < lint->config->list_count; i++) {
        const l7s_list_t *list = &lint->config->lists[i];
        if (list->effect == L7S_EFFECT_ALLOW && is_asked_for(lint, list)) {
            l7s_problems_add(lint->warnings, "/match/client/in", "overlaps_allow_list",
                             "the allow list \"%s\" holds some of these clients, and "
                             "whoever is in it never meets a policy",
                             list->name);
        }
    }
}

/* --- threshold below the observed p99 --- */

static void find_low_threshold(const lint_t *lint)
{
    const l7s_lint_observed_t *observed = lint->observed;

    if (lint->policy->rate_count > 0 && observed->matched >= OBSERVED_LEAST &&
        observed->over > observed->matched / 100) {
        l7s_problems_add(lint->warnings, "/detect/rate", "threshold_below_p99",
                         "of %llu requests that it matched lately %llu were beyond it, "
                         "more than one in a hundred: is that all attack?",
                         (unsigned long long)observed->matched,
                         (unsigned long long)observed->over);
    }
}

/* --- keys without bound --- */

/* Is the value that it counts by one of a list, or of those that are written there? */
static bool is_verified(const l7s_policy_t *policy, const l7s_by_t *by)
{
    const l7s_match_t *match = &policy->match;
    bool header = by->part == L7S_PART_HEADER;
    const l7s_header_match_t *conditions = header ? match->headers : match->pairs;
    size_t count = header ? match->header_count : match->pair_count;
    l7s_field_t field = header ? L7S_FIELD_HEADER : L7S_FIELD_COOKIE;

    for (size_t i = 0; i < count; i++) {
        if (conditions[i].field == field && strcmp(conditions[i].name, by->name) == 0 &&
            conditions[i].is == L7S_IS_EQUALS) {
            return true;
        }
    }
    return false;
}

static bool is_unbounded(const l7s_policy_t *policy, const l7s_by_t *by)
{
    if (by->part == L7S_PART_PATH) {
        for (size_t i = 0; i < policy->match.paths.count; i++) {
            if (strchr(policy->match.paths.items[i], '*') != NULL) {
                return true;
            }
        }
        return policy->match.paths.count == 0;
    }
    return l7s_part_is_named(by->part) && !is_verified(policy, by);
}

/* A limit that no client evades by writing something else. */
static bool counts_what_is_given(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->by_count; i++) {
        l7s_part_t part = policy->by[i].part;
        if (part == L7S_PART_PATH || l7s_part_may_lack(part) || part == L7S_PART_HOST) {
            return false;
        }
    }
    return policy->mode != L7S_MODE_OFF && policy->rate_count > 0 &&
           policy->action >= L7S_ACTION_DENY;
}

static bool has_companion(const lint_t *lint)
{
    for (size_t i = 0; i < lint->config->policy_count; i++) {
        const l7s_policy_t *other = &lint->config->policies[i];
        if (i != lint->index && counts_what_is_given(other) &&
            l7s_policy_covers(other, lint->policy)) {
            return true;
        }
    }
    return false;
}

static void find_unbounded_keys(const lint_t *lint)
{
    const l7s_policy_t *policy = lint->policy;
    char pointer[32];

    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->rate_count > 0 && is_unbounded(policy, &policy->by[i]) &&
            !has_companion(lint)) {
            snprintf(pointer, sizeof pointer, "/count/by/%zu", i);
            warn(lint, pointer, "unbounded_keys",
                 "whoever asks chooses this value, and with a new one each time is never "
                 "limited; add a limit by client for the same requests, or let the "
                 "match ask for a value of a list");
            return;
        }
    }
}

/* --- bans of more than thirty days --- */

static void find_long_bans(const lint_t *lint)
{
    static const char message[] =
        "bans for more than 30 days: addresses change hands sooner; a list of networks "
        "with effect deny says who, why and until when";
    const l7s_policy_t *policy = lint->policy;
    char pointer[64];

    if (policy->action == L7S_ACTION_BAN && policy->ban_seconds > LONG_BAN_SECONDS) {
        warn(lint, "/action/ban/seconds", "long_ban", message);
    }
    for (size_t i = 0; i < policy->step_count; i++) {
        const l7s_sanction_t *sanction = &policy->steps[i].sanction;
        if (sanction->action == L7S_ACTION_BAN && sanction->seconds > LONG_BAN_SECONDS) {
            snprintf(pointer, sizeof pointer, "/escalate/%zu/action/ban/seconds", i);
            warn(lint, pointer, "long_ban", message);
        }
    }
}

/* --- the table --- */

void l7s_lint(const l7s_config_t *config, size_t index,
              const l7s_lint_observed_t *observed, uint64_t now_ms,
              l7s_problems_t *warnings)
{
    static void (*const rules[])(const lint_t *lint) = {
        find_shadow,        find_unreachable,    find_contradictions, find_allow_lists,
        find_low_threshold, find_unbounded_keys, find_long_bans};
    const lint_t lint = {.config = config,
                         .index = index,
                         .policy = &config->policies[index],
                         .observed = observed,
                         .now_ms = now_ms,
                         .warnings = warnings};

    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        rules[i](&lint);
    }
}
