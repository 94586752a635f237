/* SPDX-License-Identifier: Apache-2.0
 *
 * See assembly.h. Arrays of the parts are joined by reference, not copied.
 */
#include "assembly.h"
#include <string.h>

bool sync_manifest_is_bans(const json_t *entry)
{
    const char *name = json_string_value(json_object_get(entry, "name"));

    return name != NULL && strcmp(name, "bans") == 0;
}

static void extend(json_t *out, const char *member, const json_t *from)
{
    json_t *array = json_object_get(out, member);

    if (array == NULL) {
        array = json_array();
        json_object_set_new(out, member, array);
    }
    if (json_is_array(from)) {
        json_array_extend(array, (json_t *)from);
    }
}

json_t *sync_manifest_assemble(const json_t *manifest, const sync_parts_t *parts)
{
    static const char *const arrays[] = {"policies", "lists", "apps", "responses",
                                         "overrides"};
    const json_t *entries = json_object_get(manifest, "parts");
    json_t *document = json_object();

    for (size_t i = 0; i < json_array_size(entries); i++) {
        const json_t *entry = json_array_get(entries, i);
        if (sync_manifest_is_bans(entry)) {
            continue;
        }
        const sync_part_t *part = sync_parts_find(parts, entry);
        if (part == NULL) {
            json_decref(document);
            return NULL;
        }
        for (size_t k = 0; k < sizeof arrays / sizeof arrays[0]; k++) {
            extend(document, arrays[k], json_object_get(part->document, arrays[k]));
        }
        json_t *settings = json_object_get(part->document, "settings");
        if (settings != NULL) {
            json_object_set(document, "settings", settings);
        }
    }
    return document;
}

/* What decides whether an image must be compiled: everything but the bans. New
 * reference. */
static json_t *content(const json_t *manifest)
{
    const json_t *entries = json_object_get(manifest, "parts");
    json_t *parts = json_array();

    for (size_t i = 0; i < json_array_size(entries); i++) {
        json_t *entry = json_array_get(entries, i);
        if (!sync_manifest_is_bans(entry)) {
            json_array_append(parts, entry);
        }
    }
    return json_pack("{s:O?, s:O?, s:O?, s:o}", "config_epoch",
                     json_object_get(manifest, "config_epoch"), "revision",
                     json_object_get(manifest, "revision"), "secret_id",
                     json_object_get(manifest, "secret_id"), "parts", parts);
}

bool sync_manifest_same_policies(const json_t *a, const json_t *b)
{
    json_t *of_a = content(a), *of_b = content(b);
    bool same = json_equal(of_a, of_b) != 0;

    json_decref(of_a);
    json_decref(of_b);
    return same;
}
