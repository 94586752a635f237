/* SPDX-License-Identifier: Apache-2.0
 *
 * Configuration to image: which policies, lists and apps are in force now, in which
 * order, and the records that they become. Names become indexes, equal tuples one spec,
 * networks sorted ranges; what methods, hosts and paths can tell goes into the index
 * (compile_index.c). It checks nothing: the configuration has been (config.h).
 */
#include "compile.h"
#include "cidrset.h"
#include "compile_index.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    l7s_builder_t builder;
    l7s_index_draft_t index;
    l7s_draft_t app_names, policy_names;
    const l7s_config_t *config;
    const l7s_hashkey_t *count_key;
    const l7s_stats_t *stats;
    uint64_t now_ms, next_expiry_ms;
    const l7s_policy_t **policies; /* those in force, in their order */
    uint32_t policy_count;
} compiler_t;

/* Is what expires then still in force? Notes the next moment at which something ends. */
static bool in_force(compiler_t *compiler, uint64_t expires_ms)
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

/* --- strings and references --- */

static l7s_run_t add_texts(l7s_builder_t *builder, const l7s_strings_t *strings,
                           bool (*wanted)(const char *text))
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < strings->count; i++) {
        uint32_t at;
        if (wanted != NULL && !wanted(strings->items[i])) {
            continue;
        }
        at = l7s_builder_text(builder, strings->items[i]);
        at = l7s_builder_add(builder, L7S_SECTION_REFS, &at, 1);
        run.first = run.count++ == 0 ? at : run.first;
    }
    return run;
}

static uint32_t find_app(compiler_t *compiler, const char *name)
{
    l7s_builder_t *builder = &compiler->builder;
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_APPS);
    const char *texts = l7s_builder_at(builder, L7S_SECTION_TEXT, 0);
    const l7s_image_app_t *apps = l7s_builder_at(builder, L7S_SECTION_APPS, 0);

    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        if (strcmp(texts + apps[i].name, name) == 0) {
            return i;
        }
    }
    return L7S_NONE;
}

static uint32_t add_app(compiler_t *compiler, const char *name, l7s_mode_t mode)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_image_app_t app = {.mode = mode};
    uint32_t index;

    app.name = l7s_builder_text(builder, name);
    app.set = l7s_builder_set(builder);
    index = l7s_builder_add(builder, L7S_SECTION_APPS, &app, 1);
    l7s_draft_add(builder, &compiler->app_names, name, strlen(name), index, false);
    return index;
}

/* The apps of these names; one that nobody declared may still be named by a directive. */
static l7s_run_t add_app_refs(compiler_t *compiler, const l7s_strings_t *names)
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < names->count; i++) {
        uint32_t at, index = find_app(compiler, names->items[i]);
        if (index == L7S_NONE) {
            index = add_app(compiler, names->items[i], L7S_MODE_ENFORCE);
        }
        at = l7s_builder_add(&compiler->builder, L7S_SECTION_REFS, &index, 1);
        run.first = run.count++ == 0 ? at : run.first;
    }
    compiler->builder.head.needs_app |= names->count > 0;
    return run;
}

static uint32_t header_index(l7s_builder_t *builder, const char *name)
{
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_HEADERS), at;

    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        const uint32_t *header = l7s_builder_at(builder, L7S_SECTION_HEADERS, i);
        if (strcmp(l7s_builder_at(builder, L7S_SECTION_TEXT, *header), name) == 0) {
            return i;
        }
    }
    at = l7s_builder_text(builder, name);
    return l7s_builder_add(builder, L7S_SECTION_HEADERS, &at, 1);
}

/* --- apps --- */

static size_t longest(const l7s_strings_t *strings)
{
    size_t most = 0;

    for (size_t i = 0; i < strings->count; i++) {
        size_t length = strlen(strings->items[i]);
        most = length > most ? length : most;
    }
    return most;
}

/* The app with the longer path, then the longer host, is the more specific one. */
static int by_specificity(const void *left, const void *right)
{
    const l7s_app_t *a = *(const l7s_app_t *const *)left;
    const l7s_app_t *b = *(const l7s_app_t *const *)right;
    size_t path_a = longest(&a->paths), path_b = longest(&b->paths);
    size_t host_a = longest(&a->hosts), host_b = longest(&b->hosts);

    if (path_a != path_b) {
        return path_a > path_b ? -1 : 1;
    }
    if (host_a != host_b) {
        return host_a > host_b ? -1 : 1;
    }
    return strcmp(a->name, b->name);
}

static void compile_apps(compiler_t *compiler)
{
    static const l7s_strings_t any_method = {0, NULL};
    size_t count = compiler->config->app_count;
    const l7s_app_t **apps = calloc(count + 1, sizeof *apps);
    l7s_builder_t *builder = &compiler->builder;

    if (apps == NULL) {
        builder->failed = true;
        return;
    }
    for (size_t i = 0; i < count; i++) {
        apps[i] = &compiler->config->apps[i];
    }
    qsort(apps, count, sizeof *apps, by_specificity);
    for (size_t i = 0; i < count; i++) {
        uint32_t index = add_app(compiler, apps[i]->name, apps[i]->mode);
        l7s_run_t globs = add_texts(builder, &apps[i]->paths, l7s_index_is_complex);
        if (!builder->failed) {
            l7s_image_app_t *app = l7s_builder_at(builder, L7S_SECTION_APPS, index);
            app->paths = globs;
        }
        l7s_index_add(&compiler->index, compiler->policy_count + index, &any_method,
                      &apps[i]->hosts, &apps[i]->paths);
    }
    builder->head.needs_app |= count > 0;
    free(apps);
}

/* What may match in any app may match in each. */
static void finish_apps(compiler_t *compiler)
{
    l7s_builder_t *builder = &compiler->builder;
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_APPS);

    compiler->builder.head.app_names = l7s_draft_names(builder, &compiler->app_names);
    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        const l7s_image_app_t *app = l7s_builder_at(builder, L7S_SECTION_APPS, i);
        uint64_t *set = l7s_builder_at(builder, L7S_SECTION_SETS, app->set);
        const uint64_t *any =
            l7s_builder_at(builder, L7S_SECTION_SETS, builder->head.any_app);
        for (uint32_t w = 0; w < builder->head.words; w++) {
            set[w] |= any[w];
        }
    }
}

/* --- networks and lists --- */

/* Sorted ranges of these networks, whose order is lost. */
static l7s_run_t add_ranges(l7s_builder_t *builder, l7s_cidr_t *networks, size_t count)
{
    l7s_addr_range_t *ranges = calloc(count + 1, sizeof *ranges);
    l7s_run_t run = {0, 0};

    if (ranges == NULL) {
        builder->failed = true;
        return run;
    }
    run.count = (uint32_t)l7s_cidrset_build(networks, count, ranges);
    run.first = l7s_builder_add(builder, L7S_SECTION_RANGES, ranges, run.count);
    free(ranges);
    return run;
}

static size_t copy_entries(compiler_t *compiler, const l7s_list_t *list, l7s_cidr_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < list->entry_count; i++) {
        if (in_force(compiler, list->entries[i].expires_ms)) {
            out[count++] = list->entries[i].network;
        }
    }
    return count;
}

static void compile_list(compiler_t *compiler, const l7s_list_t *list,
                         l7s_cidr_t *scratch)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_image_list_t out = {.effect = list->effect};
    size_t count = copy_entries(compiler, list, scratch);

    out.name = l7s_builder_text(builder, list->name);
    out.ranges = add_ranges(builder, scratch, count);
    if (list->effect != L7S_EFFECT_NONE) {
        out.apps = add_app_refs(compiler, &list->apps);
        builder->head.app_lists |= list->apps.count > 0;
    }
    l7s_builder_add(builder, L7S_SECTION_LISTS, &out, 1);
}

static void compile_lists(compiler_t *compiler)
{
    const l7s_config_t *config = compiler->config;
    size_t total = 1, count = 0;
    l7s_cidr_t *scratch;

    for (size_t i = 0; i < config->list_count; i++) {
        total += config->lists[i].entry_count;
    }
    scratch = calloc(total, sizeof *scratch);
    if (scratch == NULL) {
        compiler->builder.failed = true;
        return;
    }
    for (size_t i = 0; i < config->list_count; i++) {
        compile_list(compiler, &config->lists[i], scratch);
    }
    for (size_t i = 0; i < config->list_count; i++) {
        if (config->lists[i].effect != L7S_EFFECT_NONE) {
            count += copy_entries(compiler, &config->lists[i], scratch + count);
        }
    }
    compiler->builder.head.listed = add_ranges(&compiler->builder, scratch, count);
    free(scratch);
}

static l7s_run_t add_list_refs(compiler_t *compiler, const l7s_strings_t *names)
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < names->count; i++) {
        for (uint32_t k = 0; k < compiler->config->list_count; k++) {
            if (strcmp(compiler->config->lists[k].name, names->items[i]) == 0) {
                uint32_t at =
                    l7s_builder_add(&compiler->builder, L7S_SECTION_REFS, &k, 1);
                run.first = run.count++ == 0 ? at : run.first;
                break;
            }
        }
    }
    return run;
}

/* --- matches --- */

static l7s_run_t add_conditions(l7s_builder_t *builder, const l7s_match_t *match)
{
    l7s_run_t run = {
        l7s_builder_add(builder, L7S_SECTION_CONDITIONS, NULL, match->header_count),
        (uint32_t)match->header_count};

    for (uint32_t i = 0; i < run.count; i++) {
        const l7s_header_match_t *from = &match->headers[i];
        l7s_condition_t condition = {.header = header_index(builder, from->name),
                                     .is = from->is};
        condition.values = add_texts(builder, &from->values, NULL);
        if (!builder->failed) {
            *(l7s_condition_t *)l7s_builder_at(builder, L7S_SECTION_CONDITIONS,
                                               run.first + i) = condition;
        }
    }
    return run;
}

static void add_client(compiler_t *compiler, const l7s_match_t *match,
                       l7s_image_match_t *out)
{
    l7s_cidr_t *networks;

    out->has_client = match->has_client;
    if (!match->has_client) {
        return;
    }
    out->lists = add_list_refs(compiler, &match->client_lists);
    networks = calloc(match->network_count + 1, sizeof *networks);
    if (networks == NULL) {
        compiler->builder.failed = true;
        return;
    }
    if (match->network_count > 0) {
        memcpy(networks, match->networks, match->network_count * sizeof *networks);
    }
    out->ranges = add_ranges(&compiler->builder, networks, match->network_count);
    free(networks);
}

/* What the index cannot tell about a policy's own match. */
static l7s_image_match_t compile_rest(compiler_t *compiler, const l7s_match_t *match)
{
    l7s_image_match_t out = {0};

    out.paths = add_texts(&compiler->builder, &match->paths, l7s_index_is_complex);
    out.conditions = add_conditions(&compiler->builder, match);
    add_client(compiler, match, &out);
    return out;
}

/* An exception is not in the index: everything in it is looked at. */
static l7s_image_match_t compile_whole(compiler_t *compiler, const l7s_match_t *match)
{
    l7s_image_match_t out = {0};

    out.apps = add_app_refs(compiler, &match->apps);
    out.hosts = add_texts(&compiler->builder, &match->hosts, NULL);
    out.methods = add_texts(&compiler->builder, &match->methods, NULL);
    out.paths = add_texts(&compiler->builder, &match->paths, NULL);
    out.conditions = add_conditions(&compiler->builder, match);
    add_client(compiler, match, &out);
    return out;
}

/* --- policies --- */

static uint32_t compile_spec(l7s_builder_t *builder, const l7s_policy_t *policy)
{
    uint32_t count = l7s_builder_count(builder, L7S_SECTION_SPECS);
    l7s_spec_t spec = {.part_count = (uint8_t)policy->by_count};

    for (unsigned i = 0; i < policy->by_count; i++) {
        spec.parts[i] = (uint8_t)policy->by[i].part;
        /* Only what changes the tuple may tell two specs apart. */
        if (policy->by[i].part == L7S_PART_NETWORK) {
            spec.ipv4_prefix = policy->ipv4_prefix;
            spec.ipv6_prefix = policy->ipv6_prefix;
        } else if (policy->by[i].part == L7S_PART_HEADER) {
            spec.when_absent = (uint8_t)policy->when_absent;
            spec.headers[i] = header_index(builder, policy->by[i].name);
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

static bool counts_by(const l7s_policy_t *policy, l7s_part_t part)
{
    return policy->by_count == 1 && policy->by[0].part == part;
}

static l7s_run_t compile_limits(compiler_t *compiler, const l7s_policy_t *policy)
{
    l7s_run_t run = {l7s_builder_count(&compiler->builder, L7S_SECTION_LIMITS),
                     (uint32_t)policy->rate_count};

    for (unsigned i = 0; i < policy->rate_count; i++) {
        l7s_image_limit_t limit = {.rate = policy->rates[i],
                                   .fleet = policy->fleet,
                                   .by_client = counts_by(policy, L7S_PART_CLIENT),
                                   .by_network = counts_by(policy, L7S_PART_NETWORK),
                                   .ipv4_prefix = policy->ipv4_prefix,
                                   .ipv6_prefix = policy->ipv6_prefix};
        limit.identity = l7s_limit_identity(compiler->count_key, policy->name,
                                            policy->spec != NULL ? policy->spec : "", i);
        limit.id = (uint32_t)limit.identity.lo;
        limit.id = limit.id == 0 ? 1 : limit.id;
        l7s_builder_add(&compiler->builder, L7S_SECTION_LIMITS, &limit, 1);
    }
    return run;
}

static void compile_matches(compiler_t *compiler, const l7s_policy_t *policy,
                            l7s_image_policy_t *out)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_image_match_t match = compile_rest(compiler, &policy->match);

    out->match = l7s_builder_add(builder, L7S_SECTION_MATCHES, &match, 1);
    out->except.count = (uint32_t)policy->except_count;
    out->except.first =
        l7s_builder_add(builder, L7S_SECTION_MATCHES, NULL, policy->except_count);
    for (uint32_t i = 0; i < policy->except_count; i++) {
        match = compile_whole(compiler, &policy->except[i]);
        if (!builder->failed) {
            *(l7s_image_match_t *)l7s_builder_at(builder, L7S_SECTION_MATCHES,
                                                 out->except.first + i) = match;
        }
    }
    out->closer = policy->except_count > 0 || policy->match.header_count > 0 ||
                  policy->match.has_client;
}

static l7s_image_policy_t describe_policy(compiler_t *compiler,
                                          const l7s_policy_t *policy)
{
    l7s_image_policy_t out = {
        .name = l7s_builder_text(&compiler->builder, policy->name),
        .response = l7s_builder_text(&compiler->builder, policy->response),
        .limits = compile_limits(compiler, policy),
        .spec = compile_spec(&compiler->builder, policy),
        .stats_row = compiler->stats != NULL
                         ? l7s_stats_row(compiler->stats, policy->name)
                         : L7S_STATS_ROWS - 1,
        .ban_seconds = policy->ban_seconds,
        .status = policy->status,
        .action = (uint8_t)policy->action,
        .mode = (uint8_t)policy->mode,
        .rollout = (uint8_t)policy->rollout_percent,
    };
    out.identity = l7s_limit_identity(compiler->count_key, policy->name,
                                      policy->spec != NULL ? policy->spec : "", 0);
    compile_matches(compiler, policy, &out);
    return out;
}

static void index_policy(compiler_t *compiler, uint32_t bit, const l7s_policy_t *policy)
{
    l7s_builder_t *builder = &compiler->builder;
    const l7s_match_t *match = &policy->match;
    l7s_run_t apps = add_app_refs(compiler, &match->apps);

    l7s_index_add(&compiler->index, bit, &match->methods, &match->hosts, &match->paths);
    if (match->apps.count == 0) {
        l7s_builder_set_bit(builder, builder->head.any_app, bit);
    }
    for (uint32_t i = 0; i < apps.count && !builder->failed; i++) {
        const uint32_t *ref = l7s_builder_at(builder, L7S_SECTION_REFS, apps.first + i);
        const l7s_image_app_t *app = l7s_builder_at(builder, L7S_SECTION_APPS, *ref);
        l7s_builder_set_bit(builder, app->set, bit);
    }
}

/* A policy that is off keeps its record and its limits (turning it on again goes on with
 * the same counters) but is in no set. */
static void compile_policies(compiler_t *compiler)
{
    l7s_builder_t *builder = &compiler->builder;

    for (uint32_t i = 0; i < compiler->policy_count; i++) {
        const l7s_policy_t *policy = compiler->policies[i];
        l7s_image_policy_t record = describe_policy(compiler, policy);
        l7s_builder_add(builder, L7S_SECTION_POLICIES, &record, 1);
        l7s_draft_add(builder, &compiler->policy_names, policy->name,
                      strlen(policy->name), i, false);
        if (policy->mode != L7S_MODE_OFF) {
            index_policy(compiler, i, policy);
        }
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

static void compile_responses(compiler_t *compiler)
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

static bool choose_policies(compiler_t *compiler)
{
    const l7s_config_t *config = compiler->config;

    compiler->policies = calloc(config->policy_count + 1, sizeof *compiler->policies);
    if (compiler->policies == NULL) {
        return false;
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        if (in_force(compiler, config->policies[i].expires_ms)) {
            compiler->policies[compiler->policy_count++] = &config->policies[i];
        }
    }
    return true;
}

static void compile_all(compiler_t *compiler, uint64_t revision)
{
    l7s_image_t *head = &compiler->builder.head;
    uint32_t bits = compiler->policy_count + (uint32_t)compiler->config->app_count;

    head->revision = revision;
    head->count_key = *compiler->count_key;
    head->declared_apps = (uint32_t)compiler->config->app_count;
    head->words = bits == 0 ? 1 : (bits + 63) / 64;
    l7s_index_begin(&compiler->index, &compiler->builder);
    compile_apps(compiler);
    compile_lists(compiler);
    compile_policies(compiler);
    finish_apps(compiler);
    l7s_index_finish(&compiler->index);
    index_limits(&compiler->builder);
    compile_responses(compiler);
}

l7s_status_t l7s_image_compile(const l7s_config_t *config, const l7s_hashkey_t *count_key,
                               uint64_t revision, uint64_t now_ms,
                               const l7s_stats_t *stats, void *memory, size_t capacity,
                               size_t *size, uint64_t *next_expiry_ms)
{
    compiler_t compiler = {
        .config = config, .count_key = count_key, .stats = stats, .now_ms = now_ms};
    l7s_status_t status = L7S_NO_MEMORY;

    *size = SIZE_MAX;
    *next_expiry_ms = 0;
    l7s_builder_begin(&compiler.builder);
    if (choose_policies(&compiler)) {
        if (compiler.policy_count > L7S_POLICIES_MAX ||
            config->app_count > L7S_APPS_MAX) {
            status = L7S_TOO_BIG;
        } else {
            compile_all(&compiler, revision);
            status = l7s_builder_finish(&compiler.builder, memory, capacity, size);
        }
    }
    *next_expiry_ms = compiler.next_expiry_ms;
    l7s_builder_end(&compiler.builder);
    free(compiler.policies);
    return status;
}
