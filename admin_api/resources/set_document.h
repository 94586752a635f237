/* SPDX-License-Identifier: Apache-2.0
 *
 * A set between the document that its owner sends and the store, where its objects lie
 * like any others. What is stored of the set itself is a manifest: the same document with
 * names in the place of objects, so that it comes back in the order in which it was sent.
 * A list whose entries are the operators' keeps the ones that were sent there, too.
 */
#ifndef ADMIN_SET_DOCUMENT_H
#define ADMIN_SET_DOCUMENT_H

#include "../store/store_objects.h"

typedef struct {
    int64_t revision; /* the last that touched the set or an object of it */
    uint64_t created_ms, updated_ms;
    size_t objects;
} admin_set_state_t;

/* What a client sent without what the server owns, name first. New reference. */
json_t *admin_set_normal(const json_t *body, const char *name);
/* Of a normal document. New reference. */
json_t *admin_set_manifest(const json_t *normal);
/* The document as it was sent, from the objects that the set owns now, and their state.
 * New reference; NULL: the store cannot be read. */
json_t *admin_set_assemble(admin_store_t *store, const admin_object_t *set,
                           admin_set_state_t *state);
/* "web" of "web" or {"name":"web",…}. */
const char *admin_set_item_name(const json_t *item);

#endif
