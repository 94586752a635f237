/* SPDX-License-Identifier: Apache-2.0
 *
 * Refusals of cross-origin requests. Whether another site's script may read an answer is
 * the site's decision (`Header always set Access-Control-Allow-Origin …`), never the
 * shield's. Where the site lets it, the script may read our headers too: a browser shows
 * it neither Retry-After nor the incident unless Access-Control-Expose-Headers names
 * them.
 */
#ifndef SHIELD_CORS_H
#define SHIELD_CORS_H

#include "process.h"

/* Once, from register_hooks. */
void shield_cors_register(void);

/* For a refusal about to be sent through filters: looks, once they have run, at what the
 * site allowed. Does nothing for a request of the same origin, which names none. */
void shield_cors_follow(request_rec *r);

#endif
