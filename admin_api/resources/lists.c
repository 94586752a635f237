/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/lists: named objects (objects.c) whose entries operators own, unless the document
 * says that a set does: a PUT without entries leaves those that are there alone.
 */
#include "lists.h"
#include "../../core/json/config.h"
#include "objects.h"
#include "resources.h"

/* Those in force; what has expired may still stand in the document. */
static void describe(const admin_call_t *call, const json_t *spec, json_t *status)
{
    json_t *list = l7s_list_unexpired(spec, call->now_ms);
    size_t count = json_array_size(json_object_get(list, "entries"));
    json_decref(list);
    json_object_set_new(status, "entry_count", json_integer((json_int_t)count));
}

static const admin_kind_t kind = {
    .kind = "list", .describe = describe, .adopt = admin_list_adopt};

void admin_lists_list(admin_call_t *call)
{
    admin_objects_list(call, &kind);
}

void admin_lists_get(admin_call_t *call)
{
    admin_objects_get(call, &kind);
}

void admin_lists_put(admin_call_t *call)
{
    admin_objects_put(call, &kind);
}

void admin_lists_patch(admin_call_t *call)
{
    admin_objects_patch(call, &kind);
}

void admin_lists_delete(admin_call_t *call)
{
    admin_objects_delete(call, &kind);
}
