/* SPDX-License-Identifier: Apache-2.0
 *
 * Random configurations and requests from one seed. Small vocabularies, so that policies,
 * lists, apps and requests meet often.
 */
#ifndef POLICY_RANDOM_H
#define POLICY_RANDOM_H

#include "policy_fixture.h"

/* With `rich` ones there are policies that count by the answer or what is in flight, that
 * escalate or challenge. */
void random_config(fixture_t *fixture, uint64_t *seed, bool rich);
/* The request's strings live in the fixture, or are literals. */
void random_request(fixture_t *fixture, uint64_t *seed, fixture_request_t *request);
l7s_answer_t random_answer(uint64_t *seed);

/* The policy counts by the answer. Its rates stand. */
void random_deferral(fixture_t *fixture, uint64_t *seed, l7s_policy_t *policy);
/* … escalates. Its action stands. */
void random_steps(uint64_t *seed, l7s_policy_t *policy);

/* "client=203.0.113.1;": whom an operator may ban. */
const char *random_client(uint64_t *seed);

#endif
