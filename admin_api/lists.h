/* SPDX-License-Identifier: Apache-2.0
 *
 * What a list's own files and the whole configuration (config.c) must agree on: who owns
 * the entries.
 */
#ifndef ADMIN_LISTS_H
#define ADMIN_LISTS_H

#include <jansson.h>
#include <stdbool.h>

/* "entries_from": "set". Else operators own the entries. */
bool admin_list_owned_by_set(const json_t *list);

/* Takes the entries over from the list in force when `spec` has none of its own and
 * operators own them. `before` may be NULL. */
void admin_list_adopt(json_t *spec, const json_t *before);

#endif
