/* SPDX-License-Identifier: Apache-2.0
 *
 * Matches in an image. A policy's own match is filed in the index as far as that can tell
 * (methods, hosts, paths, apps, headers, networks); the rest, and every exception,
 * becomes a record that is looked at.
 */
#include "../image/cidrset.h"
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

/* What cannot be told by a header alone is looked at in any case; the headers of a
 * policy's own match are in the index. */
static l7s_run_t add_conditions(l7s_compiler_t *compiler, const l7s_match_t *match,
                                size_t headers)
{
    l7s_builder_t *builder = &compiler->builder;
    size_t count = headers + match->pair_count;
    l7s_run_t run = {l7s_builder_add(builder, L7S_SECTION_CONDITIONS, NULL, count),
                     (uint32_t)count};

    for (uint32_t i = 0; i < run.count; i++) {
        const l7s_header_match_t *from =
            i < headers ? &match->headers[i] : &match->pairs[i - headers];
        l7s_condition_t condition = l7s_header_condition(&compiler->headers, from);
        if (!builder->failed) {
            *(l7s_condition_t *)l7s_builder_at(builder, L7S_SECTION_CONDITIONS,
                                               run.first + i) = condition;
        }
    }
    return run;
}

static void add_client(l7s_compiler_t *compiler, const l7s_match_t *match,
                       l7s_image_match_t *out)
{
    l7s_cidr_t *networks;

    out->has_client = match->has_client;
    if (!match->has_client) {
        return;
    }
    out->lists = l7s_compiler_list_refs(compiler, &match->client_lists);
    out->countries = l7s_compiler_codes(compiler, match->countries, match->country_count);
    out->asns = l7s_compiler_codes(compiler, match->asns, match->asn_count);
    compiler->builder.head.needs_origin |= l7s_compiler_asks_origin(compiler, match);
    networks = calloc(match->network_count + 1, sizeof *networks);
    if (networks == NULL) {
        compiler->builder.failed = true;
        return;
    }
    if (match->network_count > 0) {
        memcpy(networks, match->networks, match->network_count * sizeof *networks);
    }
    out->ranges = l7s_compiler_ranges(compiler, networks, match->network_count);
    free(networks);
}

static l7s_run_t add_patterns(l7s_compiler_t *compiler, const l7s_match_t *match)
{
    l7s_pattern_draft_t *draft = &compiler->patterns;
    l7s_run_t none = {0, 0};

    if (match->patterns.count == 0) {
        return none;
    }
    compiler->builder.head.path_subject = l7s_pattern_subject(draft, "path", "");
    return l7s_pattern_refs(draft, compiler->builder.head.path_subject, &match->patterns);
}

l7s_image_match_t l7s_compiler_rest(l7s_compiler_t *compiler, const l7s_match_t *match)
{
    l7s_image_match_t out = {0};

    out.paths =
        l7s_builder_texts(&compiler->builder, &match->paths, l7s_index_is_complex);
    out.patterns = add_patterns(compiler, match);
    out.conditions = add_conditions(compiler, match, 0);
    add_client(compiler, match, &out);
    return out;
}

l7s_image_match_t l7s_compiler_whole(l7s_compiler_t *compiler, const l7s_match_t *match)
{
    l7s_image_match_t out = {0};

    out.apps = l7s_compiler_app_refs(compiler, &match->apps);
    out.hosts = l7s_builder_texts(&compiler->builder, &match->hosts, NULL);
    out.methods = l7s_builder_texts(&compiler->builder, &match->methods, NULL);
    out.paths = l7s_builder_texts(&compiler->builder, &match->paths, NULL);
    out.conditions = add_conditions(compiler, match, match->header_count);
    out.patterns = add_patterns(compiler, match);
    add_client(compiler, match, &out);
    return out;
}

/* --- the index --- */

static void file_apps(l7s_compiler_t *compiler, uint32_t bit, const l7s_strings_t *names)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_run_t apps = l7s_compiler_app_refs(compiler, names);

    if (names->count == 0) {
        l7s_builder_set_bit(builder, builder->head.any_app, bit);
    }
    for (uint32_t i = 0; i < apps.count && !builder->failed; i++) {
        const uint32_t *ref = l7s_builder_at(builder, L7S_SECTION_REFS, apps.first + i);
        const l7s_image_app_t *app = l7s_builder_at(builder, L7S_SECTION_APPS, *ref);
        l7s_builder_set_bit(builder, app->set, bit);
    }
}

/* Networks that are few enough are cut into the index' intervals. */
static bool cut_client(l7s_compiler_t *compiler, uint32_t bit, const l7s_match_t *match,
                       size_t count)
{
    l7s_cidr_t *networks = calloc(count + 1, sizeof *networks);
    l7s_addr_range_t *ranges = calloc(count + 1, sizeof *ranges);
    bool cut = false;

    if (networks == NULL || ranges == NULL) {
        compiler->builder.failed = true;
    } else {
        count = l7s_compiler_copy_clients(compiler, match, networks);
        count = l7s_cidrset_build(networks, count, ranges);
        cut = l7s_client_add(&compiler->clients, bit, ranges, count);
    }
    free(networks);
    free(ranges);
    return cut;
}

static bool file_client(l7s_compiler_t *compiler, uint32_t bit, const l7s_match_t *match)
{
    size_t count = match->has_client ? l7s_compiler_count_clients(compiler, match) : 0;

    if (!match->has_client || count > compiler->clients.room ||
        l7s_compiler_asks_origin(compiler, match)) {
        l7s_client_add_any(&compiler->clients, bit);
        return !match->has_client;
    }
    return cut_client(compiler, bit, match, count);
}

uint8_t l7s_compiler_file(l7s_compiler_t *compiler, uint32_t bit,
                          const l7s_match_t *match)
{
    l7s_index_add(&compiler->index, bit, &match->methods, &match->hosts, &match->paths);
    file_apps(compiler, bit, &match->apps);
    for (size_t i = 0; i < match->header_count; i++) {
        l7s_header_add(&compiler->headers, bit, &match->headers[i]);
    }
    return (uint8_t)((file_client(compiler, bit, match) ? 0 : L7S_CLOSER_CLIENT) |
                     (match->patterns.count > 0 ? L7S_CLOSER_PATTERN : 0) |
                     (match->pair_count > 0 ? L7S_CLOSER_PAIRS : 0));
}
