/* SPDX-License-Identifier: Apache-2.0
 *
 * snapshot.json in the state folder: the last good snapshot with its manifest, the
 * highest revision ever seen and the last mode item. `l7shieldd` can rebuild a
 * configuration from it, so the parts stand in it as they are, not compressed.
 */
#ifndef SYNC_SNAPSHOT_FILE_H
#define SYNC_SNAPSHOT_FILE_H

#include "parts.h"

typedef struct {
    char bus_epoch[40];
    char name_secret[L7S_SECRET_ID_MAX]; /* whose keys named the items */
    char trust_id[L7S_SHA256_TEXT];      /* of the daemon that counted all this */
    uint64_t seen_epoch, seen_revision;  /* the highest manifest */
    uint64_t head_epoch;                 /* the highest config_epoch of a head */
    bool has_mode_item;
    l7s_mode_item_t mode_item;
    json_t *manifest; /* of the parts; NULL: nothing was ever in force */
} sync_snapshot_state_t;

/* Fills `state` and puts the parts (all but the bans) into `parts`. The manifest is a new
 * reference. L7S_NOT_FOUND: no file; L7S_INVALID: not one of ours. */
L7S_MUST_USE l7s_status_t sync_snapshot_file_load(const char *path,
                                                  sync_snapshot_state_t *state,
                                                  sync_parts_t *parts);
L7S_MUST_USE l7s_status_t sync_snapshot_file_save(const char *path,
                                                  const sync_snapshot_state_t *state,
                                                  const sync_parts_t *parts);

#endif
