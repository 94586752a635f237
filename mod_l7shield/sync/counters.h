/* SPDX-License-Identifier: Apache-2.0
 *
 * The counters' way into the fleet and back: each tick it looks at the slots that moved,
 * pushes what core's rules (fleet.h) want pushed and debits what other nodes used. Limits
 * of scope node, and a node without a store, never push. An unknown outcome is not sent
 * again: rather count a little less than refuse somebody twice.
 */
#ifndef SYNC_COUNTERS_H
#define SYNC_COUNTERS_H

#include "../../core/image/image.h"
#include "../../core/segment/segment.h"
#include "bus.h"

typedef struct sync_counters sync_counters_t;

/* `bus` is NULL for a node without a fleet. */
L7S_MUST_USE l7s_status_t sync_counters_create(const l7s_shared_t *shared,
                                               sync_bus_t *bus,
                                               const sync_options_t *options,
                                               sync_counters_t **out);
void sync_counters_free(sync_counters_t *counters);

/* One exchange. `image` may be NULL: then nothing is known to be pushed. */
void sync_counters_tick(sync_counters_t *counters, const l7s_image_t *image,
                        l7s_now_t now);

#endif
