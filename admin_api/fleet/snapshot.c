/* SPDX-License-Identifier: Apache-2.0
 *
 * Store to parts (snapshot.h). The parts of the last read are kept under their names; a
 * read builds the new set beside them and takes over what has the same text.
 */
#include "snapshot.h"

#include "../../core/clock.h"
#include "../../core/json/override.h"
#include "../../core/mode.h"
#include "../log.h"
#include "../store/store_objects.h"
#include "../worker.h"
#include "ban_record.h"
#include "kill_switch.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PART_NAME_MAX 72 /* "list/" and a name */
#define RETIRED_MAX 1024 /* more are left to memcached's eviction */
#define RETIRED_MS 30000

typedef struct {
    unsigned references;
    bool stored;
    char name[PART_NAME_MAX];
    char digest[L7S_SHA256_TEXT]; /* of the text */
    json_t *description;          /* as it stands in the manifest */
    l7s_chunk_t *chunks;
    size_t chunk_count;
} part_t;

/* Parts are shared between the last read and the one that is being built. */
typedef struct {
    size_t count, capacity;
    part_t **items;
} parts_t;

/* Chunks that were replaced, oldest first; a ring. */
typedef struct {
    size_t first, count;
    struct {
        char hash[L7S_SHA256_TEXT];
        uint64_t since_ms; /* monotonic */
    } items[RETIRED_MAX];
} retired_t;

struct admin_snapshot {
    const admin_daemon_t *daemon;
    uint64_t revision, bans_generation, ban_log;
    parts_t config;
    parts_t bans; /* one part */
    size_t next_part, next_chunk;
    retired_t retired;
    admin_kill_switch_t kill_switch;
    bool kill_switch_known, mode_spoken;
    char mode_text[ADMIN_KILL_SWITCH_TEXT];
};

admin_snapshot_t *admin_snapshot_create(const admin_daemon_t *daemon)
{
    admin_snapshot_t *snapshot = calloc(1, sizeof(*snapshot));
    if (snapshot != NULL) {
        snapshot->daemon = daemon;
        snapshot->kill_switch_known =
            admin_kill_switch_load(daemon->store, &snapshot->kill_switch) == L7S_OK;
    }
    return snapshot;
}

static void release(part_t *part)
{
    if (--part->references == 0) {
        json_decref(part->description);
        l7s_chunks_free(part->chunks, part->chunk_count);
        free(part);
    }
}

static void clear_parts(parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        release(parts->items[i]);
    }
    free(parts->items);
    *parts = (parts_t){0, 0, NULL};
}

void admin_snapshot_free(admin_snapshot_t *snapshot)
{
    if (snapshot != NULL) {
        clear_parts(&snapshot->config);
        clear_parts(&snapshot->bans);
        free(snapshot);
    }
}

/* Takes the reference, also on failure. */
static l7s_status_t append(parts_t *parts, part_t *part)
{
    if (parts->count == L7S_PARTS_MAX) {
        release(part);
        return L7S_TOO_BIG;
    }
    if (parts->count == parts->capacity) {
        size_t capacity = parts->capacity == 0 ? 16 : parts->capacity * 2;
        part_t **grown = realloc(parts->items, capacity * sizeof(part_t *));
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
static part_t *same_part(const parts_t *old, const char *name, const char *digest)
{
    for (size_t i = 0; i < old->count; i++) {
        part_t *part = old->items[i];
        if (strcmp(part->name, name) == 0 && strcmp(part->digest, digest) == 0) {
            part->references++;
            return part;
        }
    }
    return NULL;
}

/* Compresses and cuts `text` to a part with one reference. */
static l7s_status_t make_part(const char *name, const char *digest, const char *text,
                              part_t **out)
{
    part_t *part = calloc(1, sizeof(*part));
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

/* Adds a part with the text of `document` (stolen) to `parts`: the one in `old` when it
 * is the same. */
static l7s_status_t add_part(parts_t *parts, const parts_t *old, const char *name,
                             json_t *document)
{
    char *text = document == NULL ? NULL : json_dumps(document, JSON_COMPACT);
    char digest[L7S_SHA256_TEXT];
    l7s_status_t status = L7S_OK;
    json_decref(document);
    if (text == NULL) {
        return L7S_NO_MEMORY;
    }
    l7s_sha256_text(text, strlen(text), digest);
    part_t *part = same_part(old, name, digest);
    if (part == NULL) {
        status = make_part(name, digest, text, &part);
    }
    free(text);
    return status == L7S_OK ? append(parts, part) : status;
}

static json_t *member_or_empty(const json_t *document, const char *name)
{
    json_t *value = json_object_get(document, name);
    return json_is_array(value) ? json_incref(value) : json_array();
}

/* The settings that nodes obey; the defaults before anybody touched them. */
static json_t *node_settings(const json_t *document)
{
    const json_t *settings = json_object_get(document, "settings");
    const char *mode = json_string_value(json_object_get(settings, "mode"));
    const char *until = json_string_value(json_object_get(settings, "mode_until"));
    json_t *own = json_pack("{s:s, s:s?}", "mode", mode != NULL ? mode : "enforce",
                            "mode_until", until);
    /* Only when somebody set it: a node of an older version knows no such member. */
    if (json_object_get(settings, "guard") != NULL) {
        json_object_set(own, "guard", json_object_get(settings, "guard"));
    }
    return own;
}

/* Those that run or will; NULL: none, and a node of an older version knows no such
 * member. */
static json_t *overrides_of(const json_t *document, uint64_t now_ms)
{
    json_t *out = json_array(), *override;
    size_t index;
    json_array_foreach(json_object_get(document, "overrides"), index, override)
    {
        if (l7s_override_document_state(override, now_ms) != L7S_OVERRIDE_ENDED) {
            json_array_append(out, override);
        }
    }
    if (json_array_size(out) == 0) {
        json_decref(out);
        return NULL;
    }
    return out;
}

static json_t *policies_part(const json_t *document, uint64_t now_ms)
{
    return json_pack(
        "{s:o, s:o, s:o, s:o, s:o*}", "policies", member_or_empty(document, "policies"),
        "apps", member_or_empty(document, "apps"), "responses",
        member_or_empty(document, "responses"), "settings", node_settings(document),
        "overrides", overrides_of(document, now_ms));
}

static l7s_status_t build_config(const json_t *document, parts_t *parts,
                                 const parts_t *old)
{
    uint64_t now_ms = admin_wall_ms();
    l7s_status_t status =
        add_part(parts, old, "policies", policies_part(document, now_ms));
    size_t index;
    json_t *list;
    json_array_foreach(json_object_get(document, "lists"), index, list)
    {
        char name[PART_NAME_MAX];
        const char *list_name = json_string_value(json_object_get(list, "name"));
        if (status != L7S_OK || list_name == NULL) {
            continue;
        }
        snprintf(name, sizeof(name), "list/%.63s", list_name);
        status =
            add_part(parts, old, name,
                     json_pack("{s:[o]}", "lists", l7s_list_unexpired(list, now_ms)));
    }
    return status;
}

/* Without the store the item is still published: the kill switch comes first. */
static void keep_mode(admin_snapshot_t *snapshot, bool changed)
{
    size_t size = l7s_mode_item_write(&snapshot->kill_switch.item, snapshot->mode_text,
                                      sizeof(snapshot->mode_text) - 1);
    snapshot->mode_text[size] = '\0';
    if (changed && admin_kill_switch_save(snapshot->daemon->store,
                                          &snapshot->kill_switch) != L7S_OK) {
        admin_log(
            ADMIN_ERROR, "L7S3509",
            "The mode item cannot be kept on disk; after a restart an emergency may "
            "be forgotten.");
    }
}

static void note_mode(admin_snapshot_t *snapshot, const json_t *document)
{
    json_t *settings = node_settings(document);
    const char *until = json_string_value(json_object_get(settings, "mode_until"));
    l7s_mode_t mode = L7S_MODE_ENFORCE;
    l7s_mode_item_t item = {.config_epoch =
                                admin_store_config_epoch(snapshot->daemon->store),
                            .number = snapshot->revision};
    (void)l7s_mode_parse(json_string_value(json_object_get(settings, "mode")), &mode);
    item.mode = mode;
    if (until != NULL) {
        (void)l7s_time_parse(until, &item.until_ms);
    }
    json_decref(settings);
    bool changed =
        admin_kill_switch_set(&snapshot->kill_switch, snapshot->kill_switch_known,
                              snapshot->mode_spoken, &item);
    if (changed || snapshot->mode_text[0] == '\0') {
        keep_mode(snapshot, changed);
    }
    snapshot->kill_switch_known = true;
    snapshot->mode_spoken = false;
}

bool admin_snapshot_adopt_mode(admin_snapshot_t *snapshot, const l7s_mode_item_t *there)
{
    if (!admin_kill_switch_adopt(&snapshot->kill_switch, there)) {
        return false;
    }
    keep_mode(snapshot, true);
    admin_log(
        ADMIN_WARN, "L7S3506",
        "An emergency from the bus is in force: mode %s, number %llu. It stays until "
        "\"l7shieldd emergency enforce\" or until the mode is set through the API.",
        l7s_mode_name((l7s_mode_t)there->mode), (unsigned long long)there->number);
    return true;
}

void admin_snapshot_mode_spoken(admin_snapshot_t *snapshot)
{
    snapshot->mode_spoken = true;
}

/* Notes the chunks of parts that `parts` alone holds, and releases them all. */
static void retire(admin_snapshot_t *snapshot, parts_t *parts)
{
    retired_t *retired = &snapshot->retired;
    for (size_t i = 0; i < parts->count; i++) {
        const part_t *part = parts->items[i];
        for (size_t j = 0; part->references == 1 && j < part->chunk_count; j++) {
            size_t at = (retired->first + retired->count) % RETIRED_MAX;
            if (retired->count < RETIRED_MAX) {
                memcpy(retired->items[at].hash, part->chunks[j].hash, L7S_SHA256_TEXT);
                retired->items[at].since_ms = admin_mono_ms();
                retired->count++;
            }
        }
    }
    clear_parts(parts);
}

l7s_status_t admin_snapshot_read_config(admin_snapshot_t *snapshot)
{
    int64_t revision = 0;
    parts_t parts = {0, 0, NULL};
    json_t *document = admin_config_document(snapshot->daemon->store, &revision);
    if (document == NULL) {
        return L7S_IO;
    }
    l7s_status_t status = build_config(document, &parts, &snapshot->config);
    if (status == L7S_OK) {
        retire(snapshot, &snapshot->config);
        snapshot->config = parts;
        snapshot->revision = (uint64_t)revision;
        note_mode(snapshot, document);
    } else {
        clear_parts(&parts);
    }
    json_decref(document);
    return status;
}

l7s_status_t admin_snapshot_read_bans(admin_snapshot_t *snapshot, uint64_t now_ms)
{
    admin_store_t *store = snapshot->daemon->store;
    parts_t parts = {0, 0, NULL};
    /* The numbers first: the bans read after them contain at least what they promise. */
    int64_t generation = admin_number_get(store, ADMIN_BANS_GENERATION, 0);
    int64_t position = admin_number_get(store, ADMIN_BAN_LOG_POSITION, 1);
    json_t *bans = admin_ban_entries(snapshot->daemon, now_ms);
    if (bans == NULL) {
        return L7S_IO;
    }
    l7s_status_t status =
        add_part(&parts, &snapshot->bans, "bans", json_pack("{s:o}", "bans", bans));
    if (status != L7S_OK) {
        clear_parts(&parts);
        return status;
    }
    retire(snapshot, &snapshot->bans);
    snapshot->bans = parts;
    snapshot->bans_generation = (uint64_t)generation;
    snapshot->ban_log = (uint64_t)position;
    return L7S_OK;
}

static l7s_status_t store_parts(parts_t *parts, admin_chunk_fn store, void *context)
{
    for (size_t i = 0; i < parts->count; i++) {
        part_t *part = parts->items[i];
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

l7s_status_t admin_snapshot_store(admin_snapshot_t *snapshot, admin_chunk_fn store,
                                  void *context)
{
    l7s_status_t status = store_parts(&snapshot->config, store, context);
    return status == L7S_OK ? store_parts(&snapshot->bans, store, context) : status;
}

void admin_snapshot_lost(admin_snapshot_t *snapshot)
{
    for (size_t i = 0; i < snapshot->config.count; i++) {
        snapshot->config.items[i]->stored = false;
    }
    for (size_t i = 0; i < snapshot->bans.count; i++) {
        snapshot->bans.items[i]->stored = false;
    }
}

const l7s_chunk_t *admin_snapshot_next_chunk(admin_snapshot_t *snapshot)
{
    size_t total = snapshot->config.count + snapshot->bans.count;
    for (size_t tries = 0; tries <= total; tries++) {
        size_t index = snapshot->next_part;
        const part_t *part =
            index < snapshot->config.count ? snapshot->config.items[index]
            : index < total ? snapshot->bans.items[index - snapshot->config.count]
                            : NULL;
        if (part != NULL && snapshot->next_chunk < part->chunk_count) {
            return &part->chunks[snapshot->next_chunk++];
        }
        snapshot->next_part = part == NULL ? 0 : index + 1;
        snapshot->next_chunk = 0;
    }
    return NULL;
}

static size_t count_chunks(const parts_t *parts)
{
    size_t count = 0;
    for (size_t i = 0; i < parts->count; i++) {
        count += parts->items[i]->chunk_count;
    }
    return count;
}

size_t admin_snapshot_chunks(const admin_snapshot_t *snapshot)
{
    return count_chunks(&snapshot->config) + count_chunks(&snapshot->bans);
}

static bool uses(const parts_t *parts, const char *hash)
{
    for (size_t i = 0; i < parts->count; i++) {
        const part_t *part = parts->items[i];
        for (size_t j = 0; j < part->chunk_count; j++) {
            if (strcmp(part->chunks[j].hash, hash) == 0) {
                return true;
            }
        }
    }
    return false;
}

bool admin_snapshot_retired(admin_snapshot_t *snapshot, uint64_t mono_ms,
                            char hash[L7S_SHA256_TEXT])
{
    retired_t *retired = &snapshot->retired;
    while (retired->count > 0 &&
           mono_ms - retired->items[retired->first].since_ms >= RETIRED_MS) {
        memcpy(hash, retired->items[retired->first].hash, L7S_SHA256_TEXT);
        retired->first = (retired->first + 1) % RETIRED_MAX;
        retired->count--;
        /* What was replaced may be in force again. */
        if (!uses(&snapshot->config, hash) && !uses(&snapshot->bans, hash)) {
            return true;
        }
    }
    return false;
}

static void list_parts(json_t *array, const parts_t *parts)
{
    for (size_t i = 0; i < parts->count; i++) {
        json_array_append(array, parts->items[i]->description);
    }
}

char *admin_snapshot_manifest(const admin_snapshot_t *snapshot, const char *secret_id,
                              uint64_t now_ms)
{
    json_t *parts = json_array();
    list_parts(parts, &snapshot->config);
    list_parts(parts, &snapshot->bans);
    json_t *manifest = json_pack(
        "{s:I, s:I, s:s, s:I, s:I, s:I, s:o}", "config_epoch",
        (json_int_t)admin_store_config_epoch(snapshot->daemon->store), "revision",
        (json_int_t)snapshot->revision, "secret_id", secret_id, "bans_generation",
        (json_int_t)snapshot->bans_generation, "ban_log", (json_int_t)snapshot->ban_log,
        "published_ms", (json_int_t)now_ms, "parts", parts);
    char *text = manifest == NULL ? NULL : json_dumps(manifest, JSON_COMPACT);
    json_decref(manifest);
    return text;
}

char *admin_snapshot_head(const admin_snapshot_t *snapshot, const char *bus_epoch)
{
    json_t *head =
        json_pack("{s:s, s:I}", "bus_epoch", bus_epoch, "config_epoch",
                  (json_int_t)admin_store_config_epoch(snapshot->daemon->store));
    char *text = head == NULL ? NULL : json_dumps(head, JSON_COMPACT);
    json_decref(head);
    return text;
}

const char *admin_snapshot_mode(const admin_snapshot_t *snapshot)
{
    return snapshot->mode_text;
}

uint64_t admin_snapshot_revision(const admin_snapshot_t *snapshot)
{
    return snapshot->revision;
}
