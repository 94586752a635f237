/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/policies/{name}/override: what an operator says at night. It is an object of its
 * own, so the policy's document and ETag stay, and whoever owns the policy (a set) may
 * write it meanwhile without a word about this. Nodes begin and end it by the clock
 * (core/json/override.h); here it is gone from the moment on at which it ends.
 */
#include "overrides.h"
#include "../../core/clock.h"
#include "../../core/json/override.h"
#include "../http/problem.h"
#include "objects.h"
#include "resources.h"

static const char *state_of(const json_t *override, uint64_t now_ms)
{
    static const char *const names[] = {[L7S_OVERRIDE_NONE] = "ended",
                                        [L7S_OVERRIDE_WAITS] = "waiting",
                                        [L7S_OVERRIDE_RUNS] = "running",
                                        [L7S_OVERRIDE_ENDED] = "ended"};
    return names[l7s_override_document_state(override, now_ms)];
}

bool admin_override_runs(const json_t *override, uint64_t now_ms)
{
    return l7s_override_document_state(override, now_ms) == L7S_OVERRIDE_RUNS;
}

static bool is_gone(const json_t *override, uint64_t now_ms)
{
    return l7s_override_document_state(override, now_ms) == L7S_OVERRIDE_ENDED;
}

json_t *admin_override_of(const admin_call_t *call, const char *policy)
{
    admin_object_t object;
    json_t *out = NULL;
    if (policy != NULL &&
        admin_object_get(call->daemon->store, "override", policy, &object) == L7S_OK) {
        if (!is_gone(object.spec, call->now_ms)) {
            out = json_copy(object.spec);
            json_object_del(out, "name");
            json_object_set_new(out, "state",
                                json_string(state_of(object.spec, call->now_ms)));
        }
        admin_object_clear(&object);
    }
    return out;
}

static void describe(const admin_call_t *call, const json_t *spec, json_t *status)
{
    json_object_set_new(status, "state", json_string(state_of(spec, call->now_ms)));
}

static void check_times(admin_call_t *call, const json_t *spec)
{
    const char *starts_at = json_string_value(json_object_get(spec, "starts_at"));
    const char *until = json_string_value(json_object_get(spec, "until"));
    uint64_t starts_ms = 0, until_ms = 0;
    if (until == NULL || !l7s_time_parse(until, &until_ms)) {
        return; /* said by its schema */
    }
    if (until_ms <= call->now_ms) {
        l7s_problems_add(&call->problems, "/until", "in_the_past",
                         "until must lie in the future");
    } else if (starts_at != NULL && l7s_time_parse(starts_at, &starts_ms) &&
               starts_ms >= until_ms) {
        l7s_problems_add(&call->problems, "/starts_at", "after_its_end",
                         "starts_at must lie before until");
    }
}

/* Is there anything that it changes? */
static void check_effect(admin_call_t *call, const json_t *spec, const json_t *policy)
{
    const json_t *detect = json_object_get(policy, "detect");
    if (json_object_get(spec, "limit_percent") == NULL) {
        if (json_object_get(spec, "mode") == NULL) {
            l7s_problems_add(&call->problems, "", "missing_key",
                             "an override has a mode, a limit_percent, or both");
        }
    } else if (json_object_get(detect, "rate") == NULL &&
               json_object_get(detect, "plans") == NULL &&
               json_object_get(detect, "concurrency") == NULL) {
        l7s_problems_add(&call->problems, "/limit_percent", "no_limit",
                         "the detector of this policy has no limit to scale");
    }
}

static bool check(admin_call_t *call, const json_t *spec)
{
    admin_object_t policy;
    l7s_status_t status =
        admin_object_get(call->daemon->store, "policy", call->parameters[0], &policy);
    if (status == L7S_OK) {
        check_times(call, spec);
        check_effect(call, spec, policy.spec);
        if (call->problems.count > 0) {
            admin_call_invalid(call);
        }
    } else {
        admin_call_unread(call, status, "policy", call->parameters[0]);
    }
    admin_object_clear(&policy);
    return call->code == NULL;
}

static const admin_kind_t kind = {.kind = "override",
                                  .noun = "override of the policy",
                                  .describe = describe,
                                  .check = check,
                                  .is_gone = is_gone};

void admin_overrides_get(admin_call_t *call)
{
    admin_objects_get(call, &kind);
}

void admin_overrides_put(admin_call_t *call)
{
    admin_objects_put(call, &kind);
}

void admin_overrides_delete(admin_call_t *call)
{
    admin_objects_delete(call, &kind);
}
