/* SPDX-License-Identifier: Apache-2.0
 *
 * See parts.h. Chunks are loose only between their arrival and the completion of their
 * part; both are bounded by what l7s_manifest_check lets pass (L7S_SNAPSHOT_MAX of text
 * per manifest, two manifests).
 */
#include "parts.h"
#include "../../core/json/config.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* So many chunks per round trip: small enough for the pool's timeout. */
#define FETCH_AT_ONCE 8
#define PARTS_HELD (2 * L7S_PARTS_MAX)
#define CHUNKS_HELD 1024

typedef struct {
    char hash[L7S_SHA256_TEXT];
    void *data;
    size_t size;
} chunk_t;

struct sync_parts {
    size_t count;
    sync_part_t items[PARTS_HELD];
    size_t chunk_count;
    chunk_t chunks[CHUNKS_HELD];
};

l7s_status_t sync_parts_create(sync_parts_t **out)
{
    *out = calloc(1, sizeof **out);
    return *out == NULL ? L7S_NO_MEMORY : L7S_OK;
}

static void drop_chunks(sync_parts_t *parts)
{
    for (size_t i = 0; i < parts->chunk_count; i++) {
        free(parts->chunks[i].data);
    }
    parts->chunk_count = 0;
}

static void drop_part(sync_part_t *part)
{
    json_decref(part->chunks);
    json_decref(part->document);
    free(part->text);
}

void sync_parts_free(sync_parts_t *parts)
{
    if (parts == NULL) {
        return;
    }
    drop_chunks(parts);
    for (size_t i = 0; i < parts->count; i++) {
        drop_part(&parts->items[i]);
    }
    free(parts);
}

static chunk_t *find_chunk(sync_parts_t *parts, const char *hash)
{
    for (size_t i = 0; i < parts->chunk_count; i++) {
        if (strcmp(parts->chunks[i].hash, hash) == 0) {
            return &parts->chunks[i];
        }
    }
    return NULL;
}

static bool entry_is(const json_t *entry, const sync_part_t *part)
{
    const char *name = json_string_value(json_object_get(entry, "name"));

    return name != NULL && strcmp(name, part->name) == 0 &&
           json_equal(json_object_get(entry, "chunks"), part->chunks);
}

const sync_part_t *sync_parts_find(const sync_parts_t *parts, const json_t *entry)
{
    for (size_t i = 0; i < parts->count; i++) {
        if (entry_is(entry, &parts->items[i])) {
            return &parts->items[i];
        }
    }
    return NULL;
}

l7s_status_t sync_parts_put(sync_parts_t *parts, const json_t *entry, const char *text,
                            size_t size)
{
    const char *name = json_string_value(json_object_get(entry, "name"));

    if (sync_parts_find(parts, entry) != NULL) {
        return L7S_OK;
    }
    if (name == NULL || parts->count == PARTS_HELD) {
        return L7S_TOO_BIG;
    }
    json_t *document = l7s_json_read(text, size, NULL);
    if (document == NULL) {
        return L7S_INVALID;
    }
    sync_part_t *part = &parts->items[parts->count];
    part->text = malloc(size + 1);
    if (part->text == NULL) {
        json_decref(document);
        return L7S_NO_MEMORY;
    }
    memcpy(part->text, text, size);
    part->text[size] = '\0';
    part->size = size;
    part->document = document;
    part->chunks = json_deep_copy(json_object_get(entry, "chunks"));
    (void)snprintf(part->name, sizeof part->name, "%s", name);
    parts->count++;
    return L7S_OK;
}

typedef struct {
    sync_parts_t *parts;
    const char *hashes[FETCH_AT_ONCE];
} arrival_t;

static void take_chunk(void *context, size_t index, const void *value, size_t size)
{
    arrival_t *arrival = context;
    sync_parts_t *parts = arrival->parts;

    if (parts->chunk_count == CHUNKS_HELD) {
        return;
    }
    chunk_t *chunk = &parts->chunks[parts->chunk_count];
    chunk->data = malloc(size == 0 ? 1 : size);
    if (chunk->data == NULL) {
        return;
    }
    memcpy(chunk->data, value, size);
    chunk->size = size;
    (void)snprintf(chunk->hash, sizeof chunk->hash, "%s", arrival->hashes[index]);
    parts->chunk_count++;
}

/* Asks for up to FETCH_AT_ONCE chunks that are not here. Returns how many it asked for.
 */
static size_t fetch_some(sync_parts_t *parts, sync_bus_t *bus, const json_t *hashes,
                         l7s_status_t *status)
{
    char names[FETCH_AT_ONCE][L7S_ITEM_NAME_MAX];
    arrival_t arrival = {.parts = parts};
    size_t wanted = 0;

    for (size_t i = 0; i < json_array_size(hashes) && wanted < FETCH_AT_ONCE; i++) {
        const char *hash = json_string_value(json_array_get(hashes, i));
        if (find_chunk(parts, hash) == NULL) {
            arrival.hashes[wanted] = hash;
            sync_bus_name(bus, L7S_ITEM_CHUNK, hash, 0, names[wanted]);
            wanted++;
        }
    }
    if (wanted > 0) {
        size_t before = parts->chunk_count;
        *status = sync_bus_read(bus, names, wanted, take_chunk, &arrival);
        if (*status == L7S_OK && parts->chunk_count < before + wanted) {
            *status = parts->chunk_count == CHUNKS_HELD ? L7S_TOO_BIG : L7S_NOT_FOUND;
        }
    }
    return wanted;
}

static void *hand_chunk(void *context, const char *hash, size_t *size)
{
    chunk_t *chunk = find_chunk(context, hash);

    if (chunk == NULL) {
        return NULL;
    }
    void *copy = malloc(chunk->size == 0 ? 1 : chunk->size);
    if (copy != NULL) {
        memcpy(copy, chunk->data, chunk->size);
        *size = chunk->size;
    }
    return copy;
}

l7s_status_t sync_parts_fetch(sync_parts_t *parts, sync_bus_t *bus, const json_t *entry)
{
    const json_t *hashes = json_object_get(entry, "chunks");
    l7s_status_t status = L7S_OK;
    char *text = NULL;
    size_t size = 0;

    if (sync_parts_find(parts, entry) != NULL) {
        return L7S_OK;
    }
    for (;;) {
        size_t wanted = fetch_some(parts, bus, hashes, &status);
        if (wanted == 0) {
            break;
        }
        if (status != L7S_OK) {
            return status == L7S_IO ? L7S_TIMEOUT : status;
        }
    }
    status = l7s_manifest_part(entry, hand_chunk, parts, &text, &size);
    drop_chunks(parts);
    if (status == L7S_OK) {
        status = sync_parts_put(parts, entry, text, size);
        free(text);
    }
    return status;
}

static bool named_by(const json_t *manifest, const sync_part_t *part)
{
    const json_t *entries = json_object_get(manifest, "parts");

    for (size_t i = 0; i < json_array_size(entries); i++) {
        if (entry_is(json_array_get(entries, i), part)) {
            return true;
        }
    }
    return false;
}

void sync_parts_keep(sync_parts_t *parts, const json_t *one, const json_t *other)
{
    size_t kept = 0;

    drop_chunks(parts);
    for (size_t i = 0; i < parts->count; i++) {
        sync_part_t *part = &parts->items[i];
        if (named_by(one, part) || named_by(other, part)) {
            parts->items[kept++] = *part;
        } else {
            drop_part(part);
        }
    }
    parts->count = kept;
}
