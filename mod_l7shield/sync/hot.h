/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters in use whose number must be read now and then: memcached does not spare from
 * eviction what is only incremented, but what is read. A list of places of the table with
 * the time of the next look at each; does not know what a look is.
 */
#ifndef SYNC_HOT_H
#define SYNC_HOT_H

#include "../../core/status.h"
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SYNC_HOT_MAX 65536

typedef struct sync_hot sync_hot_t;

/* For a table of `slots` places. */
L7S_MUST_USE l7s_status_t sync_hot_create(size_t slots, sync_hot_t **out);
void sync_hot_free(sync_hot_t *hot);

/* Is this place on the list? */
bool sync_hot_has(const sync_hot_t *hot, uint32_t index);
/* Puts it there. False: the list is full. */
bool sync_hot_add(sync_hot_t *hot, uint32_t index, uint64_t key_lo, uint64_t look_at_ms);

typedef enum {
    SYNC_HOT_WAITS,  /* no room for it in this tick */
    SYNC_HOT_LOOKED, /* and again later */
    SYNC_HOT_DRAINED /* in use no longer, or another key's by now */
} sync_hot_answer_t;
typedef sync_hot_answer_t (*sync_hot_look_fn)(void *context, uint32_t index,
                                              uint64_t key_lo);

/* Looks at all that are due, the next time in `interval_ms`. */
void sync_hot_look(sync_hot_t *hot, uint64_t now_ms, uint64_t interval_ms,
                   sync_hot_look_fn look, void *context);

#endif
