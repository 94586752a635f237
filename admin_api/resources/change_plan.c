/* SPDX-License-Identifier: Apache-2.0
 *
 * See change_plan.h. The plan keeps every name and document that its changes refer to.
 */
#include "change_plan.h"
#include "../http/problem.h"
#include "../store/difference.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Four kinds of at most 1,024 objects, before and after, and the sets. */
#define CHANGES_MAX (5 * 1024 * 2)

struct admin_plan {
    size_t count;
    bool full; /* a change did not fit: nothing of it is carried out */
    admin_change_t changes[CHANGES_MAX];
    json_t *created, *updated, *deleted, *unchanged; /* "policies/per-client" */
    json_t *differences;                             /* NULL: not wanted */
    json_t *kept; /* names and documents of `changes` */
};

admin_plan_t *admin_plan_create(bool differences)
{
    admin_plan_t *plan = calloc(1, sizeof *plan);
    if (plan != NULL) {
        plan->created = json_array();
        plan->updated = json_array();
        plan->deleted = json_array();
        plan->unchanged = json_array();
        plan->differences = differences ? json_array() : NULL;
        plan->kept = json_array();
    }
    return plan;
}

void admin_plan_free(admin_plan_t *plan)
{
    if (plan != NULL) {
        json_decref(plan->created);
        json_decref(plan->updated);
        json_decref(plan->deleted);
        json_decref(plan->unchanged);
        json_decref(plan->differences);
        json_decref(plan->kept);
        free(plan);
    }
}

/* NULL stays NULL. */
static const char *keep_text(admin_plan_t *plan, const char *text)
{
    json_t *kept = text == NULL ? NULL : json_string(text);
    json_array_append_new(plan->kept, kept);
    return json_string_value(kept);
}

/* The same text, but for ever. */
static const char *kind_of(const char *kind)
{
    return admin_member_kind(admin_kind_member(kind));
}

static void add_change(admin_plan_t *plan, const char *kind, const char *name,
                       json_t *spec, const char *owner)
{
    if (plan->count == CHANGES_MAX) {
        plan->full = true;
        json_decref(spec);
        return;
    }
    if (spec != NULL) {
        json_array_append_new(plan->kept, spec);
    }
    plan->changes[plan->count++] = (admin_change_t){.kind = kind_of(kind),
                                                    .name = keep_text(plan, name),
                                                    .spec = spec,
                                                    .owner = keep_text(plan, owner)};
}

/* Equal documents in another order are different ones, since order is kept. */
static bool is_same(const admin_object_t *before, const json_t *spec, const char *owner)
{
    char old[ADMIN_ETAG_MAX], new[ADMIN_ETAG_MAX];
    snprintf(old, sizeof old, "%s", before->etag);
    return before->spec != NULL && spec != NULL &&
           (owner == NULL || strcmp(owner, before->owner) == 0) &&
           (old[0] != '\0' || admin_etag(before->spec, old) == L7S_OK) &&
           admin_etag(spec, new) == L7S_OK && strcmp(old, new) == 0;
}

static void note(json_t *array, const char *kind, const char *name)
{
    char text[128];
    snprintf(text, sizeof text, "%s/%s", admin_kind_member(kind), name);
    json_array_append_new(array, json_string(text));
}

static void note_difference(admin_plan_t *plan, const char *kind, const char *name,
                            const json_t *before, const json_t *spec)
{
    const char *op = before == NULL ? "create" : spec == NULL ? "delete" : "update";
    if (plan->differences != NULL) {
        json_array_append_new(plan->differences,
                              json_pack("{s:s, s:s, s:s, s:o}", "kind", kind, "name",
                                        name, "op", op, "differences",
                                        admin_difference(before, spec)));
    }
}

void admin_plan_add(admin_plan_t *plan, const char *kind, const char *name,
                    const admin_object_t *before, json_t *spec, const char *owner)
{
    if (is_same(before, spec, owner)) {
        note(plan->unchanged, kind, name);
        json_decref(spec);
        return;
    }
    note(before->spec == NULL ? plan->created
         : spec == NULL       ? plan->deleted
                              : plan->updated,
         kind, name);
    note_difference(plan, kind, name, before->spec, spec);
    add_change(plan, kind, name, spec, owner);
}

void admin_plan_add_silent(admin_plan_t *plan, const char *kind, const char *name,
                           const admin_object_t *before, json_t *spec, const char *owner)
{
    if (is_same(before, spec, owner)) {
        json_decref(spec);
    } else {
        add_change(plan, kind, name, spec, owner);
    }
}

const json_t *admin_plan_deleted(const admin_plan_t *plan)
{
    return plan->deleted;
}

bool admin_plan_commit(admin_call_t *call, const admin_plan_t *plan)
{
    if (plan->full) {
        admin_edit_abort(call);
        admin_call_failed(call, L7S_TOO_BIG);
        return false;
    }
    return admin_edit_commit(call, plan->changes, plan->count);
}

json_t *admin_plan_document(const admin_plan_t *plan)
{
    return json_pack("{s:O, s:O, s:O, s:O, s:O*}", "created", plan->created, "updated",
                     plan->updated, "deleted", plan->deleted, "unchanged",
                     plan->unchanged, "differences", plan->differences);
}
