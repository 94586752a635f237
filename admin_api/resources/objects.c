/* SPDX-License-Identifier: Apache-2.0
 *
 * Named objects over HTTP (objects.h): collections, and PUT, PATCH and DELETE by name.
 */
#include "objects.h"
#include "../http/page.h"
#include "../http/problem.h"

#include <stdio.h>
#include <string.h>

/* What a client sees: the spec as it was sent, and the server's status behind it. */
static json_t *document_of(const admin_call_t *call, const admin_kind_t *kind,
                           const admin_object_t *object)
{
    json_t *document = json_copy(object->spec);
    if (document == NULL || call->view_spec) {
        return document;
    }
    json_t *status = admin_edit_status(object);
    json_object_set_new(status, "set",
                        object->owner[0] == '\0' ? json_null()
                                                 : json_string(object->owner));
    if (kind->describe != NULL) {
        kind->describe(call, object->spec, status);
    }
    json_object_set_new(document, "status", status);
    return document;
}

typedef struct {
    const admin_kind_t *kind;
    admin_page_t page;
} listing_t;

static bool list_one(void *context, const admin_object_t *object)
{
    listing_t *listing = context;
    admin_call_t *call = listing->page.call;
    if (!admin_page_labels(call, object->spec)) {
        return true;
    }
    return admin_page_add(&listing->page, object->name,
                          document_of(call, listing->kind, object));
}

void admin_objects_list(admin_call_t *call, const admin_kind_t *kind)
{
    listing_t listing = {.kind = kind};
    if (admin_page_begin(call, &listing.page)) {
        admin_page_reply(&listing.page,
                         admin_object_each(call->daemon->store, kind->kind,
                                           listing.page.after, list_one, &listing));
    }
}

static void reply_object(admin_call_t *call, const admin_kind_t *kind,
                         const admin_object_t *object, unsigned status)
{
    admin_call_reply_tagged(call, status, object->etag, document_of(call, kind, object));
}

/* The object as the client knows it. */
static l7s_status_t read_object(const admin_call_t *call, const admin_kind_t *kind,
                                admin_object_t *out)
{
    l7s_status_t status =
        admin_object_get(call->daemon->store, kind->kind, call->parameters[0], out);
    if (status == L7S_OK && kind->is_gone != NULL &&
        kind->is_gone(out->spec, call->now_ms)) {
        admin_object_clear(out);
        return L7S_NOT_FOUND;
    }
    return status;
}

static void fail(admin_call_t *call, const admin_kind_t *kind, l7s_status_t status)
{
    admin_call_unread(call, status, kind->noun != NULL ? kind->noun : kind->kind,
                      call->parameters[0]);
}

void admin_objects_get(admin_call_t *call, const admin_kind_t *kind)
{
    admin_object_t object;
    l7s_status_t status = read_object(call, kind, &object);
    if (status != L7S_OK) {
        fail(call, kind, status);
    } else {
        reply_object(call, kind, &object, 200);
    }
    admin_object_clear(&object);
}

/* The object as it is after the commit (or would be). */
static void reply_changed(admin_call_t *call, const admin_kind_t *kind,
                          const admin_object_t *before, json_t *spec)
{
    bool created = before->spec == NULL;
    admin_object_t after = {
        .revision = call->changed != 0 ? call->revision : before->revision,
        .created_ms = created ? call->now_ms : before->created_ms,
        .updated_ms = call->changed != 0 ? call->now_ms : before->updated_ms,
        .spec = spec};
    snprintf(after.owner, sizeof after.owner, "%s", before->owner);
    l7s_status_t status = admin_etag(spec, after.etag);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return;
    }
    call->revision = after.revision;
    reply_object(call, kind, &after, created ? 201 : 200);
}

/* Inside the transaction, which it ends. Steals `spec`. */
static void replace(admin_call_t *call, const admin_kind_t *kind,
                    const admin_object_t *before, json_t *spec)
{
    const char *name = call->parameters[0];
    bool same = before->spec != NULL && json_equal(before->spec, spec);
    if (same) {
        char etag[ADMIN_ETAG_MAX];
        /* Equal, but in another order: that is a change, since order is kept. */
        same = admin_etag(spec, etag) == L7S_OK && strcmp(etag, before->etag) == 0;
    }
    admin_change_t change = {.kind = kind->kind, .name = name, .spec = spec};
    if (kind->check != NULL && !kind->check(call, spec)) {
        admin_edit_abort(call);
    } else if (admin_edit_commit(call, &change, same ? 0 : 1)) {
        reply_changed(call, kind, before, spec);
    }
    json_decref(spec);
}

void admin_objects_put(admin_call_t *call, const admin_kind_t *kind)
{
    admin_object_t before = {0};
    json_t *spec = admin_edit_spec(call->body, call->parameters[0]);
    if (spec == NULL) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    if (!admin_edit_begin(call)) {
        json_decref(spec);
        return;
    }
    l7s_status_t status = read_object(call, kind, &before);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        admin_edit_abort(call);
        admin_call_failed(call, status);
        json_decref(spec);
    } else if (!admin_edit_precondition(call, before.spec == NULL ? NULL : before.etag)) {
        admin_edit_abort(call);
        json_decref(spec);
    } else {
        if (kind->adopt != NULL) {
            kind->adopt(spec, before.spec);
        }
        replace(call, kind, &before, spec);
    }
    admin_object_clear(&before);
}

/* Finds the object inside an open transaction and checks the preconditions; on failure
 * the transaction is closed and the call has its problem. */
static bool begin_on_existing(admin_call_t *call, const admin_kind_t *kind,
                              admin_object_t *before)
{
    *before = (admin_object_t){0};
    if (!admin_edit_begin(call)) {
        return false;
    }
    l7s_status_t status = read_object(call, kind, before);
    if (status != L7S_OK) {
        fail(call, kind, status);
    } else if (admin_edit_precondition(call, before->etag)) {
        return true;
    }
    admin_edit_abort(call);
    admin_object_clear(before);
    return false;
}

void admin_objects_patch(admin_call_t *call, const admin_kind_t *kind)
{
    admin_object_t before;
    if (!begin_on_existing(call, kind, &before)) {
        return;
    }
    json_t *merged = admin_edit_merge(before.spec, call->body);
    json_t *spec = merged == NULL ? NULL : admin_edit_spec(merged, call->parameters[0]);
    json_decref(merged);
    if (spec == NULL) {
        admin_edit_abort(call);
        admin_call_failed(call, L7S_NO_MEMORY);
    } else {
        replace(call, kind, &before, spec);
    }
    admin_object_clear(&before);
}

void admin_objects_delete(admin_call_t *call, const admin_kind_t *kind)
{
    admin_object_t before;
    if (!begin_on_existing(call, kind, &before)) {
        return;
    }
    admin_change_t change = {.kind = kind->kind, .name = call->parameters[0]};
    if (admin_edit_commit(call, &change, 1)) {
        admin_call_reply(call, 204, NULL);
    }
    admin_object_clear(&before);
}
