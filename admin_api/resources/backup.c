/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/backup: what `l7shieldd backup` writes, sent to the caller or put into the
 * configured folder. One is made at a time: others wait, since each copies all there is.
 */
#include "../daemon.h"
#include "../http/problem.h"
#include "../http/spool.h"
#include "../log.h"
#include "../store/backup_file.h"
#include "resources.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;

/* Into `out`; false: the log says why. */
static bool make(const admin_daemon_t *daemon, FILE *out)
{
    const char *data_dir = daemon->options->data_dir;
    admin_trouble_t trouble = {.failed = false};
    char scratch[PATH_MAX_BYTES];
    snprintf(scratch, sizeof scratch, "%s/backup", data_dir);
    pthread_mutex_lock(&one_at_a_time);
    bool good = admin_backup_file_write(data_dir, scratch, out, &trouble);
    pthread_mutex_unlock(&one_at_a_time);
    if (!good) {
        admin_log(ADMIN_ERROR, "L7S3300", "no backup was made: %s",
                  trouble.failed ? trouble.why : strerror(errno));
    }
    return good;
}

void admin_backup_get(admin_call_t *call)
{
    int fd = admin_spool_open(call->daemon->options->data_dir);
    int own = fd < 0 ? -1 : dup(fd);
    FILE *out = own < 0 ? NULL : fdopen(own, "w");
    bool good = out != NULL && make(call->daemon, out);
    if (out != NULL) {
        good = fclose(out) == 0 && good;
    } else if (own >= 0) {
        close(own);
    }
    if (!good) {
        if (fd >= 0) {
            close(fd);
        }
        admin_call_failed(call, L7S_IO);
        return;
    }
    call->status = 200;
    call->content_type = "application/octet-stream";
    call->file = fd;
}

/* "l7shield-20260131T235959123Z.backup": names sort by time. */
static void name_of(uint64_t wall_ms, char out[64])
{
    time_t second = (time_t)(wall_ms / 1000);
    struct tm utc;
    char text[32];
    gmtime_r(&second, &utc);
    strftime(text, sizeof text, "%Y%m%dT%H%M%S", &utc);
    snprintf(out, 64, "l7shield-%s%03uZ.backup", text, (unsigned)(wall_ms % 1000));
}

/* Under its name once it is whole. Bytes, or -1. */
static long long write_file(const admin_daemon_t *daemon, const char *folder,
                            const char *name)
{
    char path[PATH_MAX_BYTES], partial[PATH_MAX_BYTES + 16];
    struct stat made = {.st_size = -1};
    snprintf(path, sizeof path, "%s/%s", folder, name);
    snprintf(partial, sizeof partial, "%s.partial", path);
    FILE *out = fopen(partial, "wxe");
    if (out == NULL) {
        admin_log(ADMIN_ERROR, "L7S3300", "no backup was made: %s: %s", partial,
                  strerror(errno));
        return -1;
    }
    bool good = fchmod(fileno(out), 0600) == 0 && make(daemon, out) &&
                fstat(fileno(out), &made) == 0;
    good = admin_close_synced(out) && good && rename(partial, path) == 0;
    if (!good) {
        unlink(partial);
    }
    return good ? (long long)made.st_size : -1;
}

void admin_backup_post(admin_call_t *call)
{
    const char *folder = call->daemon->options->backup_folder;
    char name[64];
    if (folder == NULL) {
        admin_call_problem(call, "no_backup_folder",
                           "Set backup.folder in the configuration, or GET the backup.");
        return;
    }
    name_of(call->now_ms, name);
    json_t *bytes = json_null();
    if (!call->dry_run) {
        long long size = write_file(call->daemon, folder, name);
        if (size < 0) {
            admin_call_failed(call, L7S_IO);
            return;
        }
        bytes = json_integer(size);
    }
    snprintf(call->object, sizeof call->object, "%s", name);
    admin_call_reply(call, 201, json_pack("{s:s, s:o}", "file", name, "bytes", bytes));
}
