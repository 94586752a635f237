/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict on one request: made once, kept with the request, shown to the access log.
 */
#ifndef SHIELD_VERDICT_H
#define SHIELD_VERDICT_H

#include "process.h"

#include "../core/decide/decide.h"
#include "../core/rule.h"

/* Judges `r` under the values of `section`: all lists, bans and policies. NULL: admitted,
 * and nothing to tell. Else the verdict, kept with the request. */
const l7s_verdict_t *shield_verdict_make(request_rec *r, const shield_section_t *section);

/* Asks the policies that count by user, when authentication is over. NULL as above. */
const l7s_verdict_t *shield_verdict_make_user(request_rec *r,
                                              const shield_section_t *section);

/* Bans and address lists only, for hosts whose policies wait for the access checker. */
const l7s_verdict_t *shield_verdict_make_address(request_rec *r, l7s_mode_t mode);

/* What is kept with a request that has been judged. */
typedef struct shield_judged {
    const l7s_verdict_t *verdict; /* NULL: admitted, and nothing to tell */
    uint8_t awaits;               /* what policies have still to learn: L7S_AWAITS_… */
    bool knows_user;              /* authentication was over, r->user is right */
    uint16_t token_count; /* of `tokens`: to be given back if its user is refused */
    l7s_token_t *tokens;
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
const l7s_verdict_t *shield_verdict_kept(const request_rec *r);

/* Takes what was kept with `r` away from it, which is not counted any more. Lives as long
 * as `pool`; NULL: nobody judged it. */
const shield_judged_t *shield_verdict_move(request_rec *r, apr_pool_t *pool);
/* And gives it to another one. */
void shield_verdict_keep(request_rec *r, const shield_judged_t *judged);

/* What was kept with `from` holds for `to`, too, which goes on with it. */
void shield_verdict_hand_on(const request_rec *from, request_rec *to);

/* The access log reads the variables of the last request of a chain of internal
 * redirects: hands those of `verdict` on to `r`. */
void shield_verdict_show(request_rec *r, const l7s_verdict_t *verdict);

#endif
