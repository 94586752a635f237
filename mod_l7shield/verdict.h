/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict on one request: made once, kept with the request, shown to the access log.
 */
#ifndef SHIELD_VERDICT_H
#define SHIELD_VERDICT_H

#include "mod_l7shield.h"

#include "decide.h"

/* Judges `r` under the values of `section`: all lists, bans and policies. NULL: admitted,
 * and nothing to tell. Else the verdict, kept with the request. */
const l7s_verdict_t *shield_verdict_make(request_rec *r, const shield_section_t *section);

/* Bans and address lists only, for hosts whose policies wait for the access checker. */
const l7s_verdict_t *shield_verdict_make_address(request_rec *r, l7s_mode_t mode);

/* What is kept with a request that has been judged. */
typedef struct {
    const l7s_verdict_t *verdict; /* NULL: admitted, and nothing to tell */
    bool awaits_answer;           /* a policy counts it when it is answered */
} shield_judged_t;

/* NULL: no stage has judged it, or all that was looked at is its client's address. */
static inline const shield_judged_t *shield_judged(const request_rec *r)
{
    return ap_get_module_config(r->request_config, &l7shield_module);
}

/* The verdict that was kept, or NULL. */
const l7s_verdict_t *shield_verdict_kept(const request_rec *r);

/* What was kept with `from` holds for `to`, too, which goes on with it. */
void shield_verdict_hand_on(const request_rec *from, request_rec *to);

/* The access log reads the variables of the last request of a chain of internal
 * redirects: hands those of `verdict` on to `r`. */
void shield_verdict_show(request_rec *r, const l7s_verdict_t *verdict);

#endif
