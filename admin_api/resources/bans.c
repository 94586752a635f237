/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/bans: who is banned, by nodes and by hand; banning by hand, lifting.
 *
 * A write is one durable transaction; afterwards its entries go to the ban log, so that
 * nodes act at once, and the next snapshot has them too. Nothing here waits for a node.
 */
#include "../http/auth.h"
#include "../http/page.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "../store/privacy.h"
#include "ban_write.h"
#include "bans_text.h"
#include "edit.h"
#include "resources.h"

#include <stdlib.h>
#include <string.h>

/* `record` NULL: there is none. */
static bool preconditions_hold(admin_call_t *call, const admin_ban_record_t *record)
{
    char etag[ADMIN_ETAG_MAX];
    if (record != NULL) {
        admin_ban_etag(record, etag);
    }
    return admin_edit_precondition(call, record == NULL ? NULL : etag);
}

/* ---- reading ---- */

/* A ban is an address, and cannot be lifted by what a rule of privacy left of it: who may
 * not lift bans does not see them then. */
static bool may_see(admin_call_t *call)
{
    admin_privacy_t privacy;
    if (admin_role_allows(call->role, ADMIN_OPERATOR)) {
        return true;
    }
    if (admin_privacy_read(call->daemon->store, &privacy) != L7S_OK) {
        admin_call_failed(call, L7S_IO);
        return false;
    }
    if (privacy.addresses != ADMIN_ADDRESSES_FULL) {
        admin_call_problem(call, "forbidden",
                           "settings.privacy hides addresses: bans need the role"
                           " operator.");
        return false;
    }
    return true;
}

static bool list_one(void *context, const admin_ban_t *row)
{
    admin_page_t *page = context;
    admin_ban_record_t record;
    if (admin_ban_record_read(row, &record) != L7S_OK) {
        return true;
    }
    bool more = true;
    json_t *document = admin_ban_document(&record);
    if (admin_page_labels(page->call, document)) {
        more = admin_page_add(page, row->id,
                              admin_ban_public(&record, page->call->view_spec));
    }
    json_decref(document);
    admin_ban_record_clear(&record);
    return more;
}

void admin_bans_list(admin_call_t *call)
{
    static const char *const columns[] = {"policy", "origin", NULL};
    admin_page_t page;
    admin_ban_filter_t filter = {.now_ms = call->now_ms};
    const char *format = call->query(call, "format");
    if (!may_see(call) || !admin_parameter_selection(call, columns, &filter.rows)) {
        return;
    }
    if (admin_bans_text_wanted(call)) {
        admin_bans_text(call, &filter, format != NULL && strcmp(format, "nft") == 0);
        return;
    }
    if (!admin_page_begin(call, &page)) {
        return;
    }
    filter.after = page.after;
    admin_page_reply(&page,
                     admin_ban_each(call->daemon->store, &filter, list_one, &page));
}

static void reply_record(admin_call_t *call, unsigned status,
                         const admin_ban_record_t *record)
{
    char etag[ADMIN_ETAG_MAX];
    admin_ban_etag(record, etag);
    admin_call_reply_tagged(call, status, etag,
                            admin_ban_public(record, call->view_spec));
}

void admin_bans_get(admin_call_t *call)
{
    admin_ban_record_t record;
    if (!may_see(call)) {
        return;
    }
    l7s_status_t status = admin_ban_record_get(call->daemon->store, call->parameters[0],
                                               false, call->now_ms, &record);
    if (status == L7S_NOT_FOUND) {
        admin_call_problem(call, "not_found", "Nothing is banned under this id.");
    } else if (status != L7S_OK) {
        admin_call_failed(call, status);
    } else {
        reply_record(call, 200, &record);
        admin_ban_record_clear(&record);
    }
}

/* ---- put ---- */

/* The document as it was sent, and whether path, lists and times allow it. */
static bool read_put(admin_call_t *call, admin_ban_input_t *input)
{
    if (!admin_ban_input_read(call->body, "", call->now_ms, &call->problems, input)) {
        admin_call_invalid(call);
        return false;
    }
    if (!admin_ban_response_check(call, &input->ban, "/response")) {
        admin_call_invalid(call);
        return false;
    }
    if (strcmp(input->ban.id, call->parameters[0]) != 0) {
        admin_call_problem(call, "id_mismatch",
                           "The key's id is \"%s\": PUT it to /v1/bans/%s.",
                           input->ban.id, input->ban.id);
        return false;
    }
    admin_allowed_t *allowed = admin_allowed_read(call->daemon->store, call->now_ms);
    if (allowed == NULL) {
        admin_call_failed(call, L7S_IO);
        return false;
    }
    const char *list = admin_allowed_by(allowed, &input->ban.network);
    if (list != NULL) {
        admin_call_problem(call, "allow_listed",
                           "The allow list \"%s\" covers it and would win over the ban.",
                           list);
    }
    admin_allowed_free(allowed);
    if (list == NULL && admin_ban_hits_caller(call, &input->ban)) {
        admin_call_problem(call, "bans_own_address",
                           "It covers the address that you call from; ?force=true bans it"
                           " all the same.");
        return false;
    }
    return list == NULL;
}

static void reply_put(admin_call_t *call, const admin_ban_input_t *input,
                      const admin_ban_record_t *known, admin_ban_outcome_t outcome,
                      json_t *spec)
{
    admin_ban_record_t record = {.ban = input->ban, .spec = spec};
    reply_record(call, outcome == ADMIN_BAN_CREATED ? 201 : 200,
                 outcome == ADMIN_BAN_UNCHANGED ? known : &record);
}

static void put_document(admin_call_t *call, admin_ban_input_t *input)
{
    admin_ban_write_t write;
    admin_ban_record_t found, *known = NULL;
    admin_ban_outcome_t outcome = ADMIN_BAN_UNCHANGED;
    if (!admin_ban_write_begin(call, &write)) {
        return;
    }
    l7s_status_t status =
        admin_ban_record_get(write.store, input->ban.id, true, call->now_ms, &found);
    if (status == L7S_OK) {
        known = &found;
    }
    if (!preconditions_hold(call, known == NULL || known->lifted ? NULL : known)) {
        admin_ban_write_refuse(&write);
        admin_ban_record_clear(&found);
        return;
    }
    status = status == L7S_NOT_FOUND ? L7S_OK : status;
    if (status == L7S_OK) {
        status = admin_ban_write_put(&write, input, known, &outcome);
    }
    json_t *spec = admin_ban_write_spec(&write, input->document);
    if (status == L7S_CONFLICT) {
        admin_ban_write_refuse(&write);
        admin_ban_write_held(&write, &input->ban);
    } else if (admin_ban_write_end(&write, status)) {
        reply_put(call, input, known, outcome, spec);
    }
    json_decref(spec);
    admin_ban_record_clear(&found);
}

void admin_bans_put(admin_call_t *call)
{
    admin_ban_input_t input;
    if (read_put(call, &input)) {
        put_document(call, &input);
    }
    admin_ban_input_clear(&input);
}

/* ---- delete ---- */

void admin_bans_delete(admin_call_t *call)
{
    admin_ban_write_t write;
    admin_ban_record_t record;
    uint64_t hold_until_ms;
    if (!admin_ban_hold(call, &hold_until_ms) || !admin_ban_write_begin(call, &write)) {
        return;
    }
    write.hold_until_ms = hold_until_ms;
    l7s_status_t status = admin_ban_record_get(write.store, call->parameters[0], false,
                                               call->now_ms, &record);
    if (status == L7S_NOT_FOUND) {
        admin_ban_write_refuse(&write);
        admin_call_problem(call, "not_found", "Nothing is banned under this id.");
        return;
    }
    if (status == L7S_OK && !preconditions_hold(call, &record)) {
        admin_ban_write_refuse(&write);
    } else {
        status = status == L7S_OK ? admin_ban_write_lift(&write, &record.ban) : status;
        if (admin_ban_write_end(&write, status)) {
            admin_call_reply(call, 204, NULL);
        }
    }
    admin_ban_record_clear(&record);
}

/* Bans to be lifted: collected first, since rows must not change under a running query.
 */
typedef struct {
    size_t count, capacity;
    l7s_ban_t *items;
    bool failed;
} collection_t;

static bool collect(void *context, const admin_ban_t *row)
{
    collection_t *all = context;
    admin_ban_record_t record;
    if (admin_ban_record_read(row, &record) != L7S_OK) {
        return true;
    }
    if (all->count == all->capacity) {
        size_t capacity = all->capacity == 0 ? 64 : all->capacity * 2;
        l7s_ban_t *grown = realloc(all->items, capacity * sizeof(l7s_ban_t));
        all->failed = grown == NULL;
        all->items = grown == NULL ? all->items : grown;
        all->capacity = grown == NULL ? all->capacity : capacity;
    }
    if (!all->failed) {
        all->items[all->count++] = record.ban;
    }
    admin_ban_record_clear(&record);
    return !all->failed;
}

void admin_bans_delete_many(admin_call_t *call)
{
    admin_ban_write_t write;
    uint64_t hold_until_ms;
    collection_t all = {.items = NULL};
    const char *policy = call->query(call, "policy");
    if (policy == NULL) {
        admin_call_problem(call, "invalid_parameter",
                           "policy is required: whose bans are to be lifted?");
        return;
    }
    if (!admin_ban_hold(call, &hold_until_ms) || !admin_ban_write_begin(call, &write)) {
        return;
    }
    write.hold_until_ms = hold_until_ms;
    admin_ban_filter_t filter = {
        .rows = {.term_count = 1,
                 .terms = {{.column = "policy", .count = 1, .values = {policy}}}},
        .now_ms = call->now_ms};
    l7s_status_t status = admin_ban_each(write.store, &filter, collect, &all);
    status = status == L7S_OK && all.failed ? L7S_NO_MEMORY : status;
    for (size_t i = 0; i < all.count && status == L7S_OK; i++) {
        status = admin_ban_write_lift(&write, &all.items[i]);
    }
    if (admin_ban_write_end(&write, status)) {
        admin_call_reply(call, 200, json_pack("{s:I}", "lifted", (json_int_t)all.count));
    }
    free(all.items);
}
