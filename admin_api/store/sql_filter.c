/* SPDX-License-Identifier: Apache-2.0
 *
 * Building statements from filters (sql_filter.h).
 */
#include "sql_filter.h"

#include <string.h>

void admin_filter_sql(admin_filter_t *filter, const char *sql)
{
    size_t size = sql == NULL ? sizeof filter->sql : strlen(sql);
    if (filter->used + size >= sizeof filter->sql) {
        filter->unfit = true;
        return;
    }
    memcpy(filter->sql + filter->used, sql, size + 1);
    filter->used += size;
}

/* Appends a condition and the "?" of its parameter. */
static bool next_parameter(admin_filter_t *filter, const char *condition)
{
    admin_filter_sql(filter, condition);
    admin_filter_sql(filter, "?");
    if (filter->count >= ADMIN_SQL_PARAMETERS_MAX) {
        filter->unfit = true;
    }
    return !filter->unfit;
}

void admin_filter_text(admin_filter_t *filter, const char *condition, const char *text)
{
    if (next_parameter(filter, condition)) {
        filter->parameters[filter->count++].text = text;
    }
}

void admin_filter_number(admin_filter_t *filter, const char *condition, int64_t number)
{
    if (next_parameter(filter, condition)) {
        filter->parameters[filter->count++].number = number;
    }
}

static void add_address(admin_filter_t *filter, const char *condition,
                        const uint8_t bytes[16])
{
    if (next_parameter(filter, condition)) {
        filter->parameters[filter->count++].address = bytes;
    }
}

/* The program's own spelling of a column, never the caller's. */
static const char *known(const admin_table_t *table, const char *column)
{
    for (const char *const *own = table->columns; *own != NULL; own++) {
        if (strcmp(*own, column) == 0) {
            return *own;
        }
    }
    return NULL;
}

static void add_term(admin_filter_t *filter, const admin_term_t *term)
{
    admin_filter_sql(filter, " AND ");
    admin_filter_sql(filter, known(filter->table, term->column));
    admin_filter_sql(filter, " IN (");
    for (size_t v = 0; v < term->count; v++) {
        admin_filter_text(filter, v == 0 ? "" : ", ", term->values[v]);
    }
    admin_filter_sql(filter, ")");
}

static void add_rows(admin_filter_t *filter, const admin_selection_t *rows)
{
    const admin_table_t *table = filter->table;
    admin_filter_sql(filter, " FROM ");
    admin_filter_sql(filter, table->name);
    admin_filter_sql(filter, " WHERE 1");
    if (rows->has_client) {
        admin_network_bounds(&rows->client, filter->low, filter->high);
        add_address(filter, table->low, filter->low);
        add_address(filter, table->high, filter->high);
    }
    if (rows->since_ms != 0) {
        admin_filter_number(filter, table->since, (int64_t)rows->since_ms);
    }
    if (rows->until_ms != 0) {
        admin_filter_number(filter, table->until, (int64_t)rows->until_ms);
    }
    for (size_t i = 0; i < rows->term_count; i++) {
        add_term(filter, &rows->terms[i]);
    }
}

void admin_filter_select(admin_filter_t *filter, const admin_table_t *table,
                         const char *what, const admin_selection_t *rows)
{
    *filter = (admin_filter_t){.table = table};
    admin_filter_sql(filter, "SELECT ");
    admin_filter_sql(filter, what);
    add_rows(filter, rows);
}

void admin_filter_count(admin_filter_t *filter, const admin_table_t *table,
                        const char *column, const admin_selection_t *rows)
{
    *filter = (admin_filter_t){.table = table};
    admin_filter_sql(filter, "SELECT count(*), ");
    admin_filter_sql(filter, known(table, column));
    add_rows(filter, rows);
}

bool admin_filter_begin(admin_filter_t *filter, admin_store_t *store,
                        admin_query_t *query)
{
    if (filter->unfit) {
        return false;
    }
    admin_query_begin(store, filter->table->file, query, filter->sql, "");
    for (size_t i = 0; i < filter->count; i++) {
        int index = (int)i + 1;
        if (filter->parameters[i].text != NULL) {
            admin_query_bind_text(query, index, filter->parameters[i].text);
        } else if (filter->parameters[i].address != NULL) {
            admin_query_bind_address(query, index, filter->parameters[i].address);
        } else {
            admin_query_bind_number(query, index, filter->parameters[i].number);
        }
    }
    return true;
}

json_t *admin_filter_counts(admin_filter_t *filter, admin_store_t *store)
{
    admin_query_t query;
    admin_filter_sql(filter, " GROUP BY 2 ORDER BY 2");
    if (!admin_filter_begin(filter, store, &query)) {
        return NULL;
    }
    json_t *counts = json_object();
    while (admin_query_row(&query)) {
        json_object_set_new(counts, admin_query_text(&query, 1),
                            json_integer(admin_query_number(&query, 0)));
    }
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(counts);
        return NULL;
    }
    return counts;
}

void admin_network_bounds(const l7s_cidr_t *network, uint8_t low[16], uint8_t high[16])
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned bits = network->prefix > i * 8 ? network->prefix - i * 8 : 0;
        uint8_t mask = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
        low[i] = network->base.bytes[i] & mask;
        high[i] = low[i] | (uint8_t)~mask;
    }
}
