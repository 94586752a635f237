/* SPDX-License-Identifier: Apache-2.0
 *
 * Puts a configuration in force on this node: compiles it into the arena that no worker
 * reads and makes that one the image. What does not compile or fit leaves the image in
 * force alone. It also compiles again when something in the configuration expires.
 */
#ifndef SYNC_PUBLISH_H
#define SYNC_PUBLISH_H

#include "../../core/image/image.h"
#include "../../core/json/config.h"
#include "../../core/segment/segment.h"

typedef struct sync_publisher sync_publisher_t;

/* Takes over the image that an earlier process left in the segment, if there is one. */
L7S_MUST_USE l7s_status_t sync_publisher_create(const l7s_shared_t *shared,
                                                sync_publisher_t **out);
void sync_publisher_free(sync_publisher_t *publisher);

/* Compiles and publishes. L7S_OK: it is in force and `config` belongs to the publisher.
 * Otherwise `config` stays the caller's: L7S_TIMEOUT: a worker still reads the spare
 * arena, try again in the next tick; L7S_TOO_BIG, L7S_INVALID: it never will be in force.
 * Says in the log what happened, except for L7S_TIMEOUT, which is only said when it
 * lasts. */
L7S_MUST_USE l7s_status_t sync_publisher_offer(sync_publisher_t *publisher,
                                               l7s_config_t *config,
                                               const l7s_hashkey_t *count_key,
                                               uint64_t config_epoch, uint64_t revision,
                                               l7s_now_t now);

/* Compiles again when it is time. */
void sync_publisher_tick(sync_publisher_t *publisher, l7s_now_t now);

/* What is in force; NULL before the first image. Borrowed until the next publication. */
const l7s_image_t *sync_publisher_image(const sync_publisher_t *publisher);
/* NULL also while the image is still that of an earlier process. */
const l7s_config_t *sync_publisher_config(const sync_publisher_t *publisher);
/* The key under which this node counts: of the image, else of this boot. */
const l7s_hashkey_t *sync_publisher_count_key(const sync_publisher_t *publisher);

#endif
