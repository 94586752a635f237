/* SPDX-License-Identifier: Apache-2.0
 *
 * Incident records (store_events.h). The order of a list is (started_ms, seq), newest
 * first, which a later report of the same incident does not change.
 */
#include "sql_filter.h"
#include "store_events.h"

#define PRUNE_CHUNK 1000

static const admin_table_t incidents = {
    .file = ADMIN_EVENTS_DB,
    .name = "incident",
    .columns = (const char *const[]){"state", "policy", "app", "kind", "severity",
                                     "signature", "action", NULL},
    .low = " AND client >= ",
    .high = " AND client <= ",
    .since = " AND last_seen_ms >= ",
    .until = " AND started_ms < ",
};

static l7s_status_t write_aliases(admin_store_t *store, const admin_incident_t *incident)
{
    size_t index;
    json_t *alias;
    json_array_foreach(json_object_get(incident->doc, "aliases"), index, alias)
    {
        l7s_status_t status =
            admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                          "INSERT OR REPLACE INTO incident_alias(alias, seq)"
                          " SELECT ?, seq FROM incident WHERE id = ?",
                          "tt", json_string_value(alias), incident->id);
        if (status != L7S_OK) {
            return status;
        }
    }
    return L7S_OK;
}

l7s_status_t admin_incident_put(admin_store_t *store, const admin_incident_t *incident)
{
    l7s_status_t status = admin_sql_run(
        store, ADMIN_EVENTS_DB, NULL,
        "INSERT INTO incident(id, subject, state, policy, app, kind, severity, signature,"
        " action, client, started_ms, last_seen_ms, ended_ms, doc)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)"
        " ON CONFLICT(id) DO UPDATE SET subject = ?2, state = ?3, policy = ?4, app = ?5,"
        " kind = ?6, severity = ?7, signature = ?8, action = ?9, client = ?10,"
        " started_ms = ?11, last_seen_ms = ?12, ended_ms = ?13, doc = ?14",
        "tttttttttaiiij", incident->id, incident->subject, incident->state,
        incident->policy, incident->app, incident->kind, incident->severity,
        incident->signature, incident->action,
        incident->client == NULL ? NULL : incident->client->bytes,
        (int64_t)incident->started_ms, (int64_t)incident->last_seen_ms,
        (int64_t)incident->ended_ms, incident->doc);
    return status == L7S_OK ? write_aliases(store, incident) : status;
}

static json_t *one(admin_store_t *store, const char *sql, const char *value)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query, sql, "t", value);
    json_t *doc = admin_query_row(&query) ? admin_query_json(&query, 0) : NULL;
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(doc);
        return NULL;
    }
    return doc;
}

json_t *admin_incident_get(admin_store_t *store, const char *id)
{
    return one(store,
               "SELECT doc FROM incident WHERE id = ?1 OR seq ="
               " (SELECT seq FROM incident_alias WHERE alias = ?1)",
               id);
}

json_t *admin_incident_of(admin_store_t *store, const char *subject)
{
    return one(store,
               "SELECT doc FROM incident WHERE subject = ? ORDER BY seq DESC LIMIT 1",
               subject);
}

json_t *admin_incident_idle(admin_store_t *store, uint64_t before_ms, size_t limit)
{
    json_t *items = json_array();
    admin_query_t query;
    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT doc FROM incident WHERE state = 'active'"
                      " AND last_seen_ms < ? ORDER BY last_seen_ms LIMIT ?",
                      "ii", (int64_t)before_ms, (int64_t)limit);
    while (admin_query_row(&query)) {
        json_array_append_new(items, admin_query_json(&query, 0));
    }
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(items);
        return NULL;
    }
    return items;
}

l7s_status_t admin_incident_each(admin_store_t *store,
                                 const admin_incident_filter_t *filter,
                                 admin_incident_fn each, void *context)
{
    admin_filter_t sql;
    admin_query_t query;
    admin_filter_select(&sql, &incidents, "started_ms, seq, doc", &filter->rows);
    if (filter->before_seq != 0) {
        admin_filter_number(&sql, " AND (started_ms, seq) < (",
                            (int64_t)filter->before_started_ms);
        admin_filter_number(&sql, ", ", filter->before_seq);
        admin_filter_sql(&sql, ")");
    }
    admin_filter_number(&sql, " ORDER BY started_ms DESC, seq DESC LIMIT ",
                        filter->limit > INT64_MAX ? -1 : (int64_t)filter->limit);
    if (!admin_filter_begin(&sql, store, &query)) {
        return L7S_INVALID;
    }
    bool more = true;
    while (more && admin_query_row(&query)) {
        json_t *doc = admin_query_json(&query, 2);
        more = each(context, (uint64_t)admin_query_number(&query, 0),
                    admin_query_number(&query, 1), doc);
        json_decref(doc);
    }
    return admin_query_end(&query);
}

json_t *admin_incident_count(admin_store_t *store, const admin_incident_filter_t *filter,
                             const char *column)
{
    admin_filter_t sql;
    admin_filter_count(&sql, &incidents, column, &filter->rows);
    return admin_filter_counts(&sql, store);
}

l7s_status_t admin_incident_prune(admin_store_t *store, uint64_t before_ms,
                                  uint64_t rows_max, size_t *deleted)
{
    int64_t old = 0, many = 0;
    *deleted = 0;
    l7s_status_t status = admin_sql_run(
        store, ADMIN_EVENTS_DB, &old,
        "DELETE FROM incident WHERE seq IN (SELECT seq FROM incident"
        " WHERE state <> 'active' AND ended_ms < ? ORDER BY ended_ms LIMIT ?)",
        "ii", (int64_t)before_ms, (int64_t)PRUNE_CHUNK);
    if (status != L7S_OK) {
        return status;
    }
    status =
        admin_sql_run(store, ADMIN_EVENTS_DB, &many,
                      "DELETE FROM incident WHERE seq IN (SELECT seq FROM incident"
                      " WHERE state <> 'active' ORDER BY ended_ms"
                      " LIMIT min(?1, max(0, (SELECT count(*) FROM incident) - ?2)))",
                      "ii", (int64_t)PRUNE_CHUNK - old, (int64_t)rows_max);
    *deleted = (size_t)(old + many);
    return status;
}
