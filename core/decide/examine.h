/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is challenged, and who has passed. Only a person's browser that opens a page can
 * answer a challenge: GET (or HEAD) of something that is to be HTML. Programs, feeds,
 * scripts of a page and forms that are sent cannot, and are admitted unless the policy
 * says otherwise; a CORS preflight is never challenged.
 */
#ifndef L7S_EXAMINE_H
#define L7S_EXAMINE_H

#include "challenge.h"
#include "decide.h"

/* What a client brings back from a challenge; borrowed strings, "" for what is not there.
 */
typedef struct {
    const char *policy, *seed, *nonce;
} l7s_proof_t;

typedef struct {
    char pass[L7S_TOKEN_MAX]; /* "": it has one already */
    uint32_t seconds;
} l7s_ticket_t;

typedef enum {
    L7S_PROOF_HOLDS,
    L7S_PROOF_NO_COOKIE, /* the cookie that it was given has not come back */
    L7S_PROOF_WRONG      /* not solved, too old, another network or browser */
} l7s_proof_result_t;

l7s_proof_result_t l7s_challenge_redeem(const l7s_image_t *image,
                                        const l7s_request_t *request,
                                        const l7s_proof_t *proof, l7s_now_t now,
                                        l7s_ticket_t *out);

#endif
