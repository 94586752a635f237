/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/bans:batch: many bans and lifts at once, all or nothing. Ids are computed from
 * the keys; an id to be lifted that is not there is reported and no error, so that the
 * same batch can be sent again.
 */
#include "../../core/schema/utf8.h"
#include "../http/problem.h"
#include "ban_write.h"
#include "resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 63

typedef struct {
    size_t count;
    admin_ban_input_t *inputs;
    json_int_t outcomes[3]; /* of the puts, by admin_ban_outcome_t */
    json_int_t deleted;
    json_t *not_found; /* ids to be lifted under which nothing is banned */
} batch_t;

static void batch_clear(batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        admin_ban_input_clear(&batch->inputs[i]);
    }
    free(batch->inputs);
    json_decref(batch->not_found);
}

/* The members of the body: known ones, arrays, not too many. */
static bool check_batch(admin_call_t *call)
{
    const char *name;
    json_t *value;
    size_t total = 0;
    json_object_foreach(call->body, name, value)
    {
        char pointer[80];
        snprintf(pointer, sizeof(pointer), "/%.64s", name);
        if (strcmp(name, "put") != 0 && strcmp(name, "delete") != 0) {
            l7s_problems_add(&call->problems, pointer, "unknown_key",
                             "unknown key; known are \"put\" and \"delete\"");
        } else if (!json_is_array(value)) {
            l7s_problems_add(&call->problems, pointer, "wrong_type", "must be an array");
        }
        total += json_array_size(value);
    }
    if (!json_is_object(call->body)) {
        l7s_problems_add(&call->problems, "", "wrong_type", "must be an object");
    }
    if (json_object_size(call->body) == 0) {
        l7s_problems_add(&call->problems, "", "wrong_members",
                         "must have \"put\", \"delete\" or both");
    }
    if (total > ADMIN_BATCH_MAX) {
        l7s_problems_add(&call->problems, "", "wrong_items",
                         "must have at most %d bans and ids together", ADMIN_BATCH_MAX);
    }
    return call->problems.count == 0;
}

static void read_batch_puts(admin_call_t *call, batch_t *batch)
{
    size_t index;
    json_t *item;
    json_array_foreach(json_object_get(call->body, "put"), index, item)
    {
        char pointer[48];
        snprintf(pointer, sizeof(pointer), "/put/%zu", index);
        admin_ban_input_t *input = &batch->inputs[batch->count++];
        if (admin_ban_input_read(item, pointer, call->now_ms, &call->problems, input)) {
            snprintf(pointer, sizeof(pointer), "/put/%zu/response", index);
            (void)admin_ban_response_check(call, &input->ban, pointer);
        }
    }
    json_array_foreach(json_object_get(call->body, "delete"), index, item)
    {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/delete/%zu", index);
        if (!json_is_string(item)) {
            l7s_problems_add(&call->problems, pointer, "wrong_type", "must be an id");
        } else if (l7s_utf8_characters(json_string_value(item)) > ID_MAX) {
            l7s_problems_add(&call->problems, pointer, "wrong_length",
                             "an id has at most %d characters", ID_MAX);
        }
    }
}

static bool check_allowed(admin_call_t *call, const batch_t *batch)
{
    admin_allowed_t *allowed = admin_allowed_read(call->daemon->store, call->now_ms);
    if (allowed == NULL) {
        admin_call_failed(call, L7S_IO);
        return false;
    }
    bool listed = false;
    for (size_t i = 0; i < batch->count; i++) {
        const l7s_ban_t *ban = &batch->inputs[i].ban;
        const char *list = admin_allowed_by(allowed, &ban->network);
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/put/%zu/key", i);
        if (list != NULL) {
            l7s_problems_add(&call->problems, pointer, "allow_listed",
                             "the allow list \"%s\" covers it", list);
            listed = true;
        } else if (admin_ban_hits_caller(call, ban)) {
            l7s_problems_add(&call->problems, pointer, "bans_own_address",
                             "it covers the address that you call from");
        }
    }
    admin_allowed_free(allowed);
    if (listed) {
        admin_call_problem(call, "allow_listed",
                           "Allow lists cover some of them; nothing was changed.");
    } else if (call->problems.count > 0) {
        admin_call_problem(call, "bans_own_address",
                           "One covers the address that you call from; ?force=true bans"
                           " it all the same. Nothing was changed.");
    }
    return call->problems.count == 0;
}

static l7s_status_t batch_put(admin_ban_write_t *write, batch_t *batch, size_t index)
{
    admin_ban_input_t *input = &batch->inputs[index];
    admin_ban_record_t known;
    admin_ban_outcome_t outcome;
    l7s_status_t status = admin_ban_record_get(write->store, input->ban.id, true,
                                               write->call->now_ms, &known);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        return status;
    }
    status =
        admin_ban_write_put(write, input, status == L7S_OK ? &known : NULL, &outcome);
    admin_ban_record_clear(&known);
    if (status == L7S_OK) {
        batch->outcomes[outcome]++;
    }
    return status;
}

static l7s_status_t batch_delete(admin_ban_write_t *write, batch_t *batch,
                                 const json_t *id)
{
    admin_ban_record_t known;
    l7s_status_t status = admin_ban_record_get(write->store, json_string_value(id), false,
                                               write->call->now_ms, &known);
    if (status == L7S_NOT_FOUND) {
        json_array_append(batch->not_found, (json_t *)id);
        return L7S_OK;
    }
    if (status == L7S_OK) {
        status = admin_ban_write_lift(write, &known.ban);
        batch->deleted++;
    }
    admin_ban_record_clear(&known);
    return status;
}

static void write_batch(admin_call_t *call, batch_t *batch, uint64_t hold_until_ms)
{
    admin_ban_write_t write;
    size_t index;
    json_t *id;
    l7s_status_t status = L7S_OK;
    if (!admin_ban_write_begin(call, &write)) {
        return;
    }
    write.hold_until_ms = hold_until_ms;
    for (size_t i = 0; i < batch->count && status == L7S_OK; i++) {
        status = batch_put(&write, batch, i);
        if (status == L7S_CONFLICT) {
            admin_ban_write_refuse(&write);
            admin_ban_write_held(&write, &batch->inputs[i].ban);
            return;
        }
    }
    json_array_foreach(json_object_get(call->body, "delete"), index, id)
    {
        status = status == L7S_OK ? batch_delete(&write, batch, id) : status;
    }
    if (admin_ban_write_end(&write, status)) {
        admin_call_reply(call, 200,
                         json_pack("{s:I, s:I, s:I, s:I, s:O}", "created",
                                   batch->outcomes[ADMIN_BAN_CREATED], "updated",
                                   batch->outcomes[ADMIN_BAN_UPDATED], "unchanged",
                                   batch->outcomes[ADMIN_BAN_UNCHANGED], "deleted",
                                   batch->deleted, "not_found", batch->not_found));
    }
}

void admin_bans_batch(admin_call_t *call)
{
    uint64_t hold_until_ms;
    batch_t batch = {.not_found = json_array()};
    if (!admin_ban_hold(call, &hold_until_ms)) {
        batch_clear(&batch);
        return;
    }
    if (check_batch(call)) {
        size_t puts = json_array_size(json_object_get(call->body, "put"));
        batch.inputs = calloc(puts + 1, sizeof(*batch.inputs));
        if (batch.inputs == NULL) {
            batch_clear(&batch);
            admin_call_failed(call, L7S_NO_MEMORY);
            return;
        }
        read_batch_puts(call, &batch);
    }
    if (call->problems.count > 0) {
        admin_call_invalid(call);
    } else if (check_allowed(call, &batch)) {
        write_batch(call, &batch, hold_until_ms);
    }
    batch_clear(&batch);
}
