/* SPDX-License-Identifier: Apache-2.0
 *
 * See snapshot.h. A manifest goes through three states: wanted (it is newer, its parts
 * are on their way), then in force or refused. A refused one is not looked at again; the
 * next one is, and until then the node says in its seat which revision it runs.
 */
#include "snapshot.h"
#include "assembly.h"
#include "items.h"
#include "log.h"
#include "snapshot_file.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOG_INTERVAL_MS 10000
/* A manifest whose parts do not come for so long is not worth hurrying for. */
#define PATIENCE_MS 2000

struct sync_snapshot {
    sync_snapshot_links_t links;
    char path[4096]; /* "" without a state folder */
    sync_parts_t *parts;
    sync_snapshot_state_t state; /* its manifest is the one in force */
    bool provisional; /* in force, but under this boot's key: the fleet's is unknown */
    json_t *wanted;   /* accepted; NULL when all of it is in force or refused */
    bool refused;     /* the policies of `wanted` cannot be used */
    uint64_t refused_epoch, refused_revision; /* the newest such; 0: it is in force */
    char refused_why[160];
    l7s_config_t *pending; /* `wanted`, parsed: waits for the arena */
    sync_items_t *items;
    uint64_t wanted_since_ms;
    bool bans_known; /* a whole set of bans has been applied in this turn */
    uint64_t bans_generation;
    uint64_t turn;
    l7s_now_t now;
    sync_log_gate_t old_gate, chunk_gate, key_gate, file_gate, head_gate;
};

l7s_status_t sync_snapshot_create(const sync_snapshot_links_t *links,
                                  sync_snapshot_t **out)
{
    sync_snapshot_t *snapshot = calloc(1, sizeof *snapshot);

    if (snapshot == NULL) {
        return L7S_NO_MEMORY;
    }
    snapshot->links = *links;
    if (links->state_dir[0] != '\0') {
        (void)snprintf(snapshot->path, sizeof snapshot->path, "%s/snapshot.json",
                       links->state_dir);
    }
    if (sync_parts_create(&snapshot->parts) != L7S_OK ||
        sync_items_create(&snapshot->items) != L7S_OK) {
        sync_snapshot_free(snapshot);
        return L7S_NO_MEMORY;
    }
    *out = snapshot;
    return L7S_OK;
}

static void forget_wanted(sync_snapshot_t *snapshot)
{
    json_decref(snapshot->wanted);
    l7s_config_free(snapshot->pending);
    snapshot->wanted = NULL;
    snapshot->pending = NULL;
}

void sync_snapshot_free(sync_snapshot_t *snapshot)
{
    if (snapshot == NULL) {
        return;
    }
    forget_wanted(snapshot);
    json_decref(snapshot->state.manifest);
    sync_parts_free(snapshot->parts);
    sync_items_free(snapshot->items);
    free(snapshot);
}

bool sync_snapshot_waits(const sync_snapshot_t *snapshot)
{
    return snapshot->wanted != NULL &&
           sync_mono_ms(snapshot->now) - snapshot->wanted_since_ms < PATIENCE_MS;
}

/* ---- the disk ---- */

static void save(sync_snapshot_t *snapshot)
{
    if (snapshot->path[0] == '\0') {
        return;
    }
    snapshot->state.has_mode_item =
        sync_mode_last_item(snapshot->links.mode, &snapshot->state.mode_item);
    l7s_status_t status =
        sync_snapshot_file_save(snapshot->path, &snapshot->state, snapshot->parts);
    if (status != L7S_OK &&
        sync_log_gate(&snapshot->file_gate, sync_mono_ms(snapshot->now), 60000, NULL)) {
        sync_log(SYNC_ERROR, "L7S2043",
                 "%s cannot be written (%s); this node could not start without the fleet",
                 snapshot->path,
                 status == L7S_IO ? strerror(errno) : l7s_status_name(status));
    }
}

/* ---- from parts to a configuration ---- */

/* NULL: the problems are in the log. */
static l7s_config_t *parse(sync_snapshot_t *snapshot, const json_t *manifest)
{
    l7s_problems_t problems = {0};
    l7s_config_t *config = NULL;
    json_t *document = sync_manifest_assemble(manifest, snapshot->parts);
    l7s_status_t status =
        document == NULL ? L7S_NOT_FOUND : l7s_config_parse(document, &problems, &config);

    json_decref(document);
    if (status != L7S_OK) {
        (void)snprintf(
            snapshot->refused_why, sizeof snapshot->refused_why, "%.60s: %.90s",
            problems.count == 0 ? "" : problems.items[0].pointer,
            problems.count == 0 ? l7s_status_name(status) : problems.items[0].message);
        sync_log_problems("L7S2041", "the fleet's policies", &problems);
        sync_log(SYNC_ERROR, "L7S2041",
                 "the fleet's policies cannot be used (%s); those in force stay",
                 l7s_status_name(status));
        return NULL;
    }
    return config;
}

static uint64_t number(const json_t *manifest, const char *key)
{
    return (uint64_t)json_integer_value(json_object_get(manifest, key));
}

static l7s_status_t count_key(const sync_snapshot_t *snapshot, const json_t *manifest,
                              l7s_hashkey_t *out)
{
    const l7s_trust_t *trust = sync_bus_trust(snapshot->links.bus);
    const char *id = json_string_value(json_object_get(manifest, "secret_id"));

    return trust == NULL ? L7S_NOT_FOUND : l7s_trust_count_key(trust, id, out);
}

/* Epochs and revisions are one daemon's: another signing key begins to count anew. What
 * is in force stays until the new one says something else. */
static void keep_order_of_one_daemon(sync_snapshot_t *snapshot)
{
    sync_snapshot_state_t *state = &snapshot->state;
    const char *id = sync_bus_trust_id(snapshot->links.bus);

    if (id[0] != '\0' && strcmp(state->trust_id, id) != 0) {
        if (state->trust_id[0] != '\0') {
            sync_log(SYNC_INFO, "L7S2046",
                     "the trust file names another daemon; its "
                     "revisions begin anew");
            sync_mode_forget_item(snapshot->links.mode);
        }
        (void)snprintf(state->trust_id, sizeof state->trust_id, "%s", id);
        state->seen_epoch = 0;
        state->seen_revision = 0;
        state->head_epoch = 0;
    }
}

void sync_snapshot_load(sync_snapshot_t *snapshot, l7s_now_t now)
{
    sync_snapshot_state_t *state = &snapshot->state;
    l7s_hashkey_t key;

    snapshot->now = now;
    if (snapshot->path[0] == '\0') {
        return;
    }
    l7s_status_t status = sync_snapshot_file_load(snapshot->path, state, snapshot->parts);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        sync_log(SYNC_ERROR, "L7S2044", "%s cannot be used (%s)", snapshot->path,
                 l7s_status_name(status));
    }
    if (state->has_mode_item) {
        (void)sync_mode_item(snapshot->links.mode, &state->mode_item);
    }
    keep_order_of_one_daemon(snapshot);
    if (state->bus_epoch[0] != '\0') {
        sync_bus_enter(snapshot->links.bus, state->bus_epoch, state->name_secret);
    }
    l7s_config_t *config =
        state->manifest == NULL ? NULL : parse(snapshot, state->manifest);
    if (config == NULL) {
        return;
    }
    if (count_key(snapshot, state->manifest, &key) != L7S_OK) {
        key = snapshot->links.shared->header->boot_count_key;
        snapshot->provisional = true;
    }
    status = sync_publisher_offer(snapshot->links.publisher, config, &key,
                                  number(state->manifest, "config_epoch"),
                                  number(state->manifest, "revision"), now);
    if (status != L7S_OK) {
        l7s_config_free(config);
    }
}

/* ---- what the bus says ---- */

/* Follows the daemon to another place on the bus. True: everything must be read anew. */
static bool follow_head(sync_snapshot_t *snapshot)
{
    sync_snapshot_state_t *state = &snapshot->state;
    uint64_t before = sync_bus_turn(snapshot->links.bus);
    sync_head_t head;

    if (!sync_items_head(snapshot->items, &head)) {
        return false;
    }
    if (head.config_epoch < state->head_epoch) {
        if (sync_log_gate(&snapshot->head_gate, sync_mono_ms(snapshot->now), 60000,
                          NULL)) {
            sync_log(
                SYNC_ERROR, "L7S2035",
                "the bus has a head of config epoch %llu, but %llu was seen already; "
                "after restoring a backup the daemon needs \"l7shieldd new-epoch\"",
                (unsigned long long)head.config_epoch,
                (unsigned long long)state->head_epoch);
        }
        return false;
    }
    state->head_epoch = head.config_epoch;
    (void)snprintf(state->bus_epoch, sizeof state->bus_epoch, "%s", head.bus_epoch);
    (void)snprintf(state->name_secret, sizeof state->name_secret, "%s", head.secret_id);
    sync_bus_enter(snapshot->links.bus, state->bus_epoch, state->name_secret);
    return sync_bus_turn(snapshot->links.bus) != before;
}

/* Keys or epoch changed: nothing that was learned from the bus before says anything about
 * what stands there now. */
static void begin_turn(sync_snapshot_t *snapshot, sync_ban_log_t *ban_log)
{
    keep_order_of_one_daemon(snapshot);
    snapshot->turn = sync_bus_turn(snapshot->links.bus);
    sync_ban_log_begin(ban_log);
    snapshot->bans_known = false;
    sync_items_forget(snapshot->items);
}

/* Is this manifest one to follow? It becomes `wanted` then. */
static void consider(sync_snapshot_t *snapshot, const char *payload, size_t size)
{
    sync_snapshot_state_t *state = &snapshot->state;
    json_t *manifest = l7s_json_read(payload, size, NULL);
    if (manifest == NULL || l7s_manifest_check(manifest) != L7S_OK) {
        json_decref(manifest);
        sync_log(
            SYNC_ERROR, "L7S2040",
            "the daemon's manifest cannot be read; the policies in force stay (is the "
            "daemon newer than this node?)");
        return;
    }
    uint64_t epoch = number(manifest, "config_epoch"),
             revision = number(manifest, "revision");
    int order =
        l7s_revision_compare(epoch, revision, state->seen_epoch, state->seen_revision);
    if (order < 0) {
        json_decref(manifest);
        if (sync_log_gate(&snapshot->old_gate, sync_mono_ms(snapshot->now),
                          LOG_INTERVAL_MS, NULL)) {
            sync_log(SYNC_ERROR, "L7S2040",
                     "revision %llu of config epoch %llu is refused: revision %llu of "
                     "epoch %llu was seen already",
                     (unsigned long long)revision, (unsigned long long)epoch,
                     (unsigned long long)state->seen_revision,
                     (unsigned long long)state->seen_epoch);
        }
        return;
    }
    forget_wanted(snapshot);
    snapshot->wanted = manifest;
    snapshot->refused = false;
    snapshot->wanted_since_ms = sync_mono_ms(snapshot->now);
    state->seen_epoch = epoch;
    state->seen_revision = revision;
}

/* ---- from wanted to in force ---- */

/* Brings the parts of `wanted` here: the bans, or everything else. */
static l7s_status_t fetch_parts(sync_snapshot_t *snapshot, bool bans)
{
    const json_t *entries = json_object_get(snapshot->wanted, "parts");

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (sync_manifest_is_bans(entry) != bans) {
            continue;
        }
        l7s_status_t status =
            sync_parts_fetch(snapshot->parts, snapshot->links.bus, entry);
        if (status != L7S_OK && status != L7S_TIMEOUT &&
            sync_log_gate(&snapshot->chunk_gate, sync_mono_ms(snapshot->now),
                          LOG_INTERVAL_MS, NULL)) {
            sync_log(SYNC_WARN, "L7S2042",
                     "part \"%s\" of revision %llu is not complete on the bus (%s); the "
                     "policies in force stay until it is",
                     json_string_value(json_object_get(entry, "name")),
                     (unsigned long long)number(snapshot->wanted, "revision"),
                     l7s_status_name(status));
        }
        if (status != L7S_OK) {
            return status;
        }
    }
    return L7S_OK;
}

bool sync_snapshot_refused(const sync_snapshot_t *snapshot, uint64_t *config_epoch,
                           uint64_t *revision, const char **why)
{
    *config_epoch = snapshot->refused_epoch;
    *revision = snapshot->refused_revision;
    *why = snapshot->refused_why;
    return snapshot->refused_revision != 0;
}

static void accept_wanted(sync_snapshot_t *snapshot)
{
    snapshot->refused_epoch = snapshot->refused_revision = 0;
    snapshot->refused_why[0] = '\0';
    json_decref(snapshot->state.manifest);
    snapshot->state.manifest = json_incref(snapshot->wanted);
    snapshot->provisional = false;
}

/* A step towards the image. L7S_OK: it is in force (or was already). L7S_INVALID: it
 * never will be. Others: go on in the next tick. */
static l7s_status_t enforce(sync_snapshot_t *snapshot, sync_bans_t *bans)
{
    l7s_hashkey_t key;

    if (snapshot->refused) {
        return L7S_INVALID;
    }
    if (!snapshot->provisional && snapshot->state.manifest != NULL &&
        sync_manifest_same_policies(snapshot->wanted, snapshot->state.manifest)) {
        accept_wanted(snapshot);
        return L7S_OK;
    }
    l7s_status_t status = fetch_parts(snapshot, false);
    if (status != L7S_OK) {
        return L7S_TIMEOUT;
    }
    if (count_key(snapshot, snapshot->wanted, &key) != L7S_OK) {
        if (sync_log_gate(&snapshot->key_gate, sync_mono_ms(snapshot->now), 60000,
                          NULL)) {
            sync_log(SYNC_ERROR, "L7S2045",
                     "revision %llu counts under secret \"%s\", which the secret file of "
                     "this node lacks; the policies in force stay until it has it",
                     (unsigned long long)number(snapshot->wanted, "revision"),
                     json_string_value(json_object_get(snapshot->wanted, "secret_id")));
        }
        return L7S_TIMEOUT;
    }
    if (snapshot->pending == NULL) {
        snapshot->pending = parse(snapshot, snapshot->wanted);
        if (snapshot->pending == NULL) {
            return L7S_INVALID;
        }
    }
    sync_bans_prepare(bans, &key, snapshot->now);
    status = sync_publisher_offer(snapshot->links.publisher, snapshot->pending, &key,
                                  number(snapshot->wanted, "config_epoch"),
                                  number(snapshot->wanted, "revision"), snapshot->now);
    if (status == L7S_TIMEOUT) {
        return status;
    }
    if (status == L7S_OK) {
        snapshot->pending = NULL; /* the publisher's now */
        accept_wanted(snapshot);
    }
    if (status != L7S_OK && snapshot->refused_why[0] == '\0') {
        (void)snprintf(snapshot->refused_why, sizeof snapshot->refused_why,
                       "cannot be compiled: %s", l7s_status_name(status));
    }
    /* Also when it was refused: the highest revision seen must survive. */
    save(snapshot);
    return status == L7S_OK ? L7S_OK : L7S_INVALID;
}

/* The whole set of bans, when it is another one than the last. */
static l7s_status_t apply_bans(sync_snapshot_t *snapshot, sync_bans_t *bans,
                               sync_ban_log_t *ban_log)
{
    const json_t *wanted = snapshot->wanted;
    const json_t *entries = json_object_get(wanted, "parts");

    if (snapshot->bans_known &&
        snapshot->bans_generation == number(wanted, "bans_generation")) {
        return L7S_OK;
    }
    l7s_status_t status = fetch_parts(snapshot, true);
    if (status != L7S_OK) {
        return status;
    }
    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        const sync_part_t *part =
            sync_manifest_is_bans(entry) ? sync_parts_find(snapshot->parts, entry) : NULL;
        if (part != NULL) {
            sync_bans_set(bans, part->document, number(wanted, "ban_log"), snapshot->now);
        }
    }
    sync_ban_log_jump(ban_log, number(wanted, "ban_log"));
    snapshot->bans_known = true;
    snapshot->bans_generation = number(wanted, "bans_generation");
    return L7S_OK;
}

static void advance(sync_snapshot_t *snapshot, sync_bans_t *bans, sync_ban_log_t *ban_log)
{
    l7s_status_t status = enforce(snapshot, bans);

    if (status == L7S_TIMEOUT) {
        return;
    }
    /* Bans do not depend on whether this node could compile the policies. */
    snapshot->refused = status != L7S_OK;
    if (snapshot->refused) {
        snapshot->refused_epoch = number(snapshot->wanted, "config_epoch");
        snapshot->refused_revision = number(snapshot->wanted, "revision");
    }
    if (apply_bans(snapshot, bans, ban_log) == L7S_OK) {
        sync_parts_keep(snapshot->parts, snapshot->state.manifest, NULL);
        forget_wanted(snapshot);
    }
}

static void take_mode(sync_snapshot_t *snapshot)
{
    l7s_mode_item_t mode;

    if (sync_items_mode(snapshot->items, &mode) &&
        mode.config_epoch >= snapshot->state.head_epoch &&
        sync_mode_item(snapshot->links.mode, &mode)) {
        save(snapshot); /* the kill switch must survive a cold start */
    }
}

/* Reads the bus. A head that moved, or new keys, make everything else void: then it is
 * read a second time, so that a rollout does not wait for the next tick. */
static void look(sync_snapshot_t *snapshot, sync_ban_log_t *ban_log)
{
    sync_bus_t *bus = snapshot->links.bus;

    if (snapshot->turn != sync_bus_turn(bus)) {
        begin_turn(snapshot, ban_log);
    }
    sync_items_read(snapshot->items, bus);
    if (follow_head(snapshot)) {
        begin_turn(snapshot, ban_log);
        sync_items_read(snapshot->items, bus);
    }
}

void sync_snapshot_tick(sync_snapshot_t *snapshot, sync_bans_t *bans,
                        sync_ban_log_t *ban_log, l7s_now_t now)
{
    size_t size = 0;

    snapshot->now = now;
    if (sync_bus_trust(snapshot->links.bus) == NULL) {
        return;
    }
    look(snapshot, ban_log);
    take_mode(snapshot);
    const char *manifest = sync_items_new_manifest(snapshot->items, &size);
    if (manifest != NULL && sync_bus_epoch(snapshot->links.bus)[0] != '\0') {
        consider(snapshot, manifest, size);
    }
    if (snapshot->wanted != NULL) {
        advance(snapshot, bans, ban_log);
    }
}
