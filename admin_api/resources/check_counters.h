/* SPDX-License-Identifier: Apache-2.0
 *
 * What memcached knows of the counters that a request would meet.
 */
#ifndef ADMIN_CHECK_COUNTERS_H
#define ADMIN_CHECK_COUNTERS_H

#include "check_engine.h"

/* Fills in what is known, used and left of each limit of the engine's policies, and
 * charges the engine's own counters as much. Asks for a tenth of a second at most. */
L7S_MUST_USE l7s_status_t admin_check_counters_read(admin_check_engine_t *engine,
                                                    const admin_daemon_t *daemon);

#endif
