/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd backup and restore (commands.h), of the file that store/backup_file.h
 * describes.
 */
#include "../store/backup_file.h"
#include "commands.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_MAX_BYTES 4096

int admin_backup(const admin_options_t *options)
{
    admin_trouble_t trouble = {.failed = false};
    char partial[PATH_MAX_BYTES];
    snprintf(partial, sizeof(partial), "%s.partial", options->argument);
    unlink(partial); /* of one that was interrupted, whoever may read it */
    FILE *out = fopen(partial, "wxe");
    bool good = out != NULL || admin_trouble(&trouble, partial, strerror(errno));
    good = good &&
           admin_backup_file_write(options->data_dir, options->argument, out, &trouble);
    if (out != NULL &&
        (!admin_close_synced(out) || (good && rename(partial, options->argument)))) {
        good = admin_trouble(&trouble, options->argument, strerror(errno));
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

static void path_of(const admin_options_t *options, const char *name, const char *suffix,
                    char out[PATH_MAX_BYTES])
{
    snprintf(out, PATH_MAX_BYTES, "%s/%s%s", options->data_dir, name, suffix);
}

/* What was there is kept beside the new one, its log too, until the next restore. */
static bool put_in_place(const admin_options_t *options, const char *name,
                         admin_trouble_t *trouble)
{
    static const char *const parts[] = {"", "-wal", "-shm"};
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES], suffix[32];
    for (size_t i = 0; i < 3; i++) {
        snprintf(suffix, sizeof(suffix), ".before-restore%s", parts[i]);
        path_of(options, name, parts[i], from);
        path_of(options, name, suffix, to);
        unlink(to);
        if (rename(from, to) != 0 && errno != ENOENT) {
            return admin_trouble(trouble, from, strerror(errno));
        }
    }
    path_of(options, name, ".restored", from);
    path_of(options, name, "", to);
    return rename(from, to) == 0 || admin_trouble(trouble, to, strerror(errno));
}

static bool lock_folder(const admin_options_t *options, int *lock,
                        admin_trouble_t *trouble)
{
    char why[256] = "";
    if (mkdir(options->data_dir, 0700) != 0 && errno != EEXIST) {
        return admin_trouble(trouble, options->data_dir, strerror(errno));
    }
    l7s_status_t status = admin_store_lock(options->data_dir, why, lock);
    return status == L7S_OK ||
           admin_trouble(trouble, why,
                         status == L7S_CONFLICT ? "stop it first"
                                                : "nothing was changed");
}

/* With the directory locked: nothing in it changes before the whole backup is there. */
static bool replace(const admin_options_t *options, FILE *in, admin_trouble_t *trouble)
{
    int lock = -1;
    bool good = lock_folder(options, &lock, trouble);
    good = good && admin_backup_file_extract(in, options->data_dir, trouble);
    for (size_t i = 0; admin_backup_databases[i] != NULL && good; i++) {
        good = put_in_place(options, admin_backup_databases[i], trouble);
    }
    if (lock >= 0) {
        close(lock);
    }
    return good;
}

int admin_restore(const admin_options_t *options)
{
    admin_trouble_t trouble = {.failed = false};
    char why[256] = "";
    admin_store_t *store = NULL;
    FILE *in = fopen(options->argument, "re");
    bool good = in != NULL ? replace(options, in, &trouble)
                           : admin_trouble(&trouble, options->argument, strerror(errno));
    if (in != NULL) {
        fclose(in);
    }
    if (!good) {
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
