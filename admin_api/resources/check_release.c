/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/check:release: frees one client, and nobody else. Its own bans are lifted and its
 * counters forgiven; while the hold lasts it cannot be banned again, and bans of networks
 * around it and deny lists are not meant for it: they stay as they are for the others.
 * What a policy refuses to everybody is not lifted; the answer says so.
 */
#include "../../core/schema/schema.h"
#include "../../core/segment/ban_id.h"
#include "../http/problem.h"
#include "../log.h"
#include "../store/store_objects.h"
#include "ban_write.h"
#include "check_bans.h"
#include "resources.h"

#include <string.h>

#define HOLD_SECONDS_DEFAULT 3600

typedef struct {
    admin_call_t *call;
    admin_check_request_t request;
    admin_check_engine_t engine;
    admin_check_bans_t bans;
    uint64_t hold_until_ms;
    json_t *lifted, *exempt, *remaining;
} release_t;

static void note_remaining(release_t *release, const char *kind, const char *name,
                           const char *why)
{
    json_array_append_new(release->remaining, json_pack("{s:s, s:s, s:s}", "kind", kind,
                                                        "name", name, "why", why));
}

static void note_exempt(release_t *release, const char *kind, const char *name)
{
    if (release->hold_until_ms > release->call->now_ms) {
        json_array_append_new(release->exempt,
                              json_pack("{s:s, s:s}", "kind", kind, "name", name));
    } else {
        note_remaining(release, kind, name,
                       "it is meant for many; only a hold (hold_seconds) exempts one");
    }
}

/* --- what there is to free it from --- */

/* Lifting the client's ban forgives what is counted by it and by its network as wide as
 * the client; no other counter is the client's alone. */
static bool is_forgiven(const l7s_policy_t *policy)
{
    return policy->by_count == 1 && policy->by[0].part == L7S_PART_CLIENT;
}

static void look_at_policies(release_t *release)
{
    for (size_t i = 0; i < release->engine.policy_count; i++) {
        const admin_check_policy_t *policy = &release->engine.policies[i];
        if (!admin_check_policy_trips(policy) ||
            policy->policy->action < L7S_ACTION_DENY ||
            policy->policy->action == L7S_ACTION_CHALLENGE || /* a client can pass it */
            policy->policy->mode != L7S_MODE_ENFORCE) {
            continue;
        }
        if (policy->limit_count == 0) {
            note_remaining(release, "policy", policy->policy->name,
                           "it refuses whatever matches it; except this client there, or "
                           "put it into an allow list");
        } else if (is_forgiven(policy->policy)) {
            json_array_append_new(
                release->lifted,
                json_pack("{s:s, s:s}", "kind", "counter", "name", policy->policy->name));
        } else {
            note_remaining(release, "policy", policy->policy->name,
                           "its counter is shared with others and is not forgiven");
        }
    }
}

static void look_at_lists(release_t *release)
{
    for (size_t i = 0; i < release->engine.list_count; i++) {
        const admin_check_list_t *list = &release->engine.lists[i];
        if (list->list->effect == L7S_EFFECT_DENY && list->contains && list->applies) {
            note_exempt(release, "list", list->list->name);
        }
    }
}

/* --- the tombstone --- */

/* A client that is not banned gets one as well: the hold, and forgiven counters. */
static l7s_ban_t own_ban(const release_t *release)
{
    l7s_ban_t ban = {.is_address = true,
                     .status = 403,
                     .network = l7s_addr_client(&release->request.client),
                     .since_ms = release->call->now_ms,
                     .until_ms = release->call->now_ms};

    ban.digest =
        l7s_key_digest_cidr(&release->engine.count_key, L7S_PART_CLIENT, &ban.network);
    l7s_ban_id(&ban.network, ban.id);
    return ban;
}

static l7s_status_t lift_bans(release_t *release, admin_ban_write_t *write)
{
    l7s_ban_t own = own_ban(release);
    l7s_status_t status = L7S_OK;

    for (size_t i = 0; i < release->bans.count && status == L7S_OK; i++) {
        const l7s_ban_t *ban = &release->bans.items[i].ban;
        if (admin_check_ban_is_own(ban, &release->request.client)) {
            own = strcmp(ban->id, own.id) == 0 ? *ban : own;
        } else if (ban->is_address) {
            note_exempt(release, "ban", ban->id);
            continue;
        }
        json_array_append_new(release->lifted,
                              json_pack("{s:s, s:s}", "kind", "ban", "name", ban->id));
        if (strcmp(ban->id, own.id) != 0) {
            status = admin_ban_write_lift(write, ban);
        }
    }
    return status == L7S_OK ? admin_ban_write_lift(write, &own) : status;
}

static void reply(release_t *release)
{
    char until[L7S_TIME_TEXT];
    bool holds = release->hold_until_ms > release->call->now_ms;

    l7s_time_text(release->hold_until_ms, until);
    admin_call_reply(release->call, 200,
                     json_pack("{s:s, s:O, s:O, s:O, s:s?}", "client",
                               release->request.client_text, "lifted", release->lifted,
                               "exempt_from", release->exempt, "remaining",
                               release->remaining, "held_until", holds ? until : NULL));
}

static void log_release(const release_t *release)
{
    const admin_call_t *call = release->call;
    const char *reason = json_string_value(json_object_get(call->body, "reason"));

    reason = reason != NULL ? reason : call->reason;
    if (!call->dry_run) {
        admin_log(ADMIN_INFO, "L7S3090", "%s was released for %lu s by %s%s%.256s",
                  release->request.client_text,
                  (unsigned long)((release->hold_until_ms - call->now_ms) / 1000),
                  call->principal != NULL ? call->principal : "?",
                  reason != NULL ? ": " : "", reason != NULL ? reason : "");
    }
}

static void write_release(release_t *release)
{
    admin_ban_write_t write;

    if (!admin_ban_write_begin(release->call, &write)) {
        return;
    }
    write.hold_until_ms = release->hold_until_ms;
    snprintf(release->call->object, sizeof(release->call->object), "%s",
             release->request.client_text);
    look_at_policies(release);
    look_at_lists(release);
    if (admin_ban_write_end(&write, lift_bans(release, &write))) {
        log_release(release);
        reply(release);
    }
}

static l7s_status_t look(release_t *release)
{
    admin_call_t *call = release->call;
    l7s_request_t facts = admin_check_request_facts(&release->request);
    int64_t revision;
    json_t *document = admin_config_document(call->daemon->store, &revision);
    l7s_status_t status = document == NULL
                              ? L7S_IO
                              : admin_check_engine_open(call->daemon, document,
                                                        call->now_ms, &release->engine);

    if (status == L7S_OK) {
        status = admin_check_engine_explain(&release->engine, call->daemon, &facts);
    }
    if (status == L7S_OK) {
        status = admin_check_bans_read(&release->engine, call->daemon, &release->request,
                                       &release->bans);
    }
    json_decref(document);
    return status;
}

void admin_check_release(admin_call_t *call)
{
    release_t release = {.call = call,
                         .lifted = json_array(),
                         .exempt = json_array(),
                         .remaining = json_array()};
    const json_t *hold = json_object_get(call->body, "hold_seconds");

    release.hold_until_ms =
        call->now_ms + 1000 * (uint64_t)l7s_json_integer_or(hold, HOLD_SECONDS_DEFAULT);
    if (admin_check_request_read(call, &release.request)) {
        l7s_status_t status = look(&release);
        if (status == L7S_OK) {
            write_release(&release);
        } else {
            admin_call_failed(call, status);
        }
    }
    admin_check_bans_clear(&release.bans);
    admin_check_engine_close(&release.engine);
    admin_check_request_clear(&release.request);
    json_decref(release.lifted);
    json_decref(release.exempt);
    json_decref(release.remaining);
}
