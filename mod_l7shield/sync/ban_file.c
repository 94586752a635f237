/* SPDX-License-Identifier: Apache-2.0
 *
 * See ban_file.h. {"bus_epoch":"…","key":"…","bans":[{ban entry, "published",
 * "log_index"}]}; `key` is a hash under the counting key that tells whether it is still
 * the same one.
 */
#include "ban_file.h"
#include "../../core/json/ban_json.h"
#include "../../core/json/config.h"
#include "clock.h"
#include "file.h"
#include "log.h"
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FILE_MAX ((size_t)64 << 20)
#define WRITE_INTERVAL_MS 1000

struct sync_ban_file {
    const l7s_shared_t *shared;
    char path[4096]; /* "" without a state folder */
    uint64_t written_changes, next_write_ms;
    sync_log_gate_t gate;
};

l7s_status_t sync_ban_file_create(const l7s_shared_t *shared, const char *state_dir,
                                  sync_ban_file_t **out)
{
    sync_ban_file_t *file = calloc(1, sizeof *file);

    if (file == NULL) {
        return L7S_NO_MEMORY;
    }
    file->shared = shared;
    if (state_dir[0] != '\0') {
        (void)snprintf(file->path, sizeof file->path, "%s/bans.json", state_dir);
    }
    *out = file;
    return L7S_OK;
}

void sync_ban_file_free(sync_ban_file_t *file)
{
    free(file);
}

static void key_check(const l7s_hashkey_t *count_key, char out[17])
{
    static const char label[] = "bans.json";

    (void)snprintf(out, 17, "%016" PRIx64,
                   l7s_siphash64(count_key, label, sizeof label - 1));
}

static bool text_is(const json_t *document, const char *key, const char *expected)
{
    const char *text = json_string_value(json_object_get(document, key));

    return text != NULL && strcmp(text, expected) == 0;
}

typedef struct {
    sync_bans_t *bans;
    bool same_epoch, same_key, cold;
    l7s_now_t now;
} load_t;

static void load_entry(const load_t *load, const json_t *entry)
{
    sync_ban_state_t state = {.published = false};
    uint64_t hold_until_ms;
    bool lifts;

    if (l7s_ban_from_json(entry, &state.ban, &lifts, &hold_until_ms) != L7S_OK || lifts ||
        (!state.ban.is_address && !load->same_key)) {
        return;
    }
    if (load->same_epoch) {
        state.published = json_is_true(json_object_get(entry, "published"));
        state.log_index =
            (uint64_t)json_integer_value(json_object_get(entry, "log_index"));
    }
    sync_bans_restore(load->bans, &state, load->cold, load->now);
}

void sync_ban_file_load(sync_ban_file_t *file, sync_bans_t *bans, const char *bus_epoch,
                        const l7s_hashkey_t *count_key, bool cold, l7s_now_t now)
{
    char *text = NULL, check[17];
    size_t size = 0;

    if (file->path[0] == '\0') {
        return;
    }
    l7s_status_t status = sync_file_read(file->path, FILE_MAX, &text, &size);
    if (status == L7S_NOT_FOUND) {
        return;
    }
    json_t *document = status == L7S_OK ? l7s_json_read(text, size, NULL) : NULL;
    free(text);
    if (document == NULL) {
        sync_log(SYNC_ERROR, "L7S2068", "%s cannot be read; its bans are lost",
                 file->path);
        return;
    }
    key_check(count_key, check);
    load_t load = {.bans = bans,
                   .same_epoch = text_is(document, "bus_epoch", bus_epoch),
                   .same_key = text_is(document, "key", check),
                   .cold = cold,
                   .now = now};
    const json_t *entries = json_object_get(document, "bans");
    for (size_t i = 0; i < json_array_size(entries); i++) {
        load_entry(&load, json_array_get(entries, i));
    }
    json_decref(document);
}

static void add_entry(void *context, const sync_ban_state_t *state)
{
    json_t *entry = l7s_ban_to_json(&state->ban);

    json_object_set_new(entry, "published", json_boolean(state->published));
    json_object_set_new(entry, "log_index", json_integer((json_int_t)state->log_index));
    json_array_append_new(context, entry);
}

static void write_bans(sync_ban_file_t *file, sync_bans_t *bans, const char *bus_epoch,
                       const l7s_hashkey_t *count_key, l7s_now_t now)
{
    json_t *entries = json_array();
    char check[17];

    key_check(count_key, check);
    sync_bans_each(bans, now, add_entry, entries);
    json_t *document = json_pack("{s:s, s:s, s:o}", "bus_epoch", bus_epoch, "key", check,
                                 "bans", entries);
    char *text = json_dumps(document, JSON_COMPACT);
    json_decref(document);
    if ((text == NULL || sync_file_write(file->path, text, strlen(text)) != L7S_OK) &&
        sync_log_gate(&file->gate, sync_mono_ms(now), 60000, NULL)) {
        sync_log(SYNC_ERROR, "L7S2068", "%s cannot be written: %s", file->path,
                 strerror(errno));
    }
    free(text);
}

void sync_ban_file_tick(sync_ban_file_t *file, sync_bans_t *bans, const char *bus_epoch,
                        const l7s_hashkey_t *count_key, bool at_once, l7s_now_t now)
{
    uint64_t changes = atomic_load(&file->shared->bans.head->changes);

    if (file->path[0] == '\0' || changes == file->written_changes ||
        (!at_once && sync_mono_ms(now) < file->next_write_ms)) {
        return;
    }
    file->written_changes = changes;
    file->next_write_ms = sync_mono_ms(now) + WRITE_INTERVAL_MS;
    write_bans(file, bans, bus_epoch, count_key, now);
}
