/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/responses: bodies of refusals. Nothing but a named object (objects.c).
 */
#include "objects.h"
#include "resources.h"

static const admin_kind_t kind = {.kind = "response"};

void admin_responses_list(admin_call_t *call)
{
    admin_objects_list(call, &kind);
}

void admin_responses_get(admin_call_t *call)
{
    admin_objects_get(call, &kind);
}

void admin_responses_put(admin_call_t *call)
{
    admin_objects_put(call, &kind);
}

void admin_responses_delete(admin_call_t *call)
{
    admin_objects_delete(call, &kind);
}
