/* SPDX-License-Identifier: Apache-2.0
 *
 * Webhooks: what clients PUT, in config.db beside the tokens (no part of any revision),
 * and how far each of them got, in events.db.
 */
#ifndef ADMIN_STORE_WEBHOOKS_H
#define ADMIN_STORE_WEBHOOKS_H

#include "store.h"

#define ADMIN_WEBHOOKS_MAX 32
#define ADMIN_WEBHOOK_SECRET_MAX 129 /* with a NUL */

typedef struct {
    char name[64];
    char secret[ADMIN_WEBHOOK_SECRET_MAX]; /* needed for signing, so kept as it is */
    uint64_t created_ms, updated_ms;
    json_t *spec; /* owned; without the secret */
} admin_webhook_t;

/* L7S_NOT_FOUND, L7S_IO. `spec` is owned by the caller. */
L7S_MUST_USE l7s_status_t admin_webhook_get(admin_store_t *store, const char *name,
                                            admin_webhook_t *out);
/* In the order of names, those behind `after`; `each` borrows it. */
typedef bool (*admin_webhook_fn)(void *context, const admin_webhook_t *webhook);
L7S_MUST_USE l7s_status_t admin_webhook_each(admin_store_t *store, const char *after,
                                             admin_webhook_fn each, void *context);
/* Inside a transaction of ADMIN_CONFIG_DB. */
L7S_MUST_USE l7s_status_t admin_webhook_put(admin_store_t *store,
                                            const admin_webhook_t *webhook);
L7S_MUST_USE l7s_status_t admin_webhook_delete(admin_store_t *store, const char *name);

typedef struct {
    uint64_t created_ms;             /* of the webhook that it is about */
    int64_t position;                /* the last event that it does not need any more */
    uint64_t success_ms, failure_ms; /* the last ones; 0: none */
    uint64_t next_ms;                /* after a failure: when it is tried again */
    unsigned failures;               /* since the last success */
    char error[160];                 /* of the last failure */
} admin_webhook_state_t;

/* L7S_NOT_FOUND: it has none, or an earlier one of the same name had. */
L7S_MUST_USE l7s_status_t admin_webhook_state_get(admin_store_t *store,
                                                  const admin_webhook_t *webhook,
                                                  admin_webhook_state_t *out);
/* Opens its own transaction. */
L7S_MUST_USE l7s_status_t admin_webhook_state_put(admin_store_t *store, const char *name,
                                                  const admin_webhook_state_t *state);

#endif
