/* SPDX-License-Identifier: Apache-2.0
 *
 * httpd's request as core wants to see it.
 */
#ifndef SHIELD_REQUEST_H
#define SHIELD_REQUEST_H

#include "process.h"

#include "../core/decide/decide.h"
#include "../core/path.h"

/* httpd's default LimitRequestLine and a NUL. Of a path that is cut only the beginning is
 * judged, so a long segment would lead past a pattern with something behind its star. */
#define SHIELD_PATH_MAX 8191

/* On the caller's stack; the buffer is used only where httpd's path is no normal one. */
typedef struct {
    l7s_request_t facts;
    char path[SHIELD_PATH_MAX];
} shield_request_t;

/* False: not an IP address (a unix socket); there is nobody to judge. */
bool shield_addr(const apr_sockaddr_t *from, l7s_addr_t *out);

/* Reads `r` under the values of `section`. `out` borrows from both. False as above. */
bool shield_request_read(request_rec *r, const shield_section_t *section,
                         shield_request_t *out);

#endif
