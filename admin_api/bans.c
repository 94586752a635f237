/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/bans: who is banned, by nodes and by hand; banning by hand, lifting.
 *
 * A write is one durable transaction; afterwards its entries go to the ban log, so that
 * nodes act at once, and the next snapshot has them too. Nothing here waits for a node.
 */
#include "ban_input.h"
#include "page.h"
#include "problem.h"
#include "publisher.h"
#include "resources.h"
#include "store_objects.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- one write: a transaction and what it tells the fleet ---- */

typedef struct {
    admin_call_t *call;
    admin_store_t *store;
    uint64_t hold_until_ms;
    json_t *entries; /* for the ban log */
} write_t;

typedef enum { UNCHANGED, CREATED, UPDATED } outcome_t;

static bool write_begin(admin_call_t *call, write_t *write)
{
    *write = (write_t){.call = call, .store = call->daemon->store};
    l7s_status_t status = admin_store_begin_durable(write->store);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return false;
    }
    write->entries = json_array();
    return true;
}

/* Ends the transaction. False: nothing was stored, and the call has its problem. */
static bool write_end(write_t *write, l7s_status_t status)
{
    admin_call_t *call = write->call;
    json_t *entries = write->entries;
    bool changed = json_array_size(entries) > 0;
    if (status == L7S_OK && changed && !call->dry_run) {
        status = admin_store_commit(write->store, ADMIN_EVENTS_DB);
    } else {
        admin_store_rollback(write->store, ADMIN_EVENTS_DB);
    }
    if (status != L7S_OK) {
        json_decref(entries);
        admin_call_failed(call, status);
        return false;
    }
    for (size_t i = 0; i < json_array_size(entries) && !call->dry_run; i++) {
        admin_publisher_ban(call->daemon->publisher,
                            json_incref(json_array_get(entries, i)));
    }
    json_decref(entries);
    call->changed = changed ? 1 : 0;
    call->revision = admin_store_revision(write->store);
    return true;
}

/* Gives up a write that has its problem already. */
static void write_refuse(write_t *write)
{
    admin_store_rollback(write->store, ADMIN_EVENTS_DB);
    json_decref(write->entries);
}

static bool read_hold(admin_call_t *call, uint64_t *hold_until_ms)
{
    const char *text = call->query(call, "hold_seconds");
    char *end;
    *hold_until_ms = call->now_ms;
    if (text == NULL) {
        return true;
    }
    unsigned long seconds = strtoul(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' ||
        seconds > ADMIN_HOLD_SECONDS_MAX) {
        admin_call_problem(call, "invalid_parameter",
                           "hold_seconds must be an integer from 0 to %d.",
                           ADMIN_HOLD_SECONDS_MAX);
        return false;
    }
    *hold_until_ms += (uint64_t)seconds * 1000;
    return true;
}

static json_t *spec_of(const write_t *write, json_t *document)
{
    return json_pack("{s:O, s:s?, s:I}", "document", document, "by",
                     write->call->principal, "revision",
                     (json_int_t)admin_store_revision(write->store));
}

static void etag_of(const admin_ban_record_t *record, char out[ADMIN_ETAG_MAX])
{
    json_t *document = admin_ban_document(record);
    if (document == NULL || admin_etag(document, out) != L7S_OK) {
        out[0] = '\0';
    }
    json_decref(document);
}

/* L7S_CONFLICT: it was lifted and is held off. `known` is what was there before. */
static l7s_status_t put_one(write_t *write, admin_ban_input_t *input,
                            const admin_ban_record_t *known, outcome_t *outcome)
{
    char before[ADMIN_ETAG_MAX] = "", after[ADMIN_ETAG_MAX] = "";
    bool active = known != NULL && !known->lifted;
    *outcome = active ? UPDATED : CREATED;
    if (known != NULL && known->lifted && known->hold_until_ms > write->call->now_ms) {
        return L7S_CONFLICT;
    }
    l7s_status_t status = admin_etag(input->document, after);
    if (active && known->spec != NULL) {
        etag_of(known, before);
    }
    if (status == L7S_OK && strcmp(before, after) == 0) {
        *outcome = UNCHANGED;
        return L7S_OK;
    }
    if (status == L7S_OK) {
        status = admin_ban_digest(write->call->daemon, &input->ban.network,
                                  &input->ban.digest);
    }
    json_t *spec = spec_of(write, input->document);
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

static l7s_status_t lift_one(write_t *write, const l7s_ban_t *ban)
{
    json_t *entry;
    l7s_status_t status = admin_ban_record_lift(write->store, ban, write->call->now_ms,
                                                write->hold_until_ms, &entry);
    if (status == L7S_OK) {
        json_array_append_new(write->entries, entry);
    }
    return status;
}

/* ---- preconditions ---- */

/* `record` NULL: there is none. */
static bool preconditions_hold(admin_call_t *call, const admin_ban_record_t *record)
{
    char etag[ADMIN_ETAG_MAX] = "";
    if (record != NULL) {
        etag_of(record, etag);
    }
    if (call->if_none_match != NULL && strcmp(call->if_none_match, "*") == 0 &&
        record != NULL) {
        admin_call_problem(call, "precondition_failed", "The ban exists already.");
        return false;
    }
    if (call->if_match != NULL &&
        (record == NULL ||
         (strcmp(call->if_match, "*") != 0 && strcmp(call->if_match, etag) != 0))) {
        admin_call_problem(call, "precondition_failed",
                           "The ban has changed since it was read.");
        return false;
    }
    return true;
}

/* ---- reading ---- */

static bool read_client(admin_call_t *call, l7s_cidr_t *out, bool *given)
{
    const char *text = call->query(call, "client");
    *given = text != NULL;
    if (text != NULL && l7s_cidr_parse(text, out) != L7S_OK) {
        admin_call_problem(call, "invalid_parameter",
                           "client must be an address or a network without host bits.");
        return false;
    }
    return true;
}

/* Adds the values of a repeatable parameter as one term. */
static bool add_term(admin_call_t *call, const char *name, admin_ban_filter_t *filter)
{
    admin_term_t *term = &filter->terms[filter->term_count];
    const char *value = call->query_at(call, name, 0);
    *term = (admin_term_t){.column = name};
    while (value != NULL && term->count < ADMIN_TERM_VALUES_MAX) {
        term->values[term->count++] = value;
        value = call->query_at(call, name, term->count);
    }
    if (value != NULL) {
        admin_call_problem(call, "invalid_parameter", "%s may be given at most %d times.",
                           name, ADMIN_TERM_VALUES_MAX);
        return false;
    }
    filter->term_count += term->count > 0 ? 1 : 0;
    return true;
}

typedef struct {
    admin_call_t *call;
    admin_page_t page;
    FILE *plain; /* instead of the page */
} list_t;

static bool list_one(void *context, const admin_ban_t *row)
{
    list_t *list = context;
    admin_ban_record_t record;
    if (admin_ban_record_read(row, &record) != L7S_OK) {
        return true;
    }
    bool more = true;
    json_t *document = admin_ban_document(&record);
    if (admin_page_labels(list->call, document)) {
        more = admin_page_add(&list->page, row->id,
                              admin_ban_public(&record, list->call->view_spec));
    }
    json_decref(document);
    admin_ban_record_clear(&record);
    return more;
}

/* One network a line, for firewalls and scripts. */
static bool list_plain(void *context, const admin_ban_t *row)
{
    list_t *list = context;
    char text[L7S_CIDR_TEXT];
    if (row->network != NULL) {
        l7s_cidr_text(row->network, text);
        fprintf(list->plain, "%s\n", text);
    }
    return true;
}

static void reply_plain(list_t *list, const admin_ban_filter_t *filter)
{
    admin_call_t *call = list->call;
    char *text = NULL;
    size_t size;
    list->plain = open_memstream(&text, &size);
    if (list->plain == NULL) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    l7s_status_t status = admin_ban_each(call->daemon->store, filter, list_plain, list);
    if (fclose(list->plain) != 0 || status != L7S_OK) {
        free(text);
        admin_call_failed(call, status == L7S_OK ? L7S_NO_MEMORY : status);
        return;
    }
    call->status = 200;
    call->text = text;
    call->content_type = "text/plain; charset=utf-8";
}

void admin_bans_list(admin_call_t *call)
{
    list_t list = {.call = call};
    l7s_cidr_t client;
    bool has_client;
    admin_ban_filter_t filter = {.now_ms = call->now_ms};
    const char *format = call->query(call, "format");
    if (!add_term(call, "policy", &filter) || !add_term(call, "origin", &filter) ||
        !read_client(call, &client, &has_client)) {
        return;
    }
    filter.covers = has_client ? &client : NULL;
    if (format != NULL && strcmp(format, "plain") == 0) {
        reply_plain(&list, &filter);
        return;
    }
    if (format != NULL && strcmp(format, "json") != 0) {
        admin_call_problem(call, "invalid_parameter",
                           "format must be \"json\" or \"plain\".");
        return;
    }
    if (!admin_page_begin(call, &list.page)) {
        return;
    }
    filter.after = list.page.after;
    l7s_status_t status = admin_ban_each(call->daemon->store, &filter, list_one, &list);
    if (status != L7S_OK) {
        admin_page_clear(&list.page);
        admin_call_failed(call, status);
        return;
    }
    admin_page_reply(call, &list.page);
}

static void reply_record(admin_call_t *call, unsigned status,
                         const admin_ban_record_t *record)
{
    etag_of(record, call->etag);
    admin_call_reply(call, status, admin_ban_public(record, call->view_spec));
}

void admin_bans_get(admin_call_t *call)
{
    admin_ban_record_t record;
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
    return list == NULL;
}

static void reply_put(admin_call_t *call, const admin_ban_input_t *input,
                      const admin_ban_record_t *known, outcome_t outcome, json_t *spec)
{
    admin_ban_record_t record = {.ban = input->ban, .spec = spec};
    if (outcome == CREATED) {
        snprintf(call->location, sizeof(call->location), "/v1/bans/%s", input->ban.id);
    }
    reply_record(call, outcome == CREATED ? 201 : 200,
                 outcome == UNCHANGED ? known : &record);
}

static void put_document(admin_call_t *call, admin_ban_input_t *input)
{
    write_t write;
    admin_ban_record_t found, *known = NULL;
    outcome_t outcome = UNCHANGED;
    if (!write_begin(call, &write)) {
        return;
    }
    l7s_status_t status =
        admin_ban_record_get(write.store, input->ban.id, true, call->now_ms, &found);
    if (status == L7S_OK) {
        known = &found;
    }
    if (!preconditions_hold(call, known == NULL || known->lifted ? NULL : known)) {
        write_refuse(&write);
        admin_ban_record_clear(&found);
        return;
    }
    status = status == L7S_NOT_FOUND ? L7S_OK : status;
    if (status == L7S_OK) {
        status = put_one(&write, input, known, &outcome);
    }
    json_t *spec = spec_of(&write, input->document);
    if (status == L7S_CONFLICT) {
        write_refuse(&write);
        admin_call_problem(
            call, "conflict",
            "The ban was lifted and is held off; wait for the hold to end.");
    } else if (write_end(&write, status)) {
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
    write_t write;
    admin_ban_record_t record;
    uint64_t hold_until_ms;
    if (!read_hold(call, &hold_until_ms) || !write_begin(call, &write)) {
        return;
    }
    write.hold_until_ms = hold_until_ms;
    l7s_status_t status = admin_ban_record_get(write.store, call->parameters[0], false,
                                               call->now_ms, &record);
    if (status == L7S_NOT_FOUND) {
        write_refuse(&write);
        admin_call_problem(call, "not_found", "Nothing is banned under this id.");
        return;
    }
    if (status == L7S_OK && !preconditions_hold(call, &record)) {
        write_refuse(&write);
    } else {
        status = status == L7S_OK ? lift_one(&write, &record.ban) : status;
        if (write_end(&write, status)) {
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
    write_t write;
    uint64_t hold_until_ms;
    collection_t all = {.items = NULL};
    const char *policy = call->query(call, "policy");
    if (policy == NULL) {
        admin_call_problem(call, "invalid_parameter",
                           "policy is required: whose bans are to be lifted?");
        return;
    }
    if (!read_hold(call, &hold_until_ms) || !write_begin(call, &write)) {
        return;
    }
    write.hold_until_ms = hold_until_ms;
    admin_ban_filter_t filter = {
        .term_count = 1,
        .terms = {{.column = "policy", .count = 1, .values = {policy}}},
        .now_ms = call->now_ms};
    l7s_status_t status = admin_ban_each(write.store, &filter, collect, &all);
    status = status == L7S_OK && all.failed ? L7S_NO_MEMORY : status;
    for (size_t i = 0; i < all.count && status == L7S_OK; i++) {
        status = lift_one(&write, &all.items[i]);
    }
    if (write_end(&write, status)) {
        admin_call_reply(call, 204, NULL);
    }
    free(all.items);
}

/* ---- batch ---- */

typedef struct {
    size_t count;
    admin_ban_input_t *inputs;
    json_t *created, *updated, *unchanged, *deleted, *not_found;
} batch_t;

static void batch_clear(batch_t *batch)
{
    for (size_t i = 0; i < batch->count; i++) {
        admin_ban_input_clear(&batch->inputs[i]);
    }
    free(batch->inputs);
    json_decref(batch->created);
    json_decref(batch->updated);
    json_decref(batch->unchanged);
    json_decref(batch->deleted);
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
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/put/%zu", index);
        (void)admin_ban_input_read(item, pointer, call->now_ms, &call->problems,
                                   &batch->inputs[batch->count++]);
    }
    json_array_foreach(json_object_get(call->body, "delete"), index, item)
    {
        char pointer[32];
        snprintf(pointer, sizeof(pointer), "/delete/%zu", index);
        if (!json_is_string(item)) {
            l7s_problems_add(&call->problems, pointer, "wrong_type", "must be an id");
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
    for (size_t i = 0; i < batch->count; i++) {
        const char *list = admin_allowed_by(allowed, &batch->inputs[i].ban.network);
        char pointer[32];
        if (list != NULL) {
            snprintf(pointer, sizeof(pointer), "/put/%zu/key", i);
            l7s_problems_add(&call->problems, pointer, "allow_listed",
                             "the allow list \"%s\" covers it", list);
        }
    }
    admin_allowed_free(allowed);
    if (call->problems.count > 0) {
        admin_call_problem(call, "allow_listed",
                           "Allow lists cover some of them; nothing was changed.");
        return false;
    }
    return true;
}

static l7s_status_t batch_put(write_t *write, batch_t *batch, size_t index)
{
    admin_ban_input_t *input = &batch->inputs[index];
    admin_ban_record_t known;
    outcome_t outcome;
    l7s_status_t status = admin_ban_record_get(write->store, input->ban.id, true,
                                               write->call->now_ms, &known);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        return status;
    }
    status = put_one(write, input, status == L7S_OK ? &known : NULL, &outcome);
    admin_ban_record_clear(&known);
    if (status == L7S_OK) {
        json_array_append_new(outcome == CREATED   ? batch->created
                              : outcome == UPDATED ? batch->updated
                                                   : batch->unchanged,
                              json_string(input->ban.id));
    }
    return status;
}

static l7s_status_t batch_delete(write_t *write, batch_t *batch, const json_t *id)
{
    admin_ban_record_t known;
    l7s_status_t status = admin_ban_record_get(write->store, json_string_value(id), false,
                                               write->call->now_ms, &known);
    if (status == L7S_NOT_FOUND) {
        json_array_append(batch->not_found, (json_t *)id);
        return L7S_OK;
    }
    if (status == L7S_OK) {
        status = lift_one(write, &known.ban);
        json_array_append(batch->deleted, (json_t *)id);
    }
    admin_ban_record_clear(&known);
    return status;
}

static void write_batch(admin_call_t *call, batch_t *batch, uint64_t hold_until_ms)
{
    write_t write;
    size_t index;
    json_t *id;
    l7s_status_t status = L7S_OK;
    if (!write_begin(call, &write)) {
        return;
    }
    write.hold_until_ms = hold_until_ms;
    for (size_t i = 0; i < batch->count && status == L7S_OK; i++) {
        status = batch_put(&write, batch, i);
        if (status == L7S_CONFLICT) {
            write_refuse(&write);
            admin_call_problem(call, "conflict",
                               "%s was lifted and is held off; nothing was changed.",
                               batch->inputs[i].ban.id);
            return;
        }
    }
    json_array_foreach(json_object_get(call->body, "delete"), index, id)
    {
        status = status == L7S_OK ? batch_delete(&write, batch, id) : status;
    }
    if (write_end(&write, status)) {
        admin_call_reply(call, 200,
                         json_pack("{s:O, s:O, s:O, s:O, s:O}", "created", batch->created,
                                   "updated", batch->updated, "unchanged",
                                   batch->unchanged, "deleted", batch->deleted,
                                   "not_found", batch->not_found));
    }
}

void admin_bans_batch(admin_call_t *call)
{
    uint64_t hold_until_ms;
    batch_t batch = {.created = json_array(),
                     .updated = json_array(),
                     .unchanged = json_array(),
                     .deleted = json_array(),
                     .not_found = json_array()};
    if (!read_hold(call, &hold_until_ms)) {
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
