/* SPDX-License-Identifier: Apache-2.0
 *
 * Set to manifest and back (set_document.h).
 */
#include "set_document.h"
#include "edit.h"
#include "lists.h"

#include <string.h>

const char *admin_set_item_name(const json_t *item)
{
    const char *name =
        json_string_value(json_is_object(item) ? json_object_get(item, "name") : item);
    return name == NULL ? "" : name;
}

static json_t *normal_objects(const json_t *objects)
{
    json_t *out = json_array(), *object;
    size_t index;
    json_array_foreach(objects, index, object)
    {
        json_array_append_new(out, admin_edit_spec(object, admin_set_item_name(object)));
    }
    return out;
}

json_t *admin_set_normal(const json_t *body, const char *name)
{
    json_t *normal = admin_edit_spec(body, name), *value;
    const char *key;
    void *next;
    json_object_foreach_safe(normal, next, key, value)
    {
        if (json_is_array(value)) {
            json_object_set_new(normal, key, normal_objects(value));
        }
    }
    return normal;
}

static json_t *manifest_item(const char *member, const json_t *object)
{
    json_t *name = json_object_get(object, "name");
    json_t *entries = json_object_get(object, "entries");
    bool seeded = strcmp(member, "lists") == 0 && entries != NULL &&
                  !admin_list_owned_by_set(object);
    return seeded ? json_pack("{s:O, s:O}", "name", name, "entries", entries)
                  : json_incref(name);
}

json_t *admin_set_manifest(const json_t *normal)
{
    json_t *manifest = json_copy((json_t *)normal), *value, *object;
    const char *key;
    void *next;
    size_t index;
    json_object_foreach_safe(manifest, next, key, value)
    {
        json_t *items = json_is_array(value) ? json_array() : json_incref(value);
        json_array_foreach(value, index, object)
        {
            json_array_append_new(items, manifest_item(key, object));
        }
        json_object_set_new(manifest, key, items);
    }
    return manifest;
}

/* A list as it was sent: operators' entries are not in it. */
static json_t *as_sent(const char *member, const json_t *item, const json_t *spec)
{
    json_t *out = json_copy((json_t *)spec);
    if (strcmp(member, "lists") == 0 && !admin_list_owned_by_set(spec)) {
        if (json_is_object(item)) {
            json_object_set(out, "entries", json_object_get(item, "entries"));
        } else {
            json_object_del(out, "entries");
        }
    }
    return out;
}

static void note_state(admin_set_state_t *state, const admin_object_t *object)
{
    if (object->revision > state->revision) {
        state->revision = object->revision;
        state->updated_ms = object->updated_ms;
    }
}

/* What somebody deleted by hand is missing; what is not owned any more, too. */
static l7s_status_t add_object(admin_store_t *store, const char *set, const char *member,
                               const json_t *item, json_t *out, admin_set_state_t *state)
{
    admin_object_t object;
    l7s_status_t status = admin_object_get(store, admin_member_kind(member),
                                           admin_set_item_name(item), &object);
    if (status == L7S_OK && strcmp(object.owner, set) == 0) {
        json_array_append_new(out, as_sent(member, item, object.spec));
        note_state(state, &object);
        state->objects++;
    }
    admin_object_clear(&object);
    return status == L7S_NOT_FOUND ? L7S_OK : status;
}

json_t *admin_set_assemble(admin_store_t *store, const admin_object_t *set,
                           admin_set_state_t *state)
{
    json_t *document = json_object(), *value, *item;
    const char *key;
    size_t index;
    l7s_status_t status = L7S_OK;
    *state = (admin_set_state_t){.revision = set->revision,
                                 .created_ms = set->created_ms,
                                 .updated_ms = set->updated_ms};
    json_object_foreach(set->spec, key, value)
    {
        json_t *objects = json_is_array(value) ? json_array() : json_incref(value);
        for (index = 0; index < json_array_size(value) && status == L7S_OK; index++) {
            item = json_array_get(value, index);
            status = add_object(store, set->name, key, item, objects, state);
        }
        json_object_set_new(document, key, objects);
    }
    if (status != L7S_OK) {
        json_decref(document);
        return NULL;
    }
    return document;
}
