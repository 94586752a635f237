/* SPDX-License-Identifier: Apache-2.0
 *
 * The working memory that regular expressions need, one for each thread.
 */
#ifndef SHIELD_SCRATCH_H
#define SHIELD_SCRATCH_H

#include "process.h"

#include "../core/image/pattern.h"

/* Each child, once. */
void shield_scratch_child(apr_pool_t *pool, server_rec *server);

/* An l7s_request_t.scratch: this thread's, allocated when it first asks. NULL: none. */
l7s_scratch_t *shield_scratch(void *context);

#endif
