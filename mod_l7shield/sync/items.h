/* SPDX-License-Identifier: Apache-2.0
 *
 * What the daemon says, read in one round trip: its head under whichever secret names it,
 * the mode item and the manifest. Opens and copies; judges nothing but the seals.
 */
#ifndef SYNC_ITEMS_H
#define SYNC_ITEMS_H

#include "bus.h"

#define SYNC_BUS_EPOCH_TEXT 16

typedef struct {
    bool has_head, has_mode;
    /* of the head with the highest config_epoch, the newest of several */
    uint64_t config_epoch, sealed_at_ms;
    char bus_epoch[SYNC_BUS_EPOCH_TEXT + 1];
    char secret_id[L7S_SECRET_ID_MAX]; /* whose keys name the items */
    l7s_mode_item_t mode;
    char *manifest; /* payload, owned; NULL: none */
    size_t manifest_size;
} sync_items_t;

/* Fills `out` anew; what did not arrive is absent. Needs trust. */
void sync_items_read(sync_bus_t *bus, sync_items_t *out);
void sync_items_clear(sync_items_t *items);

#endif
