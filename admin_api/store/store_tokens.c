/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens (store_objects.h): never the secret itself, only its SHA-256. When one was last
 * used stands in events.db, whose commits cost no wait for the disk.
 */
#include "sql.h"
#include "store_objects.h"

#include <stdio.h>
#include <string.h>

#define COLUMNS                                                                          \
    "name, id, hash, role, created_ms, rotated_ms, expires_ms, spec, old_id, old_hash, " \
    "old_until_ms"
/* When a secret that is not in use any more was last used is forgotten after a year. */
#define USED_KEPT_MS ((uint64_t)366 * 86400000)

static uint64_t last_used(admin_store_t *store, const char *id)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT at_ms FROM token_used WHERE id = ?", "t", id);
    uint64_t at = admin_query_row(&query) ? (uint64_t)admin_query_number(&query, 0) : 0;
    return admin_query_end(&query) == L7S_OK ? at : 0;
}

static void read_hash(const admin_query_t *query, int column, uint8_t out[32])
{
    if (sqlite3_column_bytes(query->statement, column) == 32) {
        memcpy(out, sqlite3_column_blob(query->statement, column), 32);
    }
}

static void read_token(admin_store_t *store, const admin_query_t *query,
                       admin_token_t *out)
{
    *out = (admin_token_t){.role = (admin_role_t)admin_query_number(query, 3),
                           .created_ms = (uint64_t)admin_query_number(query, 4),
                           .rotated_ms = (uint64_t)admin_query_number(query, 5),
                           .expires_ms = (uint64_t)admin_query_number(query, 6),
                           .spec = admin_query_json(query, 7),
                           .old_until_ms = (uint64_t)admin_query_number(query, 10)};
    snprintf(out->name, sizeof out->name, "%s", admin_query_text(query, 0));
    snprintf(out->id, sizeof out->id, "%s", admin_query_text(query, 1));
    snprintf(out->old_id, sizeof out->old_id, "%s", admin_query_text(query, 8));
    read_hash(query, 2, out->hash);
    read_hash(query, 9, out->old_hash);
    out->last_used_ms = last_used(store, out->id);
    out->old_used_ms = out->old_id[0] == '\0' ? 0 : last_used(store, out->old_id);
}

static l7s_status_t find(admin_store_t *store, const char *sql, const char *value,
                         admin_token_t *out)
{
    *out = (admin_token_t){0};
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query, sql, "t", value);
    if (admin_query_row(&query)) {
        read_token(store, &query, out);
    }
    return admin_query_end_one(&query);
}

l7s_status_t admin_token_by_id(admin_store_t *store, const char *id, admin_token_t *out)
{
    return find(store, "SELECT " COLUMNS " FROM token WHERE id = ?1 OR old_id = ?1", id,
                out);
}

l7s_status_t admin_token_get(admin_store_t *store, const char *name, admin_token_t *out)
{
    return find(store, "SELECT " COLUMNS " FROM token WHERE name = ?", name, out);
}

l7s_status_t admin_token_each(admin_store_t *store, const char *after,
                              admin_token_fn each, void *context)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " COLUMNS " FROM token WHERE name > ? ORDER BY name", "t",
                      after);
    bool more = true;
    while (more && admin_query_row(&query)) {
        admin_token_t token;
        read_token(store, &query, &token);
        more = each(context, &token);
        json_decref(token.spec);
    }
    return admin_query_end(&query);
}

l7s_status_t admin_token_put(admin_store_t *store, const admin_token_t *token)
{
    bool old = token->old_id[0] != '\0';
    return admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                         "INSERT OR REPLACE INTO token(" COLUMNS
                         ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                         "tthiiiijthi", token->name, token->id, token->hash,
                         (int64_t)token->role, (int64_t)token->created_ms,
                         (int64_t)token->rotated_ms, (int64_t)token->expires_ms,
                         token->spec, old ? token->old_id : NULL,
                         old ? token->old_hash : NULL, (int64_t)token->old_until_ms);
}

l7s_status_t admin_token_delete(admin_store_t *store, const char *name)
{
    int64_t changed;
    l7s_status_t status = admin_sql_run(store, ADMIN_CONFIG_DB, &changed,
                                        "DELETE FROM token WHERE name = ?", "t", name);
    return status == L7S_OK && changed == 0 ? L7S_NOT_FOUND : status;
}

void admin_token_used(admin_store_t *store, const char *id, uint64_t now_ms)
{
    if (admin_store_begin(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return;
    }
    /* The time of the last use is not worth failing a request. */
    if (admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                      "INSERT OR REPLACE INTO token_used(id, at_ms) VALUES(?, ?)", "ti",
                      id, (int64_t)now_ms) != L7S_OK ||
        admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                      "DELETE FROM token_used WHERE at_ms < ?", "i",
                      (int64_t)(now_ms - USED_KEPT_MS)) != L7S_OK) {
        admin_store_rollback(store, ADMIN_EVENTS_DB);
    } else if (admin_store_commit(store, ADMIN_EVENTS_DB) != L7S_OK) {
        return;
    }
}
