/* SPDX-License-Identifier: Apache-2.0
 *
 * l7shieldd backup and restore (commands.h), of the file that store/backup_file.h
 * describes.
 */
#include "../store/backup_file.h"
#include "../store/replacement.h"
#include "commands.h"

#include <errno.h>
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

/* With the directory locked: nothing in it changes before the whole backup is there.
 * Opening the store finishes what has begun here. */
static bool begin(const admin_options_t *options, FILE *in, admin_trouble_t *trouble)
{
    int lock = -1;
    char why[256] = "";
    bool good = lock_folder(options, &lock, trouble);
    if (good && admin_replacement_finish(options->data_dir, why) != L7S_OK) {
        good = admin_trouble(trouble, why, "an earlier restore cannot be finished");
    }
    good = good && admin_backup_file_extract(in, options->data_dir, trouble);
    if (good && admin_replacement_begin(options->data_dir, why) != L7S_OK) {
        good = admin_trouble(trouble, why, "nothing was changed");
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
    bool good = in != NULL ? begin(options, in, &trouble)
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
