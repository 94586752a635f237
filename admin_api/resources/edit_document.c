/* SPDX-License-Identifier: Apache-2.0
 *
 * Documents on their way between client and store (edit.h): what of a body is kept, a
 * merge patch, and what the server says about an object.
 */
#include "../../core/json/json_time.h"
#include "../../core/schema/schema.h"
#include "edit.h"

#include <string.h>

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

void admin_edit_check_name(l7s_problems_t *problems, const char *name)
{
    json_t *text = json_string(name);
    if (l7s_schema_validate(l7s_openapi_schema("Name"), text, NULL) != L7S_OK) {
        l7s_problems_add(problems, "/name", "pattern",
                         "a name is 1 to 63 of a-z, 0-9 and \"-\", without \"-\" at its"
                         " ends");
    }
    json_decref(text);
}

void admin_edit_check_own_name(l7s_problems_t *problems, const char *name,
                               const json_t *document)
{
    const char *own = json_string_value(json_object_get(document, "name"));
    if (own != NULL && strcmp(own, name) != 0) {
        l7s_problems_add(problems, "/name", "name_mismatch",
                         "the path says \"%.63s\": leave the name out or write this one",
                         name);
    }
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
    return json_pack("{s:I, s:o, s:o}", "revision", (json_int_t)object->revision,
                     "created_at", l7s_json_time(object->created_ms), "updated_at",
                     l7s_json_time(object->updated_ms));
}
