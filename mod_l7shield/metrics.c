/* SPDX-License-Identifier: Apache-2.0
 *
 * The figures of the shared segment as Prometheus text (exposition format 0.0.4). It
 * reads what others count, and counts nothing. Who may ask is the site's business
 * (Require).
 */
#include "metrics.h"

#include "../core/decide/outcome.h"
#include "shared_memory.h"

#include "http_protocol.h"

#define U64 APR_UINT64_T_FMT /* ap_rprintf knows no %llu */

static void head(request_rec *r, const char *name, const char *type, const char *help)
{
    ap_rprintf(r, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void single(request_rec *r, const char *name, const char *type, const char *help,
                   uint64_t value)
{
    head(r, name, type, help);
    ap_rprintf(r, "%s{node=\"%s\"} %" U64 "\n", name, shield_process.node->name, value);
}

static void verdicts(request_rec *r, const l7s_segment_t *header)
{
    head(r, "l7shield_requests_total", "counter", "Judged requests by verdict.");
    for (int i = 0; i < L7S_OUTCOMES; i++) {
        ap_rprintf(r, "l7shield_requests_total{node=\"%s\",verdict=\"%s\"} %" U64 "\n",
                   shield_process.node->name, l7s_outcome_name((l7s_outcome_t)i),
                   (uint64_t)atomic_load(&header->verdicts[i]));
    }
}

static void decision(request_rec *r, const char *policy, const char *verdict,
                     uint64_t value)
{
    ap_rprintf(r,
               "l7shield_decisions_total{node=\"%s\",policy=\"%s\",verdict=\"%s\"} %" U64
               "\n",
               shield_process.node->name, policy, verdict, value);
}

static void decisions(request_rec *r, const l7s_stats_t *stats)
{
    head(r, "l7shield_decisions_total", "counter", "What each policy did.");
    for (int i = 0; i < L7S_STATS_ROWS; i++) {
        const l7s_stats_row_t *row = &stats->rows[i];
        if (atomic_load(&row->used)) {
            decision(r, row->name, "matched", atomic_load(&row->matched));
            decision(r, row->name, "acted", atomic_load(&row->acted));
            decision(r, row->name, "would_act", atomic_load(&row->would_act));
            decision(r, row->name, "logged", atomic_load(&row->logged));
        }
    }
}

static void table(request_rec *r, const l7s_segment_t *header)
{
    const l7s_table_stats_t *stats = &header->table_stats;
    uint64_t live = atomic_load(&stats->evicted_live);
    uint64_t gone =
        atomic_load(&stats->released) + atomic_load(&stats->evicted_idle) + live;
    uint64_t claimed = atomic_load(&stats->claimed);
    single(r, "l7shield_keys", "gauge", "Counters in the table.",
           claimed > gone ? claimed - gone : 0);
    single(r, "l7shield_keys_capacity", "gauge", "Room for counters.",
           (uint64_t)header->buckets * L7S_BUCKET_SLOTS);
    single(r, "l7shield_live_evictions_total", "counter",
           "Counters in use that were lost: raise L7ShieldMemory.", live);
    single(r, "l7shield_overflowed_total", "counter",
           "Requests that found no counter and were admitted.",
           atomic_load(&stats->overflowed));
    single(r, "l7shield_unpinned_total", "counter",
           "Requests admitted because no thread slot was free.",
           atomic_load(&header->unpinned));
    single(r, "l7shield_episodes_dropped_total", "counter", "Episodes beyond the table.",
           atomic_load(&header->episodes_dropped));
}

static void strict_waits(request_rec *r, const l7s_mailbox_head_t *mailbox)
{
    const char *node = shield_process.node->name;
    uint64_t sum_us = atomic_load(&mailbox->waited_us), count = 0;
    head(r, "l7shield_strict_wait_seconds", "histogram",
         "How long requests waited for the store.");
    for (unsigned i = 0; i < L7S_WAIT_BUCKETS - 1; i++) {
        count += atomic_load(&mailbox->waits[i]);
        ap_rprintf(r,
                   "l7shield_strict_wait_seconds_bucket{node=\"%s\",le=\"0.%05u\"} %" U64
                   "\n",
                   node, l7s_wait_bounds_us[i] / 10, count);
    }
    count += atomic_load(&mailbox->waits[L7S_WAIT_BUCKETS - 1]);
    ap_rprintf(r,
               "l7shield_strict_wait_seconds_bucket{node=\"%s\",le=\"+Inf\"} %" U64 "\n"
               "l7shield_strict_wait_seconds_sum{node=\"%s\"} %" U64 ".%06u\n"
               "l7shield_strict_wait_seconds_count{node=\"%s\"} %" U64 "\n",
               node, count, node, sum_us / 1000000, (unsigned)(sum_us % 1000000), node,
               count);
}

static void strict(request_rec *r, const l7s_mailbox_head_t *mailbox)
{
    head(r, "l7shield_strict_verdicts_total", "counter",
         "Verdicts of the store on strict policies.");
    ap_rprintf(
        r,
        "l7shield_strict_verdicts_total{node=\"%s\",verdict=\"admitted\"} %" U64 "\n"
        "l7shield_strict_verdicts_total{node=\"%s\",verdict=\"refused\"} %" U64 "\n",
        shield_process.node->name, (uint64_t)atomic_load(&mailbox->admitted),
        shield_process.node->name, (uint64_t)atomic_load(&mailbox->refused));
    single(r, "l7shield_strict_misses_total", "counter",
           "Requests of strict policies that got no verdict: when_store_down decided.",
           atomic_load(&mailbox->missed));
    single(r, "l7shield_strict_crowded_total", "counter",
           "Of these: a quarter of the workers waited already.",
           atomic_load(&mailbox->crowded));
    strict_waits(r, mailbox);
}

static void sync_state(request_rec *r, const l7s_segment_t *header)
{
    uint64_t now = shield_now(r->request_time).wall_ms,
             beat = atomic_load(&header->sync_beat_ms);
    uint64_t lag_ms = beat != 0 && now > beat ? now - beat : 0;
    head(r, "l7shield_sync_lag_seconds", "gauge", "Since the sync process' last tick.");
    ap_rprintf(r, "l7shield_sync_lag_seconds{node=\"%s\"} %u.%03u\n",
               shield_process.node->name, (unsigned)(lag_ms / 1000),
               (unsigned)(lag_ms % 1000));
    single(r, "l7shield_snapshot_revision", "gauge", "Revision in force.",
           atomic_load(&header->revision));
    single(r, "l7shield_store_servers", "gauge", "Configured memcached servers.",
           atomic_load(&header->store_servers));
    single(r, "l7shield_store_up_servers", "gauge", "Servers that answered last.",
           atomic_load(&header->store_up));
    single(r, "l7shield_live_nodes", "gauge", "Nodes of the fleet that are alive.",
           atomic_load(&header->live_nodes));
    head(r, "l7shield_workers", "gauge", "Workers of httpd, looked at every 10 s.");
    ap_rprintf(r,
               "l7shield_workers{node=\"%s\",state=\"busy\"} %u\n"
               "l7shield_workers{node=\"%s\",state=\"total\"} %u\n",
               shield_process.node->name, atomic_load(&header->workers_busy),
               shield_process.node->name, atomic_load(&header->workers_total));
    head(r, "l7shield_mode", "gauge", "The node's mode: 2 enforce, 1 observe, 0 off.");
    ap_rprintf(r, "l7shield_mode{node=\"%s\",because=\"%s\"} %u\n",
               shield_process.node->name,
               l7s_because_name((l7s_because_t)atomic_load(&header->because)),
               atomic_load(&header->mode));
}

/* Apart, so that other requests do not pay for its frame. */
static __attribute__((noinline)) int answer(request_rec *r)
{
    r->allowed |= (AP_METHOD_BIT << M_GET);
    if (r->method_number != M_GET) {
        return DECLINED;
    }
    if (!shield_process.attached) {
        return HTTP_SERVICE_UNAVAILABLE;
    }
    ap_set_content_type(r, "text/plain; version=0.0.4; charset=utf-8");
    apr_table_setn(r->headers_out, "Cache-Control", "no-store");
    const l7s_shared_t *shared = &shield_process.shared;
    verdicts(r, shared->header);
    decisions(r, &shared->stats);
    table(r, shared->header);
    single(r, "l7shield_bans", "gauge", "Bans in force.",
           atomic_load(&shared->bans.head->active));
    single(r, "l7shield_bans_dropped_total", "counter", "Bans beyond the table.",
           atomic_load(&shared->bans.head->dropped));
    sync_state(r, shared->header);
    strict(r, &shared->header->mailbox);
    return OK;
}

int shield_metrics(request_rec *r)
{
    /* Every request comes by, and mostly its first letter tells. */
    if (!r->handler || r->handler[0] != 'l' || strcmp(r->handler, "l7shield-metrics")) {
        return DECLINED;
    }
    return answer(r);
}
