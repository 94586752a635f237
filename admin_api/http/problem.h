/* SPDX-License-Identifier: Apache-2.0
 *
 * The one envelope of errors (RFC 9457) and the one table that turns a stable code into a
 * status and a title. A code that is not in the table is a programming error and answers
 * 500.
 */
#ifndef ADMIN_PROBLEM_H
#define ADMIN_PROBLEM_H

#include "call.h"

/* The problem+json document of a call that failed. New reference; NULL: no memory. */
json_t *admin_problem_document(const admin_call_t *call);

/* Answers with the problem that stands for a core status: the store cannot be written, no
 * memory, … Never with L7S_OK. */
void admin_call_failed(admin_call_t *call, l7s_status_t status);
/* The same of reading one object: 404 names what there is none of ("policy"). */
void admin_call_unread(admin_call_t *call, l7s_status_t status, const char *noun,
                       const char *name);

/* Answers 422 `code` with the problems that are in call->problems already; the detail
 * counts them. */
void admin_call_invalid(admin_call_t *call);

#endif
