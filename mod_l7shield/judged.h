/* SPDX-License-Identifier: Apache-2.0
 *
 * What is kept with a request that has been judged, until it has been answered. verdict.c
 * makes it, whoever answers or logs the request reads it and adds to it.
 */
#ifndef SHIELD_JUDGED_H
#define SHIELD_JUDGED_H

#include "process.h"

#include "../core/decide/decide.h"

typedef struct shield_judged {
    const l7s_verdict_t *verdict; /* NULL: admitted, and nothing to tell */
    uint8_t awaits;               /* what policies have still to learn: L7S_AWAITS_… */
    bool knows_user;              /* authentication was over, r->user is right */
    uint16_t token_count; /* of `tokens`: to be given back if its user is refused */
    l7s_token_t *tokens;
    uint16_t awaiting_count; /* of `awaiting`: policies that are to learn it */
    uint32_t *awaiting;
    l7s_held_t *held;  /* its places in flight, which r->pool gives back; NULL: none */
    uint64_t begun_us; /* monotonic, when it was judged */
    uint64_t
        answered_us; /* … when its worker had passed on all of the answer; 0: unknown */
    uint64_t bytes_in;   /* of its body, so far */
    uint64_t cost;       /* that the back end named */
    const char *signals; /* that it raised; NULL: none */
} shield_judged_t;

/* Kept with most requests: nothing to tell, nothing to learn. */
extern const shield_judged_t shield_judged_admitted;

/* NULL: no stage has judged it, or all that was looked at is its client's address. */
static inline const shield_judged_t *shield_judged(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &l7shield_module);
}

/* The same, where a policy waits for the answer; else NULL. */
static inline shield_judged_t *shield_judged_awaiting(const request_rec *r)
{
    shield_judged_t *judged = ap_get_module_config(r->request_config, &l7shield_module);
    return judged && judged->awaits ? judged : NULL;
}

/* The verdict that was kept, or NULL. */
static inline const l7s_verdict_t *shield_verdict_kept(const request_rec *r)
{
    const shield_judged_t *judged = shield_judged(r);
    return judged ? judged->verdict : NULL;
}

#endif
