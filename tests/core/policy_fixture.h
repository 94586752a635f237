/* SPDX-License-Identifier: Apache-2.0
 *
 * A small node for tests of policies: the shared memory without a segment around it, an
 * image compiled from a hand-made configuration, and memory for that configuration that
 * is freed all at once.
 */
#ifndef POLICY_FIXTURE_H
#define POLICY_FIXTURE_H

#include "../../core/compile/compile.h"
#include "../../core/decide/answer.h"
#include "../../core/decide/decide.h"
#include "../../core/path.h"

#define FIXTURE_BANS 1024
#define FIXTURE_HEADERS 8

typedef struct {
    l7s_shared_t shared;
    l7s_config_t config;
    l7s_hashkey_t count_key;
    l7s_now_t now;
    uint64_t next_expiry_ms;
    void *image_memory;
    const l7s_image_t *image;
    l7s_scratch_t *scratch;
    void *blocks; /* of fixture_alloc */
} fixture_t;

/* `buckets`: of the table, a power of two. */
void fixture_open(fixture_t *fixture, uint32_t buckets);
void fixture_close(fixture_t *fixture);

/* For cmocka: one node of 256 buckets for a whole file, a new start for each test. */
int fixture_set_up(void **state);
int fixture_tear_down(void **state);
int fixture_start(void **state);

/* Opens the databases that geo_database.pl made for this test (GEO_DATABASES). */
l7s_geo_t *fixture_geo(const char *folder);

/* Forgets counters, bans, episodes, statistics and the configuration. */
void fixture_reset(fixture_t *fixture);

/* Zeroed memory that lives until reset or close. */
void *fixture_alloc(fixture_t *fixture, size_t size);
char *fixture_text(fixture_t *fixture, const char *text);
/* "a b c" → three strings; "" → none. */
l7s_strings_t fixture_strings(fixture_t *fixture, const char *words);

/* A new policy at the end: enforce, count by client, one rate of `requests` per
 * `per_seconds` (0: always), status 403, spec as its name. The caller changes what it
 * wants before fixture_compile. */
l7s_policy_t *fixture_policy(fixture_t *fixture, const char *name, l7s_action_t action,
                             uint32_t requests, uint32_t per_seconds);
l7s_list_t *fixture_list(fixture_t *fixture, const char *name, l7s_effect_t effect,
                         const char *networks);
/* A list of strings: those of `words`. */
l7s_list_t *fixture_strings_list(fixture_t *fixture, const char *name, const char *words);
/* … its entry at `index` gets an attribute. */
void fixture_attribute(fixture_t *fixture, l7s_list_t *list, size_t index,
                       const char *name, const char *value);
/* The policy, which counts by one header, gets a plan by that list's attribute, with one
 * rate. Plans must be added by name. */
l7s_plan_t *fixture_plan(fixture_t *fixture, l7s_policy_t *policy, const char *list,
                         const char *attribute, const char *name, l7s_rate_t rate);
/* Of countries or ASNs. */
l7s_list_t *fixture_list_of(fixture_t *fixture, const char *name, l7s_list_kind_t kind,
                            l7s_effect_t effect, const char *codes);
l7s_app_t *fixture_app(fixture_t *fixture, const char *name, const char *hosts,
                       const char *paths);
void fixture_by(fixture_t *fixture, l7s_policy_t *policy, const char *parts);
void fixture_match_header(fixture_t *fixture, l7s_match_t *match, const char *name,
                          l7s_is_t is, const char *values);
/* … equal to any value of this list of strings. */
void fixture_match_header_list(fixture_t *fixture, l7s_match_t *match, const char *name,
                               const char *list);
/* On a parameter of the query or a cookie. */
void fixture_match_pair(fixture_t *fixture, l7s_match_t *match, l7s_field_t field,
                        const char *name, l7s_is_t is, const char *values);
void fixture_match_client(fixture_t *fixture, l7s_match_t *match, const char *in);
/* One range more of count.statuses. */
void fixture_count_status(l7s_policy_t *policy, uint16_t lowest, uint16_t highest);
l7s_match_t *fixture_except(fixture_t *fixture, l7s_policy_t *policy);
l7s_match_t *fixture_any(fixture_t *fixture, l7s_policy_t *policy);

void fixture_compile(fixture_t *fixture);

/* "203.0.113.7" */
l7s_addr_t fixture_addr(const char *text);

/* A request; headers are "name: value" texts. */
typedef struct {
    l7s_request_t facts;
    const char *headers[FIXTURE_HEADERS];
    l7s_scratch_t *scratch; /* of the fixture that decides */
    l7s_token_t tokens[L7S_TOKENS_PER_REQUEST];
    uint32_t awaiting[L7S_POLICIES_MAX];
} fixture_request_t;

fixture_request_t fixture_request(const char *client, const char *method,
                                  const char *host, const char *path);
void fixture_lend(const fixture_t *fixture, fixture_request_t *request);
l7s_verdict_t fixture_decide(fixture_t *fixture, fixture_request_t *request);
/* The same for a GET of www.example.com, and for its "/". */
l7s_verdict_t fixture_get(fixture_t *fixture, const char *client, const char *path);
l7s_outcome_t fixture_outcome(fixture_t *fixture, const char *client);
/* The second stage, if a policy waits for facts.user; `verdict` is the first one's. */
void fixture_decide_user(fixture_t *fixture, fixture_request_t *request,
                         l7s_verdict_t *verdict);
/* The answer to it; `verdict` as l7s_decide_answer has it. */
void fixture_answer(fixture_t *fixture, fixture_request_t *request, l7s_answer_t answer,
                    l7s_verdict_t *verdict);
void fixture_pass_ms(fixture_t *fixture, uint64_t ms);

l7s_stats_row_t *fixture_stats(fixture_t *fixture, const char *policy);
/* Tokens in use of the only counter of its first limit. */
uint32_t fixture_used_tokens(const fixture_t *fixture, const char *policy);
/* The only running episode of this policy, or NULL. */
l7s_episode_t *fixture_episode(fixture_t *fixture, const char *policy);

#endif
