/* SPDX-License-Identifier: Apache-2.0
 *
 * Store to parts (snapshot.h): which documents go where, and the mode item.
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
#include "snapshot_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct admin_snapshot {
    const admin_daemon_t *daemon;
    uint64_t revision, bans_generation, ban_log;
    admin_parts_t config;
    admin_parts_t bans; /* one part */
    size_t next_chunk;  /* to be looked at, of all of them */
    admin_retired_t retired;
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

void admin_snapshot_free(admin_snapshot_t *snapshot)
{
    if (snapshot != NULL) {
        admin_parts_clear(&snapshot->config);
        admin_parts_clear(&snapshot->bans);
        free(snapshot);
    }
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
    const json_t *privacy = json_object_get(settings, "privacy");
    const char *queries = json_string_value(json_object_get(privacy, "query_strings"));
    if (queries != NULL && strcmp(queries, "include") == 0) { /* likewise */
        json_object_set_new(own, "privacy", json_pack("{s:s}", "query_strings", queries));
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

static l7s_status_t build_config(const json_t *document, admin_parts_t *parts,
                                 const admin_parts_t *old)
{
    uint64_t now_ms = admin_wall_ms();
    l7s_status_t status =
        admin_parts_add(parts, old, "policies", policies_part(document, now_ms));
    size_t index;
    json_t *list;
    json_array_foreach(json_object_get(document, "lists"), index, list)
    {
        char name[ADMIN_PART_NAME_MAX];
        const char *list_name = json_string_value(json_object_get(list, "name"));
        if (status != L7S_OK || list_name == NULL) {
            continue;
        }
        snprintf(name, sizeof(name), "list/%.63s", list_name);
        status = admin_parts_add(
            parts, old, name,
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

static void replace(admin_snapshot_t *snapshot, admin_parts_t *parts, admin_parts_t by)
{
    admin_retired_add(&snapshot->retired, parts, admin_mono_ms());
    admin_parts_clear(parts);
    *parts = by;
}

l7s_status_t admin_snapshot_read_config(admin_snapshot_t *snapshot)
{
    int64_t revision = 0;
    admin_parts_t parts = {0, 0, NULL};
    json_t *document = admin_config_document(snapshot->daemon->store, &revision);
    if (document == NULL) {
        return L7S_IO;
    }
    l7s_status_t status = build_config(document, &parts, &snapshot->config);
    if (status == L7S_OK) {
        replace(snapshot, &snapshot->config, parts);
        snapshot->revision = (uint64_t)revision;
        note_mode(snapshot, document);
    } else {
        admin_parts_clear(&parts);
    }
    json_decref(document);
    return status;
}

l7s_status_t admin_snapshot_read_bans(admin_snapshot_t *snapshot, uint64_t now_ms)
{
    admin_store_t *store = snapshot->daemon->store;
    admin_parts_t parts = {0, 0, NULL};
    /* The numbers first: the bans read after them contain at least what they promise. */
    int64_t generation = admin_number_get(store, ADMIN_BANS_GENERATION, 0);
    int64_t position = admin_number_get(store, ADMIN_BAN_LOG_POSITION, 1);
    json_t *bans = admin_ban_entries(snapshot->daemon, now_ms);
    if (bans == NULL) {
        return L7S_IO;
    }
    l7s_status_t status = admin_parts_add(&parts, &snapshot->bans, "bans",
                                          json_pack("{s:o}", "bans", bans));
    if (status != L7S_OK) {
        admin_parts_clear(&parts);
        return status;
    }
    replace(snapshot, &snapshot->bans, parts);
    snapshot->bans_generation = (uint64_t)generation;
    snapshot->ban_log = (uint64_t)position;
    return L7S_OK;
}

l7s_status_t admin_snapshot_store(admin_snapshot_t *snapshot, admin_chunk_fn store,
                                  void *context)
{
    l7s_status_t status = admin_parts_store(&snapshot->config, store, context);
    return status == L7S_OK ? admin_parts_store(&snapshot->bans, store, context) : status;
}

void admin_snapshot_lost(admin_snapshot_t *snapshot)
{
    admin_parts_lost(&snapshot->config);
    admin_parts_lost(&snapshot->bans);
}

const l7s_chunk_t *admin_snapshot_next_chunk(admin_snapshot_t *snapshot)
{
    size_t config = admin_parts_chunks(&snapshot->config);
    size_t index = snapshot->next_chunk;
    if (index >= admin_snapshot_chunks(snapshot)) {
        index = 0;
    }
    snapshot->next_chunk = index + 1;
    return index < config ? admin_parts_chunk(&snapshot->config, index)
                          : admin_parts_chunk(&snapshot->bans, index - config);
}

size_t admin_snapshot_chunks(const admin_snapshot_t *snapshot)
{
    return admin_parts_chunks(&snapshot->config) + admin_parts_chunks(&snapshot->bans);
}

bool admin_snapshot_retired(admin_snapshot_t *snapshot, uint64_t mono_ms,
                            char hash[L7S_SHA256_TEXT])
{
    while (admin_retired_next(&snapshot->retired, mono_ms, hash)) {
        /* What was replaced may be in force again. */
        if (!admin_parts_use(&snapshot->config, hash) &&
            !admin_parts_use(&snapshot->bans, hash)) {
            return true;
        }
    }
    return false;
}

char *admin_snapshot_manifest(const admin_snapshot_t *snapshot, const char *secret_id,
                              uint64_t now_ms)
{
    json_t *parts = json_array();
    admin_parts_list(&snapshot->config, parts);
    admin_parts_list(&snapshot->bans, parts);
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
