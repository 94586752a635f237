/* SPDX-License-Identifier: Apache-2.0
 *
 * The difference between two whole configurations becomes one commit (whole.h). What did
 * not change is not written, so its revision and the counters of its policies stay.
 */
#include "whole.h"
#include "../../core/json/config.h"
#include "../http/problem.h"
#include "lists.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const kinds[] = {"policy", "list", "app", "response"};

#define KINDS (sizeof kinds / sizeof kinds[0])
/* Four kinds of at most 1,024 objects, before and after. */
#define CHANGES_MAX (4 * 1024 * 2)

typedef struct {
    size_t count;
    admin_change_t changes[CHANGES_MAX];
    json_t *created, *updated, *deleted; /* "policies/per-client" */
    json_int_t unchanged;
    json_t *specs; /* keeps the documents of `changes` alive */
} plan_t;

json_t *admin_whole_document(admin_call_t *call, char etag[ADMIN_ETAG_MAX],
                             int64_t *revision)
{
    json_t *document = admin_config_document(call->daemon->store, revision);
    if (document == NULL) {
        admin_call_failed(call, L7S_IO);
        return NULL;
    }
    json_object_del(document, "settings");
    l7s_status_t status = admin_etag(document, etag);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        json_decref(document);
        return NULL;
    }
    return document;
}

static const char *name_of(const json_t *object)
{
    const char *name = json_string_value(json_object_get(object, "name"));
    return name == NULL ? "" : name;
}

/* The objects of an array by name: both sides may have a thousand. */
static json_t *by_name(const json_t *array)
{
    json_t *map = json_object(), *object;
    size_t index;
    json_array_foreach((json_t *)array, index, object)
    {
        json_object_set(map, name_of(object), object);
    }
    return map;
}

static void note(json_t *array, const char *member, const char *name)
{
    char text[128];
    snprintf(text, sizeof text, "%s/%s", member, name);
    json_array_append_new(array, json_string(text));
}

static void add_change(plan_t *plan, const char *kind, const char *name, json_t *spec)
{
    if (plan->count < CHANGES_MAX) {
        plan->changes[plan->count++] =
            (admin_change_t){.kind = kind, .name = name, .spec = spec};
    }
}

static bool same_text(const json_t *a, const json_t *b)
{
    char first[ADMIN_ETAG_MAX], second[ADMIN_ETAG_MAX];
    return json_equal(a, b) && admin_etag(a, first) == L7S_OK &&
           admin_etag(b, second) == L7S_OK && strcmp(first, second) == 0;
}

/* Both maps live as long as the plan: names in it are borrowed from them. */
static void plan_kind(plan_t *plan, const char *kind, json_t *before, json_t *after)
{
    const char *name, *member = admin_kind_member(kind);
    json_t *object;
    json_object_foreach(after, name, object)
    {
        const json_t *old = json_object_get(before, name);
        json_t *spec = admin_edit_spec(object, name);
        if (strcmp(kind, "list") == 0) {
            admin_list_adopt(spec, old);
        }
        json_array_append_new(plan->specs, spec);
        if (old != NULL && same_text(old, spec)) {
            plan->unchanged++;
            continue;
        }
        note(old == NULL ? plan->created : plan->updated, member, name);
        add_change(plan, kind, name, spec);
    }
    json_object_foreach(before, name, object)
    {
        if (json_object_get(after, name) == NULL) {
            note(plan->deleted, member, name);
            add_change(plan, kind, name, NULL);
        }
    }
}

/* What nobody can say about one object at a time: names, references. Pointers are the
 * client's own, since nothing was merged yet. */
static bool check_document(admin_call_t *call, const json_t *document)
{
    l7s_config_t *config = NULL;
    l7s_status_t status = l7s_config_parse(document, &call->problems, &config);
    l7s_config_free(config);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
    }
    return status == L7S_OK;
}

static plan_t *create_plan(void)
{
    plan_t *plan = calloc(1, sizeof *plan);
    if (plan != NULL) {
        plan->created = json_array();
        plan->updated = json_array();
        plan->deleted = json_array();
        plan->specs = json_array();
    }
    return plan;
}

static void free_plan(plan_t *plan)
{
    if (plan != NULL) {
        json_decref(plan->created);
        json_decref(plan->updated);
        json_decref(plan->deleted);
        json_decref(plan->specs);
        free(plan);
    }
}

static void reply_plan(admin_call_t *call, const plan_t *plan)
{
    admin_call_reply(call, 200,
                     json_pack("{s:O, s:O, s:O, s:I}", "created", plan->created,
                               "updated", plan->updated, "deleted", plan->deleted,
                               "unchanged", plan->unchanged));
}

/* Inside the transaction, which it ends. */
static void carry_out(admin_call_t *call, const json_t *before, const json_t *document)
{
    plan_t *plan = create_plan();
    json_t *old[KINDS] = {NULL}, *new[KINDS] = {NULL};
    if (plan == NULL) {
        admin_edit_abort(call);
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    for (size_t i = 0; i < KINDS; i++) {
        old[i] = by_name(json_object_get(before, admin_kind_member(kinds[i])));
        new[i] = by_name(json_object_get(document, admin_kind_member(kinds[i])));
        plan_kind(plan, kinds[i], old[i], new[i]);
    }
    if (admin_edit_commit(call, plan->changes, plan->count)) {
        reply_plan(call, plan);
    }
    for (size_t i = 0; i < KINDS; i++) {
        json_decref(old[i]);
        json_decref(new[i]);
    }
    free_plan(plan);
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
