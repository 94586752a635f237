/* SPDX-License-Identifier: Apache-2.0
 *
 * What a list's own files and the whole configuration (config.c) must agree on: what it
 * holds, and who owns the entries.
 */
#ifndef ADMIN_LISTS_H
#define ADMIN_LISTS_H

#include <jansson.h>
#include <stdbool.h>

/* "kind": "strings": values may be secrets. */
bool admin_list_holds_strings(const json_t *list);

/* "entries_from": "set". Else operators own the entries. */
bool admin_list_owned_by_set(const json_t *list);

/* Takes the entries over from the list in force when `spec` has none of its own and
 * operators own them. `before` may be NULL. */
void admin_list_adopt(json_t *spec, const json_t *before);

#endif
