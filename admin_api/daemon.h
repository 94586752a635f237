/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a running daemon and who owns which lock: each part guards itself, no part
 * calls another one while it holds its lock, except into the store.
 */
#ifndef ADMIN_DAEMON_H
#define ADMIN_DAEMON_H

#include "http/call.h"
#include "options.h"
#include <stdatomic.h>

typedef struct admin_store admin_store_t;           /* store.h: SQLite, the truth */
typedef struct admin_publisher admin_publisher_t;   /* publisher.h: store -> bus */
typedef struct admin_collector admin_collector_t;   /* collector.h: bus -> store, fleet */
typedef struct admin_auth admin_auth_t;             /* auth.h: who is calling */
typedef struct admin_tls admin_tls_t;               /* tls.h: certificates */
typedef struct admin_sessions admin_sessions_t;     /* session.h */
typedef struct admin_trail admin_trail_t;           /* trail.h: the audit */
typedef struct admin_http_stats admin_http_stats_t; /* http_stats.h */
typedef struct admin_keys admin_keys_t;             /* keys.h: secrets, signing key */
typedef struct admin_event_file admin_event_file_t; /* event_file.h: --event-log */
typedef struct admin_webhooks admin_webhooks_t;     /* webhooks.h: who is told */
typedef struct admin_hub admin_hub_t;               /* hub.h: who waits for events */

typedef struct admin_jobs admin_jobs_t; /* backtest/job.h */

struct admin_daemon {
    const admin_options_t *options;
    admin_keys_t *keys;
    admin_store_t *store;
    admin_publisher_t *publisher;
    admin_collector_t *collector;
    admin_auth_t *auth;
    admin_sessions_t *sessions;
    admin_trail_t *trail;
    admin_tls_t *tls; /* NULL: without TLS */
    admin_http_stats_t *http_stats;
    admin_hub_t *hub;
    admin_jobs_t *jobs;
    admin_event_file_t *event_file; /* NULL: there is none */
    admin_webhooks_t *webhooks;
    uint64_t started_ms;
    atomic_bool stopping; /* long waits end early */
};

#endif
