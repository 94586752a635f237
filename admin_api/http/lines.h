/* SPDX-License-Identifier: Apache-2.0
 *
 * The body of an answer that comes in parts (page.h): one part is in memory at a time,
 * and the next is made when the client has taken it.
 */
#ifndef ADMIN_LINES_H
#define ADMIN_LINES_H

#include "request.h"

/* Takes call.text, the first part, over. NULL: no memory. */
struct MHD_Response *admin_lines_response(admin_request_t *request);

#endif
