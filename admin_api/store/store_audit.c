/* SPDX-License-Identifier: Apache-2.0
 *
 * Audit rows (store_audit.h). Their order is that of `seq`, which never changes.
 */
#include "store_audit.h"
#include "sql_filter.h"

#include <string.h>

#define PRUNE_CHUNK 1000
#define COLUMNS                                                                          \
    "at_ms, last_ms, count, outcome, code, principal, token_id, session, client,"        \
    " method, route, path, object, reason, revision"

static const admin_table_t audit = {
    .file = ADMIN_CONFIG_DB,
    .name = "audit",
    .columns =
        (const char *const[]){"outcome", "code", "principal", "method", "path", NULL},
    .low = " AND client >= ",
    .high = " AND client <= ",
    .since = " AND last_ms >= ",
    .until = " AND at_ms < ",
};

static l7s_status_t insert(admin_store_t *store, const admin_audit_t *row, int64_t *seq)
{
    l7s_status_t status =
        admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                      "INSERT INTO audit(" COLUMNS
                      ") VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
                      "iiitttttattttti", (int64_t)row->at_ms, (int64_t)row->last_ms,
                      (int64_t)row->count, row->outcome, row->code, row->principal,
                      row->token_id, row->session, row->client, row->method, row->route,
                      row->path, row->object, row->reason, row->revision);
    if (status == L7S_OK && seq != NULL) {
        *seq = sqlite3_last_insert_rowid(store->files[ADMIN_CONFIG_DB].writer);
    }
    return status;
}

l7s_status_t admin_audit_put(admin_store_t *store, const admin_audit_t *row, int64_t *seq)
{
    if (row->seq == 0) {
        return insert(store, row, seq);
    }
    return admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                         "UPDATE audit SET count = count + ?, last_ms = ? WHERE seq = ?",
                         "iii", (int64_t)row->count, (int64_t)row->last_ms, row->seq);
}

static void read_row(const admin_query_t *query, admin_audit_t *out)
{
    *out = (admin_audit_t){.seq = admin_query_number(query, 0),
                           .at_ms = (uint64_t)admin_query_number(query, 1),
                           .last_ms = (uint64_t)admin_query_number(query, 2),
                           .count = (uint64_t)admin_query_number(query, 3),
                           .outcome = admin_query_text(query, 4),
                           .code = admin_query_text(query, 5),
                           .principal = admin_query_text(query, 6),
                           .token_id = admin_query_text(query, 7),
                           .session = admin_query_text(query, 8),
                           .method = admin_query_text(query, 10),
                           .route = admin_query_text(query, 11),
                           .path = admin_query_text(query, 12),
                           .object = admin_query_text(query, 13),
                           .reason = admin_query_text(query, 14),
                           .revision = admin_query_number(query, 15)};
    if (sqlite3_column_bytes(query->statement, 9) == 16) {
        out->client = sqlite3_column_blob(query->statement, 9);
    }
}

l7s_status_t admin_audit_each(admin_store_t *store, const admin_audit_filter_t *filter,
                              admin_audit_fn each, void *context)
{
    admin_filter_t sql;
    admin_query_t query;
    admin_filter_select(&sql, &audit, "seq, " COLUMNS, &filter->rows);
    if (filter->before_seq != 0) {
        admin_filter_number(&sql, " AND seq < ", filter->before_seq);
    }
    admin_filter_sql(&sql, " ORDER BY seq DESC");
    if (!admin_filter_begin(&sql, store, &query)) {
        return L7S_INVALID;
    }
    bool more = true;
    while (more && admin_query_row(&query)) {
        admin_audit_t row;
        read_row(&query, &row);
        more = each(context, &row);
    }
    return admin_query_end(&query);
}

l7s_status_t admin_audit_prune(admin_store_t *store, uint64_t before_ms,
                               uint64_t done_max, uint64_t refused_max, size_t *deleted)
{
    int64_t count = 0;
    l7s_status_t status = admin_sql_run(
        store, ADMIN_CONFIG_DB, &count,
        "DELETE FROM audit WHERE seq IN (SELECT seq FROM audit WHERE last_ms < ?1"
        " OR (outcome = 'done' AND seq <= (SELECT seq FROM audit WHERE outcome = 'done'"
        "  ORDER BY seq DESC LIMIT 1 OFFSET ?2))"
        " OR (outcome <> 'done' AND seq <= (SELECT seq FROM audit"
        "  WHERE outcome <> 'done' ORDER BY seq DESC LIMIT 1 OFFSET ?3))"
        " ORDER BY seq LIMIT ?4)",
        "iiii", (int64_t)before_ms, (int64_t)done_max, (int64_t)refused_max,
        (int64_t)PRUNE_CHUNK);
    *deleted = (size_t)count;
    return status;
}
