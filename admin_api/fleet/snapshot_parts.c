/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts and their chunks (snapshot_parts.h).
 */
#include "snapshot_parts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Shared between the set in force and the one that is being built. */
struct admin_part {
    unsigned references;
    bool stored;
    char name[ADMIN_PART_NAME_MAX];
    char digest[L7S_SHA256_TEXT]; /* of the text */
    json_t *description;          /* as it stands in the manifest */
    l7s_chunk_t *chunks;
    size_t chunk_count;
};

static void release(admin_part_t *part)
{
    if (--part->references == 0) {
        json_decref(part->description);
        l7s_chunks_free(part->chunks, part->chunk_count);
        free(part);
    }
}

void admin_parts_clear(admin_parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        release(parts->items[i]);
    }
    free(parts->items);
    *parts = (admin_parts_t){0, 0, NULL};
}

/* Takes the reference, also on failure. */
static l7s_status_t append(admin_parts_t *parts, admin_part_t *part)
{
    if (parts->count == L7S_PARTS_MAX) {
        release(part);
        return L7S_TOO_BIG;
    }
    if (parts->count == parts->capacity) {
        size_t capacity = parts->capacity == 0 ? 16 : parts->capacity * 2;
        admin_part_t **grown = realloc(parts->items, capacity * sizeof(admin_part_t *));
        if (grown == NULL) {
            release(part);
            return L7S_NO_MEMORY;
        }
        parts->items = grown;
        parts->capacity = capacity;
    }
    parts->items[parts->count++] = part;
    return L7S_OK;
}

/* The part of the last read with this name and text, with a new reference, or NULL. */
static admin_part_t *same_part(const admin_parts_t *old, const char *name,
                               const char *digest)
{
    for (size_t i = 0; i < old->count; i++) {
        admin_part_t *part = old->items[i];
        if (strcmp(part->name, name) == 0 && strcmp(part->digest, digest) == 0) {
            part->references++;
            return part;
        }
    }
    return NULL;
}

/* Compresses and cuts `text` to a part with one reference. */
static l7s_status_t make_part(const char *name, const char *digest, const char *text,
                              admin_part_t **out)
{
    admin_part_t *part = calloc(1, sizeof(*part));
    json_t *described = json_array();
    l7s_status_t status = L7S_NO_MEMORY;
    if (part != NULL && described != NULL) {
        part->references = 1;
        snprintf(part->name, sizeof(part->name), "%s", name);
        snprintf(part->digest, sizeof(part->digest), "%s", digest);
        status = l7s_manifest_add(described, name, text, strlen(text), &part->chunks,
                                  &part->chunk_count);
    }
    if (status == L7S_OK) {
        part->description = json_incref(json_array_get(described, 0));
    } else if (part != NULL) {
        part->references = 1;
        release(part);
        part = NULL;
    }
    json_decref(described);
    *out = part;
    return status;
}

l7s_status_t admin_parts_add(admin_parts_t *parts, const admin_parts_t *old,
                             const char *name, json_t *document)
{
    char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT);
    char digest[L7S_SHA256_TEXT];
    l7s_status_t status = L7S_OK;
    json_decref(document);
    if (text == NULL) {
        return L7S_NO_MEMORY;
    }
    l7s_sha256_text(text, strlen(text), digest);
    admin_part_t *part = same_part(old, name, digest);
    if (part == NULL) {
        status = make_part(name, digest, text, &part);
    }
    free(text);
    return status == L7S_OK ? append(parts, part) : status;
}

l7s_status_t admin_parts_store(admin_parts_t *parts, admin_chunk_fn store, void *context)
{
    for (size_t i = 0; i < parts->count; i++) {
        admin_part_t *part = parts->items[i];
        for (size_t j = 0; j < part->chunk_count && !part->stored; j++) {
            l7s_status_t status = store(context, &part->chunks[j]);
            if (status != L7S_OK) {
                return status;
            }
        }
        part->stored = true;
    }
    return L7S_OK;
}

void admin_parts_lost(admin_parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        parts->items[i]->stored = false;
    }
}

size_t admin_parts_chunks(const admin_parts_t *parts)
{
    size_t count = 0;
    for (size_t i = 0; i < parts->count; i++) {
        count += parts->items[i]->chunk_count;
    }
    return count;
}

const l7s_chunk_t *admin_parts_chunk(const admin_parts_t *parts, size_t index)
{
    for (size_t i = 0; i < parts->count; i++) {
        const admin_part_t *part = parts->items[i];
        if (index < part->chunk_count) {
            return &part->chunks[index];
        }
        index -= part->chunk_count;
    }
    return NULL;
}

bool admin_parts_use(const admin_parts_t *parts, const char *hash)
{
    for (size_t i = 0; i < parts->count; i++) {
        const admin_part_t *part = parts->items[i];
        for (size_t j = 0; j < part->chunk_count; j++) {
            if (strcmp(part->chunks[j].hash, hash) == 0) {
                return true;
            }
        }
    }
    return false;
}

void admin_parts_list(const admin_parts_t *parts, json_t *array)
{
    for (size_t i = 0; i < parts->count; i++) {
        json_array_append(array, parts->items[i]->description);
    }
}

void admin_retired_add(admin_retired_t *retired, const admin_parts_t *parts,
                       uint64_t mono_ms)
{
    for (size_t i = 0; i < parts->count; i++) {
        const admin_part_t *part = parts->items[i];
        for (size_t j = 0; part->references == 1 && j < part->chunk_count; j++) {
            size_t at = (retired->first + retired->count) % ADMIN_RETIRED_MAX;
            if (retired->count < ADMIN_RETIRED_MAX) {
                memcpy(retired->items[at].hash, part->chunks[j].hash, L7S_SHA256_TEXT);
                retired->items[at].since_ms = mono_ms;
                retired->count++;
            }
        }
    }
}

bool admin_retired_next(admin_retired_t *retired, uint64_t mono_ms,
                        char hash[L7S_SHA256_TEXT])
{
    if (retired->count == 0 ||
        mono_ms - retired->items[retired->first].since_ms < ADMIN_RETIRED_MS) {
        return false;
    }
    memcpy(hash, retired->items[retired->first].hash, L7S_SHA256_TEXT);
    retired->first = (retired->first + 1) % ADMIN_RETIRED_MAX;
    retired->count--;
    return true;
}
