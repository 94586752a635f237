/* SPDX-License-Identifier: Apache-2.0
 *
 * The client's address as a dimension of the index: all networks that policies ask for
 * (client.in) cut the address space into intervals, each with the set of the policies
 * that admit it. For the compiler only.
 */
#ifndef L7S_COMPILE_CLIENT_H
#define L7S_COMPILE_CLIENT_H

#include "image_builder.h"

typedef struct {
    l7s_builder_t *builder;
    uint32_t any; /* set: who does not ask for a network, or not here */
    size_t room;  /* how many more ranges may be cut */
    l7s_vector_t edges4, edges6;
} l7s_client_draft_t;

void l7s_client_begin(l7s_client_draft_t *draft, l7s_builder_t *builder);

/* `bit` admits every client. */
void l7s_client_add_any(l7s_client_draft_t *draft, uint32_t bit);

/* `bit` admits these disjoint ranges only. False: they are too many to be cut; then the
 * bit admits every client here and the policy must look itself. */
bool l7s_client_add(l7s_client_draft_t *draft, uint32_t bit,
                    const l7s_addr_range_t *ranges, size_t count);

/* Puts the intervals into the image; the draft is gone afterwards. */
void l7s_client_finish(l7s_client_draft_t *draft);

#endif
