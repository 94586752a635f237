/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters as values: numbers, times, and which rows are asked for. A parameter
 * that is wrong gives the call its problem.
 */
#ifndef ADMIN_PARAMETERS_H
#define ADMIN_PARAMETERS_H

#include "../store/selection.h"
#include "call.h"

/* A number from `min` to `max`; absent leaves *out alone. False: the call has its
 * problem. */
bool admin_parameter_number(admin_call_t *call, const char *name, int64_t min,
                            int64_t max, int64_t *out);

/* RFC 3339, or "-15m" (s, m, h, d) before now. 0 when absent. False: the call has its
 * problem. */
bool admin_parameter_time(admin_call_t *call, const char *name, uint64_t *out_ms);

/* The values of the repeatable parameters `columns` (NULL-terminated; borrowed from the
 * call), ?client=, ?since= and ?until=. False: the call has its problem. */
bool admin_parameter_selection(admin_call_t *call, const char *const *columns,
                               admin_selection_t *out);

#endif
