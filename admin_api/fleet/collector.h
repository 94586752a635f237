/* SPDX-License-Identifier: Apache-2.0
 *
 * Bus to daemon: one thread that reads the nodes' seats, their incident logs
 * (acknowledging after the commit) and the ban log, and keeps the fleet's picture.
 *
 * The calls below may come from any thread.
 */
#ifndef ADMIN_COLLECTOR_H
#define ADMIN_COLLECTOR_H

#include "../daemon.h"

L7S_MUST_USE l7s_status_t admin_collector_start(admin_daemon_t *daemon,
                                                admin_collector_t **out);
void admin_collector_stop(admin_collector_t *collector);

/* All nodes ever seen as an array of the public node document, sorted by name:
 * {"name","status":{"state":"live"|"lost","applied_revision","effective_mode","because",…}}.
 * New reference. */
json_t *admin_collector_nodes(admin_collector_t *collector);

/* One of them; NULL: not there. New reference. */
json_t *admin_collector_node(admin_collector_t *collector, const char *name);

/* Every node with the seat that it sent last, for metrics; `visit` must not call back. */
typedef struct {
    const char *name;
    json_t *seat; /* borrowed for the call */
    uint64_t last_seen_ms;
    bool live;
} admin_seat_t;
typedef void (*admin_seat_fn)(void *context, const admin_seat_t *seat);
void admin_collector_seats(admin_collector_t *collector, admin_seat_fn visit,
                           void *context);

/* Forgets a node. L7S_NOT_FOUND; L7S_CONFLICT: it is live. */
L7S_MUST_USE l7s_status_t admin_collector_forget(admin_collector_t *collector,
                                                 const char *name);

/* Live nodes, and how many of them run (config_epoch, revision) or later. While anybody
 * waits here (up to wait_ms; returns early when all do and at least min_nodes are live)
 * the seats are polled every 20 ms. */
typedef struct {
    unsigned live, applied;
} admin_rollout_t;
admin_rollout_t admin_collector_rollout(admin_collector_t *collector, uint64_t revision,
                                        unsigned min_nodes, unsigned wait_ms);

#endif
