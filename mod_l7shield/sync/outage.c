/* SPDX-License-Identifier: Apache-2.0
 *
 * See outage.h. Reports are cumulative and repeated while the server is away: the daemon
 * ends what nobody reports any longer, such as what a killed process had begun.
 */
#include "outage.h"
#include "../../core/json/incident.h"
#include "log.h"
#include <stdlib.h>

/* A busy machine misses a deadline now and then. */
#define DOWN_MS 1000
#define REPORT_MS 10000

typedef struct {
    bool reported;
    char id[L7S_INCIDENT_ID_MAX];
    uint64_t since_ms; /* mono; 0: it answers */
    uint64_t started_ms, report_at_ms;
} server_t;

struct sync_outage {
    const l7s_shared_t *shared;
    sync_bus_t *bus;
    sync_spool_t *spool;
    const char *node;
    server_t servers[L7S_SERVERS_MAX];
};

l7s_status_t sync_outage_create(const l7s_shared_t *shared, sync_bus_t *bus,
                                sync_spool_t *spool, const char *node,
                                sync_outage_t **out)
{
    sync_outage_t *outage = calloc(1, sizeof *outage);

    if (outage == NULL) {
        return L7S_NO_MEMORY;
    }
    outage->shared = shared;
    outage->bus = bus;
    outage->spool = spool;
    outage->node = node;
    *out = outage;
    return L7S_OK;
}

void sync_outage_free(sync_outage_t *outage)
{
    free(outage);
}

static void report(sync_outage_t *outage, size_t index, bool ended, l7s_now_t now)
{
    server_t *server = &outage->servers[index];
    l7s_segment_t *header = outage->shared->header;
    const l7s_notice_t notice = {.node = outage->node,
                                 .id = server->id,
                                 .kind = "store_degraded",
                                 .policy = "",
                                 .mode = (l7s_mode_t)atomic_load(&header->mode),
                                 .action = "count_alone",
                                 .key_name = "server",
                                 .key_value =
                                     l7s_pool_server(sync_bus_pool(outage->bus), index),
                                 .revision = atomic_load(&header->revision),
                                 .started_ms = server->started_ms,
                                 .last_ms = now.wall_ms,
                                 .ended = ended};
    json_t *json = l7s_incident_notice(&notice);

    sync_spool_add(outage->spool, json, now);
    json_decref(json);
    server->report_at_ms = sync_mono_ms(now) + REPORT_MS;
}

static void came_back(sync_outage_t *outage, size_t index, l7s_now_t now)
{
    server_t *server = &outage->servers[index];

    if (server->reported) {
        report(outage, index, true, now);
        sync_log(SYNC_INFO, "L7S2032",
                 "memcached %s answers again, after %llu s; incident %s ends",
                 l7s_pool_server(sync_bus_pool(outage->bus), index),
                 (unsigned long long)(sync_mono_ms(now) - server->since_ms + 999) / 1000,
                 server->id);
    }
    *server = (server_t){.since_ms = 0};
}

static void look(sync_outage_t *outage, size_t index, l7s_now_t now)
{
    server_t *server = &outage->servers[index];
    uint64_t now_ms = sync_mono_ms(now);

    if (l7s_pool_up(sync_bus_pool(outage->bus), index)) {
        came_back(outage, index, now);
        return;
    }
    if (!l7s_pool_down(sync_bus_pool(outage->bus), index)) {
        return; /* nothing has been asked of it yet */
    }
    if (server->since_ms == 0) {
        server->since_ms = now_ms;
        server->started_ms = now.wall_ms;
    }
    if (!server->reported && now_ms - server->since_ms >= DOWN_MS) {
        server->reported = true;
        l7s_incident_mint(&outage->shared->header->mint_key, now, server->id);
        sync_log(SYNC_WARN, "L7S2031",
                 "memcached %s does not answer; what it holds is counted by this node "
                 "alone, within its share of each limit, until it does; incident %s",
                 l7s_pool_server(sync_bus_pool(outage->bus), index), server->id);
    }
    if (server->reported && now_ms >= server->report_at_ms) {
        report(outage, index, false, now);
    }
}

void sync_outage_tick(sync_outage_t *outage, l7s_now_t now)
{
    size_t count = l7s_pool_servers(sync_bus_pool(outage->bus));

    for (size_t i = 0; sync_bus_trust(outage->bus) != NULL && i < count; i++) {
        look(outage, i, now);
    }
}
