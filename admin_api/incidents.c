/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

void admin_incidents_list(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_incidents_summary(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_incidents_get(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_incidents_patch(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}
