/* SPDX-License-Identifier: Apache-2.0
 *
 * Hooks of a start and of each restart, in this order.
 */
#ifndef SHIELD_START_H
#define SHIELD_START_H

#include "process.h"

/* pre_config: forgets the directives of the configuration before. */
int shield_start_anew(apr_pool_t *pool, apr_pool_t *log_pool, apr_pool_t *temp_pool);

/* check_config: refuses what no directive alone can see, and a bad policy file. */
int shield_start_check(apr_pool_t *pool, apr_pool_t *log_pool, apr_pool_t *temp_pool,
                       server_rec *server);

/* post_config: opens the shared memory and starts l7shield-sync. */
int shield_start(apr_pool_t *pool, apr_pool_t *log_pool, apr_pool_t *temp_pool,
                 server_rec *server);

#endif
