/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/sets: what belongs to one owner, read. set_apply.c replaces and deletes it.
 */
#include "../http/page.h"
#include "../http/problem.h"
#include "edit.h"
#include "resources.h"
#include "set_document.h"

#include <stdio.h>
#include <string.h>

static json_t *status_of(const admin_set_state_t *state)
{
    admin_object_t object = {.revision = state->revision,
                             .created_ms = state->created_ms,
                             .updated_ms = state->updated_ms};
    json_t *status = admin_edit_status(&object);
    json_object_set_new(status, "objects", json_integer((json_int_t)state->objects));
    return status;
}

static json_t *names_of(const json_t *items)
{
    json_t *names = json_array(), *item;
    size_t index;
    json_array_foreach(items, index, item)
    {
        json_array_append_new(names, json_string(admin_set_item_name(item)));
    }
    return names;
}

/* What it consists of, by name: whole, a page of sets might be a gigabyte. */
static bool list_one(void *context, const admin_object_t *set)
{
    json_t *item = json_pack("{s:s}", "name", set->name);
    for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
        const char *member = admin_kind_member(admin_kind_name(i));
        json_object_set_new(item, member, names_of(json_object_get(set->spec, member)));
    }
    json_object_set_new(item, "status", admin_edit_status(set));
    return admin_page_add(context, set->name, item);
}

void admin_sets_list(admin_call_t *call)
{
    admin_page_t page;
    if (admin_page_begin(call, &page)) {
        admin_page_reply(&page, admin_object_each(call->daemon->store, "set", page.after,
                                                  list_one, &page));
    }
}

/* The set as it is, whole. False: the call has its problem. */
static bool read_set(admin_call_t *call, admin_object_t *set, json_t **document,
                     admin_set_state_t *state)
{
    l7s_status_t status =
        admin_object_get(call->daemon->store, "set", call->parameters[0], set);
    *document = NULL;
    if (status == L7S_OK) {
        *document = admin_set_assemble(call->daemon->store, set, state);
        status = *document == NULL ? L7S_IO : admin_etag(*document, set->etag);
    }
    if (status != L7S_OK) {
        json_decref(*document);
        admin_object_clear(set);
        admin_call_unread(call, status, "set", call->parameters[0]);
    }
    return status == L7S_OK;
}

void admin_sets_get(admin_call_t *call)
{
    admin_object_t set;
    admin_set_state_t state;
    json_t *document;
    if (!read_set(call, &set, &document, &state)) {
        return;
    }
    if (!call->view_spec) {
        json_object_set_new(document, "status", status_of(&state));
    }
    admin_call_reply_tagged(call, 200, set.etag, document);
    admin_object_clear(&set);
}
