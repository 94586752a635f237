/* SPDX-License-Identifier: Apache-2.0
 *
 * The fleet as its heartbeats show it: every node that was ever seen, whether it is live,
 * and what it said last. Knows neither bus nor store; the collector feeds it. Guards
 * itself with one lock, which nobody holds while calling anything else.
 *
 * A node is live while its seat keeps changing: judged by when the change was seen here,
 * never by the node's clock.
 */
#ifndef ADMIN_FLEET_H
#define ADMIN_FLEET_H

#include "collector.h"

#define ADMIN_NODES_MAX 1024
#define ADMIN_NODE_NAME_MAX 64
#define ADMIN_NODE_LIVE_MS 5000
/* A seat that is gone, though its time to live had not run out, was given up by a clean
 * stop, or fell to a flush and is back within a second. */
#define ADMIN_NODE_GONE_MS 1500

typedef struct admin_fleet admin_fleet_t;

admin_fleet_t *admin_fleet_create(void); /* NULL: no memory */
void admin_fleet_free(admin_fleet_t *fleet);

/* A node's seat as it was just read. L7S_INVALID: not a seat of `sender`. L7S_STALE: an
 * older one than is known. L7S_TOO_BIG: ADMIN_NODES_MAX live nodes already. */
L7S_MUST_USE l7s_status_t admin_fleet_heartbeat(admin_fleet_t *fleet, const char *sender,
                                                const json_t *seat, uint64_t sealed_at_ms,
                                                uint64_t now_ms);
/* A node known from an earlier life of the daemon: lost until its next heartbeat. */
L7S_MUST_USE l7s_status_t admin_fleet_restore(admin_fleet_t *fleet, const char *name,
                                              const json_t *seat, uint64_t last_seen_ms);
/* A node's seat is still there and says what it said: keeps it from counting as gone. */
void admin_fleet_touch(admin_fleet_t *fleet, const char *name, uint64_t now_ms);

bool admin_fleet_is_live(admin_fleet_t *fleet, const char *name);

/* A ban of this node was refused: it publishes too many. */
void admin_fleet_refused(admin_fleet_t *fleet, const char *name);

/* Every node, under the lock: `visit` must not call back. */
void admin_fleet_visit(admin_fleet_t *fleet, admin_seat_fn visit, void *context);

/* Decides who is live and shows those for whom that changed. `complete`: every server
 * answered, so a missing seat is missing. */
void admin_fleet_settle(admin_fleet_t *fleet, bool complete, uint64_t now_ms,
                        admin_seat_fn changed, void *context);

/* The public documents (collector.h). New references; NULL: no such node. */
json_t *admin_fleet_nodes(admin_fleet_t *fleet);
json_t *admin_fleet_node(admin_fleet_t *fleet, const char *name);
/* L7S_NOT_FOUND; L7S_CONFLICT: it is live. */
L7S_MUST_USE l7s_status_t admin_fleet_forget(admin_fleet_t *fleet, const char *name);
admin_rollout_t admin_fleet_rollout(admin_fleet_t *fleet, uint64_t config_epoch,
                                    uint64_t revision);

#endif
