/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiling and asking the engine (check_engine.h).
 */
#include "check_engine.h"

#include "../../core/json/override.h"
#include "../fleet/keys.h"
#include "check_counters.h"
#include <stdlib.h>
#include <string.h>
#include <time.h>

static l7s_now_t read_clock(uint64_t now_ms)
{
    struct timespec mono;

    clock_gettime(CLOCK_MONOTONIC, &mono);
    return (l7s_now_t){(uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
                       now_ms};
}

static l7s_status_t read_keys(const admin_daemon_t *daemon, admin_check_engine_t *engine)
{
    const l7s_trust_t *trust = admin_keys_hold(daemon->keys);
    const char *id = l7s_trust_secret_id(trust);
    l7s_status_t status = l7s_trust_count_key(trust, id, &engine->count_key);

    if (status == L7S_OK) {
        status = l7s_trust_name_key(trust, id, &engine->name_key);
    }
    admin_keys_let_go(daemon->keys, trust);
    return status;
}

/* The switch in force; one that has run out says nothing. */
static l7s_mode_t mode_of(const admin_check_engine_t *engine)
{
    uint64_t until_ms = engine->config->mode_until_ms;

    return until_ms != 0 && until_ms <= engine->now.wall_ms ? L7S_MODE_ENFORCE
                                                            : engine->config->mode;
}

static l7s_status_t make_node(admin_check_engine_t *engine)
{
    l7s_replay_setup_t setup = {.count_key = engine->count_key,
                                .memory = L7S_SEGMENT_SIZE_MIN,
                                .mode = mode_of(engine),
                                .now = engine->now};
    l7s_status_t status = l7s_random(setup.random, sizeof setup.random);

    if (status == L7S_OK) {
        status = l7s_replay_create(engine->config, &setup, &engine->replay);
    }
    if (status == L7S_OK) {
        engine->image = l7s_replay_image(engine->replay);
        engine->shared = *l7s_replay_shared(engine->replay);
    }
    return status;
}

l7s_status_t admin_check_engine_open(const admin_daemon_t *daemon, const json_t *document,
                                     uint64_t now_ms, admin_check_engine_t *out)
{
    l7s_problems_t problems = {.count = 0};

    memset(out, 0, sizeof *out);
    out->now = read_clock(now_ms);
    l7s_status_t status = l7s_config_parse(document, &problems, &out->config);
    if (status == L7S_OK) {
        l7s_overrides_settle_modes(out->config, now_ms);
        status = read_keys(daemon, out);
    }
    if (status == L7S_OK) {
        status = make_node(out);
    }
    if (status == L7S_OK) {
        out->policies = calloc(out->config->policy_count + 1, sizeof *out->policies);
        out->lists = calloc(out->config->list_count + 1, sizeof *out->lists);
        status = out->policies == NULL || out->lists == NULL ? L7S_NO_MEMORY : L7S_OK;
    }
    return status;
}

void admin_check_engine_close(admin_check_engine_t *engine)
{
    l7s_replay_free(engine->replay);
    free(engine->policies);
    free(engine->lists);
    l7s_config_free(engine->config);
}

/* --- who matches --- */

static const l7s_policy_t *policy_named(const l7s_config_t *config, const char *name)
{
    for (size_t i = 0; i < config->policy_count; i++) {
        if (strcmp(config->policies[i].name, name) == 0) {
            return &config->policies[i];
        }
    }
    return NULL;
}

static void take_policy(void *context, const l7s_explained_policy_t *policy)
{
    admin_check_engine_t *engine = context;
    admin_check_policy_t *out = &engine->policies[engine->policy_count++];

    out->policy = policy_named(engine->config, policy->name);
    out->matches = policy->matches;
    out->counts = policy->counts;
    out->digest = policy->digest;
    memcpy(out->key, policy->key, strlen(policy->key) + 1);
    out->limit_count = policy->counts ? policy->limit_count : 0;
    for (uint32_t i = 0; i < out->limit_count; i++) {
        out->limits[i].limit = policy->limits[i];
        out->limits[i].key = l7s_hash128_xor(policy->digest, policy->limits[i].identity);
    }
}

/* Lists stand in the image as in the configuration. */
static void take_list(void *context, const l7s_explained_list_t *list)
{
    admin_check_engine_t *engine = context;
    size_t index = engine->list_count++;

    engine->lists[index] = (admin_check_list_t){&engine->config->lists[index],
                                                list->contains, list->applies};
}

l7s_status_t admin_check_engine_explain(admin_check_engine_t *engine,
                                        const admin_daemon_t *daemon,
                                        const l7s_request_t *request)
{
    l7s_explain_t explain = {.policy = take_policy, .list = take_list, .context = engine};
    l7s_status_t status = l7s_explain(engine->image, request, &explain);

    if (status != L7S_OK) {
        return status;
    }
    strncpy(engine->app, explain.app != NULL ? explain.app : "", sizeof engine->app - 1);
    engine->app_mode = explain.app_mode;
    return admin_check_counters_read(engine, daemon);
}

bool admin_check_policy_trips(const admin_check_policy_t *policy)
{
    bool is_share = policy->policy->ratio.percent > 0;
    /* What is in flight only nodes know. */
    bool over = is_share ? policy->share_wait_s > 0
                         : policy->limit_count == 0 && policy->policy->concurrency == 0;

    for (uint32_t i = 0; i < policy->limit_count && !is_share; i++) {
        over |= policy->limits[i].left == 0;
    }
    return policy->matches && policy->counts && over;
}
