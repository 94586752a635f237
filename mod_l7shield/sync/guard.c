/* SPDX-License-Identifier: Apache-2.0
 *
 * See guard.h. The demotion and the fingerprint of the policy that it was about stand in
 * the policy's row of the statistics, so they survive this process and new images of the
 * same policy.
 */
#include "guard.h"
#include "../../core/json/incident.h"
#include "clock.h"
#include "log.h"
#include <stdlib.h>
#include <string.h>

#define LOOK_MS 1000
#define REPORT_MS 10000
/* Shares of fewer clients mean nothing: on a quiet site three attackers are five percent
 * of everybody. */
#define CLIENTS_MIN 50
#define ACTED_MIN 10

typedef struct {
    uint32_t row; /* of the statistics; L7S_STATS_ROWS: not guarded */
    uint64_t fingerprint;
    char id[L7S_INCIDENT_ID_MAX]; /* "" until it is demoted by this process */
    uint64_t started_ms, report_at_ms;
} watched_t;

struct sync_guard {
    const l7s_shared_t *shared;
    const char *node;
    sync_spool_t *spool;
    const l7s_config_t *config; /* that `watched` was made of */
    uint64_t generation; /* of the image: a config may get an older one's address */
    size_t count;
    watched_t *watched; /* by policy of `config` */
    uint64_t look_at_ms, turn_at_ms;
};

l7s_status_t sync_guard_create(const l7s_shared_t *shared, const char *node,
                               sync_spool_t *spool, sync_guard_t **out)
{
    sync_guard_t *guard = calloc(1, sizeof *guard);

    if (guard == NULL) {
        return L7S_NO_MEMORY;
    }
    guard->shared = shared;
    guard->node = node;
    guard->spool = spool;
    *out = guard;
    return L7S_OK;
}

void sync_guard_free(sync_guard_t *guard)
{
    if (guard != NULL) {
        free(guard->watched);
        free(guard);
    }
}

static l7s_stats_row_t *row_of(const sync_guard_t *guard, const watched_t *watched)
{
    return &guard->shared->stats.rows[watched->row];
}

static bool is_demoted(const sync_guard_t *guard, const watched_t *watched)
{
    return atomic_load(&row_of(guard, watched)->demoted) != 0;
}

static void report(sync_guard_t *guard, const l7s_policy_t *policy, watched_t *watched,
                   bool ended, l7s_now_t now)
{
    const l7s_notice_t notice = {.node = guard->node,
                                 .id = watched->id,
                                 .kind = "guard_tripped",
                                 .policy = policy->name,
                                 .mode = L7S_MODE_OBSERVE,
                                 .action = "observe",
                                 .key_name = "policy",
                                 .key_value = policy->name,
                                 .revision =
                                     atomic_load(&guard->shared->header->revision),
                                 .started_ms = watched->started_ms,
                                 .last_ms = now.wall_ms,
                                 .ended = ended};

    watched->report_at_ms = sync_mono_ms(now) + REPORT_MS;
    if (guard->spool != NULL) {
        json_t *json = l7s_incident_notice(&notice);
        sync_spool_add(guard->spool, json, now);
        json_decref(json);
    }
}

/* ---- another configuration ---- */

/* By itself, or while its override runs. */
static bool acts(const l7s_policy_t *policy)
{
    bool enforced = policy->mode == L7S_MODE_ENFORCE ||
                    (policy->override.until_ms != 0 && policy->override.has_mode &&
                     policy->override.mode == L7S_MODE_ENFORCE);
    return enforced && policy->action >= L7S_ACTION_DENY;
}

/* What an operator has to touch to give a demoted policy another chance. */
static uint64_t fingerprint_of(const l7s_config_t *config, const l7s_policy_t *policy)
{
    uint64_t settings = (uint64_t)config->guard.max_acted_clients_percent << 32 |
                        config->guard.within_seconds;

    return policy->fingerprint ^ settings * 0x9e3779b97f4a7c15ULL;
}

/* A demotion stands only for the policy as it was when it tripped. */
static void rearm(sync_guard_t *guard, const l7s_policy_t *policy, watched_t *watched)
{
    l7s_stats_row_t *row = row_of(guard, watched);

    if (atomic_load(&row->demoted) != 0 &&
        row->demoted_fingerprint != watched->fingerprint) {
        atomic_store(&row->demoted, 0);
        sync_log(SYNC_INFO, "L7S2097",
                 "policy %s or settings.guard changed: it acts again on this node",
                 policy->name);
    }
}

static void end_incidents(sync_guard_t *guard, l7s_now_t now)
{
    for (size_t i = 0; i < guard->count; i++) {
        watched_t *watched = &guard->watched[i];
        l7s_policy_t policy = {.name = ""};
        if (watched->id[0] == '\0' || is_demoted(guard, watched)) {
            continue;
        }
        memcpy(policy.name, row_of(guard, watched)->name, sizeof policy.name);
        report(guard, &policy, watched, true, now);
    }
}

/* The incident of a demotion that goes on keeps its id. */
static void take_over(watched_t *watched, const watched_t *old, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (old[i].row == watched->row && old[i].id[0] != '\0') {
            *watched = (watched_t){.row = watched->row,
                                   .fingerprint = watched->fingerprint,
                                   .started_ms = old[i].started_ms,
                                   .report_at_ms = old[i].report_at_ms};
            memcpy(watched->id, old[i].id, sizeof watched->id);
        }
    }
}

static bool same_config(const sync_guard_t *guard, const l7s_config_t *config)
{
    return config == guard->config &&
           guard->generation == atomic_load(&guard->shared->header->image_generation);
}

static void follow(sync_guard_t *guard, const l7s_config_t *config, l7s_now_t now)
{
    watched_t *watched =
        calloc(config->policy_count == 0 ? 1 : config->policy_count, sizeof *watched);
    bool any = false;

    if (watched == NULL) {
        return;
    }
    for (size_t i = 0; i < config->policy_count; i++) {
        const l7s_policy_t *policy = &config->policies[i];
        bool guarded = acts(policy) && !policy->guard_ignored;
        watched[i].row = l7s_stats_row(&guard->shared->stats, policy->name);
        watched[i].fingerprint = fingerprint_of(config, policy);
        if (watched[i].row == L7S_STATS_ROWS - 1) {
            watched[i].row = L7S_STATS_ROWS; /* it shares its numbers with others */
            continue;
        }
        rearm(guard, policy, &watched[i]);
        any = any || guarded;
    }
    end_incidents(guard, now);
    for (size_t i = 0; i < config->policy_count; i++) {
        if (watched[i].row < L7S_STATS_ROWS && is_demoted(guard, &watched[i])) {
            take_over(&watched[i], guard->watched, guard->count);
        }
    }
    free(guard->watched);
    guard->watched = watched;
    guard->count = config->policy_count;
    guard->config = config;
    guard->generation = atomic_load(&guard->shared->header->image_generation);
    bool on = atomic_load(&guard->shared->guard.head->half) != 0;
    if (on != any) {
        l7s_guard_turn(&guard->shared->guard, any);
        guard->turn_at_ms =
            sync_mono_ms(now) + config->guard.within_seconds * (uint64_t)1000 / 2;
    }
}

/* ---- once a second ---- */

static void demote(sync_guard_t *guard, const l7s_policy_t *policy, watched_t *watched,
                   uint64_t acted, uint64_t clients, l7s_now_t now)
{
    l7s_stats_row_t *row = row_of(guard, watched);

    row->demoted_fingerprint = watched->fingerprint;
    atomic_store(&row->demoted, 1);
    l7s_incident_mint(&guard->shared->header->mint_key, now, watched->id);
    watched->started_ms = now.wall_ms;
    sync_log(SYNC_WARN, "L7S2096",
             "policy %s acted on about %llu of %llu clients within %u s, more than %u "
             "percent: it only observes on this node until it or settings.guard changes; "
             "incident %s",
             policy->name, (unsigned long long)acted, (unsigned long long)clients,
             guard->config->guard.within_seconds,
             guard->config->guard.max_acted_clients_percent, watched->id);
    report(guard, policy, watched, false, now);
}

static void judge(sync_guard_t *guard, const l7s_policy_t *policy, watched_t *watched,
                  uint64_t clients, l7s_now_t now)
{
    if (watched->row == L7S_STATS_ROWS || !acts(policy)) {
        return;
    }
    if (is_demoted(guard, watched)) {
        if (watched->id[0] == '\0') { /* by a process before this one */
            l7s_incident_mint(&guard->shared->header->mint_key, now, watched->id);
            watched->started_ms = now.wall_ms;
        }
        if (sync_mono_ms(now) >= watched->report_at_ms) {
            report(guard, policy, watched, false, now);
        }
        return;
    }
    uint64_t acted = l7s_guard_clients_acted(&guard->shared->guard, watched->row);
    if (!policy->guard_ignored && clients >= CLIENTS_MIN && acted >= ACTED_MIN &&
        acted * 100 > clients * guard->config->guard.max_acted_clients_percent) {
        demote(guard, policy, watched, acted, clients, now);
    }
}

void sync_guard_tick(sync_guard_t *guard, const l7s_config_t *config, l7s_now_t now)
{
    uint64_t now_ms = sync_mono_ms(now);

    if (config != NULL && !same_config(guard, config)) {
        follow(guard, config, now);
    }
    if (guard->config != config || config == NULL || now_ms < guard->look_at_ms) {
        return;
    }
    guard->look_at_ms = now_ms + LOOK_MS;
    uint64_t clients = l7s_guard_clients(&guard->shared->guard);
    for (size_t i = 0; i < guard->count; i++) {
        judge(guard, &config->policies[i], &guard->watched[i], clients, now);
    }
    if (now_ms >= guard->turn_at_ms &&
        atomic_load(&guard->shared->guard.head->half) != 0) {
        l7s_guard_turn(&guard->shared->guard, true);
        guard->turn_at_ms = now_ms + config->guard.within_seconds * (uint64_t)1000 / 2;
    }
}
