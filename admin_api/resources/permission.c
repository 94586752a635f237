/* SPDX-License-Identifier: Apache-2.0
 *
 * Who may change which object (permission.h): bounds of tokens, and ownership by sets.
 */
#include "permission.h"

#include "../http/problem.h"
#include "../http/scope.h"
#include "body_pointer.h"
#include <stdio.h>
#include <string.h>

static bool is_override(const admin_change_t *change)
{
    return strcmp(change->kind, "override") == 0;
}

/* An override belongs to whoever its policy belongs to. */
static const char *kind_of(const admin_change_t *change)
{
    return is_override(change) ? "policy" : change->kind;
}

/* A set owns itself. */
static l7s_status_t owner_of(admin_call_t *call, const admin_change_t *change,
                             char owner[64])
{
    if (strcmp(change->kind, "set") == 0) {
        snprintf(owner, 64, "%s", change->name);
        return L7S_OK;
    }
    return admin_object_owner(call->daemon->store, kind_of(change), change->name, owner);
}

/* Of the object as it is, and as it shall be. */
static l7s_status_t check_bounds(admin_call_t *call, const admin_change_t *change,
                                 const char *owner)
{
    admin_object_t before;
    const char *kind = kind_of(change);
    const json_t *spec = is_override(change) ? NULL : change->spec;
    l7s_status_t status =
        admin_object_get(call->daemon->store, kind, change->name, &before);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        return status;
    }
    const char *after = change->owner == NULL ? owner : change->owner;
    if (before.spec == NULL ||
        admin_scope_object(call, kind, change->name, owner, before.spec)) {
        admin_scope_object(call, kind, change->name, after,
                           spec == NULL ? before.spec : spec);
    }
    if (call->code == NULL && strcmp(kind, "app") == 0 && !is_override(change)) {
        admin_scope_extent(call, before.spec, spec);
    }
    admin_object_clear(&before);
    return L7S_OK;
}

/* A set never takes what another one owns, not even by force. */
static bool is_permitted(const admin_call_t *call, const admin_change_t *change,
                         const char *owner)
{
    if (owner[0] == '\0' || change->entries_only || is_override(change)) {
        return true;
    }
    return call->set != NULL ? strcmp(call->set, owner) == 0 : call->force;
}

static void note_refusal(admin_call_t *call, const admin_change_t *change,
                         const char *owner)
{
    char pointer[64];
    const char *member = admin_kind_member(change->kind);
    admin_body_pointer(call, member, change->name, pointer);
    l7s_problems_add(&call->problems, pointer, "owned_by_set",
                     "%s/%s belongs to the set \"%s\"", member, change->name, owner);
}

bool admin_permission_check(admin_call_t *call, const admin_change_t *changes,
                            size_t count)
{
    char owner[64], first[64] = "";
    for (size_t i = 0; i < count; i++) {
        l7s_status_t status = owner_of(call, &changes[i], owner);
        if (status == L7S_OK && call->bounds != NULL) {
            status = check_bounds(call, &changes[i], owner);
        }
        if (status != L7S_OK) {
            admin_call_failed(call, status);
        }
        if (call->code != NULL) {
            return false;
        }
        if (!is_permitted(call, &changes[i], owner)) {
            note_refusal(call, &changes[i], owner);
            if (first[0] == '\0') {
                snprintf(first, sizeof first, "%s", owner);
            }
        }
    }
    if (first[0] != '\0') {
        admin_call_problem(call, "owned_by_set",
                           call->set != NULL
                               ? "It belongs to the set \"%s\", which must let go of it."
                               : "It belongs to the set \"%s\": change it there, or add "
                                 "?force=true; the set's next PUT takes that back.",
                           first);
    }
    return first[0] == '\0';
}
