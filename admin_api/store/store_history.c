/* SPDX-License-Identifier: Apache-2.0
 *
 * Revisions (store_objects.h): what each change of the configuration was, by whom and
 * why. The text of every version is kept while its revision is; an older version stays
 * only while it is still the base of a kept one.
 */
#include "../../core/clock.h"
#include "difference.h"
#include "sql.h"
#include "store_objects.h"

#include <stdlib.h>
#include <string.h>

/* History is bounded twice: by revisions and by the bytes of their documents. */
#define REVISIONS_KEPT 1000
#define HISTORY_BYTES ((int64_t)256 << 20)

static l7s_status_t write_object(admin_store_t *store, const admin_change_t *change,
                                 int64_t revision, uint64_t now_ms)
{
    if (change->spec == NULL) {
        return admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                             "DELETE FROM object WHERE kind = ? AND name = ?", "tt",
                             change->kind, change->name);
    }
    char etag[ADMIN_ETAG_MAX];
    l7s_status_t status = admin_etag(change->spec, etag);
    if (status != L7S_OK) {
        return status;
    }
    return admin_sql_run(
        store, ADMIN_CONFIG_DB, NULL,
        "INSERT INTO object(kind, name, spec, etag, revision, created_ms, updated_ms,"
        " owner) VALUES(?1, ?2, ?3, ?4, ?5, ?6, ?6, coalesce(?7, ''))"
        " ON CONFLICT(kind, name) DO UPDATE SET spec = ?3, etag = ?4, revision = ?5,"
        " updated_ms = ?6, owner = coalesce(?7, owner)",
        "ttjtiit", change->kind, change->name, change->spec, etag, revision,
        (int64_t)now_ms, change->owner);
}

static l7s_status_t write_change(admin_store_t *store, const admin_change_t *change,
                                 int64_t revision)
{
    admin_object_t before;
    l7s_status_t status = admin_object_get(store, change->kind, change->name, &before);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        return status;
    }
    const char *op = before.spec == NULL    ? "create"
                     : change->spec == NULL ? "delete"
                                            : "update";
    json_t *differences = admin_difference(before.spec, change->spec);
    admin_object_clear(&before);
    status = admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                           "INSERT INTO change(revision, kind, name, op, spec, size,"
                           " differences) VALUES(?1, ?2, ?3, ?4, ?5,"
                           " coalesce(length(?5), 0), ?6)",
                           "itttjj", revision, change->kind, change->name, op,
                           change->spec, differences);
    json_decref(differences);
    return status;
}

/* The oldest revision to keep: the youngest of those beyond either bound, plus one. */
static int64_t horizon(admin_store_t *store, int64_t newest)
{
    admin_query_t query;
    int64_t oldest = newest - REVISIONS_KEPT + 1;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT revision FROM (SELECT revision, sum(size) OVER"
                      " (ORDER BY revision DESC) AS total FROM change)"
                      " WHERE total > ? ORDER BY revision DESC LIMIT 1",
                      "i", HISTORY_BYTES);
    if (admin_query_row(&query) && admin_query_number(&query, 0) >= oldest) {
        oldest = admin_query_number(&query, 0) + 1;
    }
    return admin_query_end(&query) == L7S_OK && oldest < newest ? oldest : newest;
}

static l7s_status_t prune(admin_store_t *store, int64_t newest)
{
    int64_t oldest = horizon(store, newest);
    l7s_status_t status =
        admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                      "DELETE FROM revision WHERE revision < ?", "i", oldest);
    if (status != L7S_OK) {
        return status;
    }
    return admin_sql_run(
        store, ADMIN_CONFIG_DB, NULL,
        "DELETE FROM change WHERE revision < ?1 AND EXISTS"
        " (SELECT 1 FROM change newer WHERE newer.kind = change.kind"
        " AND newer.name = change.name"
        " AND newer.revision > change.revision AND newer.revision <= ?1)",
        "i", oldest);
}

/* What goes with a deleted policy: a new one of its name must not inherit it. */
static l7s_status_t delete_override(admin_store_t *store, const admin_change_t *policy,
                                    int64_t revision)
{
    admin_change_t change = {.kind = "override", .name = policy->name};
    admin_object_t before;
    if (policy->spec != NULL || strcmp(policy->kind, "policy") != 0) {
        return L7S_OK;
    }
    l7s_status_t status = admin_object_get(store, change.kind, change.name, &before);
    admin_object_clear(&before);
    if (status != L7S_OK) {
        return status == L7S_NOT_FOUND ? L7S_OK : status;
    }
    status = write_change(store, &change, revision);
    return status == L7S_OK ? write_object(store, &change, revision, 0) : status;
}

l7s_status_t admin_revision_write(admin_store_t *store, const admin_change_t *changes,
                                  size_t count, const admin_origin_t *origin,
                                  int64_t *revision)
{
    *revision = admin_store_revision(store) + 1;
    l7s_status_t status =
        admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                      "INSERT INTO revision(revision, at_ms, author, reason, set_name)"
                      " VALUES(?, ?, ?, ?, ?)",
                      "iittt", *revision, (int64_t)origin->now_ms, origin->author,
                      origin->reason == NULL ? "" : origin->reason, origin->set);
    for (size_t i = 0; i < count && status == L7S_OK; i++) {
        status = write_change(store, &changes[i], *revision);
        if (status == L7S_OK) {
            status = write_object(store, &changes[i], *revision, origin->now_ms);
        }
        if (status == L7S_OK) {
            status = delete_override(store, &changes[i], *revision);
        }
    }
    return status == L7S_OK ? prune(store, *revision) : status;
}

/* `limit` -1: all. */
static json_t *changes_of(admin_store_t *store, int64_t revision, bool differences,
                          int64_t limit)
{
    json_t *changes = json_array();
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT kind, name, op, differences FROM change WHERE revision = ?"
                      " ORDER BY kind, name LIMIT ?",
                      "ii", revision, limit);
    while (admin_query_row(&query)) {
        json_t *change =
            json_pack("{s:s, s:s, s:s}", "kind", admin_query_text(&query, 0), "name",
                      admin_query_text(&query, 1), "op", admin_query_text(&query, 2));
        if (differences) {
            json_object_set_new(change, "differences", admin_query_json(&query, 3));
        }
        json_array_append_new(changes, change);
    }
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(changes);
        return NULL;
    }
    return changes;
}

#define REVISION_COLUMNS "revision, at_ms, author, reason, set_name"

/* The row under the query: REVISION_COLUMNS. */
static json_t *read_revision(admin_store_t *store, const admin_query_t *query,
                             bool differences)
{
    char at[L7S_TIME_TEXT];
    l7s_time_text((uint64_t)admin_query_number(query, 1), at);
    int64_t revision = admin_query_number(query, 0);
    return json_pack("{s:I, s:s, s:s, s:s, s:s?, s:o}", "revision", (json_int_t)revision,
                     "at", at, "author", admin_query_text(query, 2), "reason",
                     admin_query_text(query, 3), "set",
                     admin_query_text_or_null(query, 4), "changes",
                     changes_of(store, revision, differences, -1));
}

json_t *admin_revision_get(admin_store_t *store, int64_t revision)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " REVISION_COLUMNS " FROM revision WHERE revision = ?", "i",
                      revision);
    json_t *out = admin_query_row(&query) ? read_revision(store, &query, true) : NULL;
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(out);
        return NULL;
    }
    return out;
}

json_t *admin_revision_list(admin_store_t *store, int64_t before, size_t limit)
{
    json_t *items = json_array();
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " REVISION_COLUMNS " FROM revision"
                      " WHERE ?1 = 0 OR revision < ?1 ORDER BY revision DESC LIMIT ?2",
                      "ii", before, (int64_t)limit);
    while (admin_query_row(&query)) {
        json_array_append_new(items, read_revision(store, &query, false));
    }
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(items);
        return NULL;
    }
    return items;
}

static json_t *read_summary(admin_store_t *store, const admin_query_t *query,
                            size_t changes_max)
{
    char at[L7S_TIME_TEXT];
    l7s_time_text((uint64_t)admin_query_number(query, 1), at);
    int64_t revision = admin_query_number(query, 0);
    return json_pack("{s:I, s:s, s:s, s:s, s:s?, s:I, s:o}", "revision",
                     (json_int_t)revision, "at", at, "author", admin_query_text(query, 2),
                     "reason", admin_query_text(query, 3), "set",
                     admin_query_text_or_null(query, 4), "change_count",
                     (json_int_t)admin_query_number(query, 5), "changes",
                     changes_of(store, revision, false, (int64_t)changes_max));
}

l7s_status_t admin_revision_next(admin_store_t *store, int64_t after, size_t changes_max,
                                 json_t **out)
{
    admin_query_t query;
    *out = NULL;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query,
                      "SELECT " REVISION_COLUMNS ","
                      " (SELECT count(*) FROM change c WHERE c.revision = r.revision)"
                      " FROM revision r WHERE revision > ? ORDER BY revision LIMIT 1",
                      "i", after);
    if (admin_query_row(&query)) {
        *out = read_summary(store, &query, changes_max);
    }
    l7s_status_t status = admin_query_end(&query);
    if (status != L7S_OK) {
        json_decref(*out);
        *out = NULL;
    }
    return status;
}
