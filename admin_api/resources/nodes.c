/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/nodes: every node ever seen. The picture is the collector's; nothing is stored
 * here.
 */
#include "../fleet/collector.h"
#include "../http/page.h"
#include "../http/problem.h"
#include "resources.h"

#include <string.h>

/* Without ?state= every node; with it, those in one of the given states. */
static bool is_wanted(const admin_call_t *call, const char *state)
{
    const char *wanted = call->query_at(call, "state", 0);
    if (wanted == NULL) {
        return true;
    }
    for (size_t i = 1; wanted != NULL; i++) {
        if (strcmp(wanted, state) == 0) {
            return true;
        }
        wanted = call->query_at(call, "state", i);
    }
    return false;
}

static const char *state_of(const json_t *node)
{
    return json_string_value(json_object_get(json_object_get(node, "status"), "state"));
}

void admin_nodes_list(admin_call_t *call)
{
    admin_page_t page;
    size_t index;
    json_t *node;
    if (!admin_page_begin(call, &page)) {
        return;
    }
    json_t *nodes = admin_collector_nodes(call->daemon->collector);
    json_array_foreach(nodes, index, node)
    {
        const char *name = json_string_value(json_object_get(node, "name"));
        if (strcmp(name, page.after) <= 0 || !is_wanted(call, state_of(node))) {
            continue;
        }
        if (!admin_page_add(&page, name, json_incref(node))) {
            break;
        }
    }
    json_decref(nodes);
    admin_page_reply(&page, L7S_OK);
}

void admin_nodes_get(admin_call_t *call)
{
    json_t *node = admin_collector_node(call->daemon->collector, call->parameters[0]);
    if (node == NULL) {
        admin_call_problem(call, "not_found", "No node of this name was ever seen.");
        return;
    }
    admin_call_reply(call, 200, node);
}

/* What a deletion would answer, without doing it. */
static l7s_status_t try_forget(const admin_call_t *call)
{
    json_t *node = admin_collector_node(call->daemon->collector, call->parameters[0]);
    if (node == NULL) {
        return L7S_NOT_FOUND;
    }
    l7s_status_t status = strcmp(state_of(node), "live") == 0 ? L7S_CONFLICT : L7S_OK;
    json_decref(node);
    return status;
}

void admin_nodes_delete(admin_call_t *call)
{
    l7s_status_t status = call->dry_run ? try_forget(call)
                                        : admin_collector_forget(call->daemon->collector,
                                                                 call->parameters[0]);
    if (status == L7S_NOT_FOUND) {
        admin_call_problem(call, "not_found", "No node of this name was ever seen.");
    } else if (status == L7S_CONFLICT) {
        admin_call_problem(call, "node_live",
                           "The node is live and would be back at once; stop it first.");
    } else if (status != L7S_OK) {
        admin_call_failed(call, status);
    } else {
        call->changed = 1;
        admin_call_reply(call, 204, NULL);
    }
}
