/* SPDX-License-Identifier: Apache-2.0
 *
 * Regular expressions of a configuration to databases of an image (pattern.h), one for
 * each thing that is looked at: all its patterns are looked for in one scan. For the
 * compiler only.
 */
#ifndef L7S_COMPILE_PATTERN_H
#define L7S_COMPILE_PATTERN_H

#include "../json/config.h"
#include "image_builder.h"

typedef struct {
    l7s_builder_t *builder;
    l7s_vector_t patterns, subjects;
    bool overflow; /* more subjects than there may be */
} l7s_pattern_draft_t;

void l7s_pattern_begin(l7s_pattern_draft_t *draft, l7s_builder_t *builder);

/* The index of what is looked at, made when it is new; `name` is borrowed, "" for the
 * path. */
uint32_t l7s_pattern_subject(l7s_pattern_draft_t *draft, const char *kind,
                             const char *name);

/* References to the numbers of these patterns (borrowed), any of which may be found
 * there. Equal patterns of one subject have one number. */
l7s_run_t l7s_pattern_refs(l7s_pattern_draft_t *draft, uint32_t subject,
                           const l7s_strings_t *patterns);

/* Compiles all of them into the image; the draft is gone afterwards. L7S_INVALID: too
 * many patterns or subjects, or together they need too much. */
L7S_MUST_USE l7s_status_t l7s_pattern_finish(l7s_pattern_draft_t *draft);

#endif
