/* SPDX-License-Identifier: Apache-2.0
 *
 * Bounds of tokens (scope.h). Whatever is not listed here is closed to bound tokens.
 */
#include "scope.h"
#include "../../core/addr.h"

#include <string.h>

/* Here the objects that a call changes are asked about one by one. */
static const char *const by_object[] = {"/v1/policies/{name}",
                                        "/v1/lists/{name}",
                                        "/v1/apps/{name}",
                                        "/v1/lists/{name}/entries:batch",
                                        "/v1/responses/{name}",
                                        "/v1/lists/{name}/entries/{id}",
                                        "/v1/config",
                                        "/v1/revisions/{revision}:restore",
                                        "/v1/sets/{set}",
                                        "/v1/incidents/{id}",
                                        "/v1/policies/{name}/override"};

static const json_t *bound(const json_t *token, const char *member)
{
    const json_t *array = json_object_get(token, member);
    return json_array_size(array) == 0 ? NULL : array;
}

bool admin_scope_is_bound(const json_t *token)
{
    return bound(token, "sets") != NULL || bound(token, "apps") != NULL;
}

bool admin_scope_address(const json_t *token, const uint8_t *peer)
{
    const json_t *addresses = bound(token, "addresses");
    l7s_addr_t address;
    if (addresses == NULL || peer == NULL) {
        return addresses == NULL;
    }
    memcpy(address.bytes, peer, sizeof address.bytes);
    for (size_t i = 0; i < json_array_size(addresses); i++) {
        const char *text = json_string_value(json_array_get(addresses, i));
        l7s_cidr_t network;
        if (text != NULL && l7s_cidr_parse(text, &network) == L7S_OK &&
            l7s_cidr_contains(&network, &address)) {
            return true;
        }
    }
    return false;
}

static bool holds(const json_t *names, const char *name)
{
    for (size_t i = 0; name != NULL && i < json_array_size(names); i++) {
        const char *one = json_string_value(json_array_get(names, i));
        if (one != NULL && strcmp(one, name) == 0) {
            return true;
        }
    }
    return false;
}

bool admin_scope_route(admin_call_t *call, const admin_route_t *route)
{
    if (call->bounds == NULL || !admin_route_changes(route)) {
        return true;
    }
    for (size_t i = 0; i < sizeof by_object / sizeof by_object[0]; i++) {
        if (strcmp(route->pattern, by_object[i]) == 0) {
            return true;
        }
    }
    admin_call_problem(call, "forbidden",
                       "This needs a token that is not bound to sets or apps; %s is.",
                       call->principal);
    return false;
}

/* The apps that an object concerns; NULL: all of them. */
static const json_t *apps_of(const char *kind, const json_t *spec)
{
    if (strcmp(kind, "policy") == 0) {
        return json_object_get(json_object_get(spec, "match"), "apps");
    }
    return strcmp(kind, "list") == 0 ? json_object_get(spec, "apps") : NULL;
}

static bool within_apps(const json_t *bounds, const char *kind, const char *name,
                        const json_t *spec)
{
    const json_t *apps = bound(bounds, "apps");
    if (apps == NULL || (strcmp(kind, "app") == 0 && holds(apps, name))) {
        return true;
    }
    const json_t *own = apps_of(kind, spec);
    for (size_t i = 0; i < json_array_size(own); i++) {
        if (!holds(apps, json_string_value(json_array_get(own, i)))) {
            return false;
        }
    }
    return json_array_size(own) > 0;
}

bool admin_scope_object(admin_call_t *call, const char *kind, const char *name,
                        const char *set, const json_t *spec)
{
    const json_t *sets = bound(call->bounds, "sets");
    const char *beyond = sets != NULL && !holds(sets, set)              ? "sets"
                         : !within_apps(call->bounds, kind, name, spec) ? "apps"
                                                                        : NULL;
    if (beyond != NULL) {
        admin_call_problem(call, "forbidden",
                           "The %s \"%.63s\" lies beyond the %s that %s is bound to.",
                           kind, name, beyond, call->principal);
    }
    return beyond == NULL;
}

static bool same_member(const json_t *a, const json_t *b, const char *member)
{
    const json_t *one = json_object_get(a, member), *other = json_object_get(b, member);
    return (json_array_size(one) == 0 && json_array_size(other) == 0) ||
           json_equal(one, other);
}

bool admin_scope_extent(admin_call_t *call, const json_t *before, const json_t *after)
{
    if (bound(call->bounds, "apps") == NULL ||
        (before != NULL && after != NULL && same_member(before, after, "hosts") &&
         same_member(before, after, "paths"))) {
        return true;
    }
    admin_call_problem(call, "forbidden",
                       "Hosts and paths of an app need a token that is not bound to apps;"
                       " %s is.",
                       call->principal);
    return false;
}

bool admin_scope_app(admin_call_t *call, const char *app)
{
    if (call->bounds != NULL && (bound(call->bounds, "sets") != NULL ||
                                 !holds(bound(call->bounds, "apps"), app))) {
        admin_call_problem(
            call, "forbidden", "This needs a token for %s%.63s%s; %s is bound to others.",
            app == NULL ? "all apps" : "the app \"", app == NULL ? "" : app,
            app == NULL ? "" : "\"", call->principal);
        return false;
    }
    return true;
}
