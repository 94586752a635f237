/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd backup and restore (commands.h). A backup is one file:
 *
 *   L7SHIELD-BACKUP 1\n
 *   config.db BYTES SHA256\n   the bytes of the database
 *   events.db BYTES SHA256\n   the bytes of the database
 *
 * The copies are made by SQLite's backup API over read-only connections, so a daemon may
 * go on writing meanwhile; copying the files would tear them. Keys are no part of it.
 */
#include "../../core/bus/trust.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MAGIC "L7SHIELD-BACKUP 1\n"
#define PATH_MAX_BYTES 4096
#define BLOCK 65536
#define BUSY_MS 10000

static const char *const databases[] = {"config.db", "events.db"};
#define DATABASES (sizeof databases / sizeof databases[0])

typedef struct {
    char why[512];
    bool failed;
} trouble_t;

/* Keeps the first sentence; returns false. */
static bool fail(trouble_t *trouble, const char *what, const char *detail)
{
    if (!trouble->failed) {
        snprintf(trouble->why, sizeof(trouble->why), "%.200s: %.200s", what, detail);
    }
    trouble->failed = true;
    return false;
}

/* ---- copying ---- */

/* Copies `bytes` of `in` (-1: all) to `out` (NULL: nowhere). *digest is 64 hex digits. */
static bool copy(FILE *in, FILE *out, long long bytes, long long *copied,
                 char digest[L7S_SHA256_TEXT])
{
    static unsigned char block[BLOCK];
    gnutls_hash_hd_t hash;
    unsigned char raw[32];
    bool good = gnutls_hash_init(&hash, GNUTLS_DIG_SHA256) == 0;
    if (!good) {
        return false;
    }
    *copied = 0;
    while (good && (bytes < 0 || *copied < bytes)) {
        size_t want =
            bytes < 0 || bytes - *copied > BLOCK ? BLOCK : (size_t)(bytes - *copied);
        size_t got = fread(block, 1, want, in);
        if (got == 0) {
            break;
        }
        good = gnutls_hash(hash, block, got) == 0 &&
               (out == NULL || fwrite(block, 1, got, out) == got);
        *copied += (long long)got;
    }
    gnutls_hash_deinit(hash, raw);
    for (size_t i = 0; i < sizeof(raw); i++) {
        snprintf(digest + 2 * i, 3, "%02x", raw[i]);
    }
    return good && ferror(in) == 0;
}

static bool close_synced(FILE *file)
{
    bool good = fflush(file) == 0 && fsync(fileno(file)) == 0;
    return fclose(file) == 0 && good;
}

/* ---- backup ---- */

/* A consistent copy of one database in a file of its own. */
static bool copy_database(const char *from, const char *to, trouble_t *trouble)
{
    sqlite3 *source = NULL, *target = NULL;
    int code = sqlite3_open_v2(from, &source, SQLITE_OPEN_READONLY, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(source, BUSY_MS);
        unlink(to);
        code = sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE,
                               NULL);
    }
    if (code == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
        code = backup == NULL ? sqlite3_errcode(target) : sqlite3_backup_step(backup, -1);
        int end = backup == NULL ? code : sqlite3_backup_finish(backup);
        code = code == SQLITE_DONE ? end : code;
    }
    sqlite3_close(source);
    sqlite3_close(target);
    return code == SQLITE_OK || fail(trouble, from, sqlite3_errstr(code));
}

/* Appends the database `name` to the backup. */
static bool add_database(const admin_options_t *options, const char *name, FILE *out,
                         trouble_t *trouble)
{
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES], digest[L7S_SHA256_TEXT] = "";
    long long bytes = 0, again = 0;
    snprintf(from, sizeof(from), "%s/%s", options->data_dir, name);
    snprintf(to, sizeof(to), "%s.%s.partial", options->argument, name);
    bool good = copy_database(from, to, trouble);
    FILE *in = good ? fopen(to, "re") : NULL;
    if (good && (in == NULL || !copy(in, NULL, -1, &bytes, digest))) {
        good = fail(trouble, to, strerror(errno));
    }
    if (good) {
        rewind(in);
        fprintf(out, "%s %lld %s\n", name, bytes, digest);
        good = (copy(in, out, bytes, &again, digest) && again == bytes) ||
               fail(trouble, options->argument, strerror(errno));
    }
    if (in != NULL) {
        fclose(in);
    }
    unlink(to);
    return good;
}

int admin_backup(const admin_options_t *options)
{
    trouble_t trouble = {.failed = false};
    char partial[PATH_MAX_BYTES];
    snprintf(partial, sizeof(partial), "%s.partial", options->argument);
    FILE *out = fopen(partial, "we");
    bool good = out != NULL || fail(&trouble, partial, strerror(errno));
    if (good) {
        fputs(MAGIC, out);
    }
    for (size_t i = 0; i < DATABASES && good; i++) {
        good = add_database(options, databases[i], out, &trouble);
    }
    if (out != NULL &&
        (!close_synced(out) || (good && rename(partial, options->argument)))) {
        good = fail(&trouble, options->argument, strerror(errno));
    }
    if (!good) {
        unlink(partial);
        fprintf(stderr, "l7shieldd backup: %s\n", trouble.why);
        return 1;
    }
    printf("wrote %s; keys are not in it, keep those apart\n", options->argument);
    return 0;
}

/* ---- restore ---- */

/* One database of the backup to `to`, checked. */
static bool extract(FILE *in, const char *name, const char *to, trouble_t *trouble)
{
    char line[256] = "", found[32], digest[L7S_SHA256_TEXT], actual[L7S_SHA256_TEXT] = "";
    long long bytes = 0, copied = 0;
    if (fgets(line, sizeof(line), in) == NULL ||
        sscanf(line, "%31s %lld %64s", found, &bytes, digest) != 3 ||
        strcmp(found, name) != 0 || bytes <= 0) {
        return fail(trouble, name, "is not in the backup");
    }
    FILE *out = fopen(to, "we");
    if (out == NULL) {
        return fail(trouble, to, strerror(errno));
    }
    bool good = copy(in, out, bytes, &copied, actual);
    good = close_synced(out) && good;
    if (!good) {
        return fail(trouble, to, strerror(errno));
    }
    return (copied == bytes && strcmp(digest, actual) == 0) ||
           fail(trouble, name, "is damaged in the backup");
}

static void path_of(const admin_options_t *options, const char *name, const char *suffix,
                    char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%s%s", options->data_dir, name, suffix);
}

/* What was there is kept beside the new one, its log too, until the next restore. */
static bool put_in_place(const admin_options_t *options, const char *name,
                         trouble_t *trouble)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES], suffix[32];
    for (size_t i = 0; i < 3; i++) {
        snprintf(suffix, sizeof(suffix), ".before-restore%s", parts[i]);
        path_of(options, name, parts[i], from);
        path_of(options, name, suffix, to);
        unlink(to);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return fail(trouble, from, strerror(errno));
        }
    }
    path_of(options, name, ".restored", from);
    path_of(options, name, "", to);
    return rename(from, to) == 0 || fail(trouble, to, strerror(errno));
}

static bool extract_all(const admin_options_t *options, trouble_t *trouble)
{
    char line[64] = "", to[PATH_MAX_BYTES];
    FILE *in = fopen(options->argument, "re");
    if (in == NULL) {
        return fail(trouble, options->argument, strerror(errno));
    }
    bool good = (fgets(line, sizeof(line), in) != NULL && strcmp(line, MAGIC) == 0) ||
                fail(trouble, options->argument, "is no backup of l7shieldd");
    for (size_t i = 0; i < DATABASES && good; i++) {
        path_of(options, databases[i], ".restored", to);
        good = extract(in, databases[i], to, trouble);
    }
    fclose(in);
    for (size_t i = 0; i < DATABASES && !good; i++) {
        path_of(options, databases[i], ".restored", to);
        unlink(to);
    }
    return good;
}

/* With the directory locked: nothing in it changes before the whole backup is there. */
static bool replace(const admin_options_t *options, trouble_t *trouble)
{
    char why[256] = "";
    int lock = -1;
    if (mkdir(options->data_dir, 0700) != 0 && errno != EEXIST) {
        return fail(trouble, options->data_dir, strerror(errno));
    }
    bool good = admin_store_lock(options->data_dir, why, &lock) == L7S_OK ||
                fail(trouble, why, "stop it first");
    good = good && extract_all(options, trouble);
    for (size_t i = 0; i < DATABASES && good; i++) {
        good = put_in_place(options, databases[i], trouble);
    }
    if (lock >= 0) {
        close(lock);
    }
    return good;
}

int admin_restore(const admin_options_t *options)
{
    trouble_t trouble = {.failed = false};
    char why[256] = "";
    admin_store_t *store = NULL;
    if (!replace(options, &trouble)) {
        fprintf(stderr, "l7shieldd restore: %s\n", trouble.why);
        return 1;
    }
    l7s_status_t status = admin_store_open(options->data_dir, why, &store);
    if (status == L7S_OK) {
        printf("restored %s; what was there is kept as *.before-restore\n",
               options->argument);
        status = admin_begin_epoch(options, store, 0);
        snprintf(why, sizeof(why), "say \"l7shieldd new-epoch\" before you start it");
    }
    admin_store_close(store);
    if (status != L7S_OK) {
        fprintf(stderr, "l7shieldd restore: %s: %s\n", l7s_status_name(status), why);
    }
    return status == L7S_OK ? 0 : 1;
}
