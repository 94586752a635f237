/* SPDX-License-Identifier: Apache-2.0
 *
 * Bans and tombstones (store_events.h). A network is held as its first and last address,
 * so "which ban covers this client" is a range condition.
 */
#include "sql_filter.h"
#include "store_events.h"

#include <string.h>

static const admin_table_t bans = {
    .file = ADMIN_EVENTS_DB,
    .name = "ban",
    .columns = (const char *const[]){"policy", "origin", NULL},
    .low = " AND low <= ",
    .high = " AND high >= ",
};

l7s_status_t admin_ban_put(admin_store_t *store, const admin_ban_t *ban)
{
    uint8_t low[16], high[16];
    if (ban->network != NULL) {
        admin_network_bounds(ban->network, low, high);
    }
    return admin_sql_run(
        store, ADMIN_EVENTS_DB, NULL,
        "INSERT OR REPLACE INTO ban(id, policy, origin, low, high, lifted, since_ms,"
        " until_ms, hold_until_ms, entry, spec) VALUES(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        "tttaaiiiijj", ban->id, ban->policy, ban->origin,
        ban->network == NULL ? NULL : low, ban->network == NULL ? NULL : high,
        (int64_t)ban->lifted, (int64_t)ban->since_ms, (int64_t)ban->until_ms,
        (int64_t)ban->hold_until_ms, ban->entry, ban->spec);
}

l7s_status_t admin_ban_delete(admin_store_t *store, const char *id)
{
    int64_t changed;
    l7s_status_t status = admin_sql_run(store, ADMIN_EVENTS_DB, &changed,
                                        "DELETE FROM ban WHERE id = ?", "t", id);
    return status == L7S_OK && changed == 0 ? L7S_NOT_FOUND : status;
}

/* What only bans can be asked. */
static void narrow(admin_filter_t *sql, const admin_ban_filter_t *filter)
{
    int64_t now_ms = (int64_t)filter->now_ms;
    admin_filter_sql(sql, filter->with_lifted ? "" : " AND lifted = 0");
    if (filter->id != NULL) {
        admin_filter_text(sql, " AND id = ", filter->id);
    }
    if (filter->after != NULL && filter->after[0] != '\0') {
        admin_filter_text(sql, " AND id > ", filter->after);
    }
    if (now_ms != 0) {
        admin_filter_number(sql, " AND CASE WHEN lifted THEN hold_until_ms > ", now_ms);
        admin_filter_number(sql, " ELSE until_ms = 0 OR until_ms > ", now_ms);
        admin_filter_sql(sql, " END");
    }
}

/* The network of a row's first and last address: a prefix, since it was stored as one. */
static bool read_network(const admin_query_t *query, int low, l7s_cidr_t *out)
{
    const uint8_t *first = sqlite3_column_blob(query->statement, low);
    const uint8_t *last = sqlite3_column_blob(query->statement, low + 1);
    if (first == NULL || last == NULL ||
        sqlite3_column_bytes(query->statement, low) != 16 ||
        sqlite3_column_bytes(query->statement, low + 1) != 16) {
        return false;
    }
    memcpy(out->base.bytes, first, 16);
    out->prefix = 0;
    while (out->prefix < 128) {
        unsigned byte = out->prefix / 8, bit = 0x80u >> (out->prefix % 8);
        if (((first[byte] ^ last[byte]) & bit) != 0) {
            break;
        }
        out->prefix++;
    }
    return true;
}

static bool pass_on(const admin_query_t *query, admin_ban_fn each, void *context)
{
    l7s_cidr_t network;
    bool has_network = read_network(query, 3, &network);
    admin_ban_t ban = {.id = admin_query_text(query, 0),
                       .policy = admin_query_text_or_null(query, 1),
                       .origin = admin_query_text(query, 2),
                       .network = has_network ? &network : NULL,
                       .lifted = admin_query_number(query, 5) != 0,
                       .since_ms = (uint64_t)admin_query_number(query, 6),
                       .until_ms = (uint64_t)admin_query_number(query, 7),
                       .hold_until_ms = (uint64_t)admin_query_number(query, 8),
                       .entry = admin_query_json(query, 9),
                       .spec = admin_query_json(query, 10)};
    bool more = each(context, &ban);
    json_decref(ban.entry);
    json_decref(ban.spec);
    return more;
}

l7s_status_t admin_ban_each(admin_store_t *store, const admin_ban_filter_t *filter,
                            admin_ban_fn each, void *context)
{
    admin_filter_t sql;
    admin_query_t query;
    admin_filter_select(&sql, &bans,
                        "id, policy, origin, low, high, lifted, since_ms, until_ms,"
                        " hold_until_ms, entry, spec",
                        &filter->rows);
    narrow(&sql, filter);
    admin_filter_number(
        &sql, " ORDER BY id LIMIT ",
        filter->limit == 0 || filter->limit > INT64_MAX ? -1 : (int64_t)filter->limit);
    if (!admin_filter_begin(&sql, store, &query)) {
        return L7S_INVALID;
    }
    bool more = true;
    while (more && admin_query_row(&query)) {
        more = pass_on(&query, each, context);
    }
    return admin_query_end(&query);
}

json_t *admin_ban_count(admin_store_t *store, const admin_ban_filter_t *filter,
                        const char *column)
{
    admin_filter_t sql;
    admin_filter_count(&sql, &bans, column, &filter->rows);
    narrow(&sql, filter);
    return admin_filter_counts(&sql, store);
}

l7s_status_t admin_ban_prune(admin_store_t *store, uint64_t now_ms, size_t *deleted)
{
    int64_t changed;
    l7s_status_t status =
        admin_sql_run(store, ADMIN_EVENTS_DB, &changed,
                      "DELETE FROM ban WHERE CASE WHEN lifted THEN hold_until_ms <= ?1"
                      " ELSE until_ms <> 0 AND until_ms <= ?1 END",
                      "i", (int64_t)now_ms);
    *deleted = (size_t)changed;
    return status;
}
