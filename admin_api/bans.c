/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

void admin_bans_list(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_bans_get(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_bans_put(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_bans_delete(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_bans_delete_many(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}

void admin_bans_batch(admin_call_t *call)
{
    admin_call_problem(call, "not_implemented", "This is not written yet.");
}
