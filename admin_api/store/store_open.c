/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening the store (store.h). The schemas of both files stand here; a change is a new
 * string at the end of its list, never an edit of an old one.
 */
#include "../../core/bus/trust.h"
#include "event_log.h"
#include "replacement.h"
#include "sql.h"
#include "store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* change.spec NULL: deleted by that revision. size counts the spec's bytes, so that the
 * history's size can be summed without reading it. */
static const char *const config_migrations[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE TABLE object(kind TEXT NOT NULL, name TEXT NOT NULL, spec TEXT NOT NULL,"
    " etag TEXT NOT NULL, revision INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " updated_ms INTEGER NOT NULL, UNIQUE(kind, name)) STRICT;"
    "CREATE TABLE revision(revision INTEGER PRIMARY KEY, at_ms INTEGER NOT NULL,"
    " author TEXT NOT NULL, reason TEXT NOT NULL) STRICT;"
    "CREATE TABLE change(revision INTEGER NOT NULL, kind TEXT NOT NULL,"
    " name TEXT NOT NULL, op TEXT NOT NULL, spec TEXT, size INTEGER NOT NULL,"
    " differences TEXT NOT NULL, UNIQUE(kind, name, revision)) STRICT;"
    "CREATE INDEX change_revision ON change(revision);"
    "CREATE TABLE token(name TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " hash BLOB NOT NULL, role INTEGER NOT NULL, created_ms INTEGER NOT NULL,"
    " rotated_ms INTEGER NOT NULL, expires_ms INTEGER NOT NULL, spec TEXT NOT NULL) STRICT;",
    "ALTER TABLE token ADD COLUMN old_id TEXT;"
    "ALTER TABLE token ADD COLUMN old_hash BLOB;"
    "ALTER TABLE token ADD COLUMN old_until_ms INTEGER NOT NULL DEFAULT 0;"
    "CREATE INDEX token_old ON token(old_id) WHERE old_id IS NOT NULL;",
    /* The set that owns an object, and the one whose apply made a revision. */
    "ALTER TABLE object ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    "CREATE INDEX object_owner ON object(owner) WHERE owner <> '';"
    "ALTER TABLE revision ADD COLUMN set_name TEXT;",
    "CREATE TABLE audit(seq INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " last_ms INTEGER NOT NULL, count INTEGER NOT NULL, outcome TEXT NOT NULL,"
    " code TEXT NOT NULL, principal TEXT NOT NULL, token_id TEXT NOT NULL,"
    " session TEXT NOT NULL, client BLOB, method TEXT NOT NULL, route TEXT NOT NULL,"
    " path TEXT NOT NULL, object TEXT NOT NULL, reason TEXT NOT NULL,"
    " revision INTEGER NOT NULL) STRICT;"
    "CREATE INDEX audit_done ON audit(seq) WHERE outcome = 'done';"
    "CREATE INDEX audit_not_done ON audit(seq) WHERE outcome <> 'done';",
    "CREATE TABLE webhook(name TEXT PRIMARY KEY, secret TEXT NOT NULL,"
    " created_ms INTEGER NOT NULL, updated_ms INTEGER NOT NULL, spec TEXT NOT NULL) STRICT;",
};

static const char *const events_migrations[] = {
    "CREATE TABLE meta(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"
    "CREATE TABLE incident(seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " subject TEXT NOT NULL, state TEXT NOT NULL, policy TEXT, app TEXT, kind TEXT,"
    " severity TEXT, signature TEXT, action TEXT, client BLOB,"
    " started_ms INTEGER NOT NULL, last_seen_ms INTEGER NOT NULL,"
    " ended_ms INTEGER NOT NULL, doc TEXT NOT NULL) STRICT;"
    "CREATE INDEX incident_started ON incident(started_ms DESC, seq DESC);"
    "CREATE INDEX incident_subject ON incident(subject, seq DESC);"
    "CREATE INDEX incident_policy ON incident(policy, started_ms DESC, seq DESC);"
    "CREATE INDEX incident_client ON incident(client, started_ms DESC, seq DESC);"
    "CREATE INDEX incident_active ON incident(last_seen_ms) WHERE state = 'active';"
    "CREATE INDEX incident_ended ON incident(ended_ms) WHERE state <> 'active';"
    "CREATE TABLE incident_alias(alias TEXT PRIMARY KEY,"
    " seq INTEGER NOT NULL REFERENCES incident(seq) ON DELETE CASCADE) STRICT;"
    "CREATE INDEX incident_alias_seq ON incident_alias(seq);"
    "CREATE TABLE ban(id TEXT PRIMARY KEY, policy TEXT, origin TEXT NOT NULL,"
    " low BLOB, high BLOB, lifted INTEGER NOT NULL, since_ms INTEGER NOT NULL,"
    " until_ms INTEGER NOT NULL, hold_until_ms INTEGER NOT NULL, entry TEXT NOT NULL,"
    " spec TEXT) STRICT;"
    "CREATE INDEX ban_low ON ban(low) WHERE low IS NOT NULL;"
    "CREATE TABLE node(name TEXT PRIMARY KEY, first_seen_ms INTEGER NOT NULL,"
    " last_seen_ms INTEGER NOT NULL, position INTEGER NOT NULL, seat TEXT) STRICT;"
    "CREATE TABLE token_used(id TEXT PRIMARY KEY, at_ms INTEGER NOT NULL) STRICT;",
    /* Events (event_log.h); and of each node whether its loss has been told. */
    "CREATE TABLE event(id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL,"
    " type TEXT NOT NULL, data TEXT NOT NULL) STRICT;"
    "ALTER TABLE node ADD COLUMN lost_told INTEGER NOT NULL DEFAULT 1;",
    /* How far each webhook got; created_ms tells it from an earlier one of its name. */
    "CREATE TABLE webhook_state(name TEXT PRIMARY KEY, created_ms INTEGER NOT NULL,"
    " position INTEGER NOT NULL, success_ms INTEGER NOT NULL, failure_ms INTEGER NOT NULL,"
    " next_ms INTEGER NOT NULL, failures INTEGER NOT NULL, error TEXT NOT NULL) STRICT;",
    /* What policies did over time (store_stats.h). */
    "CREATE TABLE policy_step(policy TEXT NOT NULL, at_s INTEGER NOT NULL,"
    " matched INTEGER NOT NULL, acted INTEGER NOT NULL, would_act INTEGER NOT NULL,"
    " logged INTEGER NOT NULL, PRIMARY KEY(policy, at_s)) STRICT, WITHOUT ROWID;"
    "CREATE INDEX policy_step_at ON policy_step(at_s);",
};

#define VERSIONS(migrations) ((int)(sizeof migrations / sizeof migrations[0]))

/* Whoever may write here may put another configuration in place. */
static l7s_status_t check_directory(const char *data_dir, char why[256])
{
    struct stat info;
    if (stat(data_dir, &info) != 0 || !S_ISDIR(info.st_mode)) {
        snprintf(why, 256, "%.180s is no directory", data_dir);
        return L7S_IO;
    }
    if ((info.st_mode & 022) != 0) {
        snprintf(
            why, 256,
            "data directory %.80s has mode %04o: group or others may change it; run: "
            "chmod go-w %.80s",
            data_dir, (unsigned)(info.st_mode & 07777), data_dir);
        return L7S_UNTRUSTED;
    }
    return L7S_OK;
}

/* One daemon per directory: two would each believe to be the only writer. */
l7s_status_t admin_store_lock(const char *data_dir, char why[256], int *fd)
{
    char path[512];
    snprintf(path, sizeof path, "%s/lock", data_dir);
    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    if (*fd < 0) {
        snprintf(why, 256, "%.180s: %s", path, strerror(errno));
        return L7S_IO;
    }
    if (flock(*fd, LOCK_EX | LOCK_NB) != 0) {
        snprintf(why, 256, "another l7shieldd uses the data directory %s", data_dir);
        return L7S_CONFLICT;
    }
    return L7S_OK;
}

static l7s_status_t first_epochs(admin_store_t *store)
{
    uint64_t number;
    char text[17];
    l7s_status_t status = l7s_random(&number, sizeof number);
    if (status != L7S_OK) {
        return status;
    }
    snprintf(text, sizeof text, "%016llx", (unsigned long long)number);
    status = admin_store_begin(store, ADMIN_CONFIG_DB);
    if (status != L7S_OK) {
        return status;
    }
    status = admin_sql_run(store, ADMIN_CONFIG_DB, NULL,
                           "INSERT OR IGNORE INTO meta(key, value)"
                           " VALUES('config_epoch', '1'), ('bus_epoch', ?)",
                           "t", text);
    return admin_store_end(store, ADMIN_CONFIG_DB, status);
}

static l7s_status_t read_epochs(admin_store_t *store)
{
    admin_query_t query;
    admin_query_begin(store, ADMIN_CONFIG_DB, &query, "SELECT key, value FROM meta", "");
    while (admin_query_row(&query)) {
        const char *key = admin_query_text(&query, 0);
        const char *value = admin_query_text(&query, 1);
        if (strcmp(key, "config_epoch") == 0) {
            store->config_epoch = strtoull(value, NULL, 10);
        } else if (strcmp(key, "bus_epoch") == 0) {
            snprintf(store->bus_epoch, sizeof store->bus_epoch, "%s", value);
        }
    }
    return admin_query_end(&query);
}

static l7s_status_t open_files(admin_store_t *store, const char *data_dir, char why[256])
{
    char path[512];
    snprintf(path, sizeof path, "%s/config.db", data_dir);
    l7s_status_t status =
        admin_sql_open(&store->files[ADMIN_CONFIG_DB], path, "config.db",
                       config_migrations, VERSIONS(config_migrations), why);
    if (status != L7S_OK) {
        return status;
    }
    snprintf(path, sizeof path, "%s/events.db", data_dir);
    return admin_sql_open(&store->files[ADMIN_EVENTS_DB], path, "events.db",
                          events_migrations, VERSIONS(events_migrations), why);
}

l7s_status_t admin_store_open(const char *data_dir, char why[256], admin_store_t **out)
{
    *out = NULL;
    admin_store_t *store = calloc(1, sizeof *store);
    if (store == NULL) {
        return L7S_NO_MEMORY;
    }
    store->lock_fd = -1;
    pthread_mutex_init(&store->probe_mutex, NULL);
    atomic_store(&store->writable, true);
    l7s_status_t status = L7S_IO;
    if (mkdir(data_dir, 0700) != 0 && errno != EEXIST) {
        snprintf(why, 256, "%.180s: %s", data_dir, strerror(errno));
        goto out;
    }
    status = check_directory(data_dir, why);
    if (status == L7S_OK) {
        status = admin_store_lock(data_dir, why, &store->lock_fd);
    }
    if (status == L7S_OK) {
        status = admin_replacement_finish(data_dir, why);
    }
    if (status == L7S_OK) {
        status = open_files(store, data_dir, why);
    }
    if (status != L7S_OK) {
        goto out;
    }
    snprintf(why, 256, "%s/config.db cannot be written", data_dir);
    status = first_epochs(store);
    if (status == L7S_OK) {
        status = read_epochs(store);
    }
    if (status == L7S_OK) {
        snprintf(why, 256, "%s/events.db cannot be written", data_dir);
        status = admin_event_enter_epoch(store);
    }
out:
    if (status != L7S_OK) {
        admin_store_close(store);
        return status;
    }
    *out = store;
    return L7S_OK;
}

void admin_store_close(admin_store_t *store)
{
    if (store == NULL) {
        return;
    }
    admin_sql_close(&store->files[ADMIN_CONFIG_DB]);
    admin_sql_close(&store->files[ADMIN_EVENTS_DB]);
    if (store->lock_fd >= 0) {
        close(store->lock_fd);
    }
    pthread_mutex_destroy(&store->probe_mutex);
    free(store);
}
