/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request counts by: the tuple of a count spec, its digest, and how it reads in
 * records and logs. Policies that count alike share a spec, so each digest is computed at
 * most once per request, and only when something asks. For decide.c only.
 */
#ifndef L7S_TUPLE_H
#define L7S_TUPLE_H

#include "match.h"

#define L7S_TUPLE_TEXT_MAX 160

/* On the caller's stack; only the first bytes of `states`, one per spec, are ever set
 * without being asked for. */
typedef struct {
    l7s_matcher_t *matcher;
    uint8_t states[L7S_SPECS_MAX];
    l7s_hash128_t digests[L7S_SPECS_MAX];
} l7s_tuples_t;

void l7s_tuples_begin(l7s_tuples_t *tuples, l7s_matcher_t *matcher);

/* What is known of a spec's tuple; 0: nothing yet. */
enum { L7S_TUPLE_KNOWN = 1, L7S_TUPLE_SKIPPED = 2, L7S_TUPLE_HAS_CLIENT = 4 };

__attribute__((noinline)) void l7s_tuples_compute(l7s_tuples_t *tuples, uint32_t spec);

/* The digest, or NULL: the request lacks what is counted by, and the policy does not
 * count such requests. */
static inline const l7s_hash128_t *l7s_tuples_digest(l7s_tuples_t *tuples, uint32_t spec)
{
    if (tuples->states[spec] == 0) {
        l7s_tuples_compute(tuples, spec);
    }
    return (tuples->states[spec] & L7S_TUPLE_SKIPPED) != 0 ? NULL
                                                           : &tuples->digests[spec];
}

/* Does the tuple hold the client's address or network? After l7s_tuples_digest. */
static inline bool l7s_tuples_has_client(const l7s_tuples_t *tuples, uint32_t spec)
{
    return (tuples->states[spec] & L7S_TUPLE_HAS_CLIENT) != 0;
}

/* The digest of ["client"], whether anything counts by it or not. */
static inline l7s_hash128_t l7s_tuples_client(l7s_tuples_t *tuples)
{
    return *l7s_tuples_digest(tuples, L7S_SPEC_CLIENT);
}

/* The digest of ["client"] is known from elsewhere. */
static inline void l7s_tuples_learn_client(l7s_tuples_t *tuples, l7s_hash128_t digest)
{
    tuples->states[L7S_SPEC_CLIENT] = L7S_TUPLE_KNOWN | L7S_TUPLE_HAS_CLIENT;
    tuples->digests[L7S_SPEC_CLIENT] = digest;
}

/* True when a ban of the tuple is an address ban, since it is the client or its network
 * alone. Fills the network. (Single IPv6 addresses are no clients: a ban by them is one
 * of a tuple.) */
bool l7s_tuples_ban_network(const l7s_tuples_t *tuples, uint32_t spec, l7s_cidr_t *out);

/* The tuple as people read it, "client=203.0.113.7,path=/login", or as JSON, cut where it
 * does not fit. What may be a secret stands there as "h:" and a keyed hash; bytes that
 * are not printable ASCII as %XX. */
void l7s_tuples_text(const l7s_tuples_t *tuples, uint32_t spec,
                     char out[L7S_TUPLE_TEXT_MAX]);
void l7s_tuples_json(const l7s_tuples_t *tuples, uint32_t spec,
                     char out[L7S_TUPLE_TEXT_MAX]);

#endif
