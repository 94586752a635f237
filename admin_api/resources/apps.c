/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/apps: the protected applications, their hosts, paths and tiers. Nothing but a named
 * object (objects.c).
 */
#include "objects.h"
#include "resources.h"

static const admin_kind_t kind = {.kind = "app"};

void admin_apps_list(admin_call_t *call)
{
    admin_objects_list(call, &kind);
}

void admin_apps_get(admin_call_t *call)
{
    admin_objects_get(call, &kind);
}

void admin_apps_put(admin_call_t *call)
{
    admin_objects_put(call, &kind);
}

void admin_apps_patch(admin_call_t *call)
{
    admin_objects_patch(call, &kind);
}

void admin_apps_delete(admin_call_t *call)
{
    admin_objects_delete(call, &kind);
}
