/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/check: why is this client stopped, or why not? The verdict is the engine's own
 * (check_engine.h), on what the fleet knows; what only a node knows is said to be so.
 * Releasing is check_release.c's.
 */
#include "../fleet/collector.h"
#include "../http/problem.h"
#include "../store/privacy.h"
#include "../store/store_objects.h"
#include "check_bans.h"
#include "check_engine.h"
#include "check_predicates.h"
#include "resources.h"
#include "verdict.h"

#include <string.h>

static const char *text_or_null(const char *text)
{
    return text[0] != '\0' ? text : NULL;
}

/* --- parts of the answer --- */

static json_t *describe_request(const admin_check_request_t *request, const char *app)
{
    json_t *names = json_array();
    const char *name;
    json_t *value;

    json_object_foreach(request->headers, name, value)
    {
        json_array_append_new(names, json_string(name)); /* values may be secrets */
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s?, s:s?}", "client",
                     request->client_text, "method", request->method, "host",
                     request->shown_host, "path", request->shown_path, "headers", names,
                     "user", text_or_null(request->user), "app", text_or_null(app));
}

static json_t *describe_lists(const admin_check_engine_t *engine)
{
    static const char *const effects[] = {"none", "allow", "deny"};
    json_t *out = json_array();

    for (size_t i = 0; i < engine->list_count; i++) {
        const admin_check_list_t *list = &engine->lists[i];
        if (list->list->kind != L7S_LIST_ADDRESSES) {
            continue;
        }
        json_array_append_new(out,
                              json_pack("{s:s, s:s, s:b, s:b}", "name", list->list->name,
                                        "effect", effects[list->list->effect], "contains",
                                        list->contains, "applies", list->applies));
    }
    return out;
}

/* Who knows its numbers. */
static const char *known_to(const admin_check_limit_t *limit)
{
    static const char *const names[] = {"unknown", "fleet", "store", "each_node"};

    return names[limit->known];
}

static bool is_told(const admin_check_limit_t *limit)
{
    return limit->known == ADMIN_KNOWN_FLEET || limit->known == ADMIN_KNOWN_STORE;
}

static json_t *describe_limit(const admin_check_limit_t *limit, l7s_cost_t cost)
{
    const l7s_rate_t *rate = &limit->limit.rate;
    bool told = is_told(limit);

    return json_pack("{s:I, s:s, s:I, s:I, s:s, s:o, s:o, s:o}", "requests",
                     (json_int_t)rate->requests, "unit", l7s_cost_unit(cost),
                     "per_seconds", (json_int_t)(rate->period_us / 1000000), "burst",
                     (json_int_t)rate->burst, "known_to", known_to(limit), "used",
                     told ? json_integer(limit->used) : json_null(), "left",
                     told ? json_integer(limit->left) : json_null(), "wait_seconds",
                     told
                         ? json_integer((json_int_t)((limit->wait_us + 999999) / 1000000))
                         : json_null());
}

/* Both tallies of a share are one limit. */
static json_t *describe_share(const admin_check_policy_t *policy)
{
    const l7s_ratio_t *ratio = &policy->policy->ratio;
    const admin_check_limit_t *answered = &policy->limits[L7S_RATIO_ANSWERED];
    const admin_check_limit_t *failed = &policy->limits[L7S_RATIO_FAILED];
    bool told = is_told(answered); /* both travel as one */

    return json_pack(
        "{s:I, s:I, s:I, s:s, s:o, s:o, s:o}", "percent", (json_int_t)ratio->percent,
        "min_requests", (json_int_t)ratio->min_requests, "per_seconds",
        (json_int_t)ratio->seconds, "known_to", known_to(answered), "answered",
        told ? json_integer(answered->used) : json_null(), "failed",
        told ? json_integer(failed->used) : json_null(), "wait_seconds",
        told ? json_integer(policy->share_wait_s) : json_null());
}

static json_t *describe_limits(const admin_check_policy_t *policy)
{
    json_t *out = json_array();
    bool is_share = policy->policy->ratio.percent > 0;

    for (uint32_t i = 0; i < policy->limit_count && !is_share; i++) {
        json_array_append_new(out,
                              describe_limit(&policy->limits[i], policy->policy->cost));
    }
    if (is_share && policy->limit_count == L7S_RATIO_TALLIES) {
        json_array_append_new(out, describe_share(policy));
    }
    return out;
}

/* Pointers of the predicates that do not hold: why it does not match. */
static json_t *failed_of(const json_t *predicates)
{
    json_t *out = json_array(), *predicate;
    size_t index;

    json_array_foreach((json_t *)predicates, index, predicate)
    {
        if (!json_is_true(json_object_get(predicate, "holds"))) {
            json_array_append(out, json_object_get(predicate, "pointer"));
        }
    }
    return out;
}

static json_t *describe_policy(const admin_check_policy_t *policy, json_t *predicates)
{
    bool trips = admin_check_policy_trips(policy);
    json_t *key = policy->counts ? json_loads(policy->key, 0, NULL) : NULL;

    return json_pack("{s:s, s:s, s:s, s:b, s:o, s:O, s:o, s:o, s:b}", "name",
                     policy->policy->name, "mode", l7s_mode_name(policy->policy->mode),
                     "action", l7s_action_name(policy->policy->action), "matches",
                     policy->matches, "failed",
                     policy->matches ? json_array() : failed_of(predicates), "predicates",
                     predicates, "counted_by", key != NULL ? key : json_null(), "limits",
                     describe_limits(policy), "trips", trips);
}

static json_t *describe_policies(const admin_check_engine_t *engine,
                                 const json_t *predicates)
{
    json_t *out = json_array();

    for (size_t i = 0; i < engine->policy_count; i++) {
        const admin_check_policy_t *policy = &engine->policies[i];
        json_array_append_new(
            out,
            describe_policy(policy, json_object_get(predicates, policy->policy->name)));
    }
    return out;
}

/* Nodes that obey a switch of their own, so that the verdict is not theirs. */
static json_t *lenient_nodes(const admin_daemon_t *daemon)
{
    json_t *out = json_array(), *node,
           *nodes = daemon->collector != NULL ? admin_collector_nodes(daemon->collector)
                                              : json_array();
    size_t index;

    json_array_foreach(nodes, index, node)
    {
        const json_t *status = json_object_get(node, "status");
        const char *mode = json_string_value(json_object_get(status, "effective_mode"));
        const char *state = json_string_value(json_object_get(status, "state"));
        if (mode != NULL && strcmp(mode, "enforce") != 0 && state != NULL &&
            strcmp(state, "live") == 0) {
            json_array_append_new(
                out,
                json_pack("{s:O, s:O, s:O?}", "name", json_object_get(node, "name"),
                          "effective_mode", json_object_get(status, "effective_mode"),
                          "because", json_object_get(status, "because")));
        }
    }
    json_decref(nodes);
    return out;
}

/* What only nodes can know and somebody asks for. */
static json_t *unknown(const admin_check_engine_t *engine,
                       const admin_check_request_t *request)
{
    json_t *out = json_array();

    if (l7s_image_needs_origin(engine->image) && !request->memo.has_origin) {
        json_array_append_new(
            out,
            json_string("where the client comes from: the databases of countries and "
                        "ASNs are at the nodes; ask with \"country\" and \"asn\""));
    }
    return out;
}

/* --- the call --- */

static void reply(admin_call_t *call, admin_check_request_t *request,
                  admin_check_engine_t *engine, const admin_check_bans_t *bans,
                  json_t *predicates)
{
    l7s_request_t facts = admin_check_request_facts(request);
    l7s_verdict_t verdict;

    l7s_decide(&engine->shared, engine->image, &facts, engine->now, &verdict);
    if ((verdict.awaits & L7S_AWAITS_USER) != 0) {
        l7s_decide_user(&engine->shared, engine->image, &facts, false, engine->now,
                        &verdict);
    }
    admin_call_reply(
        call, 200,
        json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "request",
                  describe_request(request, engine->app), "verdict",
                  admin_verdict(&verdict), "stopped_by",
                  admin_check_stopped_by(engine, bans), "bans",
                  admin_check_bans_describe(bans), "lists", describe_lists(engine),
                  "policies", describe_policies(engine, predicates), "lenient_nodes",
                  lenient_nodes(call->daemon), "unknown", unknown(engine, request)));
}

static void check(admin_call_t *call, admin_check_request_t *request,
                  const json_t *document)
{
    l7s_request_t facts = admin_check_request_facts(request);
    admin_check_bans_t bans = {.count = 0};
    admin_check_engine_t engine;
    json_t *predicates = NULL;
    l7s_status_t status =
        admin_check_engine_open(call->daemon, document, call->now_ms, &engine);

    if (status == L7S_OK) {
        status = admin_check_engine_explain(&engine, call->daemon, &facts);
    }
    if (status == L7S_OK) {
        status = admin_check_bans_read(&engine, call->daemon, request, &bans);
    }
    if (status == L7S_OK) {
        predicates = admin_check_predicates(call->daemon, document, request,
                                            text_or_null(engine.app), call->now_ms);
        status = predicates == NULL ? L7S_NO_MEMORY : L7S_OK;
    }
    if (status == L7S_OK) {
        reply(call, request, &engine, &bans, predicates);
    } else {
        admin_call_failed(call, status);
    }
    json_decref(predicates);
    admin_check_bans_clear(&bans);
    admin_check_engine_close(&engine);
}

/* Whoever asks by an incident does not know the address yet. */
static void hide_addresses(admin_call_t *call)
{
    bool by_incident = call->query(call, "incident") != NULL ||
                       json_object_get(call->body, "incident") != NULL;
    if (call->status == 200 && by_incident) {
        json_t *document = call->reply;
        call->reply = NULL;
        admin_call_reply(call, 200, admin_privacy_shown(call->daemon->store, document));
    }
}

void admin_check(admin_call_t *call)
{
    admin_check_request_t request;
    int64_t revision;

    if (admin_check_request_read(call, &request)) {
        json_t *document = admin_config_document(call->daemon->store, &revision);
        if (document == NULL) {
            admin_call_failed(call, L7S_IO);
        } else {
            check(call, &request, document);
            hide_addresses(call);
        }
        json_decref(document);
    }
    admin_check_request_clear(&request);
}
