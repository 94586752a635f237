/* SPDX-License-Identifier: Apache-2.0
 *
 * The thin layer between the store's files and SQLite: connections, bound parameters and
 * rows. Only store*.c include it; no SQL type leaves them.
 *
 * Each file has one writer, behind a mutex, and a few read-only connections, each behind
 * its own (recursive, so that one query may run within another). A query runs on the
 * writer when this thread has a transaction open there, else on the first reader that is
 * free.
 */
#ifndef ADMIN_SQL_H
#define ADMIN_SQL_H

#include "store.h"
#include <pthread.h>
#include <sqlite3.h>
#include <stdatomic.h>

#define ADMIN_SQL_READERS 3

typedef struct {
    sqlite3 *connection;
    pthread_mutex_t mutex;
} admin_sql_reader_t;

typedef struct {
    sqlite3 *writer;
    pthread_mutex_t write_mutex;
    admin_sql_reader_t readers[ADMIN_SQL_READERS];
    const char *name; /* "config.db", for the log */
} admin_sql_file_t;

struct admin_store {
    admin_sql_file_t files[2];   /* by admin_file_t */
    int lock_fd;                 /* flock: one daemon per data directory */
    pthread_mutex_t probe_mutex; /* for the next two; held while the files are tried */
    uint64_t probed_ms;          /* monotonic; 0: never */
    atomic_bool writable;        /* as last tried */
    uint64_t config_epoch;
    char bus_epoch[17];
    bool event_written; /* by the transaction of events.db that is open */
    admin_store_fn listener;
    void *listener_context;
};

typedef struct {
    admin_sql_file_t *file;
    sqlite3_stmt *statement;
    admin_sql_reader_t *reader; /* held; NULL: on the writer */
    int code;                   /* the last SQLite code */
} admin_query_t;

/* Prepares `sql` and binds its parameters by `types`: i = int64_t, t = const char * (NULL
 * binds NULL), j = const json_t * (its compact text, NULL binds NULL), a = 16 bytes of an
 * address (NULL binds NULL), h = 32 bytes of a hash. Borrowed until admin_query_end. */
void admin_query_begin(admin_store_t *store, admin_file_t file, admin_query_t *query,
                       const char *sql, const char *types, ...);
/* A parameter by its number (from 1), after begin, for statements built at run time. */
void admin_query_bind_text(admin_query_t *query, int index, const char *text);
void admin_query_bind_number(admin_query_t *query, int index, int64_t number);
void admin_query_bind_address(admin_query_t *query, int index, const uint8_t bytes[16]);
/* The next row; false at the end or after an error. */
bool admin_query_row(admin_query_t *query);
const char *admin_query_text(const admin_query_t *query, int column); /* "" for NULL */
/* NULL for SQL's NULL. */
const char *admin_query_text_or_null(const admin_query_t *query, int column);
int64_t admin_query_number(const admin_query_t *query, int column);
/* Parsed JSON, new reference; NULL for SQL's NULL. */
json_t *admin_query_json(const admin_query_t *query, int column);
/* L7S_IO when anything failed (logged here), else L7S_OK. */
L7S_MUST_USE l7s_status_t admin_query_end(admin_query_t *query);

/* The same of a query for one row: L7S_NOT_FOUND when there was none. */
L7S_MUST_USE l7s_status_t admin_query_end_one(admin_query_t *query);

/* Runs a statement without rows in this thread's transaction. *changed (may be NULL) gets
 * the number of rows. */
L7S_MUST_USE l7s_status_t admin_sql_run(admin_store_t *store, admin_file_t file,
                                        int64_t *changed, const char *sql,
                                        const char *types, ...);

/* Opens writer and readers of `path` and brings it to the version `count`: migrations[n]
 * makes version n + 1. */
L7S_MUST_USE l7s_status_t admin_sql_open(admin_sql_file_t *file, const char *path,
                                         const char *name, const char *const *migrations,
                                         int count, char why[256]);
void admin_sql_close(admin_sql_file_t *file);

/* BEGIN IMMEDIATE (synced to disk at the commit when `full`, else at a checkpoint),
 * COMMIT or ROLLBACK on the writer. */
L7S_MUST_USE l7s_status_t admin_sql_begin(admin_sql_file_t *file, bool full);
L7S_MUST_USE l7s_status_t admin_sql_end(admin_sql_file_t *file, bool commit);

#endif
