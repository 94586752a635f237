/* SPDX-License-Identifier: Apache-2.0
 *
 * PUT and DELETE of /v1/sets/{set}: one owner's policies, lists, apps and responses,
 * replaced at once. An apply is one transaction and one revision, touches nobody else's
 * objects, and leaves alone what operators own: the entries of lists that say so, and
 * overrides.
 */
#include "../../core/json/config.h"
#include "../../core/schema/schema.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "change_plan.h"
#include "lists.h"
#include "overrides.h"
#include "resources.h"
#include "set_document.h"

#include <stdio.h>
#include <string.h>

#define DELETES_MAX 9999
#define SETS_MAX 1024

typedef struct {
    admin_call_t *call;
    admin_object_t set; /* as it is; spec NULL: there is none */
    json_t *normal;     /* as it shall be */
    json_t *wanted;     /* {"policies/login": true} */
    json_t *overridden; /* where something else than the document is in force */
    admin_plan_t *plan;
    int64_t max_deletes;
} apply_t;

/* The set's own name, and one object of each name. */
static bool check_names(admin_call_t *call)
{
    admin_edit_check_name(&call->problems, call->parameters[0]);
    admin_edit_check_own_name(&call->problems, call->parameters[0], call->body);
    return call->problems.count == 0;
}

static void check_once(admin_call_t *call, json_t *seen, const char *member, size_t index,
                       const char *name)
{
    char key[128], pointer[64];
    snprintf(key, sizeof key, "%s/%s", member, name);
    if (json_object_get(seen, key) != NULL) {
        snprintf(pointer, sizeof pointer, "/%s/%zu/name", member, index);
        l7s_problems_add(&call->problems, pointer, "duplicate_name",
                         "\"%.63s\" stands there already", name);
    }
    json_object_set_new(seen, key, json_true());
}

/* Fills `wanted`. False: the call has its problem. */
static bool check_body(apply_t *apply)
{
    admin_call_t *call = apply->call;
    json_t *object;
    size_t index;
    check_names(call);
    for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
        const char *member = admin_kind_member(admin_kind_name(i));
        json_array_foreach(json_object_get(apply->normal, member), index, object)
        {
            check_once(call, apply->wanted, member, index, admin_set_item_name(object));
        }
    }
    if (call->problems.count > 0) {
        admin_call_invalid(call);
    }
    return call->problems.count == 0;
}

static void note_overridden(apply_t *apply, const char *member, const char *name)
{
    char text[96];
    snprintf(text, sizeof text, "%s/%s", member, name);
    json_array_append_new(apply->overridden, json_string(text));
}

/* An operator has said something else about this policy, for a while. */
static void look_for_override(apply_t *apply, const char *name)
{
    json_t *override = admin_override_of(apply->call, name);
    if (override != NULL) {
        note_overridden(apply, "policies", name);
    }
    json_decref(override);
}

/* Entries that operators own stay, whatever the document says; only a new list begins
 * with the document's. */
static void keep_entries(apply_t *apply, const admin_object_t *before, json_t *spec)
{
    const json_t *sent = json_object_get(spec, "entries");
    json_t *entries = json_object_get(before->spec, "entries");
    if (before->spec == NULL || admin_list_owned_by_set(spec)) {
        return;
    }
    if (sent != NULL && !json_equal(sent, entries)) {
        note_overridden(apply, "lists", before->name);
    }
    if (entries != NULL) {
        json_object_set(spec, "entries", entries);
    } else {
        json_object_del(spec, "entries");
    }
}

/* What was made by hand is taken over only when the caller says so. */
static void check_adoption(apply_t *apply, const char *member, size_t index,
                           const admin_object_t *before)
{
    char pointer[64];
    if (before->spec != NULL && before->owner[0] == '\0' && !apply->call->adopt) {
        snprintf(pointer, sizeof pointer, "/%s/%zu", member, index);
        l7s_problems_add(&apply->call->problems, pointer, "made_by_hand",
                         "%s/%s is there and belongs to no set", member, before->name);
    }
}

static l7s_status_t plan_object(apply_t *apply, const char *kind, size_t index,
                                json_t *object)
{
    admin_object_t before;
    const char *name = admin_set_item_name(object);
    l7s_status_t status =
        admin_object_get(apply->call->daemon->store, kind, name, &before);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        return status;
    }
    json_t *spec = json_copy(object);
    if (strcmp(kind, "list") == 0) {
        keep_entries(apply, &before, spec);
    } else if (strcmp(kind, "policy") == 0) {
        look_for_override(apply, name);
    }
    check_adoption(apply, admin_kind_member(kind), index, &before);
    admin_plan_add(apply->plan, kind, name, &before, spec, apply->call->set);
    admin_object_clear(&before);
    return L7S_OK;
}

static l7s_status_t plan_objects(apply_t *apply)
{
    l7s_status_t status = L7S_OK;
    for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
        const char *kind = admin_kind_name(i);
        const json_t *objects = json_object_get(apply->normal, admin_kind_member(kind));
        for (size_t at = 0; at < json_array_size(objects) && status == L7S_OK; at++) {
            status = plan_object(apply, kind, at, json_array_get(objects, at));
        }
    }
    return status;
}

/* What the set owns and the document does not name is deleted. */
static l7s_status_t plan_deletes(apply_t *apply)
{
    json_t *owned = admin_objects_owned(apply->call->daemon->store, apply->call->set);
    json_t *object;
    size_t index;
    json_array_foreach(owned, index, object)
    {
        char key[128];
        const char *kind = json_string_value(json_object_get(object, "kind"));
        const char *name = json_string_value(json_object_get(object, "name"));
        admin_object_t before = {.spec = object};
        snprintf(key, sizeof key, "%s/%s", admin_kind_member(kind), name);
        if (json_object_get(apply->wanted, key) == NULL) {
            admin_plan_add(apply->plan, kind, name, &before, NULL, NULL);
        }
    }
    l7s_status_t status = owned == NULL ? L7S_IO : L7S_OK;
    json_decref(owned);
    return status;
}

static void plan_manifest(apply_t *apply)
{
    json_t *manifest = apply->normal == NULL ? NULL : admin_set_manifest(apply->normal);
    admin_plan_add_silent(apply->plan, "set", apply->call->set, &apply->set, manifest,
                          NULL);
}

/* An empty file must not take everything along. */
static bool check_deletes(apply_t *apply)
{
    const json_t *deleted = admin_plan_deleted(apply->plan);
    json_t *name;
    size_t index;
    if (json_array_size(deleted) <= (size_t)apply->max_deletes) {
        return true;
    }
    json_array_foreach(deleted, index, name)
    {
        l7s_problems_add(&apply->call->problems, "", "would_be_deleted",
                         "%s would be deleted", json_string_value(name));
    }
    admin_call_problem(apply->call, "too_many_deletes",
                       "%zu objects would be deleted, and max_deletes is %u.",
                       json_array_size(deleted), (unsigned)apply->max_deletes);
    return false;
}

/* False: the call has its problem. */
static bool check_plan(apply_t *apply, l7s_status_t status)
{
    if (status != L7S_OK) {
        admin_call_failed(apply->call, status);
        return false;
    }
    if (apply->call->problems.count > 0) {
        admin_call_problem(apply->call, "made_by_hand",
                           "The set names objects that were made by hand; ?adopt=true "
                           "takes them over.");
        return false;
    }
    return check_deletes(apply);
}

static void reply_applied(apply_t *apply)
{
    char etag[ADMIN_ETAG_MAX] = "";
    json_t *document = admin_plan_document(apply->plan);
    json_object_set(document, "overridden", apply->overridden);
    if (admin_etag(apply->normal, etag) != L7S_OK) {
        etag[0] = '\0';
    }
    admin_call_reply_tagged(apply->call, apply->set.spec == NULL ? 201 : 200, etag,
                            document);
}

/* Inside the transaction, which it ends. */
static bool carry_out(apply_t *apply)
{
    l7s_status_t status = plan_objects(apply);
    if (status == L7S_OK) {
        status = plan_deletes(apply);
    }
    plan_manifest(apply);
    if (!check_plan(apply, status)) {
        admin_edit_abort(apply->call);
        return false;
    }
    return admin_plan_commit(apply->call, apply->plan);
}

static bool count_set(void *context, const admin_object_t *set)
{
    (void)set;
    ++*(size_t *)context;
    return true;
}

/* A new one: the preconditions, and is there room for it? */
static bool check_new(admin_call_t *call)
{
    size_t count = 0;
    l7s_status_t status =
        admin_object_each(call->daemon->store, "set", "", count_set, &count);
    if (status == L7S_OK && count >= SETS_MAX) {
        admin_call_problem(call, "too_many", "There are %d sets already.", SETS_MAX);
        return false;
    }
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return false;
    }
    return admin_edit_precondition(call, NULL);
}

/* The set as it is, inside the transaction, and the preconditions. False: the call has
 * its problem. */
static bool read_before(apply_t *apply, bool must_exist)
{
    admin_call_t *call = apply->call;
    admin_set_state_t state;
    json_t *document = NULL;
    l7s_status_t status =
        admin_object_get(call->daemon->store, "set", call->set, &apply->set);
    if (status == L7S_NOT_FOUND && !must_exist) {
        return check_new(call);
    }
    if (status == L7S_OK && call->if_match == NULL && call->if_none_match == NULL) {
        return true; /* nobody asks what it looks like, and it may be large */
    }
    if (status == L7S_OK) {
        document = admin_set_assemble(call->daemon->store, &apply->set, &state);
        status = document == NULL ? L7S_IO : L7S_OK;
    }
    char etag[ADMIN_ETAG_MAX];
    if (status == L7S_OK) {
        status = admin_etag(document, etag);
    }
    json_decref(document);
    if (status != L7S_OK) {
        admin_call_unread(call, status, "set", call->set);
        return false;
    }
    return admin_edit_precondition(call, etag);
}

static void end_apply(apply_t *apply)
{
    admin_object_clear(&apply->set);
    json_decref(apply->normal);
    json_decref(apply->wanted);
    json_decref(apply->overridden);
    admin_plan_free(apply->plan);
}

static bool begin_apply(apply_t *apply, admin_call_t *call)
{
    *apply = (apply_t){.call = call, .max_deletes = DELETES_MAX};
    call->set = call->parameters[0];
    if (!admin_parameter_number(call, "max_deletes", 0, DELETES_MAX,
                                &apply->max_deletes)) {
        return false;
    }
    apply->normal = call->body == NULL ? NULL : admin_set_normal(call->body, call->set);
    apply->wanted = json_object();
    apply->overridden = json_array();
    apply->plan = admin_plan_create(call->dry_run);
    if (apply->plan == NULL || (call->body != NULL && apply->normal == NULL)) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return false;
    }
    return true;
}

void admin_sets_put(admin_call_t *call)
{
    apply_t apply;
    if (begin_apply(&apply, call) && check_body(&apply) && admin_edit_begin(call)) {
        if (!read_before(&apply, false)) {
            admin_edit_abort(call);
        } else if (carry_out(&apply)) {
            reply_applied(&apply);
        }
    }
    end_apply(&apply);
}

void admin_sets_delete(admin_call_t *call)
{
    apply_t apply;
    if (begin_apply(&apply, call) && admin_edit_begin(call)) {
        if (!read_before(&apply, true)) {
            admin_edit_abort(call);
        } else if (carry_out(&apply)) {
            admin_call_reply(call, 204, NULL);
        }
    }
    end_apply(&apply);
}
