/* SPDX-License-Identifier: Apache-2.0
 *
 * A store in a temporary folder of its own, opened before and removed after each test.
 */
#ifndef STORED_H
#define STORED_H

#include "../../admin_api/store/store.h"
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

typedef struct {
    char folder[64];
    admin_store_t *store;
} stored_t;

static inline bool stored_open(stored_t *stored)
{
    char why[256];
    return admin_store_open(stored->folder, why, &stored->store) == L7S_OK;
}

static inline int stored_setup(void **state)
{
    stored_t *stored = calloc(1, sizeof *stored);
    snprintf(stored->folder, sizeof stored->folder, "/tmp/l7shield-store-XXXXXX");
    *state = stored;
    return mkdtemp(stored->folder) != NULL && stored_open(stored) ? 0 : -1;
}

static inline int stored_teardown(void **state)
{
    static const char *const files[] = {"config.db",    "config.db-wal", "config.db-shm",
                                        "events.db",    "events.db-wal", "events.db-shm",
                                        "config.db.v0", "lock"};
    stored_t *stored = *state;
    admin_store_close(stored->store);
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char path[128];
        snprintf(path, sizeof path, "%s/%s", stored->folder, files[i]);
        unlink(path);
    }
    int gone = rmdir(stored->folder);
    free(stored);
    return gone;
}

#define stored_test(function)                                                            \
    cmocka_unit_test_setup_teardown(function, stored_setup, stored_teardown)

#endif
