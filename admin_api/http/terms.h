/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters that select rows of events.db: values of a column, and a client.
 */
#ifndef ADMIN_TERMS_H
#define ADMIN_TERMS_H

#include "../store/store_events.h"

/* Adds the values of the repeatable parameter `name`, if there are any, as one term. The
 * values are borrowed from the call. False: the call has its problem. */
bool admin_terms_add(admin_call_t *call, const char *name, admin_term_t *terms,
                     size_t *count);
/* Reads ?client=: an address or a network. *given tells whether there is one. False: the
 * call has its problem. */
bool admin_terms_client(admin_call_t *call, l7s_cidr_t *out, bool *given);

#endif
