/* SPDX-License-Identifier: Apache-2.0
 *
 * How a refusal looks: headers, body, and the few bytes for a connection that is not
 * worth parsing.
 */
#ifndef SHIELD_REFUSE_H
#define SHIELD_REFUSE_H

#include "process.h"

#include "../core/decide/decide.h"

/* Refuses `r` as `verdict` says. The hook returns what this returns: DONE (the answer has
 * been sent, the connection stays open) or a status (the site's ErrorDocument answers).
 */
int shield_refuse(request_rec *r, const l7s_verdict_t *verdict);

/* A whole HTTP/1.1 answer with "Connection: close" for `verdict`. Returns its length, at
 * most `capacity`; there is no NUL. */
size_t shield_refuse_render(const l7s_verdict_t *verdict, char *out, size_t capacity);

#endif
