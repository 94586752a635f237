/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

void admin_metrics_get(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}
