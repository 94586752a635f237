/* SPDX-License-Identifier: Apache-2.0
 *
 * Lists and other sets of networks in an image, as far as they are in force now: networks
 * become sorted ranges, strings a hash table of their digests.
 */
#include "../image/cidrset.h"
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

l7s_ranges_t l7s_compiler_ranges(l7s_compiler_t *compiler, l7s_cidr_t *networks,
                                 size_t count)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_addr_range_t *ranges = calloc(count + 1, sizeof *ranges);
    l7s_range4_t *fours = calloc(count + 1, sizeof *fours);
    l7s_ranges_t out = {{0, 0}, {0, 0}};

    if (ranges == NULL || fours == NULL) {
        builder->failed = true;
    } else {
        count = l7s_cidrset_build(networks, count, ranges);
        out.v4.count = (uint32_t)l7s_cidrset_split4(ranges, count, fours);
        out.v6.count = (uint32_t)count - out.v4.count;
        out.v4.first = l7s_builder_add(builder, L7S_SECTION_RANGES4, fours, out.v4.count);
        out.v6.first = l7s_builder_add(builder, L7S_SECTION_RANGES6,
                                       ranges + out.v4.count, out.v6.count);
    }
    free(ranges);
    free(fours);
    return out;
}

static size_t copy_entries(l7s_compiler_t *compiler, const l7s_list_t *list,
                           l7s_cidr_t *out)
{
    size_t count = 0;

    for (size_t i = 0; i < list->entry_count && list->kind == L7S_LIST_ADDRESSES; i++) {
        if (l7s_compiler_in_force(compiler, list->entries[i].expires_ms)) {
            out[count++] = list->entries[i].network;
        }
    }
    return count;
}

static int by_code(const void *left, const void *right)
{
    const uint32_t *a = left, *b = right;

    return (*a > *b) - (*a < *b);
}

l7s_run_t l7s_compiler_codes(l7s_compiler_t *compiler, uint32_t *codes, size_t count)
{
    l7s_run_t run = {0, (uint32_t)count};

    if (count > 1) {
        qsort(codes, count, sizeof *codes, by_code);
    }
    run.first = l7s_builder_add(&compiler->builder, L7S_SECTION_REFS, codes, count);
    return run;
}

/* Of a list of countries or ASNs. */
static l7s_run_t compile_codes(l7s_compiler_t *compiler, const l7s_list_t *list)
{
    uint32_t *codes = calloc(list->entry_count + 1, sizeof *codes);
    l7s_run_t run = {0, 0};
    size_t count = 0;

    if (codes == NULL) {
        compiler->builder.failed = true;
        return run;
    }
    for (size_t i = 0; i < list->entry_count; i++) {
        if (list->entries[i].code != 0 &&
            l7s_compiler_in_force(compiler, list->entries[i].expires_ms)) {
            codes[count++] = list->entries[i].code;
        }
    }
    run = l7s_compiler_codes(compiler, codes, count);
    free(codes);
    return run;
}

static bool is_of_origins(const l7s_list_t *list)
{
    return list->kind == L7S_LIST_COUNTRIES || list->kind == L7S_LIST_ASNS;
}

static void place_string(l7s_image_string_t *strings, uint32_t places,
                         l7s_image_string_t string)
{
    uint32_t place = (uint32_t)string.digest.lo & (places - 1);

    while ((strings[place].digest.lo | strings[place].digest.hi) != 0) {
        place = (place + 1) & (places - 1);
    }
    strings[place] = string;
}

static void add_string(l7s_compiler_t *compiler, const l7s_list_t *list,
                       const l7s_list_entry_t *entry, l7s_run_t run)
{
    l7s_image_string_t string = {.grants =
                                     l7s_compiler_grants(compiler, list->name, entry)};

    string.digest = l7s_siphash128(compiler->count_key, entry->text, strlen(entry->text));
    if (!compiler->builder.failed) {
        place_string(l7s_builder_at(&compiler->builder, L7S_SECTION_STRINGS, run.first),
                     run.count, string);
    }
}

/* At most half full. */
static l7s_run_t compile_strings(l7s_compiler_t *compiler, const l7s_list_t *list)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_run_t run = {0, 2};

    if (list->kind != L7S_LIST_STRINGS) {
        return (l7s_run_t){0, 0};
    }
    while (run.count < 2 * list->entry_count) {
        run.count *= 2;
    }
    run.first = l7s_builder_add(builder, L7S_SECTION_STRINGS, NULL, run.count);
    for (size_t i = 0; i < list->entry_count && !builder->failed; i++) {
        if (l7s_compiler_in_force(compiler, list->entries[i].expires_ms)) {
            add_string(compiler, list, &list->entries[i], run);
        }
    }
    return run;
}

static void compile_list(l7s_compiler_t *compiler, const l7s_list_t *list,
                         l7s_cidr_t *scratch)
{
    l7s_builder_t *builder = &compiler->builder;
    l7s_image_list_t out = {.effect = list->effect, .kind = list->kind};
    size_t count = copy_entries(compiler, list, scratch);

    out.name = l7s_builder_text(builder, list->name);
    out.ranges = l7s_compiler_ranges(compiler, scratch, count);
    out.strings = compile_strings(compiler, list);
    if (is_of_origins(list)) {
        out.codes = compile_codes(compiler, list);
        builder->head.origin_lists |= list->effect != L7S_EFFECT_NONE;
        builder->head.needs_origin |= list->effect != L7S_EFFECT_NONE;
    }
    if (list->effect != L7S_EFFECT_NONE) {
        out.apps = l7s_compiler_app_refs(compiler, &list->apps);
        builder->head.app_lists |= list->apps.count > 0;
    }
    l7s_builder_add(builder, L7S_SECTION_LISTS, &out, 1);
}

/* The union of all lists that do something by themselves; of one list it is the list. */
static void unite_lists(l7s_compiler_t *compiler, l7s_cidr_t *scratch)
{
    const l7s_config_t *config = compiler->config;
    l7s_builder_t *builder = &compiler->builder;
    size_t count = 0, lists = 0, last = 0;

    for (size_t i = 0; i < config->list_count; i++) {
        if (config->lists[i].effect != L7S_EFFECT_NONE &&
            config->lists[i].kind == L7S_LIST_ADDRESSES) {
            count += copy_entries(compiler, &config->lists[i], scratch + count);
            last = i;
            lists++;
        }
    }
    if (lists == 1 && !builder->failed) {
        const l7s_image_list_t *list =
            l7s_builder_at(builder, L7S_SECTION_LISTS, (uint32_t)last);
        builder->head.listed = list->ranges;
    } else {
        builder->head.listed = l7s_compiler_ranges(compiler, scratch, count);
    }
}

void l7s_compiler_add_lists(l7s_compiler_t *compiler)
{
    const l7s_config_t *config = compiler->config;
    size_t total = 1;
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
    unite_lists(compiler, scratch);
    free(scratch);
}

uint32_t l7s_compiler_list_index(const l7s_config_t *config, const char *name)
{
    for (size_t i = 0; i < config->list_count && name != NULL; i++) {
        if (strcmp(config->lists[i].name, name) == 0) {
            return (uint32_t)i;
        }
    }
    return L7S_NONE;
}

static const l7s_list_t *find_list(const l7s_compiler_t *compiler, const char *name)
{
    uint32_t index = l7s_compiler_list_index(compiler->config, name);

    return index != L7S_NONE ? &compiler->config->lists[index] : NULL;
}

bool l7s_compiler_asks_origin(const l7s_compiler_t *compiler, const l7s_match_t *match)
{
    bool asks = match->country_count + match->asn_count > 0;

    for (size_t i = 0; i < match->client_lists.count && !asks; i++) {
        const l7s_list_t *list = find_list(compiler, match->client_lists.items[i]);
        asks = list != NULL && is_of_origins(list);
    }
    return asks;
}

l7s_run_t l7s_compiler_list_refs(l7s_compiler_t *compiler, const l7s_strings_t *names)
{
    l7s_run_t run = {0, 0};

    for (size_t i = 0; i < names->count; i++) {
        const l7s_list_t *list = find_list(compiler, names->items[i]);
        if (list != NULL) {
            uint32_t at = (uint32_t)(list - compiler->config->lists);
            at = l7s_builder_add(&compiler->builder, L7S_SECTION_REFS, &at, 1);
            run.first = run.count++ == 0 ? at : run.first;
        }
    }
    return run;
}

size_t l7s_compiler_count_clients(const l7s_compiler_t *compiler,
                                  const l7s_match_t *match)
{
    size_t count = match->network_count;

    for (size_t i = 0; i < match->client_lists.count; i++) {
        const l7s_list_t *list = find_list(compiler, match->client_lists.items[i]);
        count += list != NULL ? list->entry_count : 0;
    }
    return count;
}

size_t l7s_compiler_copy_clients(l7s_compiler_t *compiler, const l7s_match_t *match,
                                 l7s_cidr_t *out)
{
    size_t count = match->network_count;

    if (count > 0) {
        memcpy(out, match->networks, count * sizeof *out);
    }
    for (size_t i = 0; i < match->client_lists.count; i++) {
        const l7s_list_t *list = find_list(compiler, match->client_lists.items[i]);
        count += list != NULL ? copy_entries(compiler, list, out + count) : 0;
    }
    return count;
}
