/* SPDX-License-Identifier: Apache-2.0
 *
 * Rows of webhooks (store_webhooks.h). The state of one that is gone stays until one of
 * its name comes; there are few.
 */
#include "store_webhooks.h"
#include "sql.h"

#include <stdio.h>

#define COLUMNS "name, secret, created_ms, updated_ms, spec"

static void read_webhook(const admin_query_t *query, admin_webhook_t *out)
{
    *out = (admin_webhook_t){.created_ms = (uint64_t)admin_query_number(query, 2),
                             .updated_ms = (uint64_t)admin_query_number(query, 3),
                             .spec = admin_query_json(query, 4)};
    snprintf(out->name, sizeof out->name, "%s", admin_query_text(query, 0));
    snprintf(out->secret, sizeof out->secret, "%s", admin_query_text(query, 1));
}

l7s_status_t admin_webhook_get(admin_store_t *store, const char *name,
                               admin_webhook_t *out)
{
    admin_query_t query;
    *out = (admin_webhook_t){.spec = NULL};
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " COLUMNS " FROM webhook WHERE name = ?", "t", name);
    if (admin_query_row(&query)) {
        read_webhook(&query, out);
    }
    return admin_query_end_one(&query);
}

l7s_status_t admin_webhook_each(admin_store_t *store, const char *after,
                                admin_webhook_fn each, void *context)
{
    admin_query_t query;
    bool more = true;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " COLUMNS " FROM webhook WHERE name > ? ORDER BY name", "t",
                      after);
    while (more && admin_query_row(&query)) {
        admin_webhook_t webhook;
        read_webhook(&query, &webhook);
        more = each(context, &webhook);
        json_decref(webhook.spec);
    }
    return admin_query_end(&query);
}

l7s_status_t admin_webhook_put(admin_store_t *store, const admin_webhook_t *webhook)
{
    return admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                         "INSERT OR REPLACE INTO webhook(" COLUMNS ")"
                         " VALUES(?, ?, ?, ?, ?)",
                         "ttiij", webhook->name, webhook->secret,
                         (int64_t)webhook->created_ms, (int64_t)webhook->updated_ms,
                         webhook->spec);
}

l7s_status_t admin_webhook_delete(admin_store_t *store, const char *name)
{
    return admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                         "DELETE FROM webhook WHERE name = ?", "t", name);
}

l7s_status_t admin_webhook_state_get(admin_store_t *store, const admin_webhook_t *webhook,
                                     admin_webhook_state_t *out)
{
    admin_query_t query;
    *out = (admin_webhook_state_t){.created_ms = webhook->created_ms};
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT position, success_ms, failure_ms, next_ms, failures, error"
                      " FROM webhook_state WHERE name = ? AND created_ms = ?",
                      "ti", webhook->name, (int64_t)webhook->created_ms);
    if (admin_query_row(&query)) {
        out->position = admin_query_number(&query, 0);
        out->success_ms = (uint64_t)admin_query_number(&query, 1);
        out->failure_ms = (uint64_t)admin_query_number(&query, 2);
        out->next_ms = (uint64_t)admin_query_number(&query, 3);
        out->failures = (unsigned)admin_query_number(&query, 4);
        snprintf(out->error, sizeof out->error, "%s", admin_query_text(&query, 5));
    }
    return admin_query_end_one(&query);
}

l7s_status_t admin_webhook_state_put(admin_store_t *store, const char *name,
                                     const admin_webhook_state_t *state)
{
    l7s_status_t status = admin_store_begin(store, ADMIN_EVENTS_DB);
    if (status != L7S_OK) {
        return status;
    }
    status = admin_sql_run(
        store, ADMIN_EVENTS_DB, NULL,
        "INSERT OR REPLACE INTO webhook_state(name, created_ms, position, success_ms,"
        " failure_ms, next_ms, failures, error) VALUES(?, ?, ?, ?, ?, ?, ?, ?)",
        "tiiiiiit", name, (int64_t)state->created_ms, state->position,
        (int64_t)state->success_ms, (int64_t)state->failure_ms, (int64_t)state->next_ms,
        (int64_t)state->failures, state->error);
    return admin_store_end(store, ADMIN_EVENTS_DB, status);
}
