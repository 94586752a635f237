/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of snapshots that are on this node: fetched in chunks by content hash, kept
 * parsed, so that a rollout moves and reads only what changed. Two snapshots may be here
 * at once, the one in force and the next; what neither names is forgotten.
 */
#ifndef SYNC_PARTS_H
#define SYNC_PARTS_H

#include "../../core/bus/manifest.h"
#include "bus.h"

typedef struct sync_parts sync_parts_t;

typedef struct {
    json_t *chunks; /* the hashes, as in the manifest: the identity of this version */
    char name[208];
    char *text; /* as the daemon wrote it, NUL-terminated */
    size_t size;
    json_t *document; /* `text`, parsed */
} sync_part_t;

L7S_MUST_USE l7s_status_t sync_parts_create(sync_parts_t **out);
void sync_parts_free(sync_parts_t *parts);

/* Brings the part that the manifest's entry describes here. L7S_TIMEOUT: the tick's time
 * is up, go on in the next one. L7S_NOT_FOUND: memcached lacks a chunk. Others: the part
 * is damaged (its chunks are fetched anew the next time). */
L7S_MUST_USE l7s_status_t sync_parts_fetch(sync_parts_t *parts, sync_bus_t *bus,
                                           const json_t *entry);

/* Puts a part here from the disk. `text` is copied. */
L7S_MUST_USE l7s_status_t sync_parts_put(sync_parts_t *parts, const json_t *entry,
                                         const char *text, size_t size);

/* The version that the manifest's entry describes, or NULL. Borrowed. */
const sync_part_t *sync_parts_find(const sync_parts_t *parts, const json_t *entry);

/* Forgets what neither manifest names (each may be NULL), and all loose chunks. */
void sync_parts_keep(sync_parts_t *parts, const json_t *one, const json_t *other);

#endif
