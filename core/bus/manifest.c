/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of a configuration to chunks and back. It neither stores nor fetches anything
 * itself, and does not know what a part means.
 *
 * Everything that comes back is bounded before it is believed: a chunk by its size and
 * hash, the text by the size that the signed manifest promises (an inflate that wants
 * more is refused, so a small chunk cannot fill the memory).
 */
#include "manifest.h"
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#define PART_NAME_MAX 200

void l7s_chunks_free(l7s_chunk_t *chunks, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(chunks[i].data);
    }
    free(chunks);
}

/* ---- text to chunks ---- */

static l7s_status_t append_chunk(l7s_chunk_t **chunks, size_t *count, const uint8_t *data,
                                 size_t size)
{
    l7s_chunk_t *grown = realloc(*chunks, (*count + 1) * sizeof *grown);
    if (!grown) {
        return L7S_NO_MEMORY;
    }
    *chunks = grown;
    l7s_chunk_t *chunk = &grown[*count];
    chunk->data = malloc(size);
    if (!chunk->data) {
        return L7S_NO_MEMORY;
    }
    memcpy(chunk->data, data, size);
    chunk->size = size;
    l7s_sha256_text(data, size, chunk->hash);
    (*count)++;
    return L7S_OK;
}

static l7s_status_t cut(const uint8_t *data, size_t size, json_t *hashes,
                        l7s_chunk_t **chunks, size_t *count)
{
    for (size_t at = 0; at < size;) {
        size_t piece = size - at < L7S_CHUNK_SIZE ? size - at : L7S_CHUNK_SIZE;
        l7s_status_t status = append_chunk(chunks, count, data + at, piece);
        if (status != L7S_OK) {
            return status;
        }
        if (json_array_append_new(hashes, json_string((*chunks)[*count - 1].hash)) != 0) {
            return L7S_NO_MEMORY;
        }
        at += piece;
    }
    return L7S_OK;
}

l7s_status_t l7s_manifest_add(json_t *parts, const char *name, const char *text,
                              size_t size, l7s_chunk_t **chunks, size_t *count)
{
    if (size > L7S_SNAPSHOT_MAX || json_array_size(parts) >= L7S_PARTS_MAX) {
        return L7S_TOO_BIG;
    }
    uLongf packed_size = compressBound((uLong)size);
    uint8_t *packed = malloc(packed_size);
    json_t *hashes = json_array();
    l7s_status_t status = L7S_NO_MEMORY;
    size_t before = *count;
    if (packed && hashes &&
        compress2(packed, &packed_size, (const Bytef *)text, (uLong)size,
                  Z_DEFAULT_COMPRESSION) == Z_OK) {
        status = cut(packed, packed_size, hashes, chunks, count);
    }
    if (status == L7S_OK &&
        json_array_append_new(parts, json_pack("{s:s, s:I, s:O}", "name", name, "size",
                                               (json_int_t)size, "chunks", hashes)) !=
            0) {
        status = L7S_NO_MEMORY;
    }
    while (status != L7S_OK && *count > before) {
        free((*chunks)[--*count].data);
    }
    json_decref(hashes);
    free(packed);
    return status;
}

/* ---- chunks to text ---- */

static bool valid_hash(const json_t *hash)
{
    const char *text = json_string_value(hash);
    return text && strlen(text) == L7S_SHA256_TEXT - 1 &&
           strspn(text, "0123456789abcdef") == L7S_SHA256_TEXT - 1;
}

static bool valid_part(const json_t *part)
{
    const char *name = json_string_value(json_object_get(part, "name"));
    const json_t *size = json_object_get(part, "size");
    const json_t *chunks = json_object_get(part, "chunks");
    if (!name || name[0] == '\0' || strlen(name) > PART_NAME_MAX ||
        !json_is_integer(size) || !json_is_array(chunks)) {
        return false;
    }
    json_int_t bytes = json_integer_value(size);
    if (bytes < 0 || bytes > (json_int_t)L7S_SNAPSHOT_MAX) {
        return false;
    }
    size_t most = compressBound((uLong)bytes) / L7S_CHUNK_SIZE + 1;
    if (json_array_size(chunks) == 0 || json_array_size(chunks) > most) {
        return false;
    }
    for (size_t i = 0; i < json_array_size(chunks); i++) {
        if (!valid_hash(json_array_get(chunks, i))) {
            return false;
        }
    }
    return true;
}

/* Feeds one verified chunk. *ended: the compressed stream is complete. */
static l7s_status_t feed(z_stream *stream, const char *hash, l7s_chunk_fetch_fn fetch,
                         void *context, bool *ended)
{
    size_t size = 0;
    void *data = fetch(context, hash, &size);
    if (!data) {
        return L7S_NOT_FOUND;
    }
    char actual[L7S_SHA256_TEXT] = "";
    if (size <= L7S_CHUNK_SIZE) {
        l7s_sha256_text(data, size, actual);
    }
    l7s_status_t status = L7S_UNTRUSTED;
    if (strcmp(actual, hash) == 0) {
        stream->next_in = data;
        stream->avail_in = (uInt)size;
        int result = inflate(stream, Z_NO_FLUSH);
        *ended = result == Z_STREAM_END;
        /* Input left over means that the text is longer than promised. */
        bool fine = (result == Z_OK || *ended) && stream->avail_in == 0;
        status = fine ? L7S_OK : L7S_INVALID;
    }
    free(data);
    return status;
}

static l7s_status_t inflate_part(const json_t *chunks, l7s_chunk_fetch_fn fetch,
                                 void *context, char *text, size_t size)
{
    z_stream stream = {.next_out = (Bytef *)text, .avail_out = (uInt)(size + 1)};
    if (inflateInit(&stream) != Z_OK) {
        return L7S_NO_MEMORY;
    }
    l7s_status_t status = L7S_OK;
    bool ended = false;
    for (size_t i = 0; i < json_array_size(chunks) && status == L7S_OK; i++) {
        status = ended ? L7S_INVALID
                       : feed(&stream, json_string_value(json_array_get(chunks, i)),
                              fetch, context, &ended);
    }
    if (status == L7S_OK && (!ended || stream.total_out != size)) {
        status = L7S_INVALID;
    }
    inflateEnd(&stream);
    return status;
}

_Static_assert(L7S_SNAPSHOT_MAX < UINT_MAX, "zlib counts in unsigned int");

l7s_status_t l7s_manifest_part(const json_t *part, l7s_chunk_fetch_fn fetch,
                               void *context, char **out, size_t *size)
{
    *out = NULL;
    *size = 0;
    if (!valid_part(part)) {
        return L7S_INVALID;
    }
    size_t promised = (size_t)json_integer_value(json_object_get(part, "size"));
    char *text = malloc(promised + 1);
    if (!text) {
        return L7S_NO_MEMORY;
    }
    l7s_status_t status =
        inflate_part(json_object_get(part, "chunks"), fetch, context, text, promised);
    if (status != L7S_OK) {
        free(text);
        return status;
    }
    text[promised] = '\0';
    *out = text;
    *size = promised;
    return L7S_OK;
}

/* ---- the manifest itself ---- */

static bool has_count(const json_t *manifest, const char *key)
{
    const json_t *value = json_object_get(manifest, key);
    return json_is_integer(value) && json_integer_value(value) >= 0;
}

/* Every part sane, each name once, all of them together within one snapshot. */
static l7s_status_t check_parts(const json_t *parts)
{
    json_t *names = json_object();
    l7s_status_t status = names ? L7S_OK : L7S_NO_MEMORY;
    size_t total = 0;
    for (size_t i = 0; i < json_array_size(parts) && status == L7S_OK; i++) {
        const json_t *part = json_array_get(parts, i);
        if (!valid_part(part)) {
            status = L7S_INVALID;
            break;
        }
        const char *name = json_string_value(json_object_get(part, "name"));
        total += (size_t)json_integer_value(json_object_get(part, "size"));
        if (json_object_get(names, name) || total > L7S_SNAPSHOT_MAX) {
            status = L7S_INVALID;
        } else if (json_object_set_new(names, name, json_true()) != 0) {
            status = L7S_NO_MEMORY;
        }
    }
    json_decref(names);
    return status;
}

l7s_status_t l7s_manifest_check(const json_t *manifest)
{
    const char *secret_id = json_string_value(json_object_get(manifest, "secret_id"));
    const json_t *parts = json_object_get(manifest, "parts");
    if (!has_count(manifest, "config_epoch") || !has_count(manifest, "revision") ||
        !has_count(manifest, "bans_generation") || !has_count(manifest, "ban_log") ||
        !secret_id || secret_id[0] == '\0' || strlen(secret_id) >= L7S_SECRET_ID_MAX ||
        !json_is_array(parts) || json_array_size(parts) > L7S_PARTS_MAX) {
        return L7S_INVALID;
    }
    return check_parts(parts);
}

int l7s_revision_compare(uint64_t epoch_a, uint64_t a, uint64_t epoch_b, uint64_t b)
{
    if (epoch_a != epoch_b) {
        return epoch_a < epoch_b ? -1 : 1;
    }
    return a == b ? 0 : a < b ? -1 : 1;
}
