/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

void admin_health_livez(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_health_readyz(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}
