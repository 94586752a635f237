/* SPDX-License-Identifier: Apache-2.0
 *
 * Changes of bans (ban_write.h). The ban log is written after the commit and never waited
 * for: what does not get there comes with the next snapshot.
 */
#include "ban_write.h"

#include "../../core/clock.h"
#include "../fleet/publisher.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include <string.h>

bool admin_ban_write_begin(admin_call_t *call, admin_ban_write_t *write)
{
    *write = (admin_ban_write_t){.call = call, .store = call->daemon->store};
    l7s_status_t status = admin_store_begin_durable(write->store);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return false;
    }
    size_t count = admin_ban_record_count(write->store, call->now_ms);
    write->room = count < ADMIN_BANS_MAX ? ADMIN_BANS_MAX - count : 0;
    write->entries = json_array();
    return true;
}

bool admin_ban_write_end(admin_ban_write_t *write, l7s_status_t status)
{
    admin_call_t *call = write->call;
    json_t *entries = write->entries;
    bool changed = json_array_size(entries) > 0;
    if (status == L7S_OK && changed && !call->dry_run) {
        status = admin_store_commit(write->store, ADMIN_EVENTS_DB);
    } else {
        admin_store_rollback(write->store, ADMIN_EVENTS_DB);
    }
    if (status == L7S_TOO_BIG) {
        admin_call_problem(call, "too_many", "At most %d bans can be in force.",
                           ADMIN_BANS_MAX);
    } else if (status != L7S_OK) {
        admin_call_failed(call, status);
    }
    if (status == L7S_OK && changed && !call->dry_run) {
        admin_publisher_bans(call->daemon->publisher, entries);
    } else {
        json_decref(entries);
    }
    if (status != L7S_OK) {
        return false;
    }
    call->changed = changed ? 1 : 0;
    call->revision = admin_store_revision(write->store);
    return true;
}

void admin_ban_write_refuse(admin_ban_write_t *write)
{
    admin_store_rollback(write->store, ADMIN_EVENTS_DB);
    json_decref(write->entries);
}

bool admin_ban_hold(admin_call_t *call, uint64_t *hold_until_ms)
{
    int64_t seconds = 0;
    if (!admin_parameter_number(call, "hold_seconds", 0, ADMIN_HOLD_SECONDS_MAX,
                                &seconds)) {
        return false;
    }
    *hold_until_ms = call->now_ms + (uint64_t)seconds * 1000;
    return true;
}

bool admin_ban_hits_caller(const admin_call_t *call, const l7s_ban_t *ban)
{
    l7s_addr_t caller;
    if (call->peer == NULL || call->force) {
        return false;
    }
    memcpy(caller.bytes, call->peer, sizeof caller.bytes);
    return l7s_cidr_contains(&ban->network, &caller);
}

json_t *admin_ban_write_spec(const admin_ban_write_t *write, json_t *document)
{
    return json_pack("{s:O, s:s?, s:I}", "document", document, "by",
                     write->call->principal, "revision",
                     (json_int_t)admin_store_revision(write->store));
}

void admin_ban_etag(const admin_ban_record_t *record, char out[ADMIN_ETAG_MAX])
{
    json_t *document = admin_ban_document(record);
    if (document == NULL || admin_etag(document, out) != L7S_OK) {
        out[0] = '\0';
    }
    json_decref(document);
}

l7s_status_t admin_ban_write_put(admin_ban_write_t *write, admin_ban_input_t *input,
                                 const admin_ban_record_t *known,
                                 admin_ban_outcome_t *outcome)
{
    char before[ADMIN_ETAG_MAX] = "", after[ADMIN_ETAG_MAX] = "";
    bool active = known != NULL && !known->lifted;
    *outcome = active ? ADMIN_BAN_UPDATED : ADMIN_BAN_CREATED;
    if (known != NULL && known->lifted && known->hold_until_ms > write->call->now_ms) {
        write->held_until_ms = known->hold_until_ms;
        return L7S_CONFLICT;
    }
    if (!active && write->room == 0) {
        return L7S_TOO_BIG;
    }
    write->room -= active ? 0 : 1;
    l7s_status_t status = admin_etag(input->document, after);
    if (active && known->spec != NULL) {
        admin_ban_etag(known, before);
    }
    if (status == L7S_OK && strcmp(before, after) == 0) {
        *outcome = ADMIN_BAN_UNCHANGED;
        return L7S_OK;
    }
    if (status == L7S_OK) {
        status = admin_ban_digest(write->call->daemon, &input->ban.network,
                                  &input->ban.digest);
    }
    json_t *spec = admin_ban_write_spec(write, input->document);
    if (status == L7S_OK) {
        status = spec == NULL ? L7S_NO_MEMORY
                              : admin_ban_record_put(write->store, &input->ban, spec);
    }
    json_decref(spec);
    if (status == L7S_OK) {
        json_array_append_new(write->entries, l7s_ban_to_json(&input->ban));
    }
    return status;
}

void admin_ban_write_held(const admin_ban_write_t *write, const l7s_ban_t *ban)
{
    char until[L7S_TIME_TEXT];
    l7s_time_text(write->held_until_ms, until);
    admin_call_problem(write->call, "conflict",
                       "%s was lifted and is held free until %s; nothing was changed.",
                       ban->id, until);
}

bool admin_ban_response_check(admin_call_t *call, const l7s_ban_t *ban,
                              const char *pointer)
{
    admin_object_t response;
    if (ban->response[0] == '\0' || strcmp(ban->response, "default") == 0) {
        return true;
    }
    bool known = admin_object_get(call->daemon->store, "response", ban->response,
                                  &response) != L7S_NOT_FOUND;
    admin_object_clear(&response);
    if (!known) {
        l7s_problems_add(&call->problems, pointer, "response_unknown",
                         "there is no response \"%.63s\"", ban->response);
    }
    return known;
}

l7s_status_t admin_ban_write_lift(admin_ban_write_t *write, const l7s_ban_t *ban)
{
    json_t *entry;
    admin_ban_lift_t lift = {.by = write->call->principal,
                             .now_ms = write->call->now_ms,
                             .hold_until_ms = write->hold_until_ms};
    l7s_status_t status = admin_ban_record_lift(write->store, ban, &lift, &entry);
    if (status == L7S_OK) {
        json_array_append_new(write->entries, entry);
    }
    return status;
}
