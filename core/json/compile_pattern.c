/* SPDX-License-Identifier: Apache-2.0
 *
 * The only file of core that calls Hyperscan's compiler. It compiles for the least
 * processor that the library runs on, so that a database is good on every machine that
 * the node's memory may be moved to.
 *
 * The compiler takes long for what counts far, like (.{1,100}a){100}: counted repeats may
 * unfold to REPEATS_MAX items, which keeps what is accepted to about a tenth of a second
 * and what the library itself finds too large below one.
 */
#include "compile_pattern.h"

#include "../image/pattern.h"

#include <ctype.h>
#include <hs/hs_compile.h>
#include <hs/hs_runtime.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A dot is any byte, or a newline in a path would hide what is behind it. One hit of a
 * pattern is enough. */
#define FLAGS (HS_FLAG_DOTALL | HS_FLAG_SINGLEMATCH)

#define REPEATS_MAX 1000
#define DEPTH_MAX 32

typedef struct {
    const char *text; /* borrowed */
    uint32_t subject;
} pattern_t;

typedef struct {
    const char *kind, *name; /* borrowed */
} subject_t;

/* --- one pattern --- */

/* How much the items of a pattern unfold to, each group within the one before. */
typedef struct {
    const char *at;
    unsigned depth;
    uint64_t last;                /* of the item that a repeat would repeat */
    uint64_t sums[DEPTH_MAX + 1]; /* of the items before it, by depth */
} unfold_t;

static void add_item(unfold_t *unfold, uint64_t weight)
{
    unfold->sums[unfold->depth] += unfold->last;
    unfold->last = weight;
}

/* Behind "[": to the bracket that ends the class. */
static void skip_class(unfold_t *unfold)
{
    const char *at = unfold->at;

    at += *at == '^';
    at += *at == ']';
    while (*at != '\0' && *at != ']') {
        at += *at == '\\' && at[1] != '\0' ? 2 : 1;
    }
    unfold->at = at + (*at == ']');
}

/* Behind "{": the larger bound; 1 when it is no repeat. */
static uint64_t read_repeat(unfold_t *unfold)
{
    const char *at = unfold->at;
    uint64_t bounds[2] = {0, 0};
    unsigned which = 0;

    for (; isdigit((unsigned char)*at) || (*at == ',' && which == 0); at++) {
        if (*at == ',') {
            which = 1;
        } else if (bounds[which] <= REPEATS_MAX) {
            bounds[which] = bounds[which] * 10 + (uint64_t)(*at - '0');
        }
    }
    if (*at != '}') {
        return 1;
    }
    unfold->at = at + 1;
    return bounds[0] > bounds[1] ? bounds[0] : bounds[1];
}

static void close_group(unfold_t *unfold)
{
    uint64_t weight = unfold->sums[unfold->depth] + unfold->last;

    if (unfold->depth > 0) {
        unfold->depth--;
        unfold->last = weight;
    }
}

/* False: deeper than anybody writes, or too much. */
static bool unfold_item(unfold_t *unfold)
{
    switch (*unfold->at++) {
    case '\\':
        unfold->at += *unfold->at != '\0';
        add_item(unfold, 1);
        break;
    case '[':
        skip_class(unfold);
        add_item(unfold, 1);
        break;
    case '(':
        add_item(unfold, 0);
        if (unfold->depth == DEPTH_MAX) {
            return false;
        }
        unfold->sums[++unfold->depth] = 0;
        break;
    case ')':
        close_group(unfold);
        break;
    case '{':
        unfold->last *= read_repeat(unfold);
        break;
    default:
        add_item(unfold, 1);
    }
    return unfold->last <= REPEATS_MAX && unfold->sums[unfold->depth] <= REPEATS_MAX;
}

static bool counts_too_far(const char *pattern)
{
    unfold_t unfold = {.at = pattern};

    while (*unfold.at != '\0') {
        if (!unfold_item(&unfold)) {
            return true;
        }
    }
    return false;
}

/* Of the patterns from `texts`; `error` is filled when one of them is refused. */
static hs_error_t compile(const char *const *texts, const unsigned *ids, unsigned count,
                          hs_database_t **out, char *error, size_t capacity)
{
    const hs_platform_info_t any = {0};
    hs_compile_error_t *refused = NULL;
    unsigned *flags = calloc(count, sizeof *flags);
    hs_error_t result = HS_NOMEM;

    *out = NULL;
    if (flags != NULL) {
        for (unsigned i = 0; i < count; i++) {
            flags[i] = FLAGS;
        }
        result = hs_compile_multi(texts, flags, ids, count, HS_MODE_BLOCK, &any, out,
                                  &refused);
    }
    if (refused != NULL && error != NULL) {
        snprintf(error, capacity, "%s", refused->message);
    }
    (void)hs_free_compile_error(refused);
    free(flags);
    return result;
}

bool l7s_pattern_error(const char *pattern, char *out, size_t capacity)
{
    const unsigned id = 0;
    hs_expr_info_t *info = NULL;
    hs_compile_error_t *refused = NULL;
    hs_database_t *database = NULL;
    char reason[192] = "";
    bool empty;

    if (counts_too_far(pattern)) {
        snprintf(out, capacity,
                 "this pattern counts too far: its repeats and groups may unfold to at "
                 "most %d items",
                 REPEATS_MAX);
        return true;
    }
    empty = hs_expression_info(pattern, FLAGS, &info, &refused) == HS_SUCCESS &&
            info->min_width == 0;
    free(info);
    (void)hs_free_compile_error(refused);
    if (compile(&pattern, &id, 1, &database, reason, sizeof reason) == HS_SUCCESS) {
        (void)hs_free_database(database);
        return false;
    }
    if (empty) {
        snprintf(out, capacity,
                 "this pattern is found in every text, for it also takes an empty one");
    } else {
        snprintf(out, capacity, "the pattern is refused: %s", reason);
    }
    return true;
}

/* --- the draft --- */

void l7s_pattern_begin(l7s_pattern_draft_t *draft, l7s_builder_t *builder)
{
    memset(draft, 0, sizeof *draft);
    draft->builder = builder;
}

uint32_t l7s_pattern_subject(l7s_pattern_draft_t *draft, const char *kind,
                             const char *name)
{
    const subject_t *known = draft->subjects.items;
    const subject_t subject = {kind, name};

    for (uint32_t i = 0; i < draft->subjects.count; i++) {
        if (strcmp(known[i].kind, kind) == 0 && strcmp(known[i].name, name) == 0) {
            return i;
        }
    }
    if (draft->subjects.count == L7S_SUBJECTS_MAX) {
        draft->overflow = true;
        return 0;
    }
    if (!l7s_vector_reserve(&draft->subjects, sizeof subject, 1)) {
        draft->builder->failed = true;
        return 0;
    }
    ((subject_t *)draft->subjects.items)[draft->subjects.count] = subject;
    return (uint32_t)draft->subjects.count++;
}

/* The number of a pattern, given when it is new. */
static uint32_t number_of(l7s_pattern_draft_t *draft, uint32_t subject, const char *text)
{
    const pattern_t *known = draft->patterns.items;
    const pattern_t pattern = {text, subject};

    for (uint32_t i = 0; i < draft->patterns.count; i++) {
        if (known[i].subject == subject && strcmp(known[i].text, text) == 0) {
            return i;
        }
    }
    if (!l7s_vector_reserve(&draft->patterns, sizeof pattern, 1)) {
        draft->builder->failed = true;
        return 0;
    }
    ((pattern_t *)draft->patterns.items)[draft->patterns.count] = pattern;
    return (uint32_t)draft->patterns.count++;
}

l7s_run_t l7s_pattern_refs(l7s_pattern_draft_t *draft, uint32_t subject,
                           const l7s_strings_t *patterns)
{
    l7s_run_t run = {0, (uint32_t)patterns->count};

    run.first = l7s_builder_count(draft->builder, L7S_SECTION_REFS);
    for (size_t i = 0; i < patterns->count; i++) {
        uint32_t number = number_of(draft, subject, patterns->items[i]);
        l7s_builder_add(draft->builder, L7S_SECTION_REFS, &number, 1);
    }
    return run;
}

/* --- databases --- */

/* A compiled database lies as its own memory happens to lie; in an image it lies at a
 * multiple of L7S_DATABASE_ALIGNMENT, so it is written once more at such a place. */
static l7s_status_t add_database(l7s_pattern_draft_t *draft, hs_database_t *compiled)
{
    l7s_builder_t *builder = draft->builder;
    l7s_subject_t subject = {0};
    size_t length = 0, size = 0, padded;
    char *bytes = NULL;
    void *placed = NULL;
    l7s_status_t status = L7S_NO_MEMORY;

    if (hs_serialize_database(compiled, &bytes, &length) != HS_SUCCESS ||
        hs_serialized_database_size(bytes, length, &size) != HS_SUCCESS) {
        goto out;
    }
    padded = (size + L7S_DATABASE_ALIGNMENT - 1) / L7S_DATABASE_ALIGNMENT *
             L7S_DATABASE_ALIGNMENT;
    placed = aligned_alloc(L7S_DATABASE_ALIGNMENT, padded);
    if (placed == NULL) {
        goto out;
    }
    memset(placed, 0, padded);
    if (hs_deserialize_database_at(bytes, length, placed) != HS_SUCCESS) {
        goto out;
    }
    subject.at = l7s_builder_add(builder, L7S_SECTION_PATTERNS, placed, padded);
    subject.size = (uint32_t)padded;
    l7s_builder_add(builder, L7S_SECTION_SUBJECTS, &subject, 1);
    status = L7S_OK;
out:
    free(placed);
    free(bytes);
    return status;
}

/* The patterns of one subject, their numbers as the database's. */
static l7s_status_t compile_subject(l7s_pattern_draft_t *draft, uint32_t subject,
                                    l7s_scratch_t *scratch)
{
    const pattern_t *patterns = draft->patterns.items;
    const char **texts = calloc(draft->patterns.count + 1, sizeof *texts);
    unsigned *ids = calloc(draft->patterns.count + 1, sizeof *ids), count = 0;
    hs_database_t *database = NULL;
    l7s_status_t status = L7S_NO_MEMORY;

    for (uint32_t i = 0; i < draft->patterns.count && texts != NULL && ids != NULL; i++) {
        if (patterns[i].subject == subject) {
            texts[count] = patterns[i].text;
            ids[count++] = i;
        }
    }
    if (texts != NULL && ids != NULL) {
        status = compile(texts, ids, count, &database, NULL, 0) == HS_SUCCESS
                     ? l7s_scratch_grow(scratch, database)
                     : L7S_INVALID;
    }
    if (status == L7S_OK) {
        status = add_database(draft, database);
    }
    (void)hs_free_database(database);
    free(texts);
    free(ids);
    return status;
}

static l7s_status_t compile_all(l7s_pattern_draft_t *draft)
{
    l7s_scratch_t *scratch = l7s_scratch_create();
    l7s_status_t status = scratch != NULL ? L7S_OK : L7S_NO_MEMORY;

    for (uint32_t i = 0; i < draft->subjects.count && status == L7S_OK; i++) {
        status = compile_subject(draft, i, scratch);
    }
    if (status == L7S_OK && l7s_scratch_size(scratch) > L7S_SCRATCH_MAX) {
        status = L7S_INVALID;
    }
    l7s_scratch_free(scratch);
    return status;
}

l7s_status_t l7s_pattern_finish(l7s_pattern_draft_t *draft)
{
    l7s_builder_t *builder = draft->builder;
    uint32_t size;
    l7s_status_t status = L7S_OK;

    if (draft->patterns.count > L7S_PATTERNS_MAX || draft->overflow) {
        status = L7S_INVALID;
    } else if (draft->patterns.count > 0 && !builder->failed) {
        status = compile_all(draft);
    }
    size = l7s_builder_count(builder, L7S_SECTION_PATTERNS);
    if (status == L7S_OK && size > 0 && !builder->failed) {
        builder->head.patterns = (uint32_t)draft->patterns.count;
        builder->head.pattern_stamp =
            l7s_pattern_stamp(l7s_builder_at(builder, L7S_SECTION_PATTERNS, 0), size);
    }
    free(draft->patterns.items);
    free(draft->subjects.items);
    return status;
}
