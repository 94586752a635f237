/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

void admin_nodes_list(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_nodes_get(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_nodes_delete(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}
