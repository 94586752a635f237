/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer of our own, sent from whatever hook decided, through all filters that an
 * error would pass.
 */
#ifndef SHIELD_SEND_H
#define SHIELD_SEND_H

#include "process.h"

/* `text` lives as long as the request. Headers are in r->err_headers_out. Returns DONE.
 */
int shield_send(request_rec *r, int status, const char *type, const char *text,
                size_t length);

/* The second half of it, where status and error filters are set. */
int shield_send_body(request_rec *r, const char *type, const char *text, size_t length);

#endif
