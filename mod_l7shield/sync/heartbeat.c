/* SPDX-License-Identifier: Apache-2.0
 *
 * See heartbeat.h. Numbers are totals since the segment was made; whoever reads them
 * takes differences, and sees a smaller one when httpd was restarted.
 */
#include "heartbeat.h"
#include "../../core/decide/outcome.h"
#include "../../core/mode.h"
#include <jansson.h>
#include <stdlib.h>

#ifndef L7S_VERSION
#define L7S_VERSION "0.1.0"
#endif

static json_t *integer(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static void set(json_t *out, const char *name, uint64_t value)
{
    json_object_set_new(out, name, integer(value));
}

static json_t *secret_ids(const sync_bus_t *bus)
{
    const l7s_trust_t *trust = sync_bus_trust(bus);
    json_t *out = json_array();

    for (size_t i = 0; i < l7s_trust_secrets(trust); i++) {
        json_array_append_new(out, json_string(l7s_trust_secret_at(trust, i)));
    }
    return out;
}

static json_t *health(const sync_heartbeat_t *beat)
{
    l7s_segment_t *header = beat->shared->header;
    l7s_table_stats_t *table = &header->table_stats;
    uint64_t claimed = atomic_load(&table->claimed);
    uint64_t gone = atomic_load(&table->released) + atomic_load(&table->evicted_idle) +
                    atomic_load(&table->evicted_live);
    json_t *out = json_object();

    set(out, "keys", claimed > gone ? claimed - gone : 0);
    set(out, "capacity", l7s_table_size(&beat->shared->table));
    set(out, "live_evictions", atomic_load(&table->evicted_live));
    set(out, "overflowed", atomic_load(&table->overflowed));
    set(out, "episodes_dropped", atomic_load(&header->episodes_dropped));
    set(out, "bans", atomic_load(&beat->shared->bans.head->active));
    set(out, "bans_dropped", atomic_load(&beat->shared->bans.head->dropped));
    set(out, "store_up", atomic_load(&header->store_up));
    set(out, "store_servers", atomic_load(&header->store_servers));
    set(out, "sync_lag_ms", beat->report->lag_ms);
    set(out, "workers_busy", atomic_load(&header->workers_busy));
    set(out, "workers_total", atomic_load(&header->workers_total));
    set(out, "strict_misses", atomic_load(&header->mailbox.missed));
    return out;
}

static json_t *policies(const l7s_stats_t *stats)
{
    json_t *out = json_object();

    for (uint32_t i = 0; i < L7S_STATS_ROWS; i++) {
        l7s_stats_row_t *row = &stats->rows[i];
        if (atomic_load(&row->used) == 0) {
            continue;
        }
        json_t *numbers = json_array();
        json_array_append_new(numbers, integer(atomic_load(&row->matched)));
        json_array_append_new(numbers, integer(atomic_load(&row->acted)));
        json_array_append_new(numbers, integer(atomic_load(&row->would_act)));
        json_array_append_new(numbers, integer(atomic_load(&row->logged)));
        json_object_set_new(out, row->name[0] == '\0' ? "(others)" : row->name, numbers);
    }
    return out;
}

/* Of the guard. Rows outlive their policies, but a demotion does not. */
static json_t *demoted(const l7s_stats_t *stats)
{
    json_t *out = json_array();

    for (uint32_t i = 0; i < L7S_STATS_ROWS; i++) {
        if (atomic_load(&stats->rows[i].demoted) != 0) {
            json_array_append_new(out, json_string(stats->rows[i].name));
        }
    }
    return out;
}

static json_t *verdicts(l7s_segment_t *header)
{
    json_t *out = json_object();

    for (unsigned i = 0; i < L7S_OUTCOMES; i++) {
        set(out, l7s_outcome_name((l7s_outcome_t)i), atomic_load(&header->verdicts[i]));
    }
    return out;
}

/* What a daemon asks for before it publishes what an older node would refuse
 * (admin_api/resources/features.c). */
static json_t *features(void)
{
    static const char *const names[] = {
        "strict",    "guard",   "strings",     "matching", "escalate", "answers",
        "costs",     "signals", "concurrency", "ratio",    "drop",     "geo",
        "challenge", "user",    "overrides",   "queries",
    };
    json_t *out = json_array();

    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        json_array_append_new(out, json_string(names[i]));
    }
    return out;
}

char *sync_heartbeat_text(const sync_heartbeat_t *beat)
{
    l7s_segment_t *header = beat->shared->header;
    json_t *out = json_object();

    json_object_set_new(out, "name", json_string(beat->node));
    json_object_set_new(out, "instance", json_string(beat->instance));
    json_object_set_new(out, "version", json_string(L7S_VERSION));
    json_object_set_new(out, "features", features());
    set(out, "started_ms", beat->started_ms);
    set(out, "config_epoch", atomic_load(&header->config_epoch));
    set(out, "revision", atomic_load(&header->revision));
    json_object_set_new(
        out, "mode", json_string(l7s_mode_name((l7s_mode_t)atomic_load(&header->mode))));
    json_object_set_new(
        out, "because",
        json_string(l7s_because_name((l7s_because_t)atomic_load(&header->because))));
    json_object_set_new(out, "secret_ids", secret_ids(beat->bus));
    json_object_set_new(out, "incident_log",
                        json_pack("{s:o, s:o}", "first",
                                  integer(beat->report->incident_first), "next",
                                  integer(beat->report->incident_next)));
    json_object_set_new(out, "health", health(beat));
    json_object_set_new(out, "policies", policies(&beat->shared->stats));
    json_object_set_new(out, "demoted_policies", demoted(&beat->shared->stats));
    if (beat->report->refused_revision != 0) {
        json_object_set_new(out, "refused_revision",
                            json_pack("{s:o, s:o, s:s}", "config_epoch",
                                      integer(beat->report->refused_epoch), "revision",
                                      integer(beat->report->refused_revision), "why",
                                      beat->report->refused_why));
    }
    json_object_set_new(out, "verdicts", verdicts(header));
    char *text = json_dumps(out, JSON_COMPACT);
    json_decref(out);
    return text;
}
