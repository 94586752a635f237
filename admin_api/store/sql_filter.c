/* SPDX-License-Identifier: Apache-2.0
 *
 * Building statements from filters (sql_filter.h).
 */
#include "sql_filter.h"

#include <string.h>

void admin_filter_sql(admin_filter_t *filter, const char *sql)
{
    size_t size = strlen(sql);
    if (filter->used + size >= sizeof filter->sql) {
        filter->overflow = true;
        return;
    }
    memcpy(filter->sql + filter->used, sql, size + 1);
    filter->used += size;
}

static bool next_parameter(admin_filter_t *filter)
{
    admin_filter_sql(filter, "?");
    if (filter->count >= ADMIN_SQL_PARAMETERS_MAX) {
        filter->overflow = true;
    }
    return !filter->overflow;
}

void admin_filter_text(admin_filter_t *filter, const char *text)
{
    if (next_parameter(filter)) {
        filter->parameters[filter->count++].text = text;
    }
}

void admin_filter_number(admin_filter_t *filter, int64_t number)
{
    if (next_parameter(filter)) {
        filter->parameters[filter->count++].number = number;
    }
}

void admin_filter_address(admin_filter_t *filter, const uint8_t bytes[16])
{
    if (next_parameter(filter)) {
        filter->parameters[filter->count++].address = bytes;
    }
}

/* The program's own spelling of a column, never the caller's. */
static const char *known(const char *const *columns, const char *column)
{
    for (size_t i = 0; columns[i] != NULL; i++) {
        if (strcmp(columns[i], column) == 0) {
            return columns[i];
        }
    }
    return NULL;
}

bool admin_filter_terms(admin_filter_t *filter, const char *const *columns,
                        const admin_term_t *terms, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const char *column = known(columns, terms[i].column);
        if (column == NULL || terms[i].count > ADMIN_TERM_VALUES_MAX) {
            return false;
        }
        admin_filter_sql(filter, " AND ");
        admin_filter_sql(filter, column);
        admin_filter_sql(filter, " IN (");
        for (size_t v = 0; v < terms[i].count; v++) {
            admin_filter_sql(filter, v == 0 ? "" : ", ");
            admin_filter_text(filter, terms[i].values[v]);
        }
        admin_filter_sql(filter, ")");
    }
    return !filter->overflow;
}

bool admin_filter_begin(admin_filter_t *filter, admin_store_t *store,
                        admin_query_t *query)
{
    if (filter->overflow) {
        return false;
    }
    admin_query_begin(store, filter->of_config ? ADMIN_CONFIG_DB : ADMIN_EVENTS_DB, query,
                      filter->sql, "");
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

void admin_network_bounds(const l7s_cidr_t *network, uint8_t low[16], uint8_t high[16])
{
    for (unsigned i = 0; i < 16; i++) {
        unsigned bits = network->prefix > i * 8 ? network->prefix - i * 8 : 0;
        uint8_t mask = bits >= 8 ? 0xff : (uint8_t)(0xff00 >> bits);
        low[i] = network->base.bytes[i] & mask;
        high[i] = low[i] | (uint8_t)~mask;
    }
}
