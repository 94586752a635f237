/* SPDX-License-Identifier: Apache-2.0
 *
 * The decision about one request: lists, bans, policies, in this order (API.md, "What it
 * means, exactly"). No I/O, no lock, no allocation; it reads the image and moves counters
 * of the shared segment. Strict policies wait through a function of the caller's. Two
 * steps, so that observing costs exactly what enforcing costs: first every matching
 * policy is asked whether the request conforms, then, only when it is admitted, all of
 * them are charged.
 */
#ifndef L7S_DECIDE_H
#define L7S_DECIDE_H

#include "../image/image.h"
#include "../match/request.h"
#include "../segment/segment.h"
#include "challenge.h"
#include "outcome.h"

/* A request takes its place in flight for so many policies at most; for further ones it
 * goes uncounted. */
#define L7S_FLIGHTS_PER_REQUEST 4
typedef struct {
    uint32_t count;
    int32_t owner;
    uint32_t places[L7S_FLIGHTS_PER_REQUEST];
} l7s_held_t;

/* For ADMITTED only `outcome` is set (and awaits, tokens, held); for the others the
 * strings are too ("" where there is nothing to say). */
typedef struct {
    l7s_outcome_t outcome;
    l7s_held_t held; /* set by l7s_decide: places in flight */
    /* Set by l7s_decide: what policies have still to learn. Refused: nothing. */
    uint16_t awaits;
    uint16_t awaiting; /* of request->awaiting */
    uint16_t tokens;   /* set by l7s_decide with L7S_AWAITS_USER: of request->tokens */
    uint16_t status;   /* of the refusal; DROPPED: of one where dropping will not do */
    uint32_t retry_after_seconds; /* 0: not known (a ban without an end) */
    char action[16];              /* "deny", "would_ban", "log", … for the access log */
    char policy[L7S_POLICY_NAME_MAX]; /* or the list's name */
    char incident[L7S_INCIDENT_ID_MAX];
    char key[160]; /* "client=203.0.113.7", secrets as h:… */
    char response[L7S_POLICY_NAME_MAX];
    /* CHALLENGED only. token "": the client cannot be asked, and is refused. */
    struct {
        l7s_challenge_t kind;
        uint8_t bits;
        uint32_t seconds;          /* of the pass */
        char token[L7S_TOKEN_MAX]; /* the pass (cookie) or the seed (proof of work) */
    } challenge;
} l7s_verdict_t;

/* `image` is pinned by the caller. Counts the verdict in the segment's header, too. */
void l7s_decide(const l7s_shared_t *shared, const l7s_image_t *image,
                const l7s_request_t *request, l7s_now_t now, l7s_verdict_t *verdict);

/* Asks the policies that count by user, after l7s_decide has said that it awaits one and
 * once authentication is over; request->user is NULL for who has none. `verdict` and
 * request->tokens hold what was said and taken before; what is stronger takes the
 * verdict's place. A refusal gives back what the request was charged for and its places
 * in flight; only what the store took for a strict policy stays taken. `answered`: it has
 * passed, so it is only counted. */
void l7s_decide_user(const l7s_shared_t *shared, const l7s_image_t *image,
                     const l7s_request_t *request, bool answered, l7s_now_t now,
                     l7s_verdict_t *verdict);

/* The request is over: gives back its places in flight. More than once is harmless. */
void l7s_decide_over(const l7s_shared_t *shared, l7s_held_t *held);

/* Could an address alone be refused? Mostly not: two compares. */
bool l7s_addresses_matter(const l7s_shared_t *shared, const l7s_image_t *image);

/* The connection stage: is this peer refused by address alone (ban or deny list without
 * apps, and no allow list)? `image` may be NULL. */
bool l7s_decide_address(const l7s_shared_t *shared, const l7s_image_t *image,
                        const l7s_addr_t *peer, l7s_mode_t mode, l7s_now_t now,
                        l7s_verdict_t *verdict);

#endif
