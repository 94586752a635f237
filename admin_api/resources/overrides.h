/* SPDX-License-Identifier: Apache-2.0
 *
 * Overrides, as the policies that they lie beside show them.
 */
#ifndef ADMIN_OVERRIDES_H
#define ADMIN_OVERRIDES_H

#include "../http/call.h"

/* The override of this policy that runs or will: {"mode","limit_percent","starts_at",
 * "until","reason","state"}. New reference; NULL: there is none. */
json_t *admin_override_of(const admin_call_t *call, const char *policy);
bool admin_override_runs(const json_t *override, uint64_t now_ms);

#endif
