/* SPDX-License-Identifier: Apache-2.0
 *
 * bans.json in the state folder: the bans in force, so that a restart of the machine does
 * not let anybody in, and which of them the fleet knows. Written at most once a second
 * when something changed.
 */
#ifndef SYNC_BAN_FILE_H
#define SYNC_BAN_FILE_H

#include "bans.h"

typedef struct sync_ban_file sync_ban_file_t;

L7S_MUST_USE l7s_status_t sync_ban_file_create(const l7s_shared_t *shared,
                                               const char *state_dir,
                                               sync_ban_file_t **out);
void sync_ban_file_free(sync_ban_file_t *file);

/* Reads the file. `cold`: the segment is new and the bans themselves are put back, else
 * only what is known of them. `count_key`: digests of bans that are not addresses are
 * worth something only under the key they were made with. */
void sync_ban_file_load(sync_ban_file_t *file, sync_bans_t *bans, const char *bus_epoch,
                        const l7s_hashkey_t *count_key, bool cold, l7s_now_t now);

/* Writes the file when something changed and the last time is a second ago, or `at_once`.
 */
void sync_ban_file_tick(sync_ban_file_t *file, sync_bans_t *bans, const char *bus_epoch,
                        const l7s_hashkey_t *count_key, bool at_once, l7s_now_t now);

#endif
