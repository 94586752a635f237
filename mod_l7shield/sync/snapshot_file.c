/* SPDX-License-Identifier: Apache-2.0
 *
 * See snapshot_file.h.
 * {"version":1,"bus_epoch","name_secret","trust_id","seen":[epoch,revision],
 * "head_epoch","mode":"MODE EPOCH NUMBER UNTIL","manifest":{…},"parts":{NAME:{…}}}. A
 * part is copied as text and never printed from its tree, which would take as long as a
 * rollout.
 */
#include "snapshot_file.h"
#include "../../core/json/config.h"
#include "assembly.h"
#include "file.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_VERSION 1
#define FILE_MAX (L7S_SNAPSHOT_MAX + ((size_t)1 << 20))

static uint64_t number(const json_t *document, const char *key)
{
    json_int_t value = json_integer_value(json_object_get(document, key));

    return value < 0 ? 0 : (uint64_t)value;
}

static void copy_text(const json_t *document, const char *key, char *out, size_t capacity)
{
    const char *text = json_string_value(json_object_get(document, key));

    (void)snprintf(out, capacity, "%s", text == NULL ? "" : text);
}

/* Puts every part that the manifest names into `parts`. */
static l7s_status_t load_parts(const json_t *document, const json_t *manifest,
                               sync_parts_t *parts)
{
    const json_t *texts = json_object_get(document, "parts");
    const json_t *entries = json_object_get(manifest, "parts");

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const char *name = json_string_value(json_object_get(entry, "name"));
        if (sync_manifest_is_bans(entry)) {
            continue;
        }
        char *text = json_dumps(json_object_get(texts, name), JSON_COMPACT);
        if (text == NULL) {
            return L7S_INVALID;
        }
        l7s_status_t status = sync_parts_put(parts, entry, text, strlen(text));
        free(text);
        if (status != L7S_OK) {
            return status;
        }
    }
    return L7S_OK;
}

static void read_state(const json_t *document, sync_snapshot_state_t *state)
{
    const json_t *seen = json_object_get(document, "seen");
    const char *mode = json_string_value(json_object_get(document, "mode"));

    copy_text(document, "bus_epoch", state->bus_epoch, sizeof state->bus_epoch);
    copy_text(document, "name_secret", state->name_secret, sizeof state->name_secret);
    copy_text(document, "trust_id", state->trust_id, sizeof state->trust_id);
    state->seen_epoch = (uint64_t)json_integer_value(json_array_get(seen, 0));
    state->seen_revision = (uint64_t)json_integer_value(json_array_get(seen, 1));
    state->head_epoch = number(document, "head_epoch");
    state->has_mode_item =
        mode != NULL && l7s_mode_item_read(mode, strlen(mode), &state->mode_item);
}

l7s_status_t sync_snapshot_file_load(const char *path, sync_snapshot_state_t *state,
                                     sync_parts_t *parts)
{
    char *text = NULL;
    size_t size = 0;
    l7s_status_t status = sync_file_read(path, FILE_MAX, &text, &size);

    if (status != L7S_OK) {
        return status;
    }
    json_t *document = l7s_json_read(text, size, NULL);
    free(text);
    if (document == NULL || number(document, "version") != FILE_VERSION) {
        json_decref(document);
        return L7S_INVALID;
    }
    read_state(document, state);
    json_t *manifest = json_object_get(document, "manifest");
    if (json_is_object(manifest)) {
        status = l7s_manifest_check(manifest);
        if (status == L7S_OK) {
            status = load_parts(document, manifest, parts);
        }
        if (status == L7S_OK) {
            state->manifest = json_incref(manifest);
        }
    }
    json_decref(document);
    return status;
}

static bool write_parts(FILE *out, const json_t *manifest, const sync_parts_t *parts)
{
    const json_t *entries = json_object_get(manifest, "parts");
    const char *comma = "";

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (sync_manifest_is_bans(entry)) {
            continue;
        }
        const sync_part_t *part = sync_parts_find(parts, entry);
        if (part == NULL) {
            return false;
        }
        char *name = json_dumps(json_object_get(entry, "name"), JSON_ENCODE_ANY);
        (void)fprintf(out, "%s\n%s:", comma, name == NULL ? "\"\"" : name);
        (void)fwrite(part->text, 1, part->size, out);
        free(name);
        comma = ",";
    }
    return true;
}

static bool write_document(FILE *out, const sync_snapshot_state_t *state,
                           const sync_parts_t *parts)
{
    char mode[128] = "";

    if (state->has_mode_item &&
        l7s_mode_item_write(&state->mode_item, mode, sizeof mode) == 0) {
        return false;
    }
    json_t *head = json_pack(
        "{s:i, s:s, s:s, s:s, s:[I,I], s:I, s:s, s:O?}", "version", FILE_VERSION,
        "bus_epoch", state->bus_epoch, "name_secret", state->name_secret, "trust_id",
        state->trust_id, "seen", (json_int_t)state->seen_epoch,
        (json_int_t)state->seen_revision, "head_epoch", (json_int_t)state->head_epoch,
        "mode", mode, "manifest", state->manifest);
    char *text = head == NULL ? NULL : json_dumps(head, JSON_COMPACT);
    json_decref(head);
    if (text == NULL) {
        return false;
    }
    text[strlen(text) - 1] = '\0'; /* the closing brace comes behind the parts */
    (void)fprintf(out, "%s,\"parts\":{", text);
    free(text);
    bool complete = write_parts(out, state->manifest, parts);
    (void)fprintf(out, "}}\n");
    return complete;
}

l7s_status_t sync_snapshot_file_save(const char *path, const sync_snapshot_state_t *state,
                                     const sync_parts_t *parts)
{
    char *text = NULL;
    size_t size = 0;
    FILE *out = open_memstream(&text, &size);

    if (out == NULL) {
        return L7S_NO_MEMORY;
    }
    bool complete = write_document(out, state, parts);
    bool good = ferror(out) == 0;
    good = fclose(out) == 0 && good;
    l7s_status_t status = L7S_NO_MEMORY;
    if (good && complete) {
        status = sync_file_write(path, text, size);
    }
    free(text);
    return status;
}
