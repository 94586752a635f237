/* SPDX-License-Identifier: Apache-2.0
 *
 * Seeds and passes: how a client shows, without any state here, that it is a browser or
 * has paid for not being one. A seed is what a proof of work begins with; a pass is the
 * cookie that exempts from one policy's challenge until it expires.
 *
 *   issued (8 hex digits) | expires (8) | bits (2) | MAC (22 of base64url)     40 bytes
 *
 * The MAC covers the fields and what the token is bound to: policy, kind of challenge,
 * the client's network (IPv4 /24, IPv6 /64: what an address pool or a household shares,
 * and little more) and its User-Agent. A token that is carried elsewhere does not hold.
 * Within these bounds a pass may be shared until it expires; limits by network are what
 * holds such a group.
 *
 * The MAC is SipHash-2-4 with a key and a tag of 128 bits each, the key derived from the
 * counting key, so that every node of a fleet takes every node's tokens and a rotated
 * secret ends them. It is a PRF made for short inputs that an attacker chooses, which is
 * what a token is; a worker that is flooded with forged ones checks each in less than a
 * thousandth of what the answer costs, and needs no library that locks or allocates.
 */
#ifndef L7S_CHALLENGE_H
#define L7S_CHALLENGE_H

#include "../addr.h"
#include "../hash.h"
#include "../rule.h"
#include <stdbool.h>

#define L7S_TOKEN_SIZE 40
#define L7S_TOKEN_MAX (L7S_TOKEN_SIZE + 1)
#define L7S_NONCE_MAX 10            /* decimal digits */
#define L7S_SEED_SECONDS 600        /* a slow telephone has its time */
#define L7S_PASS_SECONDS_MAX 604800 /* a week */
#define L7S_PASS_COOKIE "l7shield-" /* … and the policy's name */
#define L7S_CHALLENGE_PATH "/.well-known/l7shield/"

/* What a token is bound to. Strings are borrowed. */
typedef struct {
    l7s_hashkey_t key; /* l7s_challenge_key */
    const char *policy;
    l7s_challenge_t kind;
    l7s_addr_t client;
    const char *agent; /* "" or NULL: none */
} l7s_bond_t;

l7s_hashkey_t l7s_challenge_key(const l7s_hashkey_t *count_key);

void l7s_pass_write(const l7s_bond_t *bond, uint64_t now_s, uint32_t seconds,
                    char out[L7S_TOKEN_MAX]);
/* Is there a pass that holds among the cookies of a request (its header, or NULL)? */
bool l7s_pass_in_cookies(const l7s_bond_t *bond, uint64_t now_s, const char *cookies);

/* The proof that a seed wants: SHA-256 of seed, '.' and nonce begins with `bits` zeros.
 */
void l7s_seed_write(const l7s_bond_t *bond, uint64_t now_s, unsigned bits,
                    char out[L7S_TOKEN_MAX]);
/* Is `seed` one of ours for this bond, and `nonce` (decimal) its solution? */
bool l7s_seed_is_solved(const l7s_bond_t *bond, uint64_t now_s, unsigned bits,
                        const char *seed, const char *nonce);

/* May a client be sent to this target of the site? An absolute path and query in
 * printable ASCII that no browser takes for another host's address. */
bool l7s_challenge_target(const char *target);

#endif
