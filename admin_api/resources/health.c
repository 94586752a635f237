/* SPDX-License-Identifier: Apache-2.0
 *
 * /livez and /readyz, for load balancers and orchestration. Alive: the process answers.
 * Ready: what is written is kept (the store) and reaches the fleet (memcached).
 */
#include "../fleet/publisher.h"
#include "../http/problem.h"
#include "../store/store.h"
#include "resources.h"

#include <string.h>

#define RETRY_SECONDS 5

void admin_health_livez(admin_call_t *call)
{
    admin_call_reply(call, 200, json_pack("{s:s}", "status", "alive"));
}

static json_t *servers_of(const admin_call_t *call)
{
    const admin_options_t *options = call->daemon->options;
    json_t *servers = json_array();
    for (size_t i = 0; i < options->server_count; i++) {
        json_array_append_new(
            servers,
            json_pack("{s:s, s:b}", "server", options->servers[i], "up",
                      admin_publisher_server_up(call->daemon->publisher, i) ? 1 : 0));
    }
    return servers;
}

static bool is_verbose(const admin_call_t *call)
{
    const char *verbose = call->query(call, "verbose");
    return verbose != NULL && strcmp(verbose, "false") != 0;
}

void admin_health_readyz(admin_call_t *call)
{
    bool store = admin_store_writable(call->daemon->store);
    bool bus = admin_publisher_up(call->daemon->publisher);
    if (!store) {
        l7s_problems_add(&call->problems, "/store", "storage_unavailable",
                         "the store cannot be written");
    }
    if (!bus) {
        l7s_problems_add(&call->problems, "/bus", "bus_unavailable",
                         "no memcached server answers");
    }
    if (!store || !bus) {
        admin_call_problem(call, store ? "bus_unavailable" : "storage_unavailable",
                           "Not ready: %s.",
                           !store && !bus ? "neither store nor bus works"
                           : store        ? "no memcached server answers"
                                          : "the store cannot be written");
        call->retry_after_seconds = RETRY_SECONDS;
        return;
    }
    json_t *reply = json_pack("{s:s}", "status", "ready");
    if (is_verbose(call)) {
        json_object_set_new(reply, "store", json_pack("{s:b}", "writable", 1));
        json_object_set_new(
            reply, "bus",
            json_pack("{s:b, s:o}", "reachable", 1, "servers", servers_of(call)));
    }
    admin_call_reply(call, 200, reply);
}
