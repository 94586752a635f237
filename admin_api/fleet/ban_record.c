/* SPDX-License-Identifier: Apache-2.0
 *
 * Conversions and the bookkeeping of changes (ban_record.h). Decides nothing about who
 * may be banned; bans.c does for operators, ban_log.c for nodes.
 */
#include "ban_record.h"

#include "../../core/json/json_time.h"
#include "../../core/key.h"
#include "../store/event_log.h"
#include "../worker.h"
#include "keys.h"
#include <string.h>

l7s_status_t admin_ban_record_read(const admin_ban_t *row, admin_ban_record_t *out)
{
    bool lift;
    *out = (admin_ban_record_t){.spec = NULL};
    if (l7s_ban_from_json(row->entry, &out->ban, &lift, &out->hold_until_ms) != L7S_OK) {
        return L7S_INVALID;
    }
    out->lifted = lift;
    out->spec = json_incref(row->spec);
    return L7S_OK;
}

void admin_ban_record_clear(admin_ban_record_t *record)
{
    json_decref(record->spec);
    record->spec = NULL;
}

typedef struct {
    admin_ban_record_t *out;
    l7s_status_t status;
} one_t;

static bool take_one(void *context, const admin_ban_t *row)
{
    one_t *one = context;
    one->status = admin_ban_record_read(row, one->out);
    return false;
}

l7s_status_t admin_ban_record_get(admin_store_t *store, const char *id, bool with_lifted,
                                  uint64_t now_ms, admin_ban_record_t *out)
{
    one_t one = {out, L7S_NOT_FOUND};
    admin_ban_filter_t filter = {
        .id = id, .with_lifted = with_lifted, .now_ms = now_ms, .limit = 1};
    *out = (admin_ban_record_t){.spec = NULL};
    l7s_status_t status = admin_ban_each(store, &filter, take_one, &one);
    return status == L7S_OK ? one.status : status;
}

size_t admin_ban_record_count(admin_store_t *store, uint64_t now_ms)
{
    admin_ban_filter_t filter = {.now_ms = now_ms};
    json_t *counts = admin_ban_count(store, &filter, "origin"), *count;
    const char *origin;
    json_int_t sum = 0;
    json_object_foreach(counts, origin, count)
    {
        sum += json_integer_value(count);
    }
    json_decref(counts);
    return (size_t)sum;
}

static l7s_status_t raise_generation(admin_store_t *store)
{
    int64_t generation = admin_number_get(store, ADMIN_BANS_GENERATION, 0);
    return admin_number_set(store, ADMIN_BANS_GENERATION, generation + 1);
}

static const char *origin_name(const l7s_ban_t *ban)
{
    return ban->origin == L7S_ORIGIN_DAEMON ? "daemon" : "node";
}

/* The event of a ban that is in force from now on, or (`lifted`) no more. Who put it is
 * in its spec. */
static l7s_status_t tell(admin_store_t *store, const admin_ban_record_t *record)
{
    json_t *document = admin_ban_public(record, false);
    l7s_status_t status = admin_event_write(
        store, record->lifted ? ADMIN_EVENT_BAN_LIFTED : ADMIN_EVENT_BAN_ADDED, document,
        admin_wall_ms());
    json_decref(document);
    return status;
}

l7s_status_t admin_ban_record_put(admin_store_t *store, const l7s_ban_t *ban,
                                  json_t *spec)
{
    json_t *entry = l7s_ban_to_json(ban);
    admin_ban_t row = {
        .id = ban->id,
        .policy = ban->policy,
        .origin = origin_name(ban),
        .network = ban->is_address ? &ban->network : NULL,
        .since_ms = ban->since_ms,
        .until_ms = ban->until_ms == UINT64_MAX ? 0 : ban->until_ms,
        .entry = entry,
        .spec = spec,
    };
    l7s_status_t status = entry == NULL ? L7S_NO_MEMORY : admin_ban_put(store, &row);
    json_decref(entry);
    if (status == L7S_OK) {
        admin_ban_record_t record = {.ban = *ban, .spec = spec};
        status = tell(store, &record);
    }
    return status == L7S_OK ? raise_generation(store) : status;
}

/* How long the tombstone of this ban must be kept. */
static uint64_t buried_until(const l7s_ban_t *ban, uint64_t now_ms,
                             uint64_t hold_until_ms)
{
    uint64_t until = now_ms + ADMIN_TOMBSTONE_MIN_MS;
    uint64_t could_return = ban->until_ms < now_ms + ADMIN_TOMBSTONE_MAX_MS
                                ? ban->until_ms
                                : now_ms + ADMIN_TOMBSTONE_MAX_MS;
    until = could_return > until ? could_return : until;
    return hold_until_ms > until ? hold_until_ms : until;
}

static l7s_status_t tell_lift(admin_store_t *store, const l7s_ban_t *ban, const char *by)
{
    admin_ban_record_t record = {
        .ban = *ban, .lifted = true, .spec = json_pack("{s:s?}", "by", by)};
    l7s_status_t status = tell(store, &record);
    json_decref(record.spec);
    return status;
}

l7s_status_t admin_ban_record_lift(admin_store_t *store, const l7s_ban_t *ban,
                                   const admin_ban_lift_t *lift, json_t **entry)
{
    uint64_t now_ms = lift->now_ms;
    l7s_ban_t lifted = *ban;
    lifted.since_ms = now_ms;
    lifted.origin = L7S_ORIGIN_DAEMON;
    *entry = l7s_ban_lift_to_json(&lifted, lift->hold_until_ms);
    admin_ban_t row = {
        .id = ban->id,
        .policy = ban->policy,
        .origin = "daemon",
        .network = ban->is_address ? &ban->network : NULL,
        .lifted = true,
        .since_ms = now_ms,
        .until_ms = ban->until_ms == UINT64_MAX ? 0 : ban->until_ms,
        .hold_until_ms = buried_until(ban, now_ms, lift->hold_until_ms),
        .entry = *entry,
    };
    l7s_status_t status = *entry == NULL ? L7S_NO_MEMORY : admin_ban_put(store, &row);
    if (status == L7S_OK) {
        status = tell_lift(store, ban, lift->by);
    }
    if (status == L7S_OK) {
        status = raise_generation(store);
    }
    if (status != L7S_OK) {
        json_decref(*entry);
        *entry = NULL;
    }
    return status;
}

/* ---- digests and snapshots ---- */

l7s_status_t admin_ban_digest(const admin_daemon_t *daemon, const l7s_cidr_t *network,
                              l7s_hash128_t *out)
{
    l7s_hashkey_t count_key;
    const l7s_trust_t *trust = admin_keys_hold(daemon->keys);
    l7s_status_t status =
        l7s_trust_count_key(trust, l7s_trust_secret_id(trust), &count_key);
    admin_keys_let_go(daemon->keys, trust);
    if (status != L7S_OK) {
        return status;
    }
    l7s_cidr_t client = l7s_addr_client(&network->base);
    l7s_part_t part =
        client.prefix == network->prefix ? L7S_PART_CLIENT : L7S_PART_NETWORK;
    *out = l7s_key_digest_cidr(&count_key, part, network);
    return L7S_OK;
}

typedef struct {
    const admin_daemon_t *daemon;
    json_t *entries;
} entries_t;

/* Addresses are named anew each time, since the counting key may have changed since they
 * were banned; of other keys only their digest is known. */
static bool take_entry(void *context, const admin_ban_t *row)
{
    entries_t *entries = context;
    admin_ban_record_t record;
    l7s_hash128_t digest;
    if (row->network == NULL ||
        admin_ban_digest(entries->daemon, row->network, &digest) != L7S_OK ||
        admin_ban_record_read(row, &record) != L7S_OK) {
        json_array_append(entries->entries, row->entry);
        return true;
    }
    if (digest.lo == record.ban.digest.lo && digest.hi == record.ban.digest.hi) {
        json_array_append(entries->entries, row->entry);
    } else {
        record.ban.digest = digest;
        json_array_append_new(
            entries->entries,
            record.lifted ? l7s_ban_lift_to_json(&record.ban, record.hold_until_ms)
                          : l7s_ban_to_json(&record.ban));
    }
    admin_ban_record_clear(&record);
    return true;
}

json_t *admin_ban_entries(const admin_daemon_t *daemon, uint64_t now_ms)
{
    entries_t entries = {daemon, json_array()};
    admin_ban_filter_t filter = {.with_lifted = true, .now_ms = now_ms};
    if (admin_ban_each(daemon->store, &filter, take_entry, &entries) != L7S_OK) {
        json_decref(entries.entries);
        return NULL;
    }
    return entries.entries;
}

/* ---- the public document ---- */

/* {"client":…} for one address, {"network":…} for more, else the tuple's first part with
 * the hash that names it. */
static json_t *key_of(const l7s_ban_t *ban)
{
    char text[L7S_CIDR_TEXT], type[L7S_BAN_ID_MAX];
    if (ban->is_address) {
        l7s_cidr_text(&ban->network, text);
        return json_pack("{s:s}", ban->network.prefix == 128 ? "client" : "network",
                         text);
    }
    const char *colon = strchr(ban->id, ':');
    size_t size = colon == NULL ? 0 : (size_t)(colon - ban->id);
    memcpy(type, ban->id, size);
    type[size] = '\0';
    return json_pack("{s:s}", size == 0 ? "id" : type,
                     colon == NULL ? ban->id : colon + 1);
}

json_t *admin_ban_document(const admin_ban_record_t *record)
{
    const l7s_ban_t *ban = &record->ban;
    json_t *document = json_object_get(record->spec, "document");
    if (document != NULL) {
        return json_incref(document);
    }
    document = json_pack("{s:o}", "key", key_of(ban));
    if (ban->until_ms != UINT64_MAX && ban->until_ms > ban->since_ms) {
        json_int_t seconds = (json_int_t)((ban->until_ms - ban->since_ms + 999) / 1000);
        json_object_set_new(document, "seconds", json_integer(seconds));
    }
    json_object_set_new(document, "status", json_integer(ban->status));
    return document;
}

static json_t *text_or_null(const char *text)
{
    return text[0] == '\0' ? json_null() : json_string(text);
}

static json_t *status_of(const admin_ban_record_t *record)
{
    const l7s_ban_t *ban = &record->ban;
    const json_t *by = json_object_get(record->spec, "by");
    const json_t *revision = json_object_get(record->spec, "revision");
    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:o, s:i, s:O?, s:O?}", "state",
                     record->lifted ? "lifted" : "active", "origin", origin_name(ban),
                     "policy", text_or_null(ban->policy), "incident",
                     text_or_null(ban->incident), "since", l7s_json_time(ban->since_ms),
                     "until", l7s_json_time(ban->until_ms), "refusal_status",
                     (int)ban->status, "by", by, "revision", revision);
}

json_t *admin_ban_public(const admin_ban_record_t *record, bool view_spec)
{
    json_t *document = admin_ban_document(record);
    json_t *result = json_pack("{s:s}", "id", record->ban.id);
    json_object_update(result, document);
    if (!view_spec) {
        /* The refusal's own number moves to status.refusal_status: `status` is ours. */
        json_object_del(result, "status");
        json_object_set_new(result, "status", status_of(record));
    }
    json_decref(document);
    return result;
}
