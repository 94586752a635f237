/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/policies: named objects (objects.c) whose status shows the effective document, and
 * a check of a policy without storing it.
 */
#include "../../core/clock.h"
#include "../../core/json/config.h"
#include "../../core/json/override.h"
#include "../http/problem.h"
#include "objects.h"
#include "overrides.h"
#include "resources.h"
#include "warnings.h"

#include <string.h>

static bool is_expired(const json_t *spec, uint64_t now_ms)
{
    const char *end = json_string_value(json_object_get(spec, "expires_at"));
    uint64_t end_ms;
    return end != NULL && l7s_time_parse(end, &end_ms) && end_ms <= now_ms;
}

/* What acts: the document with its defaults, as a running override leaves it. */
static void describe(const admin_call_t *call, const json_t *spec, json_t *status)
{
    json_t *effective = l7s_policy_effective(spec);
    json_t *override =
        admin_override_of(call, json_string_value(json_object_get(spec, "name")));
    if (override != NULL && admin_override_runs(override, call->now_ms)) {
        l7s_override_show(effective, override);
    }
    if (is_expired(spec, call->now_ms)) {
        json_object_set_new(effective, "mode", json_string("off"));
    }
    json_object_set_new(status, "effective", effective);
    json_object_set_new(status, "override", override == NULL ? json_null() : override);
}

static const admin_kind_t kind = {.kind = "policy", .describe = describe};

void admin_policies_list(admin_call_t *call)
{
    admin_objects_list(call, &kind);
}

void admin_policies_get(admin_call_t *call)
{
    admin_objects_get(call, &kind);
}

void admin_policies_put(admin_call_t *call)
{
    admin_objects_put(call, &kind);
}

void admin_policies_patch(admin_call_t *call)
{
    admin_objects_patch(call, &kind);
}

void admin_policies_delete(admin_call_t *call)
{
    admin_objects_delete(call, &kind);
}

/* As a dry run of a PUT under its own name, but for everybody who may read; and what is
 * probably not meant. */
void admin_policies_validate(admin_call_t *call)
{
    const char *name = json_string_value(json_object_get(call->body, "name"));
    json_t *spec = admin_edit_spec(call->body, "unnamed");
    if (spec == NULL) {
        admin_call_failed(call, L7S_NO_MEMORY);
        return;
    }
    admin_change_t change = {
        .kind = "policy", .name = name == NULL ? "unnamed" : name, .spec = spec};
    call->dry_run = true;
    call->force = true; /* valid is not a question of who asks */
    if (admin_edit_begin(call) && admin_edit_commit(call, &change, 1)) {
        call->changed = -1;
        call->revision = -1;
        json_t *warnings = admin_warnings(call->daemon, change.name, spec, call->now_ms);
        admin_call_reply(call, 200,
                         json_pack("{s:b, s:[], s:o, s:o}", "valid", 1, "errors",
                                   "warnings", warnings, "effective",
                                   l7s_policy_effective(spec)));
    }
    json_decref(spec);
}
