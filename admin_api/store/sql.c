/* SPDX-License-Identifier: Apache-2.0
 *
 * Statements over the store's connections (sql.h). The settings of a connection follow
 * SQLite's advice for files that outlive the program: defensive mode, no trusted schema,
 * no memory map, and only the writer ever checkpoints.
 */
#include "sql.h"
#include "../log.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define APPLICATION_ID 0x4c375348 /* "L7SH" */
#define DUMP_FLAGS (JSON_COMPACT | JSON_ENCODE_ANY)

/* The file whose writer this thread holds. */
static _Thread_local const admin_sql_file_t *writing;

static bool execute(sqlite3 *database, const char *sql)
{
    return sqlite3_exec(database, sql, NULL, NULL, NULL) == SQLITE_OK;
}

static void free_text(void *text)
{
    free(text);
}

static int bind_json(sqlite3_stmt *statement, int index, const json_t *json)
{
    if (json == NULL) {
        return sqlite3_bind_null(statement, index);
    }
    char *text = json_dumps(json, DUMP_FLAGS);
    if (text == NULL) {
        return SQLITE_NOMEM;
    }
    return sqlite3_bind_text64(statement, index, text, strlen(text), free_text,
                               SQLITE_UTF8);
}

static int bind_bytes(sqlite3_stmt *statement, int index, const void *bytes, int size)
{
    return bytes == NULL
               ? sqlite3_bind_null(statement, index)
               : sqlite3_bind_blob(statement, index, bytes, size, SQLITE_STATIC);
}

static int bind_one(sqlite3_stmt *statement, int index, char type, va_list *arguments)
{
    switch (type) {
    case 'i':
        return sqlite3_bind_int64(statement, index, va_arg(*arguments, int64_t));
    case 't':
        return sqlite3_bind_text(statement, index, va_arg(*arguments, const char *), -1,
                                 SQLITE_STATIC);
    case 'j':
        return bind_json(statement, index, va_arg(*arguments, const json_t *));
    case 'a':
        return bind_bytes(statement, index, va_arg(*arguments, const void *), 16);
    default:
        return bind_bytes(statement, index, va_arg(*arguments, const void *), 32);
    }
}

static admin_sql_reader_t *take_reader(admin_sql_file_t *file)
{
    for (size_t i = 0; i < ADMIN_SQL_READERS; i++) {
        if (pthread_mutex_trylock(&file->readers[i].mutex) == 0) {
            return &file->readers[i];
        }
    }
    pthread_mutex_lock(&file->readers[0].mutex);
    return &file->readers[0];
}

static sqlite3 *connection_of(const admin_query_t *query)
{
    return query->reader == NULL ? query->file->writer : query->reader->connection;
}

static void prepare(admin_store_t *store, admin_file_t file, admin_query_t *query,
                    const char *sql, const char *types, va_list *arguments)
{
    admin_sql_file_t *at = &store->files[file];
    *query =
        (admin_query_t){.file = at, .reader = writing == at ? NULL : take_reader(at)};
    query->code =
        sqlite3_prepare_v2(connection_of(query), sql, -1, &query->statement, NULL);
    for (int i = 0; types[i] != '\0' && query->code == SQLITE_OK; i++) {
        query->code = bind_one(query->statement, i + 1, types[i], arguments);
    }
}

void admin_query_begin(admin_store_t *store, admin_file_t file, admin_query_t *query,
                       const char *sql, const char *types, ...)
{
    va_list arguments;
    va_start(arguments, types);
    prepare(store, file, query, sql, types, &arguments);
    va_end(arguments);
}

void admin_query_bind_text(admin_query_t *query, int index, const char *text)
{
    if (query->code == SQLITE_OK) {
        query->code =
            sqlite3_bind_text(query->statement, index, text, -1, SQLITE_TRANSIENT);
    }
}

void admin_query_bind_number(admin_query_t *query, int index, int64_t number)
{
    if (query->code == SQLITE_OK) {
        query->code = sqlite3_bind_int64(query->statement, index, number);
    }
}

void admin_query_bind_address(admin_query_t *query, int index, const uint8_t bytes[16])
{
    if (query->code == SQLITE_OK) {
        query->code =
            sqlite3_bind_blob(query->statement, index, bytes, 16, SQLITE_TRANSIENT);
    }
}

bool admin_query_row(admin_query_t *query)
{
    if (query->code != SQLITE_OK && query->code != SQLITE_ROW) {
        return false;
    }
    query->code = sqlite3_step(query->statement);
    return query->code == SQLITE_ROW;
}

const char *admin_query_text_or_null(const admin_query_t *query, int column)
{
    return (const char *)sqlite3_column_text(query->statement, column);
}

const char *admin_query_text(const admin_query_t *query, int column)
{
    const char *text = admin_query_text_or_null(query, column);
    return text == NULL ? "" : text;
}

int64_t admin_query_number(const admin_query_t *query, int column)
{
    return sqlite3_column_int64(query->statement, column);
}

json_t *admin_query_json(const admin_query_t *query, int column)
{
    const char *text = admin_query_text_or_null(query, column);
    return text == NULL ? NULL : json_loads(text, JSON_DECODE_ANY, NULL);
}

l7s_status_t admin_query_end(admin_query_t *query)
{
    bool good = query->code == SQLITE_OK || query->code == SQLITE_ROW ||
                query->code == SQLITE_DONE;
    if (!good) {
        admin_log(ADMIN_ERROR, "L7S3401", "%s: %s", query->file->name,
                  sqlite3_errmsg(connection_of(query)));
    }
    sqlite3_finalize(query->statement);
    query->statement = NULL;
    if (query->reader != NULL) {
        pthread_mutex_unlock(&query->reader->mutex);
    }
    return good ? L7S_OK : L7S_IO;
}

l7s_status_t admin_query_end_one(admin_query_t *query)
{
    bool found = query->code == SQLITE_ROW;
    l7s_status_t status = admin_query_end(query);
    return status == L7S_OK && !found ? L7S_NOT_FOUND : status;
}

l7s_status_t admin_sql_run(admin_store_t *store, admin_file_t file, int64_t *changed,
                           const char *sql, const char *types, ...)
{
    admin_query_t query;
    va_list arguments;
    va_start(arguments, types);
    prepare(store, file, &query, sql, types, &arguments);
    va_end(arguments);
    while (admin_query_row(&query)) {
    }
    l7s_status_t status = admin_query_end(&query);
    if (changed != NULL) {
        *changed = status == L7S_OK ? sqlite3_changes64(store->files[file].writer) : 0;
    }
    return status;
}

l7s_status_t admin_sql_begin(admin_sql_file_t *file, bool full)
{
    pthread_mutex_lock(&file->write_mutex);
    if (execute(file->writer,
                full ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL") &&
        execute(file->writer, "BEGIN IMMEDIATE")) {
        writing = file;
        return L7S_OK;
    }
    admin_log(ADMIN_ERROR, "L7S3402", "%s cannot be written: %s", file->name,
              sqlite3_errmsg(file->writer));
    pthread_mutex_unlock(&file->write_mutex);
    return L7S_IO;
}

l7s_status_t admin_sql_end(admin_sql_file_t *file, bool commit)
{
    bool good = !commit || execute(file->writer, "COMMIT");
    if (!good) {
        admin_log(ADMIN_ERROR, "L7S3403", "%s: the commit failed: %s", file->name,
                  sqlite3_errmsg(file->writer));
    }
    if (!sqlite3_get_autocommit(file->writer) && !execute(file->writer, "ROLLBACK")) {
        admin_log(ADMIN_ERROR, "L7S3404", "%s: the rollback failed: %s", file->name,
                  sqlite3_errmsg(file->writer));
    }
    writing = NULL;
    pthread_mutex_unlock(&file->write_mutex);
    return good ? L7S_OK : L7S_IO;
}

static int version_of(sqlite3 *database)
{
    sqlite3_stmt *statement = NULL;
    int version = -1;
    if (sqlite3_prepare_v2(database, "PRAGMA user_version", -1, &statement, NULL) ==
            SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW) {
        version = sqlite3_column_int(statement, 0);
    }
    sqlite3_finalize(statement);
    return version;
}

/* One transaction per version; a copy of the file as it was is left beside it. */
static bool migrate(sqlite3 *database, const char *path, const char *const *migrations,
                    int from, int to)
{
    char sql[640];
    if (from > 0 && from < to) {
        snprintf(sql, sizeof sql, "VACUUM INTO '%s.v%d'", path, from);
        if (!execute(database, sql)) {
            return false;
        }
    }
    for (int version = from; version < to; version++) {
        snprintf(sql, sizeof sql, "PRAGMA user_version=%d", version + 1);
        if (!execute(database, "BEGIN IMMEDIATE") ||
            !execute(database, migrations[version]) || !execute(database, sql) ||
            !execute(database, "COMMIT")) {
            return false;
        }
    }
    return true;
}

static bool set_up_writer(sqlite3 *database)
{
    char sql[256];
    snprintf(sql, sizeof sql,
             "PRAGMA busy_timeout=5000;PRAGMA auto_vacuum=INCREMENTAL;"
             "PRAGMA journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA foreign_keys=ON;"
             "PRAGMA trusted_schema=OFF;PRAGMA application_id=%d;",
             APPLICATION_ID);
    return execute(database, sql) &&
           sqlite3_db_config(database, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL) == SQLITE_OK;
}

static bool open_reader(admin_sql_reader_t *reader, const char *path)
{
    return sqlite3_open_v2(path, &reader->connection,
                           SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
                           NULL) == SQLITE_OK &&
           sqlite3_db_config(reader->connection, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1,
                             NULL) == SQLITE_OK &&
           execute(
               reader->connection,
               "PRAGMA busy_timeout=5000;PRAGMA query_only=ON;PRAGMA trusted_schema=OFF");
}

static void create_mutexes(admin_sql_file_t *file)
{
    pthread_mutexattr_t recursive;
    pthread_mutexattr_init(&recursive);
    pthread_mutexattr_settype(&recursive, PTHREAD_MUTEX_RECURSIVE);
    for (size_t i = 0; i < ADMIN_SQL_READERS; i++) {
        pthread_mutex_init(&file->readers[i].mutex, &recursive);
    }
    pthread_mutexattr_destroy(&recursive);
    pthread_mutex_init(&file->write_mutex, NULL);
}

l7s_status_t admin_sql_open(admin_sql_file_t *file, const char *path, const char *name,
                            const char *const *migrations, int count, char why[256])
{
    *file = (admin_sql_file_t){.name = name};
    create_mutexes(file);
    bool good =
        sqlite3_open_v2(path, &file->writer,
                        SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX,
                        NULL) == SQLITE_OK &&
        set_up_writer(file->writer);
    int version = good ? version_of(file->writer) : -1;
    if (version > count) {
        snprintf(why, 256, "%s was written by a newer l7shieldd (version %d, known: %d)",
                 path, version, count);
        return L7S_STALE;
    }
    if (version < 0 || !migrate(file->writer, path, migrations, version, count)) {
        snprintf(why, 256, "%s: %s", path, sqlite3_errmsg(file->writer));
        return L7S_IO;
    }
    for (size_t i = 0; i < ADMIN_SQL_READERS; i++) {
        if (!open_reader(&file->readers[i], path)) {
            snprintf(why, 256, "%s: %s", path,
                     sqlite3_errmsg(file->readers[i].connection));
            return L7S_IO;
        }
    }
    return L7S_OK;
}

void admin_sql_close(admin_sql_file_t *file)
{
    if (file->name == NULL) {
        return;
    }
    for (size_t i = 0; i < ADMIN_SQL_READERS; i++) {
        sqlite3_close(file->readers[i].connection);
        pthread_mutex_destroy(&file->readers[i].mutex);
    }
    sqlite3_close(file->writer);
    pthread_mutex_destroy(&file->write_mutex);
    file->name = NULL;
}
