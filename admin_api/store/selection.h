/* SPDX-License-Identifier: Apache-2.0
 *
 * Which rows of a table somebody asks for: values of columns, a client, a span of time.
 * http/parameters.c reads it from a call, sql_filter.c makes a WHERE of it; what a column
 * is called is the table's own to say.
 */
#ifndef ADMIN_SELECTION_H
#define ADMIN_SELECTION_H

#include "../../core/addr.h"
#include <stdbool.h>
#include <stddef.h>

#define ADMIN_TERMS_MAX 8
#define ADMIN_TERM_VALUES_MAX 16

/* Values are ORed, terms are ANDed. */
typedef struct {
    const char *column;
    size_t count;
    const char *values[ADMIN_TERM_VALUES_MAX];
} admin_term_t;

typedef struct {
    size_t term_count;
    admin_term_t terms[ADMIN_TERMS_MAX];
    bool has_client; /* else any */
    l7s_cidr_t client;
    uint64_t since_ms, until_ms; /* ended at or after, began before; 0: any */
} admin_selection_t;

#endif
