/* SPDX-License-Identifier: Apache-2.0
 *
 * /livez and /readyz, for load balancers and orchestration. Alive: the process answers.
 * Ready: what is written is kept (the store) and reaches the fleet (memcached).
 */
#include "../fleet/publisher.h"
#include "../http/problem.h"
#include "../store/store.h"
#include "resources.h"

#define RETRY_SECONDS 5

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

/* {"status"}, and with ?verbose=true store and bus, each by itself. */
static void reply(admin_call_t *call, const char *name, bool store, bool bus)
{
    json_t *document = json_pack("{s:s}", "status", name);
    if (call->verbose) {
        json_object_set_new(document, "store", json_pack("{s:b}", "writable", store));
        json_object_set_new(
            document, "bus",
            json_pack("{s:b, s:o}", "reachable", bus, "servers", servers_of(call)));
    }
    admin_call_reply(call, 200, document);
}

/* Neither of them makes a restart of the daemon the cure, so it is alive without them. */
void admin_health_livez(admin_call_t *call)
{
    reply(call, "alive", call->verbose && admin_store_writable(call->daemon->store),
          call->verbose && admin_publisher_up(call->daemon->publisher));
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
    reply(call, "ready", store, bus);
}
