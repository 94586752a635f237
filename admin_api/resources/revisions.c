/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/revisions: what changed when, by whom and why; going back; and whether the fleet
 * has applied a revision. Waiting for a rollout happens in a thread of its own
 * (call_threads.c), in short steps, so that a stopping daemon does not wait for it.
 */
#include "../fleet/collector.h"
#include "../http/page.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "../worker.h"
#include "resources.h"
#include "whole.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAIT_SECONDS_MAX 60
#define NODES_MAX 256
#define STEP_MS 250

/* False: the call got 404; a revision that is no number is none that exists. */
static bool read_revision(admin_call_t *call, int64_t *out)
{
    const char *text = call->parameters[0];
    size_t size = strlen(text);
    bool digits = size <= 18 && strspn(text, "0123456789") == size;
    *out = digits ? strtoll(text, NULL, 10) : 0;
    if (*out < 1 || *out > admin_store_revision(call->daemon->store)) {
        admin_call_problem(call, "not_found", "There is no revision %.32s.", text);
        return false;
    }
    return true;
}

void admin_revisions_list(admin_call_t *call)
{
    admin_page_t page;
    int64_t before;
    if (!admin_page_begin(call, &page) || !admin_page_after_number(&page, &before)) {
        return;
    }
    /* One more than shown tells whether there are more. */
    size_t limit = page.ndjson ? INT32_MAX : page.limit + 1;
    json_t *items = admin_revision_list(call->daemon->store, before, limit), *item;
    size_t index;
    json_array_foreach(items, index, item)
    {
        int64_t key = json_integer_value(json_object_get(item, "revision"));
        if (!admin_page_add_number(&page, key, json_incref(item))) {
            break;
        }
    }
    admin_page_reply(&page, items == NULL ? L7S_IO : L7S_OK);
    json_decref(items);
}

void admin_revisions_get(admin_call_t *call)
{
    int64_t revision;
    if (!read_revision(call, &revision)) {
        return;
    }
    json_t *document = admin_revision_get(call->daemon->store, revision);
    if (document == NULL) {
        admin_call_problem(call, "not_found", "Revision %lld is not kept any more.",
                           (long long)revision);
        return;
    }
    admin_call_reply(call, 200, document);
}

void admin_revisions_restore(admin_call_t *call)
{
    int64_t revision;
    if (!read_revision(call, &revision)) {
        return;
    }
    json_t *document = admin_config_at(call->daemon->store, revision);
    if (document == NULL) {
        admin_call_problem(call, "not_found", "Revision %lld is not kept any more.",
                           (long long)revision);
        return;
    }
    char reason[64];
    if (call->reason == NULL) {
        snprintf(reason, sizeof reason, "restore of revision %lld", (long long)revision);
        call->reason = reason;
    }
    call->force = true; /* it was in force before; going back must not be in doubt */
    admin_whole_replace(call, document);
    call->reason = NULL;
    json_decref(document);
}

/* -- rollout -- */

static bool complete(admin_rollout_t rollout, unsigned min_nodes)
{
    return rollout.applied >= rollout.live && rollout.live >= min_nodes;
}

static admin_rollout_t wait_for(admin_call_t *call, int64_t revision, unsigned min_nodes,
                                unsigned wait_seconds)
{
    uint64_t end_ms = admin_mono_ms() + (uint64_t)wait_seconds * 1000;
    while (true) {
        uint64_t now_ms = admin_mono_ms();
        uint64_t left_ms = now_ms < end_ms ? end_ms - now_ms : 0;
        unsigned step_ms = left_ms < STEP_MS ? (unsigned)left_ms : STEP_MS;
        admin_rollout_t rollout = admin_collector_rollout(
            call->daemon->collector, (uint64_t)revision, min_nodes, step_ms);
        if (complete(rollout, min_nodes) || left_ms <= step_ms ||
            atomic_load(&call->daemon->stopping)) {
            return rollout;
        }
    }
}

/* The live nodes that run something older: [{"name","applied_revision"}]. */
static json_t *laggards(admin_call_t *call, int64_t revision)
{
    json_t *nodes = admin_collector_nodes(call->daemon->collector), *node;
    json_t *late = json_array();
    size_t index;
    json_array_foreach(nodes, index, node)
    {
        const json_t *status = json_object_get(node, "status");
        const char *state = json_string_value(json_object_get(status, "state"));
        json_t *applied = json_object_get(status, "applied_revision");
        if (state != NULL && strcmp(state, "live") == 0 &&
            json_integer_value(applied) < revision) {
            json_array_append_new(late, json_pack("{s:O, s:O?}", "name",
                                                  json_object_get(node, "name"),
                                                  "applied_revision", applied));
        }
    }
    json_decref(nodes);
    return late;
}

static void note_laggards(admin_call_t *call, int64_t revision)
{
    json_t *late = laggards(call, revision), *node;
    size_t index;
    json_array_foreach(late, index, node)
    {
        l7s_problems_add(
            &call->problems, "", "lags", "%.63s has applied revision %lld",
            json_string_value(json_object_get(node, "name")),
            (long long)json_integer_value(json_object_get(node, "applied_revision")));
    }
    json_decref(late);
}

void admin_revisions_rollout(admin_call_t *call)
{
    int64_t revision;
    int64_t wait_seconds = 0, min_nodes = 0;
    const char *on_timeout = call->query(call, "on_timeout");
    bool fail = on_timeout != NULL && strcmp(on_timeout, "error") == 0;
    if (!admin_parameter_number(call, "wait_seconds", 0, WAIT_SECONDS_MAX,
                                &wait_seconds) ||
        !admin_parameter_number(call, "min_nodes", 0, NODES_MAX, &min_nodes) ||
        !read_revision(call, &revision)) {
        return;
    }
    admin_rollout_t rollout =
        wait_for(call, revision, (unsigned)min_nodes, (unsigned)wait_seconds);
    bool done = complete(rollout, (unsigned)min_nodes);
    if (!done && fail) {
        note_laggards(call, revision);
        admin_call_problem(
            call, "rollout_incomplete",
            "%u of %u live nodes (at least %u wanted) have applied revision"
            " %lld.",
            rollout.applied, rollout.live, (unsigned)min_nodes, (long long)revision);
        return;
    }
    admin_call_reply(call, done ? 200 : 202,
                     json_pack("{s:I, s:b, s:i, s:i, s:o}", "revision",
                               (json_int_t)revision, "complete", done, "live_nodes",
                               (int)rollout.live, "applied_nodes", (int)rollout.applied,
                               "laggards", laggards(call, revision)));
}
