/* SPDX-License-Identifier: Apache-2.0
 *
 * Headers as a dimension of the index: each different condition once, with the policies
 * that require it. For the compiler only.
 */
#ifndef L7S_COMPILE_HEADER_H
#define L7S_COMPILE_HEADER_H

#include "config.h"
#include "image_builder.h"

typedef struct {
    l7s_builder_t *builder;
    const l7s_config_t *config; /* whose lists conditions refer to */
    l7s_vector_t wants;         /* who requires what */
} l7s_header_draft_t;

void l7s_header_begin(l7s_header_draft_t *draft, l7s_builder_t *builder,
                      const l7s_config_t *config);

/* `bit` requires this condition, borrowed from the configuration. */
void l7s_header_add(l7s_header_draft_t *draft, uint32_t bit,
                    const l7s_header_match_t *match);

/* The index of a header's name, which is added when it is new. */
uint32_t l7s_header_index(l7s_builder_t *builder, const char *name);

/* A condition as a record. */
l7s_condition_t l7s_header_condition(const l7s_header_draft_t *draft,
                                     const l7s_header_match_t *match);

/* Puts the tests into the image; the draft is gone afterwards. */
void l7s_header_finish(l7s_header_draft_t *draft);

#endif
