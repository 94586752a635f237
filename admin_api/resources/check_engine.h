/* SPDX-License-Identifier: Apache-2.0
 *
 * The engine of a node inside the daemon: the configuration in force compiled with the
 * fleet's counting key, a segment of its own, and in it what the fleet knows: bans from
 * the store, counters from memcached. Then a decision is one as a node would make it.
 */
#ifndef ADMIN_CHECK_ENGINE_H
#define ADMIN_CHECK_ENGINE_H

#include "../../core/compile/replay.h"
#include "../../core/decide/explain.h"
#include "../../core/decide/share.h"
#include "../daemon.h"

/* What is known of a limit. */
typedef enum {
    ADMIN_KNOWN_NOT,   /* memcached did not answer */
    ADMIN_KNOWN_FLEET, /* the sum that nodes pushed */
    ADMIN_KNOWN_STORE, /* strict: the one counter */
    ADMIN_KNOWN_NODES  /* scope node: each node counts for itself */
} admin_known_t;

typedef struct {
    l7s_image_limit_t limit;
    l7s_hash128_t key;
    admin_known_t known;
    uint32_t used, left; /* tokens; of a tally: what it counts */
    l7s_share_t share;   /* of both tallies: what the fleet says */
    uint64_t wait_us;    /* until a request conforms */
} admin_check_limit_t;

/* One policy as the engine sees the request. */
typedef struct {
    const l7s_policy_t *policy; /* of the configuration; borrowed */
    bool matches, counts;
    l7s_hash128_t digest;
    char key[L7S_EXPLAIN_KEY]; /* JSON */
    uint32_t share_wait_s;     /* for so long too many answers failed; 0: not too many */
    uint32_t limit_count;
    admin_check_limit_t limits[L7S_RATES_MAX];
} admin_check_policy_t;

typedef struct {
    const l7s_list_t *list;
    bool contains, applies;
} admin_check_list_t;

typedef struct {
    l7s_config_t *config;
    l7s_replay_t *replay; /* which the next two belong to */
    const l7s_image_t *image;
    l7s_shared_t shared;
    l7s_hashkey_t count_key, name_key;
    l7s_now_t now;
    char app[L7S_POLICY_NAME_MAX];
    l7s_mode_t app_mode;
    size_t policy_count, list_count;
    admin_check_policy_t *policies;
    admin_check_list_t *lists;
} admin_check_engine_t;

/* Compiles `document`, the whole configuration with its settings. Close in every case. */
L7S_MUST_USE l7s_status_t admin_check_engine_open(const admin_daemon_t *daemon,
                                                  const json_t *document, uint64_t now_ms,
                                                  admin_check_engine_t *out);
void admin_check_engine_close(admin_check_engine_t *engine);

/* Fills policies, lists and app: who matches, and what is left of each limit. Asks
 * memcached, for a tenth of a second at most. */
L7S_MUST_USE l7s_status_t admin_check_engine_explain(admin_check_engine_t *engine,
                                                     const admin_daemon_t *daemon,
                                                     const l7s_request_t *request);

/* Does this policy refuse the request by what is known: it matches, counts it, would act,
 * and a limit is used up, too many answers failed, or it is `always`? */
bool admin_check_policy_trips(const admin_check_policy_t *policy);

#endif
