/* SPDX-License-Identifier: Apache-2.0
 *
 * The file of a backup:
 *
 *   L7SHIELD-BACKUP 1\n
 *   config.db BYTES SHA256\n   the bytes of the database
 *   events.db BYTES SHA256\n   the bytes of the database
 *
 * The copies are made by SQLite's backup API over read-only connections, so a daemon may
 * go on writing meanwhile; copying the files would tear them. Keys are no part of it.
 */
#ifndef ADMIN_BACKUP_FILE_H
#define ADMIN_BACKUP_FILE_H

#include <stdbool.h>
#include <stdio.h>

/* What went wrong first. */
typedef struct {
    char why[512];
    bool failed;
} admin_trouble_t;

/* Keeps the first sentence; returns false. */
bool admin_trouble(admin_trouble_t *trouble, const char *what, const char *detail);

/* Appends the whole backup to `out`. Each database is first copied to a file beside
 * `scratch`, which is gone afterwards; no two calls may share a scratch name. */
bool admin_backup_file_write(const char *data_dir, const char *scratch, FILE *out,
                             admin_trouble_t *trouble);

/* Extracts `in` into NAME.restored for each database of `data_dir`; all or none. */
bool admin_backup_file_extract(FILE *in, const char *data_dir, admin_trouble_t *trouble);

/* The databases by name; NULL ends them. */
extern const char *const admin_backup_databases[];

/* To the disk, then closed. */
bool admin_close_synced(FILE *file);

#endif
