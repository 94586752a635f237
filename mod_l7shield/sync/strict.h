/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers the mailbox (core/segment/mailbox.h): a thread of its own, with connections of
 * its own, since a request waits for each answer and the tick does not hurry. Whoever
 * asks about the same limits at the same time shares one compare-and-swap. On a node
 * without a store it has nothing to do but say so.
 */
#ifndef SYNC_STRICT_H
#define SYNC_STRICT_H

#include "../../core/image/image.h"
#include "../../core/segment/segment.h"
#include "clock.h"
#include "options.h"

typedef struct sync_strict sync_strict_t;

/* Starts serving. L7S_INVALID: an address is not one. */
L7S_MUST_USE l7s_status_t sync_strict_create(const l7s_shared_t *shared,
                                             const sync_options_t *options,
                                             sync_strict_t **out);
/* Stops serving and ends the thread. */
void sync_strict_free(sync_strict_t *strict);

/* Hands over what names the counters (NULL: nothing can be named, everything is missed)
 * and says in the log what an operator should know. `image` may be NULL. */
void sync_strict_tick(sync_strict_t *strict, const l7s_hashkey_t *name_key,
                      const l7s_image_t *image, l7s_now_t now);

#endif
