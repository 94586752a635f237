/* SPDX-License-Identifier: Apache-2.0
 *
 * What the API answered, counted by method, route and status, with a histogram of the
 * time it took. Atomic counters in tables of fixed size; nothing is locked.
 */
#ifndef ADMIN_HTTP_STATS_H
#define ADMIN_HTTP_STATS_H

#include "../daemon.h"
#include <stdio.h>

admin_http_stats_t *admin_http_stats_create(void);
void admin_http_stats_free(admin_http_stats_t *stats);

/* `route` is the index in the route table; beyond it (no route matched) counts as one. */
void admin_http_stats_add(admin_http_stats_t *stats, size_t route, unsigned status,
                          uint64_t duration_us);

/* Writes l7shieldd_http_requests_total and l7shieldd_http_request_duration_seconds in
 * Prometheus text form, HELP and TYPE lines included. */
void admin_http_stats_write(const admin_http_stats_t *stats, FILE *out);

#endif
