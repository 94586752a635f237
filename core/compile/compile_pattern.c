/* SPDX-License-Identifier: Apache-2.0
 *
 * See compile_pattern.h. Which patterns are accepted is pattern_check.c's business.
 */
#include "compile_pattern.h"

#include "../image/pattern.h"
#include "../json/pattern_check.h"

#include <hs/hs_runtime.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    const char *text; /* borrowed */
    uint32_t subject;
} pattern_t;

typedef struct {
    const char *kind, *name; /* borrowed */
} subject_t;

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
        status = l7s_pattern_compile(texts, ids, count, &database, NULL, 0)
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
