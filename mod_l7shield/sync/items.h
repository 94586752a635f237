/* SPDX-License-Identifier: Apache-2.0
 *
 * What the daemon says, read in one round trip: its head under whichever secret names it,
 * the mode item and the manifest. Opens and copies; judges nothing but the seals. An item
 * that is byte for byte the one of the last look is not opened again: checking signatures
 * would be four fifths of what an idle node does.
 */
#ifndef SYNC_ITEMS_H
#define SYNC_ITEMS_H

#include "bus.h"

#define SYNC_BUS_EPOCH_TEXT 16

typedef struct sync_items sync_items_t;

typedef struct {
    uint64_t config_epoch, sealed_at_ms;
    char bus_epoch[SYNC_BUS_EPOCH_TEXT + 1];
    char secret_id[L7S_SECRET_ID_MAX]; /* whose keys name the items */
} sync_head_t;

L7S_MUST_USE l7s_status_t sync_items_create(sync_items_t **out);
void sync_items_free(sync_items_t *items);

/* One look; what does not arrive is absent. Needs trust. */
void sync_items_read(sync_items_t *items, sync_bus_t *bus);
/* The keys have changed: the next look opens everything anew. */
void sync_items_forget(sync_items_t *items);

/* What the last look saw. The head with the highest config_epoch, the newest of several;
 * false: none. */
bool sync_items_head(const sync_items_t *items, sync_head_t *out);
bool sync_items_mode(const sync_items_t *items, l7s_mode_item_t *out);
/* The manifest's payload when it is another one than at the look before, else NULL.
 * Borrowed until the next look. */
const char *sync_items_new_manifest(const sync_items_t *items, size_t *size);

#endif
