/* SPDX-License-Identifier: Apache-2.0
 *
 * A WHERE clause built from what a client asked for. Only text of this program goes into
 * the statement; whatever a client sent is bound as a parameter.
 */
#ifndef ADMIN_SQL_FILTER_H
#define ADMIN_SQL_FILTER_H

#include "sql.h"
#include "store_events.h"

#define ADMIN_SQL_MAX 4096
#define ADMIN_SQL_PARAMETERS_MAX (ADMIN_TERMS_MAX * ADMIN_TERM_VALUES_MAX + 16)

typedef struct {
    char sql[ADMIN_SQL_MAX];
    size_t used, count;
    struct {
        const char *text;       /* else */
        const uint8_t *address; /* else */
        int64_t number;
    } parameters[ADMIN_SQL_PARAMETERS_MAX];
    bool overflow;
    bool of_config; /* queries config.db; else events.db */
} admin_filter_t;

/* Appends text of this program. */
void admin_filter_sql(admin_filter_t *filter, const char *sql);
/* Append "?" and its value; borrowed until the query has begun. */
void admin_filter_text(admin_filter_t *filter, const char *text);
void admin_filter_number(admin_filter_t *filter, int64_t number);
void admin_filter_address(admin_filter_t *filter, const uint8_t bytes[16]);
/* Appends " AND column IN (?, …)" per term. False: a column not in the NULL-terminated
 * `columns`, or too many values. */
bool admin_filter_terms(admin_filter_t *filter, const char *const *columns,
                        const admin_term_t *terms, size_t count);
/* Begins the query. False: the filter did not fit; nothing was begun. */
bool admin_filter_begin(admin_filter_t *filter, admin_store_t *store,
                        admin_query_t *query);

/* The first and the last address of a network. */
void admin_network_bounds(const l7s_cidr_t *network, uint8_t low[16], uint8_t high[16]);

#endif
