/* SPDX-License-Identifier: Apache-2.0
 *
 * The parts of a snapshot as they travel: named texts, compressed and cut into chunks
 * (core/bus/manifest.h). A new set is built beside the one in force and shares with it
 * what has the same text, which is thus neither compressed nor sent again. Not
 * thread-safe.
 */
#ifndef ADMIN_SNAPSHOT_PARTS_H
#define ADMIN_SNAPSHOT_PARTS_H

#include "../../core/bus/manifest.h"

#define ADMIN_PART_NAME_MAX 72 /* "list/" and a name */
#define ADMIN_RETIRED_MAX 1024 /* more are left to memcached's eviction */
#define ADMIN_RETIRED_MS 30000

typedef struct admin_part admin_part_t;

typedef struct {
    size_t count, capacity;
    admin_part_t **items;
} admin_parts_t;

/* Adds a part with the text of `document` (stolen): the one of `old` when it is the same.
 * L7S_TOO_BIG, L7S_NO_MEMORY: `parts` is as it was. */
L7S_MUST_USE l7s_status_t admin_parts_add(admin_parts_t *parts, const admin_parts_t *old,
                                          const char *name, json_t *document);
void admin_parts_clear(admin_parts_t *parts);

/* Calls `store` for every chunk that is not known to be in memcached, until one fails. */
typedef l7s_status_t (*admin_chunk_fn)(void *context, const l7s_chunk_t *chunk);
L7S_MUST_USE l7s_status_t admin_parts_store(admin_parts_t *parts, admin_chunk_fn store,
                                            void *context);
/* Nothing is known to be in memcached any more. */
void admin_parts_lost(admin_parts_t *parts);

size_t admin_parts_chunks(const admin_parts_t *parts); /* how many there are */
/* By its number; NULL: there is none. Borrowed. */
const l7s_chunk_t *admin_parts_chunk(const admin_parts_t *parts, size_t index);
bool admin_parts_use(const admin_parts_t *parts, const char *hash);
/* Appends what a manifest says of them. */
void admin_parts_list(const admin_parts_t *parts, json_t *array);

/* Chunks that were replaced, oldest first; a ring. */
typedef struct {
    size_t first, count;
    struct {
        char hash[L7S_SHA256_TEXT];
        uint64_t since_ms; /* monotonic */
    } items[ADMIN_RETIRED_MAX];
} admin_retired_t;

/* Notes the chunks that `parts` shares with nobody, before it is cleared. */
void admin_retired_add(admin_retired_t *retired, const admin_parts_t *parts,
                       uint64_t mono_ms);
/* Takes out the oldest one, once no node can be about to read it any more. False: there
 * is none (now). */
bool admin_retired_next(admin_retired_t *retired, uint64_t mono_ms,
                        char hash[L7S_SHA256_TEXT]);

#endif
