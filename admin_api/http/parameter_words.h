/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters as the contract describes them: a value that it does not list is an
 * error, never a filter that matches nothing.
 */
#ifndef ADMIN_PARAMETER_WORDS_H
#define ADMIN_PARAMETER_WORDS_H

#include "route.h"

/* Is `value` one of those that the contract lists for this parameter (the words of an
 * enum, true and false of a boolean)? Parameters of other kinds are their handlers'
 * business. False: the call has its problem. */
bool admin_parameter_words(admin_call_t *call, const admin_route_t *route,
                           const char *name, const char *value);

#endif
