/* SPDX-License-Identifier: Apache-2.0
 *
 * Challenges as a browser sees them: the page that asks, the script that works, the
 * address that checks. Who is asked and who has passed is core's business (examine.h).
 */
#ifndef SHIELD_CHALLENGE_H
#define SHIELD_CHALLENGE_H

#include "process.h"

#include "../core/decide/decide.h"

/* Sends the page of a challenge in the place of what was asked for. Returns DONE. */
int shield_challenge_ask(request_rec *r, const l7s_verdict_t *verdict);

/* Answers requests for our own addresses, whatever the site has there: authentication
 * and other sites' handlers must not stand between a client and its pass. DECLINED: it is
 * none of them, or no policy challenges. */
__attribute__((noinline)) int shield_challenge_serve(request_rec *r,
                                                     const shield_section_t *section);

/* Mostly one compare. */
static inline bool shield_challenge_may_serve(const request_rec *r)
{
    return r->uri && r->uri[0] == '/' && r->uri[1] == '.';
}

#endif
