/* SPDX-License-Identifier: Apache-2.0
 *
 * The policy guard: once a second, does a policy act on a larger share of all clients
 * than settings.guard allows? Then it only observes on this node, says so in log, seat
 * and incident list, and goes on observing until the policy or settings.guard changes.
 */
#ifndef SYNC_GUARD_H
#define SYNC_GUARD_H

#include "../../core/json/config.h"
#include "../../core/segment/segment.h"
#include "spool.h"

typedef struct sync_guard sync_guard_t;

/* `spool` may be NULL; all are borrowed. */
L7S_MUST_USE l7s_status_t sync_guard_create(const l7s_shared_t *shared, const char *node,
                                            sync_spool_t *spool, sync_guard_t **out);
void sync_guard_free(sync_guard_t *guard);

/* `config` is what is in force, or NULL. */
void sync_guard_tick(sync_guard_t *guard, const l7s_config_t *config, l7s_now_t now);

#endif
