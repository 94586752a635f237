/* SPDX-License-Identifier: Apache-2.0
 *
 * How busy this server is, for the node's seat.
 */
#ifndef SHIELD_WORKERS_H
#define SHIELD_WORKERS_H

#include "process.h"

/* A monitor hook: the parent runs it every ten seconds. */
int shield_workers(apr_pool_t *pool, server_rec *server);

#endif
