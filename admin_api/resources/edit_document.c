/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents on their way between client and store (edit.h): what of a body is kept, a
 * merge patch, and what the server says about an object.
 */
#include "../../core/clock.h"
#include "edit.h"

json_t *admin_edit_spec(const json_t *body, const char *name)
{
    json_t *spec = json_object();
    if (spec == NULL) {
        return NULL;
    }
    if (json_object_get(body, "name") == NULL) {
        json_object_set_new(spec, "name", json_string(name));
    }
    json_object_update(spec, (json_t *)body);
    json_object_del(spec, "status");
    return spec;
}

/* As deep as the reader lets a body be (32). */
json_t *admin_edit_merge(const json_t *target, const json_t *patch)
{
    if (!json_is_object(patch)) {
        return json_incref((json_t *)patch);
    }
    json_t *merged = json_is_object(target) ? json_copy((json_t *)target) : json_object();
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)patch, key, value)
    {
        if (json_is_null(value)) {
            json_object_del(merged, key);
        } else {
            json_object_set_new(merged, key,
                                admin_edit_merge(json_object_get(merged, key), value));
        }
    }
    return merged;
}

json_t *admin_edit_status(const admin_object_t *object)
{
    char created[L7S_TIME_TEXT], updated[L7S_TIME_TEXT];
    l7s_time_text(object->created_ms, created);
    l7s_time_text(object->updated_ms, updated);
    return json_pack("{s:I, s:s, s:s}", "revision", (json_int_t)object->revision,
                     "created_at", created, "updated_at", updated);
}
