/* SPDX-License-Identifier: Apache-2.0
 *
 * An answer in lines that is written while it is sent: one thread makes it, the
 * connection's takes what there is and sleeps in between. The two may end in any order.
 */
#ifndef ADMIN_REPORT_H
#define ADMIN_REPORT_H

#include "../../core/status.h"
#include <jansson.h>
#include <microhttpd.h>

typedef struct admin_report admin_report_t;

admin_report_t *admin_report_create(void); /* NULL: no memory */

/* Writes one line. Where the reader is slow, lines that may be left out are. False: the
 * reader has gone, or memory has; there is nobody to write for any more. */
bool admin_report_line(admin_report_t *report, const json_t *line, bool may_be_left_out);
/* The writer's last call. */
void admin_report_end(admin_report_t *report);

/* The reader's part: the body of an answer; takes over the reader's share of the report,
 * also when it fails (NULL). */
struct MHD_Response *admin_report_response(admin_report_t *report,
                                           struct MHD_Connection *connection);
/* There will be no answer: the reader's share is given up. */
void admin_report_drop(admin_report_t *report);

#endif
