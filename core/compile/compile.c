/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration to image: which policies are in force now, and the records that they
 * become; equal tuples become one spec, names become indexes. It checks nothing: the
 * configuration has been (config.h).
 */
#include "compile.h"
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

/* --- policies --- */

static uint32_t compile_spec(l7s_compiler_t *compiler, const l7s_policy_t *policy)
{
    l7s_builder_t *builder = &compiler->builder;
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_SPECS);
    l7s_spec_t spec = {.part_count = (uint8_t)policy->by_count};

    for (unsigned i = 0; i < policy->by_count; i++) {
        spec.parts[i] = (uint8_t)policy->by[i].part;
        /* Only what changes the tuple may tell two specs apart. */
        if (policy->by[i].part == L7S_PART_NETWORK) {
            spec.ipv4_prefix = policy->ipv4_prefix;
            spec.ipv6_prefix = policy->ipv6_prefix;
        }
        if (l7s_part_may_lack(policy->by[i].part)) {
            spec.when_absent = (uint8_t)policy->when_absent;
        }
        builder->head.needs_origin |=
            policy->by[i].part == L7S_PART_ASN || policy->by[i].part == L7S_PART_COUNTRY;
        if (l7s_part_is_named(policy->by[i].part)) {
            spec.names[i] =
                l7s_field_index(&compiler->headers,
                                policy->by[i].part == L7S_PART_COOKIE ? L7S_FIELD_COOKIE
                                                                      : L7S_FIELD_HEADER,
                                policy->by[i].name);
        }
    }
    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        if (memcmp(l7s_builder_at(builder, L7S_SECTION_SPECS, i), &spec, sizeof spec) ==
            0) {
            return i;
        }
    }
    return l7s_builder_add(builder, L7S_SECTION_SPECS, &spec, 1);
}

static bool needs_user(const l7s_policy_t *policy)
{
    bool needs = false;

    for (size_t i = 0; i < policy->by_count; i++) {
        needs |= policy->by[i].part == L7S_PART_USER;
    }
    return needs;
}

static bool counts_by(const l7s_policy_t *policy, l7s_part_t part)
{
    return policy->by_count == 1 && policy->by[0].part == part;
}

/* Bits of what the policy waits for: L7S_AWAITS_…, 0: it is charged at once. */
static uint8_t awaited_by(const l7s_policy_t *policy)
{
    static const uint8_t costs[L7S_COSTS] = {
        [L7S_COST_BYTES_IN] = L7S_AWAITS_ANSWER | L7S_AWAITS_BYTES_IN,
        [L7S_COST_BYTES_OUT] = L7S_AWAITS_ANSWER,
        [L7S_COST_BUSY_MS] = L7S_AWAITS_ANSWER | L7S_AWAITS_BUSY,
        [L7S_COST_HEADER] = L7S_AWAITS_ANSWER | L7S_AWAITS_HEADERS,
    };

    return costs[policy->cost] | (policy->status_count > 0 ? L7S_AWAITS_ANSWER : 0) |
           (policy->signals.count > 0 ? L7S_AWAITS_ANSWER | L7S_AWAITS_HEADERS : 0);
}

/* On one node alone its own counters are exact. */
static bool asks_store(const l7s_policy_t *policy)
{
    return policy->strict && policy->fleet && policy->rate_count > 0;
}

/* `number`: of the first of these rates among all of the policy. */
static l7s_run_t compile_limits(l7s_compiler_t *compiler, const l7s_policy_t *policy,
                                const l7s_rate_t *rates, size_t count, unsigned number)
{
    l7s_run_t run = {l7s_builder_count(&compiler->builder, L7S_SECTION_LIMITS),
                     (uint32_t)count};

    for (unsigned i = 0; i < count; i++) {
        l7s_image_limit_t limit = {
            .rate = rates[i],
            .place = (uint8_t)i,
            .of = (uint8_t)count,
            /* Of a share what was answered takes along what failed. */
            .fleet = policy->fleet && !compiler->config->is_alone &&
                     !asks_store(policy) &&
                     (policy->ratio.percent == 0 || i == L7S_RATIO_ANSWERED),
            .strict = asks_store(policy),
            .deferred = awaited_by(policy) != 0,
            .tally = policy->ratio.percent > 0,
            .policy = l7s_builder_count(&compiler->builder, L7S_SECTION_POLICIES),
            .by_client = counts_by(policy, L7S_PART_CLIENT),
            .by_network = counts_by(policy, L7S_PART_NETWORK),
            .ipv4_prefix = policy->ipv4_prefix,
            .ipv6_prefix = policy->ipv6_prefix};
        limit.identity =
            l7s_limit_identity(compiler->count_key, policy->name,
                               policy->spec != NULL ? policy->spec : "", number + i);
        limit.id = (uint32_t)limit.identity.lo;
        limit.id = limit.id == 0 ? 1 : limit.id;
        l7s_builder_add(&compiler->builder, L7S_SECTION_LIMITS, &limit, 1);
    }
    return run;
}

/* Both tallies of a share, with rates that say what would be much of each: enough to tell
 * the share, and as many of them as make it too large. */
static l7s_run_t compile_tallies(l7s_compiler_t *compiler, const l7s_policy_t *policy)
{
    uint32_t failed = l7s_ratio_least_failed(&policy->ratio);
    uint64_t period_us = policy->ratio.seconds * 1000000ULL;
    const l7s_rate_t rates[L7S_RATIO_TALLIES] = {
        [L7S_RATIO_ANSWERED] = {policy->ratio.min_requests, policy->ratio.min_requests,
                                period_us},
        [L7S_RATIO_FAILED] = {failed, failed, period_us},
    };

    return policy->ratio.percent == 0
               ? (l7s_run_t){0, 0}
               : compile_limits(compiler, policy, rates, L7S_RATIO_TALLIES, 0);
}

/* Each plan's rates are limits of their own: a change of plan begins them anew. */
static void compile_plans(l7s_compiler_t *compiler, const l7s_policy_t *policy,
                          l7s_image_policy_t *out)
{
    unsigned number = (unsigned)policy->rate_count;

    if (policy->plan_count == 0) {
        return;
    }
    out->plan_list = l7s_compiler_list_index(compiler->config, policy->plan_list);
    for (unsigned i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_HEADER) {
            out->plan_header =
                l7s_field_index(&compiler->headers, L7S_FIELD_HEADER, policy->by[i].name);
        }
    }
    out->plans.first = l7s_builder_count(&compiler->builder, L7S_SECTION_PLANS);
    out->plans.count = (uint32_t)policy->plan_count;
    for (size_t i = 0; i < policy->plan_count; i++) {
        const l7s_plan_t *plan = &policy->plans[i];
        l7s_run_t limits =
            compile_limits(compiler, policy, plan->rates, plan->rate_count, number);
        l7s_compiler_add_plan(compiler, policy, plan, limits);
        number += (unsigned)plan->rate_count;
    }
}

static l7s_run_t compile_statuses(l7s_compiler_t *compiler, const l7s_policy_t *policy)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_run_t run = {l7s_builder_count(builder, L7S_SECTION_REFS),
                     (uint32_t)policy->status_count};

    for (size_t i = 0; i < policy->status_count; i++) {
        uint32_t range =
            (uint32_t)policy->statuses[i].lowest << 16 | policy->statuses[i].highest;
        l7s_builder_add(builder, L7S_SECTION_REFS, &range, 1);
    }
    return run;
}

static l7s_run_t compile_inner(l7s_compiler_t *compiler, const l7s_match_t *matches,
                               size_t count)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_run_t run = {l7s_builder_add(builder, L7S_SECTION_MATCHES, NULL, count),
                     (uint32_t)count};

    for (uint32_t i = 0; i < count; i++) {
        l7s_image_match_t match = l7s_compiler_whole(compiler, &matches[i]);
        if (!builder->failed) {
            *(l7s_image_match_t *)l7s_builder_at(builder, L7S_SECTION_MATCHES,
                                                 run.first + i) = match;
        }
    }
    return run;
}

static void compile_matches(l7s_compiler_t *compiler, const l7s_policy_t *policy,
                            l7s_image_policy_t *out)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_image_match_t match = l7s_compiler_rest(compiler, &policy->match);

    out->match = l7s_builder_add(builder, L7S_SECTION_MATCHES, &match, 1);
    out->any = compile_inner(compiler, policy->any, policy->any_count);
    out->except = compile_inner(compiler, policy->except, policy->except_count);
    out->closer = (uint8_t)((policy->any_count > 0 ? L7S_CLOSER_ANY : 0) |
                            (policy->except_count > 0 ? L7S_CLOSER_EXCEPT : 0));
}

static l7s_image_sanction_t own_sanction(l7s_compiler_t *compiler,
                                         const l7s_policy_t *policy)
{
    l7s_sanction_t own = {.action = policy->action,
                          .status = policy->status,
                          .seconds = policy->ban_seconds,
                          .challenge = policy->challenge,
                          .bits = policy->bits,
                          .refuses = policy->refuses};

    memcpy(own.response, policy->response, sizeof own.response);
    return l7s_compiler_sanction(compiler, &own);
}

static l7s_image_policy_t describe_policy(l7s_compiler_t *compiler,
                                          const l7s_policy_t *policy)
{
    l7s_image_policy_t out = {
        .name = l7s_builder_text(&compiler->builder, policy->name),
        .limits = compile_limits(compiler, policy, policy->rates, policy->rate_count, 0),
        .spec = compile_spec(compiler, policy),
        .stats_row = compiler->stats != NULL
                         ? l7s_stats_row(compiler->stats, policy->name)
                         : L7S_STATS_ROWS - 1,
        .sanction = own_sanction(compiler, policy),
        .action = (uint8_t)policy->action,
        .mode = (uint8_t)policy->mode,
        .rollout = (uint8_t)policy->rollout_percent,
        .strict = asks_store(policy),
        .when_down = (uint8_t)policy->when_down,
        .signals = l7s_builder_texts(&compiler->builder, &policy->signals, NULL),
        .statuses = compile_statuses(compiler, policy),
        .deferred = awaited_by(policy),
        .apart = asks_store(policy) || awaited_by(policy) != 0,
        .by_user = needs_user(policy),
        .cost = (uint8_t)policy->cost,
        .concurrency = policy->concurrency,
        .ratio = policy->ratio,
        .tallies = compile_tallies(compiler, policy),
    };
    out.identity = l7s_limit_identity(compiler->count_key, policy->name,
                                      policy->spec != NULL ? policy->spec : "", 0);
    compile_plans(compiler, policy, &out);
    compile_matches(compiler, policy, &out);
    return out;
}

/* The first spec, by which most policies count. */
static void add_client_spec(l7s_builder_t *builder)
{
    l7s_spec_t spec = {.part_count = 1, .parts = {L7S_PART_CLIENT}};

    l7s_builder_add(builder, L7S_SECTION_SPECS, &spec, 1);
}

/* A policy that is off keeps its record and its limits (turning it on again goes on with
 * the same counters) but is in no set. */
static void compile_policies(l7s_compiler_t *compiler)
{
    l7s_builder_t *builder = &compiler->builder;

    add_client_spec(builder);
    for (uint32_t i = 0; i < compiler->policy_count; i++) {
        const l7s_policy_t *policy = compiler->policies[i];
        l7s_image_policy_t record = describe_policy(compiler, policy);
        builder->head.has_strict |= record.strict;
        builder->head.needs_user |= record.by_user;
        if (policy->mode != L7S_MODE_OFF) {
            record.closer |= l7s_compiler_file(compiler, i, &policy->match);
        }
        if (l7s_policy_is_plain(&record)) {
            l7s_builder_set_bit(builder, builder->head.plain, i);
        }
        l7s_builder_add(builder, L7S_SECTION_POLICIES, &record, 1);
        l7s_draft_add(builder, &compiler->policy_names, policy->name,
                      strlen(policy->name), i, false);
    }
    for (uint32_t i = 0; i < compiler->policy_count; i++) {
        l7s_compiler_add_steps(compiler, i);
    }
    builder->head.policy_names = l7s_draft_names(builder, &compiler->policy_names);
}

/* Two limits with one id: the first one answers; the other's tokens stay on the node. */
static void index_limits(l7s_builder_t *builder)
{
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_LIMITS), places = 2;
    const l7s_image_limit_t *limits;
    uint32_t *ids;

    while (places < 2 * count) {
        places *= 2;
    }
    l7s_builder_add(builder, L7S_SECTION_LIMIT_IDS, NULL, places);
    if (builder->failed) {
        return;
    }
    limits = l7s_builder_at(builder, L7S_SECTION_LIMITS, 0);
    ids = l7s_builder_at(builder, L7S_SECTION_LIMIT_IDS, 0);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t place = limits[i].id & (places - 1);
        while (ids[place] != 0) {
            place = (place + 1) & (places - 1);
        }
        ids[place] = i + 1;
    }
}

static void compile_responses(l7s_compiler_t *compiler)
{
    const l7s_config_t *config = compiler->config;

    for (size_t i = 0; i < config->response_count; i++) {
        const l7s_response_t *from = &config->responses[i];
        l7s_image_response_t response = {
            .name = l7s_builder_text(&compiler->builder, from->name),
            .content_type = l7s_builder_text(&compiler->builder, from->content_type),
            .body = l7s_builder_text(&compiler->builder, from->body),
        };
        l7s_builder_add(&compiler->builder, L7S_SECTION_RESPONSES, &response, 1);
    }
}

/* --- the whole --- */

/* L7S_INVALID: the patterns cannot be compiled together, or more is asked for than may.
 */
static l7s_status_t compile_all(l7s_compiler_t *compiler, uint64_t revision)
{
    l7s_image_t *head = &compiler->builder.head;
    uint32_t bits = compiler->policy_count + (uint32_t)compiler->config->app_count;
    l7s_status_t status;
    bool named;

    head->revision = revision;
    head->count_key = *compiler->count_key;
    head->declared_apps = (uint32_t)compiler->config->app_count;
    head->records_query = compiler->config->records_query;
    head->words = bits == 0 ? 1 : (bits + 63) / 64;
    l7s_index_begin(&compiler->index, &compiler->builder);
    l7s_client_begin(&compiler->clients, &compiler->builder);
    l7s_pattern_begin(&compiler->patterns, &compiler->builder);
    l7s_header_begin(&compiler->headers, &compiler->builder, &compiler->patterns,
                     compiler->config);
    l7s_compiler_add_grants(compiler);
    l7s_compiler_add_apps(compiler);
    l7s_compiler_add_lists(compiler);
    compile_policies(compiler);
    l7s_compiler_finish_apps(compiler);
    l7s_index_finish(&compiler->index);
    l7s_client_finish(&compiler->clients);
    named = l7s_header_finish(&compiler->headers);
    index_limits(&compiler->builder);
    compile_responses(compiler);
    status = l7s_pattern_finish(&compiler->patterns);
    return named ? status : L7S_INVALID;
}

l7s_status_t l7s_image_compile(const l7s_config_t *config, const l7s_hashkey_t *count_key,
                               uint64_t revision, uint64_t now_ms,
                               const l7s_stats_t *stats, void *memory, size_t capacity,
                               size_t *size, uint64_t *next_expiry_ms)
{
    l7s_compiler_t compiler = {
        .config = config, .count_key = count_key, .stats = stats, .now_ms = now_ms};
    l7s_status_t status = L7S_NO_MEMORY;

    *size = SIZE_MAX;
    *next_expiry_ms = 0;
    l7s_builder_begin(&compiler.builder);
    if (l7s_compiler_choose_policies(&compiler)) {
        if (compiler.policy_count > L7S_POLICIES_MAX ||
            config->app_count > L7S_APPS_MAX) {
            status = L7S_TOO_BIG;
        } else {
            status = compile_all(&compiler, revision);
        }
        if (status == L7S_OK) {
            status = l7s_builder_finish(&compiler.builder, memory, capacity, size);
        }
    }
    *next_expiry_ms = compiler.next_expiry_ms;
    l7s_builder_end(&compiler.builder);
    free(compiler.grants.items);
    l7s_compiler_end_policies(&compiler);
    return status;
}
