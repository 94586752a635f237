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

/* What was kept, or NULL. */
const l7s_verdict_t *shield_verdict_kept(const request_rec *r);

/* The access log reads the variables of the last request of a chain of internal
 * redirects: hands those of `verdict` on to `r`. */
void shield_verdict_show(request_rec *r, const l7s_verdict_t *verdict);

#endif
