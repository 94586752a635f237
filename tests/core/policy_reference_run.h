/* SPDX-License-Identifier: Apache-2.0
 *
 * One request going through the reference: what its parts (matching, counting, acting)
 * ask each other.
 */
#ifndef POLICY_REFERENCE_RUN_H
#define POLICY_REFERENCE_RUN_H

#include "policy_reference.h"

typedef struct {
    reference_t *all;
    reference_open_t *open;
    const l7s_request_t *request;
    l7s_now_t now;
    reference_verdict_t *verdict;
    const char *app;
    l7s_mode_t mode, app_mode;
    char spoken[L7S_POLICY_NAME_MAX];
    const l7s_answer_t *answer; /* NULL: not known yet */
    uint32_t units;             /* counted now, where these are not requests */
} reference_run_t;

typedef struct {
    bool skipped, has_client;
    char text[REFERENCE_KEY];
    l7s_key_t encoding;
} reference_tuple_t;

/* --- policy_reference_match.c --- */

bool reference_any_text(const l7s_strings_t *texts, const char *text);
const l7s_list_t *reference_list_named(const reference_run_t *run, const char *name);
bool reference_in_list(const reference_run_t *run, const l7s_list_t *list,
                       uint64_t now_ms);
bool reference_matches(const reference_run_t *run, const l7s_policy_t *policy);
void reference_find_app(reference_run_t *run);
const char *reference_part_value(const reference_run_t *run, const l7s_by_t *by);
void reference_make_tuple(const reference_run_t *run, const l7s_policy_t *policy,
                          reference_tuple_t *tuple);
/* A single IPv6 address is no client: it is banned like any other tuple. */
bool reference_is_address(const reference_run_t *run, const l7s_policy_t *policy);

/* --- policy_reference_count.c --- */

/* Microseconds until `cost` tokens conform to the slowest rate; 0: they do. */
uint64_t reference_wait(reference_run_t *run, size_t policy, const char *tuple,
                        uint32_t cost);
/* Is there a counter of the first rate that the request is held to? */
bool reference_has_counter(reference_run_t *run, size_t policy, const char *tuple);
/* A token of each rate; the fleet hears of it when it is booked. */
void reference_take(reference_run_t *run, size_t policy, const char *tuple);
void reference_give_back(reference_run_t *run, size_t policy, const char *tuple);
void reference_book(reference_run_t *run, size_t policy, const char *tuple);
/* What is known afterwards, without asking. */
void reference_debit(reference_run_t *run, size_t policy, const char *tuple,
                     uint32_t amount);
/* An episode of this key begins. Returns how many of the policy's steps it has climbed.
 */
size_t reference_climb(reference_run_t *run, size_t policy, const char *key);

/* --- policy_reference_act.c --- */

typedef enum { REFERENCE_CONFORMS, REFERENCE_GOES_ON, REFERENCE_ENDS } reference_said_t;

typedef struct {
    size_t policy;
    const reference_tuple_t *tuple;
    l7s_mode_t mode;
    uint64_t wait_us;
    bool simulated;
} reference_trip_t;

void reference_say(reference_run_t *run, l7s_outcome_t outcome, const char *policy,
                   uint16_t status, uint64_t retry_us);
const reference_ban_t *reference_find_ban(reference_run_t *run, const char *key);
/* The banned one of the client's address and its networks, the narrowest last but the
 * client first. */
const reference_ban_t *reference_find_address_ban(reference_run_t *run);
/* True: refused. `key`: the tuple of a ban that is not one of an address, else NULL. */
bool reference_ban_speaks(reference_run_t *run, const reference_ban_t *ban,
                          l7s_mode_t mode, const char *key);
bool reference_is_simulated(reference_run_t *run, size_t index,
                            const reference_tuple_t *tuple, l7s_mode_t mode);
reference_said_t reference_trips(reference_run_t *run, const reference_trip_t *trip);
/* Admitted: that counts in the key's episode, if its counter knows of one. */
void reference_passed(reference_run_t *run, size_t policy, const char *tuple);

#endif
