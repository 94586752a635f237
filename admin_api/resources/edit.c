/* SPDX-License-Identifier: Apache-2.0
 *
 * Changing the configuration (edit.h). The writer's mutex is held from the first look at
 * the object to the commit, so nothing can come between a precondition and its change.
 */
#include "edit.h"
#include "../../core/json/config.h"
#include "../fleet/publisher.h"
#include "../http/problem.h"
#include "../http/trail.h"
#include "body_pointer.h"
#include "features.h"
#include "own_address.h"
#include "permission.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define OBJECTS_MAX 1024 /* of each kind, as the contract says */

bool admin_edit_begin(admin_call_t *call)
{
    l7s_status_t status = admin_store_begin(call->daemon->store, ADMIN_CONFIG_DB);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
    }
    return status == L7S_OK;
}

void admin_edit_abort(admin_call_t *call)
{
    admin_store_rollback(call->daemon->store, ADMIN_CONFIG_DB);
}

bool admin_edit_finish(admin_call_t *call, l7s_status_t status)
{
    if (status == L7S_OK && !call->dry_run) {
        status = admin_trail_write(call);
    }
    if (status != L7S_OK || call->dry_run) {
        admin_edit_abort(call);
    } else {
        status = admin_store_commit(call->daemon->store, ADMIN_CONFIG_DB);
    }
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return false;
    }
    call->changed = 1;
    return true;
}

/* Is `etag` in the list of an If-Match or If-None-Match header? Weak ones never match. */
static bool lists_etag(const char *header, const char *etag)
{
    size_t size = strlen(etag);
    for (const char *at = strstr(header, etag); at != NULL;
         at = strstr(at + size, etag)) {
        bool weak = at >= header + 2 && at[-1] == '/' && at[-2] == 'W';
        if (!weak) {
            return true;
        }
    }
    return false;
}

bool admin_edit_precondition(admin_call_t *call, const char *etag)
{
    const char *match = call->if_match, *none = call->if_none_match;
    if (match != NULL) {
        bool holds = etag != NULL && (strcmp(match, "*") == 0 || lists_etag(match, etag));
        if (!holds) {
            admin_call_problem(call, "precondition_failed",
                               etag == NULL ? "If-Match: there is no such object%s."
                                            : "If-Match does not name the ETag in force, "
                                              "%s, as it is written there: read it anew.",
                               etag == NULL ? "" : etag);
            return false;
        }
    }
    if (none != NULL && etag != NULL &&
        (strcmp(none, "*") == 0 || lists_etag(none, etag))) {
        admin_call_problem(call, "precondition_failed",
                           "If-None-Match: it exists already, with the ETag %s.", etag);
        return false;
    }
    return true;
}

static bool named(const json_t *object, const char *name)
{
    const char *own = json_string_value(json_object_get(object, "name"));
    return own != NULL && strcmp(own, name) == 0;
}

static json_t *member_of(json_t *document, const char *member)
{
    if (json_object_get(document, member) == NULL) {
        json_object_set_new(document, member, json_array());
    }
    return json_object_get(document, member);
}

/* Puts one change into the document. Returns the index of the object, -1 when it is gone
 * or has none. */
static long apply(json_t *document, const admin_change_t *change)
{
    const char *member = admin_kind_member(change->kind);
    if (member == NULL) {
        json_object_set(document, change->kind, change->spec);
        return -1;
    }
    if (strcmp(change->kind, "set") == 0) {
        return -1; /* no node reads it */
    }
    json_t *array = member_of(document, member), *item;
    size_t index, place = json_array_size(array);
    json_array_foreach(array, index, item)
    {
        if (named(item, change->name)) {
            place = index;
            break;
        }
    }
    if (change->spec == NULL) {
        json_array_remove(array, place);
        return -1;
    }
    if (place == json_array_size(array)) {
        json_array_append(array, change->spec);
    } else {
        json_array_set(array, place, change->spec);
    }
    return (long)place;
}

/* Makes the pointers of problems in the changed object relative to it. False when a
 * problem lies elsewhere. */
static bool make_relative(l7s_problems_t *problems, const char *member, long index)
{
    char prefix[64];
    bool object = strcmp(member, "settings") != 0;
    int size = object ? snprintf(prefix, sizeof prefix, "/%s/%ld", member, index)
                      : snprintf(prefix, sizeof prefix, "/settings");
    bool all = true;
    for (size_t i = 0; i < problems->count; i++) {
        char *pointer = problems->items[i].pointer;
        if ((index >= 0 || !object) && strncmp(pointer, prefix, (size_t)size) == 0 &&
            (pointer[size] == '/' || pointer[size] == '\0')) {
            memmove(pointer, pointer + size, strlen(pointer + size) + 1);
        } else {
            all = false;
        }
    }
    return all;
}

static bool deletes_list(const admin_change_t *changes, size_t count)
{
    bool deletes = false;
    for (size_t i = 0; i < count; i++) {
        deletes |= changes[i].spec == NULL && strcmp(changes[i].kind, "list") == 0;
    }
    return deletes;
}

/* Somebody else's object by its name: its place in a document that no client sent says
 * nothing. `gone`: it is because what it refers to shall be deleted. False: it is none.
 */
static bool name_other(l7s_problem_t *problem, const json_t *document, bool gone)
{
    char member[32], message[sizeof problem->message];
    size_t index;
    int used = 0;
    if (sscanf(problem->pointer, "/%31[a-z]/%zu%n", member, &index, &used) != 2) {
        return false;
    }
    const json_t *other = json_array_get(json_object_get(document, member), index);
    const char *name = json_string_value(json_object_get(other, "name"));
    if (name == NULL) {
        return false;
    }
    snprintf(message, sizeof message, "%s/%.63s %s %.60s%s%.60s", member, name,
             gone ? "refers to it at" : "would not be valid any more:",
             problem->pointer + used, gone ? "" : ": ", gone ? "" : problem->message);
    snprintf(problem->message, sizeof problem->message, "%s", message);
    problem->pointer[0] = '\0';
    return true;
}

/* Others do not hold any more: nearly always they refer to what shall be deleted. */
static void reply_conflict(admin_call_t *call, const json_t *document,
                           l7s_problem_t *first, const admin_change_t *changes,
                           size_t count)
{
    bool gone = count == 1 && changes[0].spec == NULL;
    if (!name_other(first, document, gone)) {
        admin_call_invalid(call);
        return;
    }
    /* Of one change the others are of the same kind; of many they may be its own. */
    for (size_t i = 0; i < call->problems.count && count == 1 && call->set == NULL; i++) {
        (void)name_other(&call->problems.items[i], document, gone);
    }
    admin_call_problem(call,
                       deletes_list(changes, count) ? "list_in_use" : "still_referenced",
                       "%s.", first->message);
}

/* Pointers that the client understands. Returns a problem that is not in what it sent, or
 * NULL. `index`: of the object of a single change. */
static l7s_problem_t *point_at_own(admin_call_t *call, const json_t *document,
                                   const admin_change_t *changes, size_t count,
                                   long index)
{
    const char *member = admin_kind_member(changes[0].kind);
    size_t foreign = 0;
    if (count > 1 || (call->set != NULL && call->body != NULL)) {
        foreign = admin_body_point(call, document);
    } else if (make_relative(&call->problems, member == NULL ? "settings" : member,
                             index)) {
        foreign = call->problems.count;
    }
    return foreign < call->problems.count ? &call->problems.items[foreign] : NULL;
}

/* Nobody shuts out themselves by accident. */
static void check_own_address(admin_call_t *call, const l7s_config_t *config,
                              const admin_change_t *changes, size_t count)
{
    for (size_t i = 0; i < count && call->peer != NULL && !call->force; i++) {
        bool policy = strcmp(changes[i].kind, "policy") == 0 ||
                      strcmp(changes[i].kind, "override") == 0;
        if (changes[i].spec != NULL && policy &&
            admin_own_address_hit(config, changes[i].name, call->peer, call->now_ms)) {
            admin_call_problem(call, "bans_own_address",
                               "The policy \"%.63s\" would act on each request of the "
                               "address that you call from. Put that address on an allow "
                               "list, or add ?force=true.",
                               changes[i].name);
            return;
        }
    }
}

/* Said of the configuration as a whole, which the client did not send. */
static bool has_room(admin_call_t *call, const json_t *document)
{
    for (size_t i = 0; i < ADMIN_NODE_KINDS; i++) {
        const char *member = admin_kind_member(admin_kind_name(i));
        size_t count = json_array_size(json_object_get(document, member));
        if (count > OBJECTS_MAX) {
            admin_call_problem(call, "too_many",
                               "There would be %zu %s; at most %d can be configured.",
                               count, member, OBJECTS_MAX);
            return false;
        }
    }
    return true;
}

static bool check(admin_call_t *call, const admin_change_t *changes, size_t count)
{
    int64_t revision;
    json_t *document = admin_config_document(call->daemon->store, &revision);
    if (document == NULL) {
        admin_call_failed(call, L7S_IO);
        return false;
    }
    long index = -1;
    for (size_t i = 0; i < count; i++) {
        index = apply(document, &changes[i]);
    }
    if (!has_room(call, document)) {
        json_decref(document);
        return false;
    }
    l7s_config_t *config = NULL;
    l7s_status_t status = l7s_config_parse(document, &call->problems, &config);
    l7s_problem_t *foreign = point_at_own(call, document, changes, count, index);
    if (count == 1) {
        admin_edit_check_own_name(&call->problems, changes[0].name, changes[0].spec);
    }
    if (foreign != NULL) {
        reply_conflict(call, document, foreign, changes, count);
    } else if (status == L7S_INVALID || call->problems.count > 0) {
        admin_call_invalid(call);
    } else if (status != L7S_OK) {
        admin_call_failed(call, status);
    } else if (admin_features_check(call, changes, count)) {
        check_own_address(call, config, changes, count);
    }
    l7s_config_free(config);
    json_decref(document);
    return call->code == NULL;
}

bool admin_edit_commit(admin_call_t *call, const admin_change_t *changes, size_t count)
{
    admin_store_t *store = call->daemon->store;
    if (count == 0) {
        call->changed = 0;
        call->revision = admin_store_revision(store);
        admin_edit_abort(call);
        return true;
    }
    if (!admin_permission_check(call, changes, count) || !check(call, changes, count)) {
        admin_edit_abort(call);
        return false;
    }
    call->changed = 1;
    if (call->dry_run) {
        call->revision = admin_store_revision(store);
        admin_edit_abort(call);
        return true;
    }
    admin_origin_t origin = {.author = call->principal,
                             .reason = call->reason,
                             .set = call->set,
                             .now_ms = call->now_ms};
    l7s_status_t status =
        admin_revision_write(store, changes, count, &origin, &call->revision);
    if (status == L7S_OK) {
        status = admin_trail_write(call);
    }
    if (status != L7S_OK) {
        admin_edit_abort(call);
    } else {
        status = admin_store_commit(store, ADMIN_CONFIG_DB);
    }
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return false;
    }
    admin_publisher_kick(call->daemon->publisher);
    return true;
}
