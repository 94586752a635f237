/* SPDX-License-Identifier: Apache-2.0
 *
 * See tally.h. An admitted request costs a look at its client's entry and at those of the
 * limits that it is held to; only what somebody objects to costs more.
 */
#include "tally.h"

#include "demand.h"
#include "frequent.h"
#include "timeline.h"

#include <stdlib.h>
#include <string.h>

#define CLIENTS_MAX ((uint32_t)1 << 20)
#define KEYS_MAX ((uint32_t)1 << 18)
#define DEMANDS_MAX                                                                      \
    16 /* limits that are looked at, in the order of their first request */
#define TOUCHED_MAX 64 /* policies whose clients are counted */
#define TOP 20

enum { ACTED = 1, WOULD_ACT = 2 };

typedef struct {
    uint64_t requests, acted, would_act;
    uint64_t clients_acted, clients_would_act; /* when they have been counted */
    uint64_t touched[TOUCHED_MAX];
} totals_t;

struct admin_tally {
    const admin_rehearsal_t *rehearsal;
    const l7s_shared_t *shared;
    size_t policy_count;
    l7s_stats_row_t *rows[TOUCHED_MAX];
    uint64_t objected[TOUCHED_MAX];    /* how often, as of the request before */
    uint16_t index_of[L7S_STATS_ROWS]; /* policies by their row */
    admin_sample_t *clients;
    size_t demand_count;
    admin_demand_t *(*demands)[L7S_RATES_MAX]; /* by policy and place */
    admin_frequent_t *top_clients, *top_paths;
    admin_timeline_t timeline;
    totals_t totals;
};

/* --- life --- */

static void number_policies(admin_tally_t *tally)
{
    const l7s_config_t *config = tally->rehearsal->config;

    for (size_t i = 0; i < config->policy_count; i++) {
        uint32_t row = l7s_stats_row(&tally->shared->stats, config->policies[i].name);
        tally->index_of[row] = (uint16_t)i;
        if (i < TOUCHED_MAX) {
            tally->rows[i] = &tally->shared->stats.rows[row];
        }
    }
}

admin_tally_t *admin_tally_create(const admin_rehearsal_t *rehearsal)
{
    admin_tally_t *tally = calloc(1, sizeof *tally);

    if (tally == NULL) {
        return NULL;
    }
    tally->rehearsal = rehearsal;
    tally->shared = l7s_replay_shared(rehearsal->replay);
    tally->policy_count = rehearsal->config->policy_count;
    tally->clients = admin_sample_create(CLIENTS_MAX);
    tally->demands = calloc(tally->policy_count + 1, sizeof *tally->demands);
    tally->top_clients = admin_frequent_create();
    tally->top_paths = admin_frequent_create();
    if (tally->clients == NULL || tally->demands == NULL || tally->top_clients == NULL ||
        tally->top_paths == NULL) {
        admin_tally_free(tally);
        return NULL;
    }
    number_policies(tally);
    return tally;
}

void admin_tally_free(admin_tally_t *tally)
{
    if (tally == NULL) {
        return;
    }
    for (size_t i = 0; i < tally->policy_count && tally->demands != NULL; i++) {
        for (size_t k = 0; k < L7S_RATES_MAX; k++) {
            admin_demand_free(tally->demands[i][k]);
        }
    }
    free(tally->demands);
    admin_sample_free(tally->clients);
    admin_frequent_free(tally->top_clients);
    admin_frequent_free(tally->top_paths);
    free(tally);
}

/* --- one request --- */

/* Which policies objected to the last request, enforcing or not. */
static uint64_t objecting(admin_tally_t *tally)
{
    uint64_t mask = 0;

    for (size_t i = 0; i < tally->policy_count && i < TOUCHED_MAX; i++) {
        uint64_t now =
            atomic_load_explicit(&tally->rows[i]->acted, memory_order_relaxed) +
            atomic_load_explicit(&tally->rows[i]->would_act, memory_order_relaxed);
        mask |= (uint64_t)(now != tally->objected[i]) << i;
        tally->objected[i] = now;
    }
    return mask;
}

static void write_client(const void *context, char out[ADMIN_FREQUENT_TEXT])
{
    l7s_cidr_t client = l7s_addr_client(context);

    l7s_cidr_text(&client, out);
}

static void write_path(const void *context, char out[ADMIN_FREQUENT_TEXT])
{
    size_t size = strnlen(context, ADMIN_FREQUENT_TEXT - 1);

    memcpy(out, context, size);
    out[size] = '\0';
}

static void add_objection(admin_tally_t *tally, const l7s_request_t *request,
                          uint64_t client, bool acted, uint32_t *counts)
{
    const l7s_hashkey_t *key = &tally->shared->guard.key;

    tally->totals.acted += acted;
    tally->totals.would_act += !acted;
    counts[acted ? 1 : 2]++;
    admin_frequent_add(tally->top_clients, client, write_client, &request->client);
    admin_frequent_add(tally->top_paths,
                       l7s_siphash64(key, request->path, strlen(request->path)),
                       write_path, request->path);
}

static void add_demand(void *context, const l7s_demanded_t *demanded)
{
    admin_tally_t *tally = context;
    size_t index = tally->index_of[demanded->row];
    const l7s_policy_t *policy = &tally->rehearsal->config->policies[index];
    admin_demand_t **demand = &tally->demands[index][demanded->place];

    if (*demand == NULL && tally->demand_count < DEMANDS_MAX) {
        *demand = admin_demand_create(&policy->rates[demanded->place], KEYS_MAX);
        tally->demand_count++;
    }
    if (*demand != NULL) {
        admin_demand_add(*demand, demanded->key.lo,
                         l7s_replay_now(tally->rehearsal->replay).mono_us,
                         demanded->tokens);
    }
}

void admin_tally_add(admin_tally_t *tally, const l7s_request_t *request,
                     const l7s_answer_t *answer, const l7s_verdict_t *verdict)
{
    l7s_replay_t *replay = tally->rehearsal->replay;
    uint64_t client = l7s_guard_hash(&tally->shared->guard, &request->client);
    bool acted = l7s_outcome_refuses(verdict->outcome);
    bool would_act = verdict->outcome == L7S_OUTCOME_OBSERVED;
    uint32_t *counts =
        admin_timeline_at(&tally->timeline, l7s_replay_now(replay).mono_us / 1000000);

    tally->totals.requests++;
    counts[0]++;
    admin_sampled_t *entry = admin_sample_at(tally->clients, client);
    if (verdict->outcome != L7S_OUTCOME_ADMITTED) {
        uint64_t touched = objecting(tally);
        if (entry != NULL) {
            entry->client.touched |= touched;
            entry->client.outcomes |= (acted ? ACTED : 0u) | (would_act ? WOULD_ACT : 0u);
        }
    }
    if (acted || would_act) {
        add_objection(tally, request, client, acted, counts);
    }
    l7s_replay_demand(replay, answer, verdict, add_demand, tally);
}

void admin_tally_expect(const admin_tally_t *tally, const l7s_addr_t *client)
{
    admin_sample_prefetch(tally->clients, l7s_guard_hash(&tally->shared->guard, client));
}

/* --- the sum --- */

static void count_client(void *context, const admin_sampled_t *entry)
{
    totals_t *totals = context;

    totals->clients_acted += (entry->client.outcomes & ACTED) != 0;
    totals->clients_would_act += (entry->client.outcomes & WOULD_ACT) != 0;
    for (uint64_t bits = entry->client.touched; bits != 0; bits &= bits - 1) {
        totals->touched[__builtin_ctzll(bits)]++;
    }
}

static json_t *number(uint64_t value)
{
    return json_integer(value > INT64_MAX ? INT64_MAX : (json_int_t)value);
}

static uint64_t ppm(uint64_t part, uint64_t of)
{
    return of == 0 ? 0 : (uint64_t)((double)part * 1000000 / (double)of);
}

static json_t *share(uint64_t total, uint64_t acted, uint64_t would_act)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "total", number(total), "acted",
                     number(acted), "acted_ppm", number(ppm(acted, total)), "would_act",
                     number(would_act), "would_act_ppm", number(ppm(would_act, total)));
}

/* The limits that would touch one key in a hundred, in a thousand, in ten thousand: of
 * all clients, where it counts by client, else of the keys that it met. */
static json_t *suggestions(const admin_tally_t *tally, const l7s_policy_t *policy,
                           const admin_demand_t *demand)
{
    static const uint32_t shares[] = {10000, 1000, 100};
    bool by_client = policy->by_count == 1 && policy->by[0].part == L7S_PART_CLIENT;
    uint64_t keys =
        by_client ? admin_sample_keys(tally->clients) : admin_demand_keys(demand);
    json_t *out = json_array();

    for (size_t i = 0; i < sizeof shares / sizeof *shares; i++) {
        uint64_t most = (uint64_t)((double)keys * shares[i] / 1000000);
        admin_threshold_t threshold = admin_demand_threshold(demand, most);
        json_array_append_new(out, json_pack("{s:i, s:o, s:o, s:o}", "share_ppm",
                                             (int)shares[i], "requests",
                                             number(threshold.requests), "burst",
                                             number(threshold.burst), "touched",
                                             number(threshold.touched)));
    }
    return json_pack("{s:s, s:o, s:o, s:o}", "of", by_client ? "clients" : "keys", "keys",
                     number(keys), "seen_one_in", number(admin_demand_weight(demand)),
                     "suggested", out);
}

static json_t *thresholds(const admin_tally_t *tally, size_t index)
{
    const l7s_policy_t *policy = &tally->rehearsal->config->policies[index];
    json_t *out = json_array();

    for (size_t k = 0; k < policy->rate_count; k++) {
        const admin_demand_t *demand = tally->demands[index][k];
        if (demand != NULL) {
            json_t *item = suggestions(tally, policy, demand);
            json_object_set_new(item, "per_seconds",
                                number(policy->rates[k].period_us / 1000000));
            json_object_set_new(item, "unit", json_string(l7s_cost_unit(policy->cost)));
            json_array_append_new(out, item);
        }
    }
    return out;
}

static json_t *policies(const admin_tally_t *tally, const totals_t *totals)
{
    json_t *out = admin_rehearsal_counts(tally->rehearsal), *item;
    uint64_t weight = admin_sample_weight(tally->clients);
    size_t index;

    json_array_foreach(out, index, item)
    {
        json_object_set_new(item, "clients",
                            index < TOUCHED_MAX ? number(totals->touched[index] * weight)
                                                : json_null());
        json_object_set_new(item, "thresholds", thresholds(tally, index));
    }
    return out;
}

static json_t *top(const admin_tally_t *tally)
{
    uint64_t clients = admin_frequent_error(tally->top_clients),
             paths = admin_frequent_error(tally->top_paths);

    return json_pack("{s:o, s:o, s:o}", "clients",
                     admin_frequent_json(tally->top_clients, TOP), "paths",
                     admin_frequent_json(tally->top_paths, TOP), "too_low_by_at_most",
                     number(clients > paths ? clients : paths));
}

json_t *admin_tally_json(const admin_tally_t *tally)
{
    totals_t totals = tally->totals;
    uint64_t weight = admin_sample_weight(tally->clients);

    admin_sample_each(tally->clients, count_client, &totals);
    json_t *clients =
        share(admin_sample_keys(tally->clients), totals.clients_acted * weight,
              totals.clients_would_act * weight);
    json_object_set_new(clients, "seen_one_in", number(weight));
    return json_pack("{s:o, s:o, s:o, s:o, s:o}", "requests",
                     share(totals.requests, totals.acted, totals.would_act), "clients",
                     clients, "policies", policies(tally, &totals), "top", top(tally),
                     "time", admin_timeline_json(&tally->timeline));
}
