/* SPDX-License-Identifier: Apache-2.0
 *
 * The policy file of a node without a fleet: read at the start and within a second of
 * each change. A bad file leaves the policies in force and has all its problems logged
 * once.
 */
#ifndef SYNC_POLICY_FILE_H
#define SYNC_POLICY_FILE_H

#include "publish.h"

typedef struct sync_policy_file sync_policy_file_t;

/* `path` is borrowed. */
L7S_MUST_USE l7s_status_t sync_policy_file_create(const char *path,
                                                  sync_policy_file_t **out);
void sync_policy_file_free(sync_policy_file_t *file);

void sync_policy_file_tick(sync_policy_file_t *file, sync_publisher_t *publisher,
                           const l7s_shared_t *shared, l7s_now_t now);

/* For `apachectl -t`: one line per problem to stderr. Returns the exit status. */
int sync_policy_file_check(const char *path);

#endif
