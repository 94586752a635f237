/* SPDX-License-Identifier: Apache-2.0
 *
 * What a refused client gets to read: the policy's response if it names one, else HTML,
 * problem+json or text by what the client accepts.
 */
#ifndef SHIELD_REFUSAL_BODY_H
#define SHIELD_REFUSAL_BODY_H

#include "mod_l7shield.h"

#include "decide.h"

typedef struct {
    const char *content_type;
    const char *text;
    size_t length;
} shield_body_t;

/* The policy's own response. False: it names none that there is. */
bool shield_body_custom(request_rec *r, const l7s_verdict_t *verdict, shield_body_t *out);

shield_body_t shield_body_default(request_rec *r, const l7s_verdict_t *verdict);

#endif
