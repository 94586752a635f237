/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/settings: the kill switch, which operators may use, and what only admins change.
 * The settings travel with the configuration, so each change is a revision; restoring an
 * old revision leaves them alone, since a kill switch must not come back by accident.
 */
#include "../../core/clock.h"
#include "../fleet/publisher.h"
#include "../http/auth.h"
#include "../http/problem.h"
#include "edit.h"
#include "resources.h"

#include <string.h>

/* Everything is shown, defaults too: an operator looks here first. */
static json_t *defaults(void)
{
    return json_pack("{s:s, s:n, s:{s:i, s:i, s:i}, s:{s:s, s:s}}", "mode", "enforce",
                     "mode_until", "retention", "days", 30, "rows", 1000000, "audit_days",
                     400, "privacy", "addresses", "full", "query_strings", "omit");
}

/* `stored` may be NULL. */
static json_t *complete(const json_t *stored)
{
    json_t *settings = defaults(), *value, *own;
    const char *key;
    json_object_foreach((json_t *)stored, key, value)
    {
        own = json_object_get(settings, key);
        if (json_is_object(own) && json_is_object(value)) {
            json_object_update(own, value);
        } else {
            json_object_set(settings, key, value);
        }
    }
    return settings;
}

static uint64_t until_of(const json_t *settings)
{
    uint64_t until_ms = 0;
    const char *text = json_string_value(json_object_get(settings, "mode_until"));
    return text != NULL && l7s_time_parse(text, &until_ms) ? until_ms : 0;
}

static const char *mode_of(const json_t *settings, uint64_t now_ms)
{
    const char *mode = json_string_value(json_object_get(settings, "mode"));
    uint64_t until_ms = until_of(settings);
    return mode == NULL || (until_ms != 0 && until_ms <= now_ms) ? "enforce" : mode;
}

/* Nodes of a version without the guard refuse settings that name it, so its defaults are
 * shown and not stored. */
static void show_guard(json_t *settings)
{
    json_t *guard = json_pack("{s:i, s:i, s:i}", "max_acted_clients_percent", 5,
                              "max_acted_standing_percent", 1, "within_seconds", 60);
    json_object_update(guard, json_object_get(settings, "guard"));
    json_object_set_new(settings, "guard", guard);
}

/* Steals `settings`. */
static void reply(admin_call_t *call, const admin_object_t *object, json_t *settings)
{
    if (admin_etag(settings, call->etag) != L7S_OK) {
        call->etag[0] = '\0';
    }
    show_guard(settings);
    if (!call->view_spec) {
        /* Never changed: there is no revision to tell of. */
        json_t *status =
            object->revision == 0 ? json_object() : admin_edit_status(object);
        json_object_set_new(status, "effective_mode",
                            json_string(mode_of(settings, call->now_ms)));
        json_object_set_new(settings, "status", status);
    }
    admin_call_reply(call, 200, settings);
}

void admin_settings_get(admin_call_t *call)
{
    admin_object_t object;
    l7s_status_t status =
        admin_object_get(call->daemon->store, "settings", "settings", &object);
    if (status != L7S_OK && status != L7S_NOT_FOUND) {
        admin_call_failed(call, status);
        return;
    }
    reply(call, &object, complete(object.spec));
    admin_object_clear(&object);
}

/* The kill switch belongs to operators; everything else to admins. */
static bool may_change(admin_call_t *call)
{
    const char *key;
    json_t *value;
    json_object_foreach(call->body, key, value)
    {
        bool kill_switch = strcmp(key, "mode") == 0 || strcmp(key, "mode_until") == 0 ||
                           strcmp(key, "status") == 0;
        if (!kill_switch && !admin_role_allows(call->role, ADMIN_ADMIN)) {
            admin_call_problem(call, "forbidden",
                               "\"%.40s\" needs the role admin; %s has %s.", key,
                               call->principal, admin_role_name(call->role));
            return false;
        }
    }
    return true;
}

/* A mode that is set anew must hold, so the end of an earlier one, once it has passed,
 * does not end this one, too; and back to enforce is no mode that ends, so that the next
 * one is not ended by what was said of the one before. */
static void forget_past_end(json_t *settings, const json_t *patch, uint64_t now_ms)
{
    uint64_t until_ms = until_of(settings);
    const char *mode = json_string_value(json_object_get(settings, "mode"));
    bool over = until_ms <= now_ms || (mode != NULL && strcmp(mode, "enforce") == 0);
    if (json_object_get(patch, "mode") != NULL &&
        json_object_get(patch, "mode_until") == NULL && until_ms != 0 && over) {
        json_object_set_new(settings, "mode_until", json_null());
    }
}

/* Removing a member restores its default. */
static json_t *patched(const json_t *before, const json_t *patch, uint64_t now_ms)
{
    json_t *merged = admin_edit_merge(before, patch);
    if (merged == NULL) {
        return NULL;
    }
    json_object_del(merged, "status");
    json_t *settings = complete(merged);
    json_decref(merged);
    forget_past_end(settings, patch, now_ms);
    return settings;
}

static bool check_until(admin_call_t *call, const json_t *settings)
{
    uint64_t until_ms = until_of(settings);
    if (json_object_get(call->body, "mode_until") != NULL && until_ms != 0 &&
        until_ms <= call->now_ms) {
        l7s_problems_add(&call->problems, "/mode_until", "in_the_past",
                         "mode_until must lie in the future");
        admin_call_invalid(call);
        return false;
    }
    return true;
}

void admin_settings_patch(admin_call_t *call)
{
    admin_object_t object;
    if (!may_change(call) || !admin_edit_begin(call)) {
        return;
    }
    l7s_status_t status =
        admin_object_get(call->daemon->store, "settings", "settings", &object);
    json_t *before = complete(object.spec);
    json_t *after = patched(before, call->body, call->now_ms);
    char etag[ADMIN_ETAG_MAX];
    if ((status != L7S_OK && status != L7S_NOT_FOUND) || after == NULL ||
        admin_etag(before, etag) != L7S_OK) {
        admin_call_failed(call, status == L7S_NOT_FOUND ? L7S_NO_MEMORY : status);
        admin_edit_abort(call);
    } else if (!check_until(call, after) || !admin_edit_precondition(call, etag)) {
        admin_edit_abort(call);
    } else {
        admin_change_t change = {.kind = "settings", .name = "settings", .spec = after};
        bool same = json_equal(before, after) != 0;
        if (admin_edit_commit(call, &change, same ? 0 : 1)) {
            if (!call->dry_run && (json_object_get(call->body, "mode") != NULL ||
                                   json_object_get(call->body, "mode_until") != NULL)) {
                admin_publisher_mode_spoken(call->daemon->publisher);
            }
            if (!same) {
                object.revision = call->revision;
                object.updated_ms = call->now_ms;
                object.created_ms =
                    object.spec == NULL ? call->now_ms : object.created_ms;
            }
            reply(call, &object, json_incref(after));
        }
    }
    json_decref(before);
    json_decref(after);
    admin_object_clear(&object);
}
