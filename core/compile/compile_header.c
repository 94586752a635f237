/* SPDX-License-Identifier: Apache-2.0
 *
 * Conditions of policies to tests of the index. Sorted by what they require, equal ones
 * stand together and become one condition; sorted by bit, those of one word become one
 * test.
 */
#include "../pairs.h"
#include "compiler.h"

#include <stdlib.h>
#include <string.h>

typedef struct {
    const l7s_header_match_t *match;
    uint32_t bit;
} want_t;

void l7s_header_begin(l7s_header_draft_t *draft, l7s_builder_t *builder,
                      l7s_pattern_draft_t *patterns, const l7s_config_t *config)
{
    memset(draft, 0, sizeof *draft);
    draft->builder = builder;
    draft->patterns = patterns;
    draft->config = config;
}

void l7s_header_add(l7s_header_draft_t *draft, uint32_t bit,
                    const l7s_header_match_t *match)
{
    want_t want = {match, bit};

    if (!l7s_vector_reserve(&draft->wants, sizeof want, 1)) {
        draft->builder->failed = true;
        return;
    }
    ((want_t *)draft->wants.items)[draft->wants.count++] = want;
}

uint32_t l7s_field_index(l7s_header_draft_t *draft, l7s_field_t field, const char *name)
{
    l7s_builder_t *builder = draft->builder;
    l7s_section_id_t section = l7s_section_of_field[field];
    uint32_t count = l7s_builder_count(builder, section), at;

    for (uint32_t i = 0; i < count && !builder->failed; i++) {
        const uint32_t *known = l7s_builder_at(builder, section, i);
        if (strcmp(l7s_builder_at(builder, L7S_SECTION_TEXT, *known), name) == 0) {
            return i;
        }
    }
    if (field != L7S_FIELD_HEADER) {
        l7s_draft_add(builder, &draft->names[field], name, strlen(name), count, false);
    }
    at = l7s_builder_text(builder, name);
    return l7s_builder_add(builder, section, &at, 1);
}

l7s_condition_t l7s_header_condition(l7s_header_draft_t *draft,
                                     const l7s_header_match_t *match)
{
    static const char *const subjects[L7S_FIELDS] = {"header", "query", "cookie"};
    l7s_condition_t condition = {.header =
                                     l7s_field_index(draft, match->field, match->name),
                                 .is = match->is,
                                 .field = match->field};

    condition.list = l7s_compiler_list_index(draft->config, match->list);
    if (match->is == L7S_IS_REGEX) {
        condition.subject =
            l7s_pattern_subject(draft->patterns, subjects[match->field], match->name);
        condition.values =
            l7s_pattern_refs(draft->patterns, condition.subject, &match->values);
    } else {
        condition.values = l7s_builder_texts(draft->builder, &match->values, NULL);
    }
    return condition;
}

static int by_values(const l7s_strings_t *a, const l7s_strings_t *b)
{
    if (a->count != b->count) {
        return a->count < b->count ? -1 : 1;
    }
    for (size_t i = 0; i < a->count; i++) {
        int order = strcmp(a->items[i], b->items[i]);
        if (order != 0) {
            return order;
        }
    }
    return 0;
}

static int by_condition(const l7s_header_match_t *a, const l7s_header_match_t *b)
{
    int order = strcmp(a->name, b->name);

    if (order == 0) {
        order = a->is < b->is ? -1 : a->is > b->is;
    }
    if (order == 0) {
        order = strcmp(a->list != NULL ? a->list : "", b->list != NULL ? b->list : "");
    }
    return order != 0 ? order : by_values(&a->values, &b->values);
}

static int by_want(const void *left, const void *right)
{
    const want_t *a = left, *b = right;
    int order = by_condition(a->match, b->match);

    return order != 0 ? order : a->bit < b->bit ? -1 : a->bit > b->bit;
}

/* The wants of one condition, ordered by bit. */
static void add_tests(l7s_builder_t *builder, uint32_t condition, const want_t *wants,
                      size_t count)
{
    for (size_t i = 0; i < count;) {
        l7s_test_t test = {.condition = condition, .word = wants[i].bit / 64};
        for (; i < count && wants[i].bit / 64 == test.word; i++) {
            test.policies |= 1ULL << wants[i].bit % 64;
        }
        l7s_builder_add(builder, L7S_SECTION_TESTS, &test, 1);
    }
}

static bool is_one_text(const l7s_condition_t *condition)
{
    return condition->is == L7S_IS_CONTAINS && condition->values.count == 1;
}

/* Pairs spread over the text, its first and its last among them. */
static void add_pairs(l7s_builder_t *builder, l7s_condition_t *condition)
{
    const uint32_t *ref =
        l7s_builder_at(builder, L7S_SECTION_REFS, condition->values.first);
    const char *text = l7s_builder_at(builder, L7S_SECTION_TEXT, *ref);
    size_t length = strlen(text);

    if (length >= 2) {
        for (size_t i = 0; i < L7S_CONDITION_PAIRS; i++) {
            size_t at = (length - 2) * i / (L7S_CONDITION_PAIRS - 1);
            condition->pairs[i] = l7s_pair_place(text + at);
        }
        condition->paired = 1;
    }
}

/* Noting the pairs of a value costs about as much as looking for four texts in it. */
#define PAIRS_PAY 4

/* Conditions from `first` on; those of one header and kind stand together. */
static void pair_conditions(l7s_builder_t *builder, uint32_t first)
{
    uint32_t end = l7s_builder_count(builder, L7S_SECTION_CONDITIONS), run;
    l7s_condition_t *conditions;

    if (builder->failed) {
        return;
    }
    conditions = l7s_builder_at(builder, L7S_SECTION_CONDITIONS, 0);
    for (uint32_t i = first; i < end; i += run) {
        for (run = 1; i + run < end; run++) {
            if (conditions[i + run].header != conditions[i].header ||
                is_one_text(&conditions[i + run]) != is_one_text(&conditions[i])) {
                break;
            }
        }
        for (uint32_t j = i; run >= PAIRS_PAY && j < i + run; j++) {
            if (is_one_text(&conditions[j])) {
                add_pairs(builder, &conditions[j]);
            }
        }
    }
}

/* Wants are in order of their header's name. */
static void tell_headers(l7s_image_t *head, const l7s_condition_t *condition)
{
    if (head->tested_headers == 0) {
        head->tested_header = condition->header;
        head->tested_headers = 1;
    } else if (head->tested_header != condition->header) {
        head->tested_header = L7S_NONE;
        head->tested_headers = 2;
    }
}

bool l7s_header_finish(l7s_header_draft_t *draft)
{
    l7s_builder_t *builder = draft->builder;
    want_t *wants = draft->wants.items;
    size_t count = draft->wants.count, run;
    uint32_t first = l7s_builder_count(builder, L7S_SECTION_CONDITIONS);

    builder->head.tested_header = L7S_NONE;
    if (count > 1) {
        qsort(wants, count, sizeof *wants, by_want);
    }
    for (size_t i = 0; i < count && !builder->failed; i += run) {
        l7s_condition_t condition = l7s_header_condition(draft, wants[i].match);
        uint32_t index = l7s_builder_add(builder, L7S_SECTION_CONDITIONS, &condition, 1);
        for (run = 1; i + run < count; run++) {
            if (by_condition(wants[i].match, wants[i + run].match) != 0) {
                break;
            }
        }
        add_tests(builder, index, &wants[i], run);
        tell_headers(&builder->head, &condition);
    }
    pair_conditions(builder, first);
    free(wants);
    builder->head.query_names = l7s_draft_names(builder, &draft->names[L7S_FIELD_QUERY]);
    builder->head.cookie_names =
        l7s_draft_names(builder, &draft->names[L7S_FIELD_COOKIE]);
    return l7s_builder_count(builder, L7S_SECTION_QUERIES) <= L7S_PAIRS_NAMES_MAX &&
           l7s_builder_count(builder, L7S_SECTION_COOKIES) <= L7S_PAIRS_NAMES_MAX;
}
