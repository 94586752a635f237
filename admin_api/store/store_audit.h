/* SPDX-License-Identifier: Apache-2.0
 *
 * The audit table of config.db: one row for each thing that was done through the API, and
 * one for each kind of thing that was refused, with a count. Writing functions must be
 * called inside a transaction of ADMIN_CONFIG_DB.
 */
#ifndef ADMIN_STORE_AUDIT_H
#define ADMIN_STORE_AUDIT_H

#include "selection.h"
#include "store.h"

/* Texts are borrowed; those that are not known are "" (in a row that was read, too). */
typedef struct {
    int64_t seq;             /* 0: not written yet */
    uint64_t at_ms, last_ms; /* the first and the last time */
    uint64_t count;
    const char *outcome; /* "done", "refused", "failed" */
    const char *code;    /* of the problem */
    const char *principal, *token_id, *session;
    const uint8_t *client; /* 16 bytes; NULL: the unix socket */
    const char *method, *route, *path, *object, *reason;
    int64_t revision; /* < 0: none */
} admin_audit_t;

/* Inserts the row, or with `seq` adds to its count and moves its end. *seq (may be NULL)
 * gets its number. */
L7S_MUST_USE l7s_status_t admin_audit_put(admin_store_t *store, const admin_audit_t *row,
                                          int64_t *seq);

typedef struct {
    admin_selection_t rows; /* columns "outcome", "code", "principal", "method", "path";
                               client: within */
    int64_t before_seq;     /* keyset; 0: from the newest */
} admin_audit_filter_t;

/* Newest first; `each` borrows the row and returns false to stop. L7S_INVALID: an unknown
 * column. */
typedef bool (*admin_audit_fn)(void *context, const admin_audit_t *row);
L7S_MUST_USE l7s_status_t admin_audit_each(admin_store_t *store,
                                           const admin_audit_filter_t *filter,
                                           admin_audit_fn each, void *context);

/* Retention: deletes at most 1000 rows that ended before `before_ms` or are beyond the
 * newest done_max and refused_max, which are counted apart: nobody can push out what was
 * done by being refused. */
L7S_MUST_USE l7s_status_t admin_audit_prune(admin_store_t *store, uint64_t before_ms,
                                            uint64_t done_max, uint64_t refused_max,
                                            size_t *deleted);

#endif
