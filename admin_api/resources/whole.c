/* SPDX-License-Identifier: Apache-2.0
 *
 * The difference between two whole configurations becomes one commit (whole.h). What did
 * not change is not written, so its revision and the counters of its policies stay.
 */
#include "whole.h"
#include "../../core/json/config.h"
#include "../http/problem.h"
#include "change_plan.h"
#include "lists.h"
#include "set_document.h"

#include <stdio.h>
#include <string.h>

/* `after` has "sets" when it says who owns what, too, as an old revision does. */
typedef struct {
    const json_t *before, *after;
    json_t *old_owners, *new_owners; /* {"policies/login": "web"} */
    admin_plan_t *plan;
} replacement_t;

json_t *admin_whole_document(admin_call_t *call, char etag[ADMIN_ETAG_MAX],
                             int64_t *revision)
{
    json_t *document = admin_config_document(call->daemon->store, revision);
    if (document == NULL) {
        admin_call_failed(call, L7S_IO);
        return NULL;
    }
    json_object_del(document, "settings");
    json_object_del(document, "overrides");
    l7s_status_t status = admin_etag(document, etag);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        json_decref(document);
        return NULL;
    }
    return document;
}

/* The objects of an array by name: both sides may have a thousand. */
static json_t *by_name(const json_t *array)
{
    json_t *map = json_object(), *object;
    size_t index;
    json_array_foreach((json_t *)array, index, object)
    {
        json_object_set(map, admin_set_item_name(object), object);
    }
    return map;
}

static void add_owned(json_t *owners, const json_t *set, const char *member)
{
    json_t *item;
    size_t index;
    char key[128];
    json_array_foreach(json_object_get(set, member), index, item)
    {
        snprintf(key, sizeof key, "%s/%s", member, admin_set_item_name(item));
        json_object_set(owners, key, json_object_get(set, "name"));
    }
}

static json_t *owners_by(const json_t *sets)
{
    json_t *owners = json_object(), *set;
    size_t index;
    json_array_foreach(sets, index, set)
    {
        for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
            add_owned(owners, set, admin_kind_member(admin_kind_name(i)));
        }
    }
    return owners;
}

static const char *owner_in(const json_t *owners, const char *member, const char *name)
{
    char key[128];
    snprintf(key, sizeof key, "%s/%s", member, name);
    const char *owner = json_string_value(json_object_get(owners, key));
    return owner == NULL ? "" : owner;
}

/* With the owner that `after` names, or the present one when it names none at all. */
static void plan_object(const replacement_t *all, const char *kind, const char *name,
                        json_t *old, json_t *new)
{
    const char *member = admin_kind_member(kind);
    bool owned = json_object_get(all->after, "sets") != NULL;
    admin_object_t before = {.spec = old};
    json_t *spec = new == NULL ? NULL : admin_edit_spec(new, name);
    snprintf(before.owner, sizeof before.owner, "%s",
             owner_in(all->old_owners, member, name));
    if (spec != NULL && strcmp(kind, "list") == 0) {
        admin_list_adopt(spec, old);
    }
    admin_plan_add(all->plan, kind, name, &before, spec,
                   owned ? owner_in(all->new_owners, member, name) : NULL);
}

static void plan_kind(const replacement_t *all, const char *kind)
{
    const char *name, *member = admin_kind_member(kind);
    json_t *old = by_name(json_object_get(all->before, member));
    json_t *new = by_name(json_object_get(all->after, member)), *object;
    json_object_foreach(new, name, object)
    {
        plan_object(all, kind, name, json_object_get(old, name), object);
    }
    json_object_foreach(old, name, object)
    {
        if (json_object_get(new, name) == NULL) {
            plan_object(all, kind, name, object, NULL);
        }
    }
    json_decref(old);
    json_decref(new);
}

/* What nobody can say about one object at a time: names, references. Pointers are the
 * client's own, since nothing was merged yet. */
static bool check_document(admin_call_t *call, const json_t *document)
{
    l7s_config_t *config = NULL;
    json_t *enforced = json_copy((json_t *)document);
    json_object_del(enforced, "sets");
    l7s_status_t status = l7s_config_parse(enforced, &call->problems, &config);
    l7s_config_free(config);
    json_decref(enforced);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
    }
    return status == L7S_OK;
}

static bool add_set(void *context, const admin_object_t *set)
{
    json_array_append(context, set->spec);
    return true;
}

/* The sets as they are. NULL: the call has its problem. */
static json_t *read_sets(admin_call_t *call)
{
    json_t *sets = json_array();
    l7s_status_t status =
        admin_object_each(call->daemon->store, "set", "", add_set, sets);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        json_decref(sets);
        return NULL;
    }
    return sets;
}

/* `unchanged` as a number: nobody reads a thousand names of what stayed. */
static void reply_plan(admin_call_t *call, const admin_plan_t *plan)
{
    json_t *document = admin_plan_document(plan);
    size_t unchanged = json_array_size(json_object_get(document, "unchanged"));
    json_object_set_new(document, "unchanged", json_integer((json_int_t)unchanged));
    admin_call_reply(call, 200, document);
}

/* Inside the transaction, which it ends. */
static void carry_out(admin_call_t *call, json_t *before, const json_t *document)
{
    json_t *sets = read_sets(call);
    replacement_t all = {.before = before,
                         .after = document,
                         .old_owners = owners_by(sets),
                         .new_owners = owners_by(json_object_get(document, "sets")),
                         .plan = admin_plan_create(call->dry_run)};
    if (sets == NULL || all.plan == NULL) {
        admin_edit_abort(call);
        admin_call_failed(call, sets == NULL ? L7S_IO : L7S_NO_MEMORY);
    } else {
        for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
            plan_kind(&all, admin_kind_name(i));
        }
        if (json_object_get(document, "sets") != NULL) {
            json_object_set(before, "sets", sets);
            plan_kind(&all, "set");
        }
        if (admin_plan_commit(call, all.plan)) {
            reply_plan(call, all.plan);
        }
    }
    json_decref(sets);
    json_decref(all.old_owners);
    json_decref(all.new_owners);
    admin_plan_free(all.plan);
}

void admin_whole_replace(admin_call_t *call, const json_t *document)
{
    char etag[ADMIN_ETAG_MAX];
    int64_t revision;
    if (!check_document(call, document) || !admin_edit_begin(call)) {
        return;
    }
    json_t *before = admin_whole_document(call, etag, &revision);
    if (before == NULL || !admin_edit_precondition(call, etag)) {
        admin_edit_abort(call);
    } else {
        carry_out(call, before, document);
    }
    if (call->code == NULL) {
        json_t *after = admin_whole_document(call, call->etag, &revision);
        json_decref(after);
    }
    json_decref(before);
}
