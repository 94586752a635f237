/* SPDX-License-Identifier: Apache-2.0
 *
 * What libmicrohttpd 0.9.75 lets through and this daemon does not: requests that two
 * parsers could read differently (smuggling), names that the URL decoder would cut or
 * merge, foreign Host and Origin headers. Nothing here allocates per request: a request
 * that dies before its handler runs gets no completion callback.
 */
#ifndef ADMIN_GUARD_H
#define ADMIN_GUARD_H

#include "../../core/status.h"
#include <microhttpd.h>

#define ADMIN_GUARD_TEXT 160

/* Looks at the raw request target. Returns a static string: "" or what is wrong. It is
 * recognised again by admin_guard_is_verdict. */
const char *admin_guard_target(const char *target);
bool admin_guard_is_verdict(const void *pointer);

/* Framing and duplicates. False: `why` says what is wrong; answer 400 and close. */
bool admin_guard_headers(struct MHD_Connection *connection, const char *version,
                         char why[ADMIN_GUARD_TEXT]);
/* Against DNS rebinding: only loopback names, literal addresses, this host's own name and
 * those that are `allowed` are served; with any_name whatever is a name. */
bool admin_guard_host(struct MHD_Connection *connection, bool any_name,
                      const char *const *allowed, size_t count,
                      char why[ADMIN_GUARD_TEXT]);
/* An Origin header must name this very server. */
bool admin_guard_origin(struct MHD_Connection *connection, bool tls);

#endif
