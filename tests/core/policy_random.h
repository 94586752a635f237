/* SPDX-License-Identifier: Apache-2.0
 *
 * Random configurations and requests from one seed. Small vocabularies, so that policies,
 * lists, apps and requests meet often.
 */
#ifndef POLICY_RANDOM_H
#define POLICY_RANDOM_H

#include "policy_fixture.h"

void random_config(fixture_t *fixture, uint64_t *seed);
/* The request's strings live in the fixture, or are literals. */
void random_request(fixture_t *fixture, uint64_t *seed, fixture_request_t *request);
/* "client=203.0.113.1;": whom an operator may ban. */
const char *random_client(uint64_t *seed);

#endif
