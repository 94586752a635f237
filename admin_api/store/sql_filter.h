/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements built from what a client asked for. Only text of this program goes into the
 * statement; whatever a client sent is bound as a parameter. What does not fit, or is no
 * question to this table, makes the filter unfit, and it never runs.
 */
#ifndef ADMIN_SQL_FILTER_H
#define ADMIN_SQL_FILTER_H

#include "selection.h"
#include "sql.h"

#define ADMIN_SQL_MAX 4096
#define ADMIN_SQL_PARAMETERS_MAX (ADMIN_TERMS_MAX * ADMIN_TERM_VALUES_MAX + 16)

/* A table, and the conditions that a selection's members stand for; their parameter
 * follows. NULL: not to be asked of it. */
typedef struct {
    admin_file_t file;
    const char *name;
    const char *const *columns; /* that a term may name; NULL-terminated */
    const char *low, *high;     /* first and last address of the client's network */
    const char *since, *until;
} admin_table_t;

typedef struct {
    const admin_table_t *table;
    char sql[ADMIN_SQL_MAX];
    size_t used, count;
    struct {
        const char *text;       /* else */
        const uint8_t *address; /* else */
        int64_t number;
    } parameters[ADMIN_SQL_PARAMETERS_MAX];
    uint8_t low[16], high[16]; /* the addresses among the parameters */
    bool unfit;
} admin_filter_t;

/* Begins with "SELECT `what` FROM the table WHERE …"; `rows` is borrowed until the query
 * has begun. */
void admin_filter_select(admin_filter_t *filter, const admin_table_t *table,
                         const char *what, const admin_selection_t *rows);
/* Begins with the number of rows by the value of `column`; admin_filter_counts ends it.
 */
void admin_filter_count(admin_filter_t *filter, const admin_table_t *table,
                        const char *column, const admin_selection_t *rows);

/* Appends text of this program; NULL makes the filter unfit. */
void admin_filter_sql(admin_filter_t *filter, const char *sql);
/* Append a condition and its value; borrowed until the query has begun. */
void admin_filter_text(admin_filter_t *filter, const char *condition, const char *text);
void admin_filter_number(admin_filter_t *filter, const char *condition, int64_t number);

/* Begins the query. False: the filter is unfit; nothing was begun. */
bool admin_filter_begin(admin_filter_t *filter, admin_store_t *store,
                        admin_query_t *query);
/* {"rate":3,…}. New reference; NULL: unfit, or the file cannot be read. */
json_t *admin_filter_counts(admin_filter_t *filter, admin_store_t *store);

/* The first and the last address of a network. */
void admin_network_bounds(const l7s_cidr_t *network, uint8_t low[16], uint8_t high[16]);

#endif
