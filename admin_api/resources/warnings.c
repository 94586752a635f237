/* SPDX-License-Identifier: Apache-2.0
 *
 * See warnings.h.
 */
#include "warnings.h"

#include "../../core/json/lint.h"
#include "../store/store_objects.h"
#include "../store/store_stats.h"

#include <string.h>

#define OBSERVED_S ((uint64_t)7 * 86400)

/* The stored configuration with this policy in its place. New reference. */
static json_t *document_with(const admin_daemon_t *daemon, const char *name,
                             const json_t *spec)
{
    int64_t revision;
    json_t *document = admin_config_document(daemon->store, &revision), *policy;
    json_t *policies = json_object_get(document, "policies");
    json_t *own = json_copy((json_t *)spec);
    size_t index;

    json_object_set_new(own, "name", json_string(name));
    json_array_foreach(policies, index, policy)
    {
        const char *other = json_string_value(json_object_get(policy, "name"));
        if (other != NULL && strcmp(other, name) == 0) {
            json_array_remove(policies, index);
            break;
        }
    }
    if (document != NULL && json_array_append_new(policies, own) == 0) {
        return document;
    }
    if (document == NULL) {
        json_decref(own);
    }
    json_decref(document);
    return NULL;
}

static void add(void *context, uint64_t at_s, const admin_policy_sums_t *sums)
{
    l7s_lint_observed_t *observed = context;

    (void)at_s;
    observed->matched += sums->matched;
    observed->over += sums->acted + sums->would_act;
}

static json_t *describe(const l7s_problems_t *warnings)
{
    json_t *out = json_array();

    for (size_t i = 0; i < warnings->count; i++) {
        const l7s_problem_t *warning = &warnings->items[i];
        json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "pointer",
                                             warning->pointer, "code", warning->code,
                                             "message", warning->message));
    }
    return out;
}

static json_t *lint(const admin_daemon_t *daemon, const l7s_config_t *config,
                    const char *name, uint64_t now_ms)
{
    l7s_lint_observed_t observed = {0};
    l7s_problems_t warnings = {.count = 0};
    uint64_t since_s = now_ms / 1000 > OBSERVED_S ? now_ms / 1000 - OBSERVED_S : 0;

    if (admin_stats_each(daemon->store, name, since_s, OBSERVED_S, add, &observed) !=
        L7S_OK) {
        return NULL;
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        if (strcmp(config->policies[i].name, name) == 0) {
            l7s_lint(config, i, &observed, now_ms, &warnings);
        }
    }
    return describe(&warnings);
}

json_t *admin_warnings(const admin_daemon_t *daemon, const char *name, const json_t *spec,
                       uint64_t now_ms)
{
    json_t *document = document_with(daemon, name, spec), *out = NULL;
    l7s_problems_t problems = {.count = 0};
    l7s_config_t *config = NULL;

    if (document != NULL && l7s_config_parse(document, &problems, &config) == L7S_OK) {
        out = lint(daemon, config, name, now_ms);
    }
    l7s_config_free(config);
    json_decref(document);
    return out;
}
