/* SPDX-License-Identifier: Apache-2.0
 *
 * The directives: their table, their structures and the checks that need all of them.
 */
#ifndef SHIELD_DIRECTIVES_H
#define SHIELD_DIRECTIVES_H

#include "process.h"

extern const command_rec shield_directives[];

void *shield_section_create(apr_pool_t *pool, char *path);
void *shield_section_merge(apr_pool_t *pool, void *base, void *add);
void *shield_host_create(apr_pool_t *pool, server_rec *server);
void *shield_host_merge(apr_pool_t *pool, void *base, void *add);

/* Forgets the process-wide values of the last pass over the configuration. */
void shield_node_reset(apr_pool_t *pool);

/* The process-wide values of this pass; never NULL after shield_node_reset. */
const shield_node_t *shield_node(void);

/* What one directive alone cannot know. NULL when all is well, else the sentence to show.
 */
const char *shield_node_problem(const shield_node_t *node);

#endif
