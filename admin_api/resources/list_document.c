/* SPDX-License-Identifier: Apache-2.0
 *
 * What a list's document says about who owns its entries (lists.h).
 */
#include "lists.h"

#include <string.h>

bool admin_list_holds_strings(const json_t *list)
{
    const char *kind = json_string_value(json_object_get(list, "kind"));
    return kind != NULL && strcmp(kind, "strings") == 0;
}

bool admin_list_owned_by_set(const json_t *list)
{
    const char *from = json_string_value(json_object_get(list, "entries_from"));
    return from != NULL && strcmp(from, "set") == 0;
}

void admin_list_adopt(json_t *spec, const json_t *before)
{
    json_t *entries = json_object_get(before, "entries");
    if (entries != NULL && json_object_get(spec, "entries") == NULL &&
        !admin_list_owned_by_set(spec)) {
        json_object_set(spec, "entries", entries);
    }
}
