/* SPDX-License-Identifier: Apache-2.0 */
#include "collector.h"

l7s_status_t admin_collector_start(admin_daemon_t *daemon, admin_collector_t **out)
{
    (void)daemon;
    *out = NULL;
    return L7S_OK;
}

void admin_collector_stop(admin_collector_t *collector)
{
    (void)collector;
}

json_t *admin_collector_nodes(admin_collector_t *collector)
{
    (void)collector;
    return json_array();
}

l7s_status_t admin_collector_forget(admin_collector_t *collector, const char *name)
{
    (void)collector;
    (void)name;
    return L7S_NOT_FOUND;
}

admin_rollout_t admin_collector_rollout(admin_collector_t *collector, uint64_t revision,
                                        unsigned min_nodes, unsigned wait_ms)
{
    (void)collector;
    (void)revision;
    (void)min_nodes;
    (void)wait_ms;
    return (admin_rollout_t){0, 0};
}
