/* SPDX-License-Identifier: Apache-2.0
 *
 * The life of l7shield-sync as httpd's parent sees it.
 */
#ifndef SHIELD_SYNC_PROCESS_H
#define SHIELD_SYNC_PROCESS_H

#include "shared_memory.h"

/* Starts the sync process of this configuration and looks after it for as long as `pool`
 * (the configuration's) lives. Waits up to two seconds for its first image, if the
 * segment has none, so that no request is admitted just because httpd was faster. */
void shield_sync_start(apr_pool_t *pool, server_rec *server, const shield_node_t *node,
                       const shield_segment_t *segment);

/* The monitor hook, in the parent: ends a process that hangs, starts one that could not
 * be started. */
int shield_sync_monitor(apr_pool_t *pool, server_rec *server);

/* A child of httpd begins: it does not look after sync processes. */
void shield_sync_child(apr_pool_t *pool, server_rec *server);

#endif
