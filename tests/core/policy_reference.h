/* SPDX-License-Identifier: Apache-2.0
 *
 * The meaning of a configuration, written down a second time as plainly as possible: no
 * index, no hash, no bit; loops over the model, strings for keys, numbers that cannot
 * overflow. What the image decides is compared with this.
 */
#ifndef POLICY_REFERENCE_H
#define POLICY_REFERENCE_H

#include "policy_fixture.h"

#define REFERENCE_KEY 256

/* One counter: the tokens in use, in units of 1/requests microseconds. */
typedef struct {
    size_t policy, rate;
    char tuple[REFERENCE_KEY];
    unsigned __int128 tat;
    uint32_t pending;
} reference_counter_t;

typedef struct {
    char key[REFERENCE_KEY +
             100]; /* "client=…", "network=…", another tuple, or a shadow's */
    char policy[L7S_POLICY_NAME_MAX];
    uint64_t until_ms;
    uint16_t status;
} reference_ban_t;

typedef struct {
    size_t policy;
    char tuple[REFERENCE_KEY];
    uint64_t requests, acted, passed, units;
    bool linked;      /* a counter's slot knows of it */
    bool has_climbed; /* … the policy's steps, to this one: */
    size_t reached;   /* 1 + its number, 0: none */
} reference_episode_t;

/* How many episodes a key has begun, as the time when none of them counts any more. */
typedef struct {
    size_t policy, number;
    char key[REFERENCE_KEY + 100];
    uint64_t until_us;
} reference_step_t;

/* A policy that has been charged for a request whose user is not known yet. */
typedef struct {
    size_t policy;
    char tuple[REFERENCE_KEY];
} reference_taken_t;

/* A place in flight. */
typedef struct {
    const struct reference_open *request;
    size_t policy;
    char tuple[REFERENCE_KEY];
} reference_flight_t;

typedef struct {
    l7s_outcome_t outcome;
    char policy[L7S_POLICY_NAME_MAX];
    uint16_t status;
    uint32_t retry_after_seconds;
} reference_verdict_t;

/* A request from its head to its answer. */
typedef struct reference_open {
    reference_verdict_t verdict;
    size_t wanted_count, asked_count;
    reference_flight_t wanted[L7S_FLIGHTS_PER_REQUEST]; /* when it is admitted */
    size_t asked[L7S_POLICIES_MAX]; /* policies that count by the answer, in order */
} reference_open_t;

typedef struct {
    uint64_t matched, acted, would_act, logged;
} reference_stats_t;

#define REFERENCE_MAX 4096

typedef struct {
    const l7s_config_t *config;
    const l7s_hashkey_t *count_key;
    l7s_mode_t node_mode;
    size_t counter_count, ban_count, episode_count, step_count, flying_count;
    reference_counter_t *counters;
    reference_ban_t *bans;
    reference_episode_t *episodes;
    reference_step_t *steps;
    reference_flight_t *flying;
    reference_stats_t stats[L7S_POLICIES_MAX];
    uint64_t verdicts[L7S_OUTCOMES];
    char cookie[1024]; /* what was asked for last */
    bool located;      /* it is known where clients come from */
    size_t taken_count;
    reference_taken_t taken[L7S_POLICIES_MAX];
} reference_t;

void reference_begin(reference_t *reference, fixture_t *fixture);
void reference_end(reference_t *reference);
/* Returns whether policies by user have a say, too. */
bool reference_decide(reference_t *reference, const l7s_request_t *request, l7s_now_t now,
                      reference_open_t *open);

/* What they add to that, once it is known. */
void reference_decide_user(reference_t *reference, const l7s_request_t *request,
                           l7s_now_t now, reference_open_t *open);

/* What the answer to a request adds that was not refused. */
void reference_answer(reference_t *reference, const l7s_request_t *request,
                      const l7s_answer_t *answer, l7s_now_t now, reference_open_t *open);

/* It is not in flight any more. */
void reference_over(reference_t *reference, const reference_open_t *open);

/* A ban by hand. */
void reference_ban(reference_t *reference, const char *key, uint64_t until_ms);

/* What the policy counts the request by, as text, and the digest that the image must use
 * for it. */
l7s_hash128_t reference_digest(const reference_t *reference, const l7s_policy_t *policy,
                               const l7s_request_t *request, char text[REFERENCE_KEY]);

#endif
