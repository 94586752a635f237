/* SPDX-License-Identifier: Apache-2.0
 *
 * The API as a table (route.h). Rows of one path stand together; a pattern with a fixed
 * tail ("{name}:rotate") stands before the one without, since the first match decides.
 */
#include "route.h"
#include "../../core/schema/nearest.h"
#include "../resources/resources.h"

#include <stdio.h>
#include <string.h>

#define NONE ADMIN_BODY_NONE
#define SMALL ADMIN_BODY_SMALL
#define LARGE ADMIN_BODY_LARGE
#define JSON ADMIN_PRODUCES_JSON
#define LINES (ADMIN_PRODUCES_JSON | ADMIN_PRODUCES_NDJSON)
#define TEXT ADMIN_PRODUCES_TEXT
#define EVENTS ADMIN_PRODUCES_EVENTS
#define BYTES ADMIN_PRODUCES_BYTES

#define PAGE "limit cursor"
#define OBJECTS "limit cursor label* view"
#define INCIDENTS                                                                        \
    "limit cursor state* policy* app* kind* severity* signature* action* client "        \
    "label* since until"

/* clang-format off */
static const admin_route_t routes[] = {
    {"GET", "/livez", ADMIN_NOBODY, admin_health_livez, NONE, NULL, "verbose", JSON | TEXT, false},
    {"GET", "/readyz", ADMIN_NOBODY, admin_health_readyz, NONE, NULL, "verbose", JSON | TEXT, false},
    {"GET", "/metrics", ADMIN_METRICS, admin_metrics_get, NONE, NULL, "", TEXT, false},
    {"GET", "/openapi.json", ADMIN_NOBODY, admin_root_openapi, NONE, NULL, "", JSON, false},
    {"GET", "/schemas/{file}", ADMIN_NOBODY, admin_root_schema, NONE, NULL, "", JSON, false},
    {"GET", "/v1", ADMIN_VIEWER, admin_root_get, NONE, NULL, "", JSON, false},

    {"GET", "/v1/policies", ADMIN_VIEWER, admin_policies_list, NONE, NULL, OBJECTS, LINES, false},
    {"POST", "/v1/policies:validate", ADMIN_VIEWER, admin_policies_validate, SMALL, NULL, "", JSON, false},
    {"POST", "/v1/policies:backtest", ADMIN_OPERATOR, admin_policies_backtest, ADMIN_BODY_LOG, "Backtest", "", LINES, true},
    {"POST", "/v1/policies:test", ADMIN_VIEWER, admin_policies_test, SMALL, "PolicyTest", "", JSON, true},
    {"GET", "/v1/policies/{name}/stats", ADMIN_VIEWER, admin_policies_stats, NONE, NULL, "since step_seconds", JSON, true},
    {"GET", "/v1/policies/{name}", ADMIN_VIEWER, admin_policies_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/policies/{name}", ADMIN_EDITOR, admin_policies_put, SMALL, NULL, "force view", JSON, false},
    {"PATCH", "/v1/policies/{name}", ADMIN_EDITOR, admin_policies_patch, SMALL, NULL, "force view", JSON, false},
    {"DELETE", "/v1/policies/{name}", ADMIN_EDITOR, admin_policies_delete, NONE, NULL, "force", JSON, false},
    {"GET", "/v1/policies/{name}/override", ADMIN_VIEWER, admin_overrides_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/policies/{name}/override", ADMIN_OPERATOR, admin_overrides_put, SMALL, "Override", "force", JSON, false},
    {"DELETE", "/v1/policies/{name}/override", ADMIN_OPERATOR, admin_overrides_delete, NONE, NULL, "", JSON, false},

    {"GET", "/v1/lists", ADMIN_VIEWER, admin_lists_list, NONE, NULL, OBJECTS, LINES, true},
    {"GET", "/v1/lists/{name}", ADMIN_VIEWER, admin_lists_get, NONE, NULL, "view", JSON, true},
    {"PUT", "/v1/lists/{name}", ADMIN_EDITOR, admin_lists_put, LARGE, NULL, "force view", JSON, false},
    {"PATCH", "/v1/lists/{name}", ADMIN_EDITOR, admin_lists_patch, LARGE, NULL, "force view", JSON, false},
    {"DELETE", "/v1/lists/{name}", ADMIN_EDITOR, admin_lists_delete, NONE, NULL, "force", JSON, false},
    {"GET", "/v1/lists/{name}/entries", ADMIN_VIEWER, admin_entries_list, NONE, NULL, PAGE, LINES, true},
    {"POST", "/v1/lists/{name}/entries:batch", ADMIN_OPERATOR, admin_entries_batch, LARGE, "EntriesBatch", "", JSON, false},
    {"GET", "/v1/lists/{name}/entries/{id}", ADMIN_VIEWER, admin_entries_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/lists/{name}/entries/{id}", ADMIN_OPERATOR, admin_entries_put, LARGE, "ListEntry", "", JSON, false},
    {"DELETE", "/v1/lists/{name}/entries/{id}", ADMIN_OPERATOR, admin_entries_delete, NONE, NULL, "", JSON, false},

    {"GET", "/v1/apps", ADMIN_VIEWER, admin_apps_list, NONE, NULL, OBJECTS, LINES, false},
    {"GET", "/v1/apps/{name}", ADMIN_VIEWER, admin_apps_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/apps/{name}", ADMIN_EDITOR, admin_apps_put, SMALL, NULL, "force view", JSON, false},
    {"PATCH", "/v1/apps/{name}", ADMIN_EDITOR, admin_apps_patch, SMALL, NULL, "force view", JSON, false},
    {"DELETE", "/v1/apps/{name}", ADMIN_EDITOR, admin_apps_delete, NONE, NULL, "force", JSON, false},

    {"GET", "/v1/responses", ADMIN_VIEWER, admin_responses_list, NONE, NULL, OBJECTS, LINES, false},
    {"GET", "/v1/responses/{name}", ADMIN_VIEWER, admin_responses_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/responses/{name}", ADMIN_EDITOR, admin_responses_put, SMALL, NULL, "force view", JSON, false},
    {"DELETE", "/v1/responses/{name}", ADMIN_EDITOR, admin_responses_delete, NONE, NULL, "force", JSON, false},

    {"GET", "/v1/config", ADMIN_VIEWER, admin_config_get, NONE, NULL, "view", JSON, true},
    {"PUT", "/v1/config", ADMIN_EDITOR, admin_config_put, LARGE, "Config", "force", JSON, false},
    {"GET", "/v1/sets", ADMIN_VIEWER, admin_sets_list, NONE, NULL, PAGE, LINES, false},
    {"GET", "/v1/sets/{set}", ADMIN_VIEWER, admin_sets_get, NONE, NULL, "view", JSON, true},
    {"PUT", "/v1/sets/{set}", ADMIN_EDITOR, admin_sets_put, LARGE, "Set", "max_deletes adopt force", JSON, false},
    {"DELETE", "/v1/sets/{set}", ADMIN_EDITOR, admin_sets_delete, NONE, NULL, "max_deletes", JSON, false},
    {"GET", "/v1/packs", ADMIN_VIEWER, admin_packs_list, NONE, NULL, PAGE, LINES, false},
    {"GET", "/v1/packs/{name}", ADMIN_VIEWER, admin_packs_get, NONE, NULL, "", JSON, false},
    {"GET", "/v1/revisions", ADMIN_VIEWER, admin_revisions_list, NONE, NULL, PAGE, LINES, false},
    {"POST", "/v1/revisions/{revision}:restore", ADMIN_EDITOR, admin_revisions_restore, NONE, NULL, "", JSON, false},
    {"GET", "/v1/revisions/{revision}", ADMIN_VIEWER, admin_revisions_get, NONE, NULL, "", JSON, true},
    {"GET", "/v1/revisions/{revision}/rollout", ADMIN_VIEWER, admin_revisions_rollout, NONE, NULL, "wait_seconds min_nodes on_timeout", JSON, true},

    {"GET", "/v1/settings", ADMIN_VIEWER, admin_settings_get, NONE, NULL, "view", JSON, false},
    {"PATCH", "/v1/settings", ADMIN_OPERATOR, admin_settings_patch, SMALL, NULL, "force view", JSON, false},

    {"GET", "/v1/tokens", ADMIN_ADMIN, admin_tokens_list, NONE, NULL, PAGE, LINES, false},
    {"POST", "/v1/tokens/{name}:rotate", ADMIN_ADMIN, admin_tokens_rotate, NONE, NULL, "overlap_seconds", JSON, false},
    {"GET", "/v1/tokens/{name}", ADMIN_ADMIN, admin_tokens_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/tokens/{name}", ADMIN_ADMIN, admin_tokens_put, SMALL, "TokenPut", "", JSON, false},
    {"DELETE", "/v1/tokens/{name}", ADMIN_ADMIN, admin_tokens_delete, NONE, NULL, "", JSON, false},

    {"GET", "/v1/backup", ADMIN_ADMIN, admin_backup_get, NONE, NULL, "", BYTES, true},
    {"POST", "/v1/backup", ADMIN_ADMIN, admin_backup_post, NONE, NULL, "", JSON, true},
    {"POST", "/v1/session", ADMIN_NOBODY, admin_session_post, SMALL, "SessionPost", "", JSON, false},
    {"DELETE", "/v1/session", ADMIN_NOBODY, admin_session_delete, NONE, NULL, "", JSON, false},
    {"GET", "/v1/audit", ADMIN_AUDITOR, admin_audit_list, NONE, NULL, "limit cursor outcome* code* principal* method* path* client since until", LINES, true},

    {"GET", "/v1/webhooks", ADMIN_ADMIN, admin_webhooks_list, NONE, NULL, PAGE, LINES, false},
    {"POST", "/v1/webhooks/{name}:test", ADMIN_ADMIN, admin_webhooks_test, NONE, NULL, "", JSON, false},
    {"GET", "/v1/webhooks/{name}", ADMIN_ADMIN, admin_webhooks_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/webhooks/{name}", ADMIN_ADMIN, admin_webhooks_put, SMALL, "WebhookPut", "", JSON, false},
    {"DELETE", "/v1/webhooks/{name}", ADMIN_ADMIN, admin_webhooks_delete, NONE, NULL, "", JSON, false},

    {"GET", "/v1/bans", ADMIN_VIEWER, admin_bans_list, NONE, NULL, "limit cursor policy* origin* client label* format", LINES | TEXT, false},
    {"DELETE", "/v1/bans", ADMIN_OPERATOR, admin_bans_delete_many, NONE, NULL, "policy hold_seconds", JSON, false},
    {"POST", "/v1/bans:batch", ADMIN_OPERATOR, admin_bans_batch, LARGE, NULL, "force", JSON, false},
    {"GET", "/v1/bans/{id}", ADMIN_VIEWER, admin_bans_get, NONE, NULL, "view", JSON, false},
    {"PUT", "/v1/bans/{id}", ADMIN_OPERATOR, admin_bans_put, SMALL, NULL, "force view", JSON, false},
    {"DELETE", "/v1/bans/{id}", ADMIN_OPERATOR, admin_bans_delete, NONE, NULL, "hold_seconds", JSON, false},

    {"GET", "/v1/check", ADMIN_VIEWER, admin_check, NONE, NULL, "incident client host path method", JSON, true},
    {"POST", "/v1/check", ADMIN_VIEWER, admin_check, SMALL, "Check", "", JSON, true},
    {"POST", "/v1/check:release", ADMIN_OPERATOR, admin_check_release, SMALL, "Release", "", JSON, false},

    {"GET", "/v1/incidents", ADMIN_VIEWER, admin_incidents_list, NONE, NULL, INCIDENTS, LINES, false},
    {"GET", "/v1/incidents/summary", ADMIN_VIEWER, admin_incidents_summary, NONE, NULL, "since until", JSON, false},
    {"GET", "/v1/incidents/{id}", ADMIN_VIEWER, admin_incidents_get, NONE, NULL, "", JSON, false},
    {"PATCH", "/v1/incidents/{id}", ADMIN_OPERATOR, admin_incidents_patch, SMALL, "IncidentPatch", "", JSON, false},

    {"GET", "/v1/events", ADMIN_VIEWER, admin_events_get, NONE, NULL, "after limit type* wait_seconds", LINES | EVENTS, false},

    {"GET", "/v1/nodes", ADMIN_VIEWER, admin_nodes_list, NONE, NULL, PAGE " state*", LINES, false},
    {"GET", "/v1/nodes/{name}", ADMIN_VIEWER, admin_nodes_get, NONE, NULL, "", JSON, false},
    {"DELETE", "/v1/nodes/{name}", ADMIN_ADMIN, admin_nodes_delete, NONE, NULL, "", JSON, false},
};
/* clang-format on */

#define ROUTES (sizeof routes / sizeof routes[0])

/* Matches one segment against "text" or "{name}tail"; a parameter is cut out of `at`. */
static bool match_segment(const char *pattern, size_t size, char *at, size_t length,
                          size_t *parameter_size)
{
    *parameter_size = 0;
    const char *close = memchr(pattern, '}', size);
    if (pattern[0] != '{' || close == NULL) {
        return size == length && memcmp(pattern, at, size) == 0;
    }
    size_t tail = size - (size_t)(close + 1 - pattern);
    if (length <= tail || memcmp(close + 1, at + length - tail, tail) != 0) {
        return false;
    }
    *parameter_size = length - tail;
    return true;
}

typedef struct {
    size_t count;
    size_t begin[ADMIN_PARAMETERS_MAX], size[ADMIN_PARAMETERS_MAX];
} cuts_t;

static bool match(const char *pattern, char *path, cuts_t *cuts)
{
    cuts->count = 0;
    char *at = path;
    while (*pattern == '/' && *at == '/') {
        pattern++;
        at++;
        size_t size = strcspn(pattern, "/"), length = strcspn(at, "/"), parameter;
        if (!match_segment(pattern, size, at, length, &parameter)) {
            return false;
        }
        if (parameter > 0) {
            cuts->begin[cuts->count] = (size_t)(at - path);
            cuts->size[cuts->count++] = parameter;
        }
        pattern += size;
        at += length;
    }
    return *pattern == '\0' && *at == '\0';
}

static bool same_method(const admin_route_t *route, const char *method)
{
    return strcmp(route->method, strcmp(method, "HEAD") == 0 ? "GET" : method) == 0;
}

static void allow_methods(const char *pattern, char allow[ADMIN_ROUTE_ALLOW_MAX])
{
    size_t used = 0;
    allow[0] = '\0';
    for (size_t i = 0; i < ROUTES; i++) {
        if (strcmp(routes[i].pattern, pattern) == 0) {
            used +=
                (size_t)snprintf(allow + used, ADMIN_ROUTE_ALLOW_MAX - used, "%s%s%s",
                                 used == 0 ? "" : ", ", routes[i].method,
                                 strcmp(routes[i].method, "GET") == 0 ? ", HEAD" : "");
        }
    }
}

admin_found_t admin_route_find(const char *method, char *path, const admin_route_t **out,
                               const char *parameters[ADMIN_PARAMETERS_MAX],
                               char allow[ADMIN_ROUTE_ALLOW_MAX])
{
    *out = NULL;
    const char *pattern = NULL;
    cuts_t cuts;
    for (size_t i = 0; i < ROUTES && pattern == NULL; i++) {
        pattern = match(routes[i].pattern, path, &cuts) ? routes[i].pattern : NULL;
    }
    if (pattern == NULL) {
        return ADMIN_ROUTE_NO_PATH;
    }
    for (size_t i = 0; i < ROUTES && *out == NULL; i++) {
        bool same = strcmp(routes[i].pattern, pattern) == 0;
        *out = same && same_method(&routes[i], method) ? &routes[i] : NULL;
    }
    if (*out == NULL) {
        allow_methods(pattern, allow);
        return ADMIN_ROUTE_NO_METHOD;
    }
    for (size_t i = 0; i < cuts.count; i++) {
        path[cuts.begin[i] + cuts.size[i]] = '\0';
        parameters[i] = path + cuts.begin[i];
    }
    return ADMIN_ROUTE_FOUND;
}

#define PARAMETER_PARTS 2

/* The parameters of a row and those that every row of its kind has. */
static const char *parameter_text(const admin_route_t *route, int part)
{
    if (part == 0) {
        return route->parameters;
    }
    return admin_route_changes(route) ? "pretty dry_run" : "pretty";
}

int admin_route_parameter(const admin_route_t *route, const char *name)
{
    size_t length = strlen(name);
    for (int part = 0; part < PARAMETER_PARTS; part++) {
        const char *text = parameter_text(route, part);
        while (*text != '\0') {
            size_t size = strcspn(text, " *");
            if (size == length && memcmp(text, name, size) == 0) {
                return text[size] == '*' ? 2 : 1;
            }
            text += strcspn(text, " ");
            text += *text == ' ';
        }
    }
    return 0;
}

void admin_route_suggest(const admin_route_t *route, const char *name, char out[40])
{
    /* Candidates are borrowed by `nearest`, so each needs a place of its own. */
    char words[24][40];
    size_t count = 0;
    l7s_nearest_t nearest;
    l7s_nearest_begin(&nearest, name);
    for (int part = 0; part < PARAMETER_PARTS; part++) {
        const char *text = parameter_text(route, part);
        while (*text != '\0' && count < 24) {
            snprintf(words[count], 40, "%.*s", (int)strcspn(text, " *"), text);
            l7s_nearest_offer(&nearest, words[count++]);
            text += strcspn(text, " ");
            text += *text == ' ';
        }
    }
    snprintf(out, 40, "%s", nearest.best == NULL ? "" : nearest.best);
}

size_t admin_route_count(void)
{
    return ROUTES;
}

const admin_route_t *admin_route_at(size_t index)
{
    return &routes[index];
}

size_t admin_route_index(const admin_route_t *route)
{
    return route == NULL ? ROUTES : (size_t)(route - routes);
}
