/* SPDX-License-Identifier: Apache-2.0
 *
 * A verdict of the engine as the API tells it.
 */
#ifndef ADMIN_VERDICT_H
#define ADMIN_VERDICT_H

#include "../../core/decide/decide.h"
#include <jansson.h>

/* {"outcome","refused","by","action"}, and "status" of a refusal. New reference. */
json_t *admin_verdict(const l7s_verdict_t *verdict);

#endif
