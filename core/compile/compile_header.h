/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as a dimension of the index: each different condition once, with the policies
 * that require it; and the names of headers, parameters and cookies that anything asks
 * for. For the compiler only.
 */
#ifndef L7S_COMPILE_HEADER_H
#define L7S_COMPILE_HEADER_H

#include "../json/config.h"
#include "compile_pattern.h"
#include "image_builder.h"

typedef struct {
    l7s_builder_t *builder;
    l7s_pattern_draft_t *patterns;
    const l7s_config_t *config;    /* whose lists conditions refer to */
    l7s_vector_t wants;            /* who requires what */
    l7s_draft_t names[L7S_FIELDS]; /* that anything asks for */
} l7s_header_draft_t;

void l7s_header_begin(l7s_header_draft_t *draft, l7s_builder_t *builder,
                      l7s_pattern_draft_t *patterns, const l7s_config_t *config);

/* `bit` requires this condition, borrowed from the configuration. */
void l7s_header_add(l7s_header_draft_t *draft, uint32_t bit,
                    const l7s_header_match_t *match);

/* The index of a name (borrowed) among those of its kind; it is added when it is new. */
uint32_t l7s_field_index(l7s_header_draft_t *draft, l7s_field_t field, const char *name);

/* A condition as a record. */
l7s_condition_t l7s_header_condition(l7s_header_draft_t *draft,
                                     const l7s_header_match_t *match);

/* Puts the tests and the tables of names into the image; the draft is gone afterwards.
 * False: more names of parameters or of cookies than there may be. */
bool l7s_header_finish(l7s_header_draft_t *draft);

#endif
