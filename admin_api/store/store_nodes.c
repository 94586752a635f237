/* SPDX-License-Identifier: Apache-2.0
 *
 * Nodes ever seen and the small numbers of events.db (store_events.h).
 */
#include "sql.h"
#include "store_events.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *admin_text_get(admin_store_t *store, const char *key)
{
    admin_query_t query;
    char *value = NULL;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT value FROM meta WHERE key = ?", "t", key);
    if (admin_query_row(&query)) {
        value = strdup(admin_query_text(&query, 0));
    }
    if (admin_query_end(&query) != L7S_OK) {
        free(value);
        return NULL;
    }
    return value;
}

l7s_status_t admin_text_set(admin_store_t *store, const char *key, const char *value)
{
    return admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                         "INSERT OR REPLACE INTO meta(key, value) VALUES(?, ?)", "tt",
                         key, value);
}

int64_t admin_number_get(admin_store_t *store, const char *key, int64_t otherwise)
{
    char *text = admin_text_get(store, key);
    int64_t value = text == NULL ? otherwise : strtoll(text, NULL, 10);
    free(text);
    return value;
}

l7s_status_t admin_number_set(admin_store_t *store, const char *key, int64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return admin_text_set(store, key, text);
}

l7s_status_t admin_node_put(admin_store_t *store, const admin_node_t *node)
{
    return admin_sql_run(
        store, ADMIN_EVENTS_DB, NULL,
        "INSERT INTO node(name, first_seen_ms, last_seen_ms, position, seat, lost_told)"
        " VALUES(?1, ?2, ?3, ?4, ?5, 0) ON CONFLICT(name) DO UPDATE SET"
        " last_seen_ms = ?3, seat = ?5, lost_told = 0",
        "tiiij", node->name, (int64_t)node->first_seen_ms, (int64_t)node->last_seen_ms,
        node->position, node->seat);
}

l7s_status_t admin_node_position(admin_store_t *store, const char *name, int64_t position)
{
    return admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                         "UPDATE node SET position = ? WHERE name = ?", "it", position,
                         name);
}

json_t *admin_node_untold(admin_store_t *store)
{
    json_t *names = json_array();
    admin_query_t query;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT name FROM node WHERE lost_told = 0 ORDER BY name", "");
    while (admin_query_row(&query)) {
        json_array_append_new(names, json_string(admin_query_text(&query, 0)));
    }
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(names);
        return NULL;
    }
    return names;
}

l7s_status_t admin_node_lost(admin_store_t *store, const char *name)
{
    return admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                         "UPDATE node SET lost_told = 1 WHERE name = ?", "t", name);
}

l7s_status_t admin_node_delete(admin_store_t *store, const char *name)
{
    int64_t changed;
    l7s_status_t status = admin_sql_run(store, ADMIN_EVENTS_DB, &changed,
                                        "DELETE FROM node WHERE name = ?", "t", name);
    return status == L7S_OK && changed == 0 ? L7S_NOT_FOUND : status;
}

l7s_status_t admin_node_each(admin_store_t *store, admin_node_fn each, void *context)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT name, first_seen_ms, last_seen_ms, position, seat FROM node"
                      " ORDER BY name",
                      "");
    bool more = true;
    while (more && admin_query_row(&query)) {
        admin_node_t node = {.name = admin_query_text(&query, 0),
                             .first_seen_ms = (uint64_t)admin_query_number(&query, 1),
                             .last_seen_ms = (uint64_t)admin_query_number(&query, 2),
                             .position = admin_query_number(&query, 3),
                             .seat = admin_query_json(&query, 4)};
        more = each(context, &node);
        json_decref(node.seat);
    }
    return admin_query_end(&query);
}
