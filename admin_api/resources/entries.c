/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/lists/{name}/entries: one entry at a time, or many. An entry's id is its value with
 * "_" for "/"; in a list of strings, whose values may be secrets and have no business in
 * a path, the value's SHA-256. Each write is a change of its list, with the same checks;
 * the entries keep their order, new ones come last.
 */
#include "../../core/bus/trust.h"
#include "../../core/clock.h"
#include "../../core/json/config.h"
#include "../http/page.h"
#include "../http/problem.h"
#include "edit.h"
#include "lists.h"
#include "resources.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ID_MAX 72

/* The entries of one list, and how their ids are made. */
typedef struct {
    json_t *items;
    bool hashed;
} entries_t;

static void id_of(const entries_t *entries, const json_t *entry, char out[ID_MAX])
{
    const char *value = json_string_value(json_object_get(entry, "value"));
    value = value == NULL ? "" : value;
    if (entries->hashed) {
        l7s_sha256_text(value, strlen(value), out);
        return;
    }
    snprintf(out, ID_MAX, "%s", value);
    for (char *at = out; *at != '\0'; at++) {
        *at = *at == '/' ? '_' : *at;
    }
}

/* Index of the entry, or the number of entries. */
static size_t find(const entries_t *entries, const char *id)
{
    size_t index;
    json_t *entry;
    char own[ID_MAX];
    json_array_foreach(entries->items, index, entry)
    {
        id_of(entries, entry, own);
        if (strcmp(own, id) == 0) {
            return index;
        }
    }
    return json_array_size(entries->items);
}

/* Those in force. */
static entries_t entries_of(const admin_object_t *list)
{
    return (entries_t){json_object_get(list->spec, "entries"),
                       admin_list_holds_strings(list->spec)};
}

static json_t *spec_of(const json_t *body)
{
    json_t *spec = json_copy((json_t *)body);
    json_object_del(spec, "status");
    return spec;
}

/* What has expired is gone for everybody, and leaves the document with the next write. */
static bool read_list(admin_call_t *call, admin_object_t *list)
{
    l7s_status_t status =
        admin_object_get(call->daemon->store, "list", call->parameters[0], list);
    if (status != L7S_OK) {
        admin_call_unread(call, status, "list", call->parameters[0]);
        admin_object_clear(list);
        return false;
    }
    json_t *left = l7s_list_unexpired(list->spec, call->now_ms);
    json_decref(list->spec);
    list->spec = left;
    return true;
}

/* Order is by position; the cursor is an id, and a vanished one starts over after
 * nothing: the position it had cannot be known. */
void admin_entries_list(admin_call_t *call)
{
    admin_page_t page;
    admin_object_t list;
    if (!admin_page_begin(call, &page)) {
        return;
    }
    if (!read_list(call, &list)) {
        admin_page_clear(&page);
        return;
    }
    entries_t entries = entries_of(&list);
    size_t index = page.after[0] == '\0' ? 0 : find(&entries, page.after) + 1;
    if (index > json_array_size(entries.items)) {
        admin_page_clear(&page);
        admin_call_problem(call, "invalid_cursor",
                           "The entry that this cursor stands for is gone; start anew.");
    } else {
        bool more = true;
        for (; more && index < json_array_size(entries.items); index++) {
            json_t *entry = json_array_get(entries.items, index);
            char id[ID_MAX];
            id_of(&entries, entry, id);
            more = admin_page_add(&page, id, json_incref(entry));
        }
        admin_page_reply(&page, L7S_OK);
    }
    admin_object_clear(&list);
}

static void reply_entry(admin_call_t *call, json_t *entry, unsigned status)
{
    char etag[ADMIN_ETAG_MAX];
    l7s_status_t made = admin_etag(entry, etag);
    if (made != L7S_OK) {
        admin_call_failed(call, made);
        return;
    }
    admin_call_reply_tagged(call, status, etag, json_incref(entry));
}

void admin_entries_get(admin_call_t *call)
{
    admin_object_t list;
    if (!read_list(call, &list)) {
        return;
    }
    entries_t entries = entries_of(&list);
    size_t index = find(&entries, call->parameters[1]);
    if (index == json_array_size(entries.items)) {
        admin_call_problem(call, "not_found", "The list has no such entry.");
    } else {
        reply_entry(call, json_array_get(entries.items, index), 200);
    }
    admin_object_clear(&list);
}

/* -- writing -- */

/* A list inside an open transaction, with a copy of its entries to work on. */
typedef struct {
    admin_call_t *call;
    admin_object_t list;
    json_t *spec;
    entries_t entries;
} edit_t;

static void end_edit(edit_t *edit)
{
    json_decref(edit->spec);
    admin_object_clear(&edit->list);
}

static bool begin_edit(admin_call_t *call, edit_t *edit)
{
    *edit = (edit_t){.call = call};
    if (!admin_edit_begin(call)) {
        return false;
    }
    if (!read_list(call, &edit->list)) {
        admin_edit_abort(call);
        return false;
    }
    if (admin_list_owned_by_set(edit->list.spec)) {
        admin_call_problem(call, "conflict",
                           "The entries of this list come with its document "
                           "(\"entries_from\": \"set\"): change them there.");
        admin_edit_abort(call);
        end_edit(edit);
        return false;
    }
    edit->entries = entries_of(&edit->list);
    edit->spec = json_copy(edit->list.spec);
    edit->entries.items =
        edit->entries.items == NULL ? json_array() : json_copy(edit->entries.items);
    json_object_set_new(edit->spec, "entries", edit->entries.items);
    return true;
}

/* Makes pointers of problems in the list relative to one of its entries. */
static void point_at_entry(l7s_problems_t *problems, size_t index)
{
    char prefix[48];
    int size = snprintf(prefix, sizeof prefix, "/entries/%zu", index);
    for (size_t i = 0; i < problems->count; i++) {
        char *pointer = problems->items[i].pointer;
        if (strncmp(pointer, prefix, (size_t)size) == 0 &&
            (pointer[size] == '/' || pointer[size] == '\0')) {
            memmove(pointer, pointer + size, strlen(pointer + size) + 1);
        }
    }
}

static bool commit(edit_t *edit, bool changed)
{
    admin_change_t change = {.kind = "list",
                             .name = edit->call->parameters[0],
                             .spec = edit->spec,
                             .entries_only = true};
    return admin_edit_commit(edit->call, &change, changed ? 1 : 0);
}

static bool id_agrees(edit_t *edit, const json_t *entry)
{
    admin_call_t *call = edit->call;
    char id[ID_MAX];
    id_of(&edit->entries, entry, id);
    if (strcmp(id, call->parameters[1]) == 0) {
        return true;
    }
    l7s_problems_add(&call->problems, "/value", "id_mismatch",
                     "the id of this value is \"%.64s\"%s, and the path says \"%.64s\"",
                     id, edit->entries.hashed ? " (its SHA-256)" : "",
                     call->parameters[1]);
    admin_call_invalid(call);
    return false;
}

/* It would be gone at once, and nobody would have been told. */
static bool is_lasting(edit_t *edit, const json_t *entry)
{
    admin_call_t *call = edit->call;
    const char *end = json_string_value(json_object_get(entry, "expires_at"));
    uint64_t end_ms;
    if (end == NULL || !l7s_time_parse(end, &end_ms) || end_ms > call->now_ms) {
        return true;
    }
    l7s_problems_add(&call->problems, "/expires_at", "in_the_past",
                     "expires_at must lie in the future");
    admin_call_invalid(call);
    return false;
}

/* False: If-Match or If-None-Match does not hold for this entry. */
static bool entry_precondition(edit_t *edit, size_t index)
{
    char etag[ADMIN_ETAG_MAX];
    json_t *entry = json_array_get(edit->entries.items, index);
    if (entry != NULL && admin_etag(entry, etag) != L7S_OK) {
        admin_call_failed(edit->call, L7S_NO_MEMORY);
        return false;
    }
    return admin_edit_precondition(edit->call, entry == NULL ? NULL : etag);
}

void admin_entries_put(admin_call_t *call)
{
    edit_t edit;
    json_t *entry = spec_of(call->body);
    if (!begin_edit(call, &edit)) {
        json_decref(entry);
        return;
    }
    size_t index = find(&edit.entries, call->parameters[1]);
    bool created = index == json_array_size(edit.entries.items);
    bool same = !created && json_equal(json_array_get(edit.entries.items, index), entry);
    if (!id_agrees(&edit, entry) || !is_lasting(&edit, entry) ||
        !entry_precondition(&edit, index)) {
        admin_edit_abort(call);
    } else {
        if (created) {
            json_array_append(edit.entries.items, entry);
        } else {
            json_array_set(edit.entries.items, index, entry);
        }
        if (commit(&edit, !same)) {
            reply_entry(call, entry, created ? 201 : 200);
        } else {
            point_at_entry(&call->problems, index);
        }
    }
    json_decref(entry);
    end_edit(&edit);
}

void admin_entries_delete(admin_call_t *call)
{
    edit_t edit;
    if (!begin_edit(call, &edit)) {
        return;
    }
    size_t index = find(&edit.entries, call->parameters[1]);
    if (index == json_array_size(edit.entries.items)) {
        admin_call_problem(call, "not_found", "The list has no such entry.");
        admin_edit_abort(call);
    } else if (!entry_precondition(&edit, index)) {
        admin_edit_abort(call);
    } else {
        json_array_remove(edit.entries.items, index);
        if (commit(&edit, true)) {
            admin_call_reply(call, 204, NULL);
        }
    }
    end_edit(&edit);
}

/* -- many at once -- */

typedef struct {
    json_int_t created, updated, deleted, unchanged;
} tally_t;

/* The entries by id in a JSON object, since a batch may hold as many as the list. */
static json_t *index_entries(const entries_t *entries)
{
    json_t *by_id = json_object(), *entry;
    size_t index;
    char id[ID_MAX];
    json_array_foreach(entries->items, index, entry)
    {
        id_of(entries, entry, id);
        json_object_set(by_id, id, entry);
    }
    return by_id;
}

static void put_all(const entries_t *entries, json_t *by_id, const json_t *put,
                    tally_t *tally)
{
    size_t index;
    json_t *body;
    char id[ID_MAX];
    json_array_foreach((json_t *)put, index, body)
    {
        json_t *entry = spec_of(body);
        id_of(entries, entry, id);
        const json_t *before = json_object_get(by_id, id);
        if (before == NULL) {
            tally->created++;
        } else if (json_equal(before, entry)) {
            tally->unchanged++;
        } else {
            tally->updated++;
        }
        json_object_set_new(by_id, id, entry);
    }
}

static void delete_all(json_t *by_id, const json_t *ids, tally_t *tally)
{
    size_t index;
    json_t *id;
    json_array_foreach((json_t *)ids, index, id)
    {
        if (json_object_del(by_id, json_string_value(id)) == 0) {
            tally->deleted++;
        } else {
            tally->unchanged++; /* gone already: the wish is fulfilled */
        }
    }
}

/* Jansson keeps the order of insertion, and a replaced member keeps its place. */
static void write_back(json_t *entries, json_t *by_id)
{
    const char *id;
    json_t *entry;
    json_array_clear(entries);
    json_object_foreach(by_id, id, entry)
    {
        json_array_append(entries, entry);
    }
}

/* Problems are of the list as it would be; the client knows the places in its batch. */
static void point_at_put(const edit_t *edit, const json_t *put)
{
    l7s_problems_t *problems = &edit->call->problems;
    char ids[L7S_PROBLEMS_MAX][ID_MAX] = {""}, id[ID_MAX];
    int used[L7S_PROBLEMS_MAX] = {0};
    size_t index;
    json_t *body;
    for (size_t i = 0; i < problems->count; i++) {
        if (sscanf(problems->items[i].pointer, "/entries/%zu%n", &index, &used[i]) == 1) {
            id_of(&edit->entries, json_array_get(edit->entries.items, index), ids[i]);
        }
    }
    json_array_foreach((json_t *)put, index, body)
    {
        id_of(&edit->entries, body, id);
        for (size_t i = 0; i < problems->count; i++) {
            char *pointer = problems->items[i].pointer;
            char own[sizeof problems->items[i].pointer];
            if (used[i] > 0 && strcmp(ids[i], id) == 0) {
                snprintf(own, sizeof own, "/put/%zu%.150s", index, pointer + used[i]);
                snprintf(pointer, sizeof own, "%s", own);
                used[i] = 0;
            }
        }
    }
}

void admin_entries_batch(admin_call_t *call)
{
    edit_t edit;
    tally_t tally = {0};
    if (!begin_edit(call, &edit)) {
        return;
    }
    json_t *by_id = index_entries(&edit.entries);
    put_all(&edit.entries, by_id, json_object_get(call->body, "put"), &tally);
    delete_all(by_id, json_object_get(call->body, "delete"), &tally);
    write_back(edit.entries.items, by_id);
    json_decref(by_id);
    if (commit(&edit, tally.created + tally.updated + tally.deleted > 0)) {
        admin_call_reply(call, 200,
                         json_pack("{s:I, s:I, s:I, s:I}", "created", tally.created,
                                   "updated", tally.updated, "deleted", tally.deleted,
                                   "unchanged", tally.unchanged));
    } else {
        point_at_put(&edit, json_object_get(call->body, "put"));
    }
    end_edit(&edit);
}
