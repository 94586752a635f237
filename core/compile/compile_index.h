/* SPDX-License-Identifier: Apache-2.0
 *
 * The index of an image under construction: which methods, hosts and paths let a policy
 * (or a declared app) be a candidate at all. For the compiler only.
 */
#ifndef L7S_COMPILE_INDEX_H
#define L7S_COMPILE_INDEX_H

#include "../json/config.h"
#include "image_builder.h"

typedef struct {
    l7s_builder_t *builder;
    l7s_draft_t methods, hosts, suffixes, paths, prefixes;
} l7s_index_draft_t;

/* Begins the sets; builder->head.words is known. */
void l7s_index_begin(l7s_index_draft_t *index, l7s_builder_t *builder);

/* Lets `bit` be a candidate where all three hold; an empty one holds always. */
void l7s_index_add(l7s_index_draft_t *index, uint32_t bit, const l7s_strings_t *methods,
                   const l7s_strings_t *hosts, const l7s_strings_t *paths);

/* Must this glob be looked at once more when the index says "maybe"? */
bool l7s_index_is_complex(const char *glob);

/* Puts the tables into the image; the drafts are gone afterwards. */
void l7s_index_finish(l7s_index_draft_t *index);

#endif
