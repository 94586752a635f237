/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and reading backups (backup_file.h).
 */
#include "backup_file.h"
#include "../../core/bus/trust.h"

#include <errno.h>
#include <fcntl.h>
#include <gnutls/crypto.h>
#include <sqlite3.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define MAGIC "L7SHIELD-BACKUP 1\n"
#define PATH_MAX_BYTES 4096
#define BLOCK 65536
#define BUSY_MS 10000

const char *const admin_backup_databases[] = {"config.db", "events.db", NULL};

bool admin_trouble(admin_trouble_t *trouble, const char *what, const char *detail)
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
    unsigned char block[BLOCK];
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

bool admin_close_synced(FILE *file)
{
    bool good = fflush(file) == 0 && fsync(fileno(file)) == 0;
    return fclose(file) == 0 && good;
}

/* A new file that only its owner may read, whatever is there; tokens' hashes and secrets
 * of webhooks are in it. */
static int create(const char *path)
{
    unlink(path);
    return open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
}

/* ---- writing ---- */

/* A consistent copy of one database in a file of its own. */
static bool copy_database(const char *from, const char *to, admin_trouble_t *trouble)
{
    sqlite3 *source = NULL, *target = NULL;
    int made = create(to);
    if (made < 0) {
        return admin_trouble(trouble, to, strerror(errno));
    }
    close(made);
    int code = sqlite3_open_v2(from, &source, SQLITE_OPEN_READONLY, NULL);
    if (code == SQLITE_OK) {
        sqlite3_busy_timeout(source, BUSY_MS);
        code = sqlite3_open_v2(to, &target, SQLITE_OPEN_READWRITE, NULL);
    }
    if (code == SQLITE_OK) {
        sqlite3_backup *backup = sqlite3_backup_init(target, "main", source, "main");
        code = backup == NULL ? sqlite3_errcode(target) : sqlite3_backup_step(backup, -1);
        int end = backup == NULL ? code : sqlite3_backup_finish(backup);
        code = code == SQLITE_DONE ? end : code;
    }
    sqlite3_close(source);
    sqlite3_close(target);
    return code == SQLITE_OK || admin_trouble(trouble, from, sqlite3_errstr(code));
}

/* Appends the database `name` to the backup. */
static bool add_database(const char *data_dir, const char *scratch, const char *name,
                         FILE *out, admin_trouble_t *trouble)
{
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES], digest[L7S_SHA256_TEXT] = "";
    long long bytes = 0, again = 0;
    snprintf(from, sizeof(from), "%s/%s", data_dir, name);
    snprintf(to, sizeof(to), "%s.%s.partial", scratch, name);
    bool good = copy_database(from, to, trouble);
    FILE *in = good ? fopen(to, "re") : NULL;
    if (good && (in == NULL || !copy(in, NULL, -1, &bytes, digest))) {
        good = admin_trouble(trouble, to, strerror(errno));
    }
    if (good) {
        rewind(in);
        fprintf(out, "%s %lld %s\n", name, bytes, digest);
        good = (copy(in, out, bytes, &again, digest) && again == bytes) ||
               admin_trouble(trouble, "the backup", strerror(errno));
    }
    if (in != NULL) {
        fclose(in);
    }
    unlink(to);
    return good;
}

bool admin_backup_file_write(const char *data_dir, const char *scratch, FILE *out,
                             admin_trouble_t *trouble)
{
    bool good = fputs(MAGIC, out) >= 0;
    for (size_t i = 0; admin_backup_databases[i] != NULL && good; i++) {
        good = add_database(data_dir, scratch, admin_backup_databases[i], out, trouble);
    }
    /* What could not be written for a moment is missing, although the rest came after. */
    return good && ((fflush(out) == 0 && ferror(out) == 0) ||
                    admin_trouble(trouble, "the backup", strerror(errno)));
}

/* ---- reading ---- */

/* One database of the backup to `to`, checked. */
static bool extract(FILE *in, const char *name, const char *to, admin_trouble_t *trouble)
{
    char line[256] = "", found[32], digest[L7S_SHA256_TEXT], actual[L7S_SHA256_TEXT] = "";
    long long bytes = 0, copied = 0;
    if (fgets(line, sizeof(line), in) == NULL ||
        sscanf(line, "%31s %lld %64s", found, &bytes, digest) != 3 ||
        strcmp(found, name) != 0 || bytes <= 0) {
        return admin_trouble(trouble, name, "is not in the backup");
    }
    int made = create(to);
    FILE *out = made < 0 ? NULL : fdopen(made, "w");
    if (out == NULL) {
        return admin_trouble(trouble, to, strerror(errno));
    }
    bool good = copy(in, out, bytes, &copied, actual);
    good = admin_close_synced(out) && good;
    if (!good) {
        return admin_trouble(trouble, to, strerror(errno));
    }
    return (copied == bytes && strcmp(digest, actual) == 0) ||
           admin_trouble(trouble, name, "is damaged in the backup");
}

static void restored(const char *data_dir, const char *name, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%s.restored", data_dir, name);
}

bool admin_backup_file_extract(FILE *in, const char *data_dir, admin_trouble_t *trouble)
{
    char line[64] = "", to[PATH_MAX_BYTES];
    bool good = (fgets(line, sizeof(line), in) != NULL && strcmp(line, MAGIC) == 0) ||
                admin_trouble(trouble, "the file", "is no backup of l7shieldd");
    for (size_t i = 0; admin_backup_databases[i] != NULL && good; i++) {
        restored(data_dir, admin_backup_databases[i], to);
        good = extract(in, admin_backup_databases[i], to, trouble);
    }
    for (size_t i = 0; admin_backup_databases[i] != NULL && !good; i++) {
        restored(data_dir, admin_backup_databases[i], to);
        unlink(to);
    }
    return good;
}
