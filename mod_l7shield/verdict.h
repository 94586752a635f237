/* SPDX-License-Identifier: Apache-2.0
 *
 * The verdict on one request: made once, kept with the request, shown to the access log.
 */
#ifndef SHIELD_VERDICT_H
#define SHIELD_VERDICT_H

#include "judged.h"

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
