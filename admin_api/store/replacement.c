/* SPDX-License-Identifier: Apache-2.0
 *
 * A marker file stands in the directory from the moment at which the restored databases
 * belong in place until they are there. Each step of finishing may be done again, in any
 * state that an interruption has left.
 */
#include "replacement.h"
#include "backup_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096
#define MARKER "restore.pending"

/* A database of SQLite's is three files. */
static const char *const parts[] = {"", "-wal", "-shm"};
#define PARTS (sizeof parts / sizeof parts[0])

static void path_of(const char *data_dir, const char *name, const char *suffix,
                    const char *part, char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%s%s%s", data_dir, name, suffix, part);
}

static l7s_status_t say(char why[256], const char *path)
{
    snprintf(why, 256, "%.180s: %s", path, strerror(errno));
    return L7S_IO;
}

/* Names in the directory are on the disk. */
static l7s_status_t sync_folder(const char *data_dir, char why[256])
{
    int folder = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    bool good = folder >= 0 && fsync(folder) == 0;
    l7s_status_t status = good ? L7S_OK : say(why, data_dir);
    if (folder >= 0) {
        close(folder);
    }
    return status;
}

static l7s_status_t forget_earlier(const char *data_dir, char why[256])
{
    char path[PATH_MAX_BYTES];
    for (size_t i = 0; admin_backup_databases[i] != NULL; i++) {
        for (size_t part = 0; part < PARTS; part++) {
            path_of(data_dir, admin_backup_databases[i], ".before-restore", parts[part],
                    path);
            if (unlink(path) != 0 && errno != ENOENT) {
                return say(why, path);
            }
        }
    }
    return L7S_OK;
}

l7s_status_t admin_replacement_begin(const char *data_dir, char why[256])
{
    char path[PATH_MAX_BYTES];
    l7s_status_t status = forget_earlier(data_dir, why);
    if (status == L7S_OK) {
        status = sync_folder(data_dir, why);
    }
    if (status != L7S_OK) {
        return status;
    }
    path_of(data_dir, MARKER, "", "", path);
    int marker = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (marker < 0) {
        return say(why, path);
    }
    close(marker);
    return sync_folder(data_dir, why);
}

/* One database, unless that has been done: its log goes with it, or it would be played
 * into the restored one. */
static l7s_status_t put_in_place(const char *data_dir, const char *name, char why[256])
{
    char restored[PATH_MAX_BYTES], from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    path_of(data_dir, name, ".restored", "", restored);
    if (access(restored, F_OK) != 0) {
        return errno == ENOENT ? L7S_OK : say(why, restored);
    }
    for (size_t part = 0; part < PARTS; part++) {
        path_of(data_dir, name, "", parts[part], from);
        path_of(data_dir, name, ".before-restore", parts[part], to);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return say(why, from);
        }
    }
    path_of(data_dir, name, "", "", to);
    return rename(restored, to) == 0 ? L7S_OK : say(why, restored);
}

l7s_status_t admin_replacement_finish(const char *data_dir, char why[256])
{
    char marker[PATH_MAX_BYTES];
    path_of(data_dir, MARKER, "", "", marker);
    if (access(marker, F_OK) != 0) {
        return errno == ENOENT ? L7S_OK : say(why, marker);
    }
    l7s_status_t status = L7S_OK;
    for (size_t i = 0; admin_backup_databases[i] != NULL && status == L7S_OK; i++) {
        status = put_in_place(data_dir, admin_backup_databases[i], why);
    }
    if (status == L7S_OK) {
        status = sync_folder(data_dir, why);
    }
    if (status == L7S_OK && unlink(marker) != 0) {
        status = say(why, marker);
    }
    return status;
}
