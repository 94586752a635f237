/* SPDX-License-Identifier: Apache-2.0
 *
 * The truth on disk: two SQLite files in the data directory. config.db (WAL, FULL) holds
 * objects, revisions and tokens; events.db (WAL, NORMAL) holds incidents, bans and nodes.
 * This header opens them and frames transactions; store_objects.h and store_events.h say
 * what is in them.
 *
 * Decision: one writing connection per file, behind a mutex, since SQLite 3.40 can
 * corrupt a WAL that two connections write and checkpoint at once. A thread opens a
 * transaction with begin, calls the writing functions, and ends it with commit or
 * rollback. Reading functions may be called by any thread at any time: inside the
 * thread's own transaction they see its changes, elsewhere the last commit.
 */
#ifndef ADMIN_STORE_H
#define ADMIN_STORE_H

#include "../daemon.h"
#include <stdint.h>

typedef enum { ADMIN_CONFIG_DB, ADMIN_EVENTS_DB } admin_file_t;

/* Opens or creates both files, migrates older ones, refuses newer ones. Draws
 * config_epoch 1 and a random bus_epoch in a new config.db. `why` gets the sentence for
 * the log. */
L7S_MUST_USE l7s_status_t admin_store_open(const char *data_dir, char why[256],
                                           admin_store_t **out);
void admin_store_close(admin_store_t *store);
/* Only the lock, which goes when *fd is closed. L7S_CONFLICT: a daemon runs. */
L7S_MUST_USE l7s_status_t admin_store_lock(const char *data_dir, char why[256], int *fd);

/* Begins a transaction and holds the file's writer until commit or rollback; never two
 * files at once. L7S_IO: the file cannot be written (disk full, …) and nothing is held.
 */
L7S_MUST_USE l7s_status_t admin_store_begin(admin_store_t *store, admin_file_t file);
/* The same on events.db, but the commit is synced to disk like one of config.db: for what
 * an operator was told is stored (a manual ban). */
L7S_MUST_USE l7s_status_t admin_store_begin_durable(admin_store_t *store);
/* L7S_IO: rolled back, nothing was stored. The writer is released in every case. */
L7S_MUST_USE l7s_status_t admin_store_commit(admin_store_t *store, admin_file_t file);
void admin_store_rollback(admin_store_t *store, admin_file_t file);
/* Commits what went well; else rolls back and returns `status`. */
L7S_MUST_USE l7s_status_t admin_store_end(admin_store_t *store, admin_file_t file,
                                          l7s_status_t status);

/* The listener is called after each commit that changed config.db or wrote an event, in
 * the thread that made it, before that says so to anybody: it must be quick and must not
 * write. Set while nobody writes. */
typedef void (*admin_store_fn)(void *context, admin_file_t file);
void admin_store_listen(admin_store_t *store, admin_store_fn listener, void *context);

/* Can both files be written? (A transaction that is rolled back, at most
 * once a second; for /readyz.) */
bool admin_store_writable(admin_store_t *store);

/* Begins a new history: after it nodes refuse everything of an older epoch. `epoch` must
 * be higher than the present one. A new bus epoch is due then. */
L7S_MUST_USE l7s_status_t admin_store_raise_epoch(admin_store_t *store, uint64_t epoch);

/* The identity of this configuration's history, read once at start. */
uint64_t admin_store_config_epoch(const admin_store_t *store);
const char *admin_store_bus_epoch(const admin_store_t *store); /* 16 hex digits */

#endif
