/* SPDX-License-Identifier: Apache-2.0
 *
 * What a refused client gets to read: the policy's response if it names one, else HTML,
 * problem+json or text by what the client accepts.
 */
#ifndef SHIELD_REFUSAL_BODY_H
#define SHIELD_REFUSAL_BODY_H

#include "process.h"

#include "../core/decide/decide.h"

typedef struct {
    const char *content_type;
    const char *text;
    size_t length;
    bool negotiated; /* another client may get another one: Vary */
} shield_body_t;

#define SHIELD_STATUS_LINE_MAX 12

/* "403 Forbidden", in `room` where httpd does not know the number. */
const char *shield_status_line(unsigned status, char room[SHIELD_STATUS_LINE_MAX]);

/* The policy's own response. False: it names none that there is. */
bool shield_body_custom(request_rec *r, const l7s_verdict_t *verdict, shield_body_t *out);

/* The form that the client likes best (accept.h). */
shield_body_t shield_body_default(request_rec *r, const l7s_verdict_t *verdict);

#endif
