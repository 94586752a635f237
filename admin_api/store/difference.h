/* SPDX-License-Identifier: Apache-2.0
 *
 * What changed between two documents, for people: a bounded array of
 * {"pointer","op":"add"|"remove"|"replace","from","to"}; an array shows
 * {"pointer","op":"replace","removed":[…],"added":[…]}: items that have a value or a name
 * of their own as such (an entry that changed is removed and added, one that moved is
 * neither), of others what lies between the common head and tail.
 */
#ifndef ADMIN_DIFFERENCE_H
#define ADMIN_DIFFERENCE_H

#include <jansson.h>

#define ADMIN_DIFFERENCES_MAX 100
#define ADMIN_DIFFERENCE_ITEMS_MAX 100

/* Either may be NULL (created, deleted). Beyond the maximum the last item is
 * {"op":"more","count":n}. New reference; NULL: no memory. */
json_t *admin_difference(const json_t *from, const json_t *to);

#endif
