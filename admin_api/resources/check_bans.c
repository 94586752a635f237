/* SPDX-License-Identifier: Apache-2.0
 *
 * See check_bans.h.
 */
#include "check_bans.h"

#include "../../core/clock.h"
#include "../../core/segment/ban_id.h"
#include <string.h>

bool admin_check_ban_is_own(const l7s_ban_t *ban, const l7s_addr_t *client)
{
    return ban->is_address && ban->network.prefix >= l7s_addr_client(client).prefix;
}

/* --- reading --- */

typedef struct {
    admin_check_engine_t *engine;
    const admin_check_request_t *request;
    admin_check_bans_t *out;
    l7s_status_t status;
} reading_t;

static void put(reading_t *reading, admin_ban_record_t *record)
{
    admin_check_bans_t *out = reading->out;
    const l7s_bans_t *bans = &reading->engine->shared.bans;

    if (record->lifted) {
        if (admin_check_ban_is_own(&record->ban, &reading->request->client) &&
            record->hold_until_ms > reading->engine->now.wall_ms) {
            out->held = true;
            out->hold_until_ms = record->hold_until_ms;
            (void)l7s_bans_lift(bans, record->ban.digest, record->hold_until_ms,
                                reading->engine->now);
        }
        admin_ban_record_clear(record);
    } else if (out->count == ADMIN_CHECK_BANS_MAX) {
        admin_ban_record_clear(record);
    } else {
        l7s_status_t status = l7s_bans_put(bans, &record->ban, reading->engine->now);
        reading->status = status == L7S_TOO_BIG ? status : reading->status;
        out->items[out->count++] = *record;
    }
}

/* Addresses are named by the counting key of now. */
static bool take_row(void *context, const admin_ban_t *row)
{
    reading_t *reading = context;
    admin_ban_record_t record;

    if (admin_ban_record_read(row, &record) == L7S_OK) {
        const l7s_cidr_t *network = &record.ban.network;
        bool client = network->prefix == l7s_addr_client(&network->base).prefix;
        record.ban.digest =
            l7s_key_digest_cidr(&reading->engine->count_key,
                                client ? L7S_PART_CLIENT : L7S_PART_NETWORK, network);
        put(reading, &record);
    }
    return reading->status == L7S_OK;
}

/* A ban of another tuple than an address, found by what a matching policy counts by. */
static void read_tuple(reading_t *reading, const admin_daemon_t *daemon,
                       const admin_check_policy_t *policy)
{
    admin_ban_record_t record;
    char id[L7S_BAN_ID_MAX];

    if (!policy->matches || !policy->counts) {
        return;
    }
    l7s_ban_id_hash(policy->policy->by[0].part, policy->digest, id);
    for (size_t i = 0; i < reading->out->count; i++) {
        if (strcmp(reading->out->items[i].ban.id, id) == 0) {
            return;
        }
    }
    if (admin_ban_record_get(daemon->store, id, false, reading->engine->now.wall_ms,
                             &record) == L7S_OK) {
        put(reading, &record);
    }
}

/* The ban that an incident tells of, when it is not one of an address. */
static void read_of_incident(reading_t *reading, const admin_daemon_t *daemon)
{
    const json_t *action = json_object_get(reading->request->incident, "action");
    const char *id = json_string_value(json_object_get(action, "ban_id"));
    admin_ban_record_t record;
    l7s_cidr_t network;

    if (id != NULL && l7s_ban_id_parse(id, &network) != L7S_OK &&
        admin_ban_record_get(daemon->store, id, false, reading->engine->now.wall_ms,
                             &record) == L7S_OK) {
        put(reading, &record);
    }
}

l7s_status_t admin_check_bans_read(admin_check_engine_t *engine,
                                   const admin_daemon_t *daemon,
                                   const admin_check_request_t *request,
                                   admin_check_bans_t *out)
{
    admin_ban_filter_t filter = {
        .rows = {.has_client = true, .client = l7s_addr_client(&request->client)},
        .with_lifted = true,
        .now_ms = engine->now.wall_ms};
    reading_t reading = {.engine = engine, .request = request, .out = out};

    reading.status = L7S_OK;
    read_of_incident(&reading, daemon);
    l7s_status_t status = admin_ban_each(daemon->store, &filter, take_row, &reading);
    for (size_t i = 0; i < engine->policy_count && status == L7S_OK; i++) {
        read_tuple(&reading, daemon, &engine->policies[i]);
    }
    return status != L7S_OK ? status : reading.status;
}

void admin_check_bans_clear(admin_check_bans_t *bans)
{
    for (size_t i = 0; i < bans->count; i++) {
        admin_ban_record_clear(&bans->items[i]);
    }
    bans->count = 0;
}

/* --- telling --- */

/* Whoever is held free is not meant by bans of networks. */
static bool is_in_force(const admin_check_bans_t *bans, const l7s_ban_t *ban)
{
    return !bans->held || !ban->is_address;
}

static const char *kind_of(const l7s_ban_t *ban)
{
    if (!ban->is_address) {
        return "key";
    }
    return ban->network.prefix >= l7s_addr_client(&ban->network.base).prefix ? "client"
                                                                             : "network";
}

json_t *admin_check_bans_describe(const admin_check_bans_t *bans)
{
    json_t *out = json_array();

    for (size_t i = 0; i < bans->count; i++) {
        const l7s_ban_t *ban = &bans->items[i].ban;
        char until[L7S_TIME_TEXT];
        l7s_time_text(ban->until_ms, until);
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:b, s:s?, s:s?, s:s?}", "id", ban->id, "of",
                           kind_of(ban), "in_force", is_in_force(bans, ban), "policy",
                           ban->policy[0] != '\0' ? ban->policy : NULL, "until",
                           ban->until_ms != UINT64_MAX ? until : NULL, "incident",
                           ban->incident[0] != '\0' ? ban->incident : NULL));
    }
    return out;
}

static void add_stop(json_t *out, const char *kind, const char *name)
{
    json_array_append_new(out, json_pack("{s:s, s:s}", "kind", kind, "name", name));
}

static bool is_allowed(const admin_check_engine_t *engine)
{
    for (size_t i = 0; i < engine->list_count; i++) {
        const admin_check_list_t *list = &engine->lists[i];
        if (list->list->effect == L7S_EFFECT_ALLOW && list->contains && list->applies) {
            return true;
        }
    }
    return false;
}

static bool refuses(const admin_check_engine_t *engine,
                    const admin_check_policy_t *policy)
{
    l7s_mode_t node = (l7s_mode_t)atomic_load(&engine->shared.header->mode);
    l7s_mode_t mode =
        l7s_mode_least(node, l7s_mode_least(engine->app_mode, policy->policy->mode));

    return admin_check_policy_trips(policy) && mode == L7S_MODE_ENFORCE &&
           policy->policy->action >= L7S_ACTION_DENY;
}

json_t *admin_check_stopped_by(const admin_check_engine_t *engine,
                               const admin_check_bans_t *bans)
{
    json_t *out = json_array();

    if (is_allowed(engine) ||
        atomic_load(&engine->shared.header->mode) != L7S_MODE_ENFORCE) {
        return out;
    }
    for (size_t i = 0; i < bans->count; i++) {
        if (is_in_force(bans, &bans->items[i].ban)) {
            add_stop(out, "ban", bans->items[i].ban.id);
        }
    }
    for (size_t i = 0; i < engine->list_count && !bans->held; i++) {
        const admin_check_list_t *list = &engine->lists[i];
        if (list->list->effect == L7S_EFFECT_DENY && list->contains && list->applies) {
            add_stop(out, "list", list->list->name);
        }
    }
    for (size_t i = 0; i < engine->policy_count; i++) {
        if (refuses(engine, &engine->policies[i])) {
            add_stop(out, "policy", engine->policies[i].policy->name);
        }
    }
    return out;
}
