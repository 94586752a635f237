/* SPDX-License-Identifier: Apache-2.0
 *
 * What other layers ask of an image that has been checked (image_check.c): who it counts
 * for, its limits by id, the bodies of its refusals. Evaluating it is match.c's and
 * decide.c's.
 */
#include "image_layout.h"

#include <string.h>

const l7s_hashkey_t *l7s_image_count_key(const l7s_image_t *image)
{
    return &image->count_key;
}

uint64_t l7s_image_revision(const l7s_image_t *image)
{
    return image->revision;
}

bool l7s_image_has_strict(const l7s_image_t *image)
{
    return image->has_strict != 0;
}

bool l7s_image_needs_origin(const l7s_image_t *image)
{
    return image->needs_origin != 0;
}

uint32_t l7s_image_policies(const l7s_image_t *image)
{
    return image->sections[L7S_SECTION_POLICIES].count;
}

const l7s_image_limit_t *l7s_image_limits(const l7s_image_t *image, uint32_t *count)
{
    *count = image->sections[L7S_SECTION_LIMITS].count;
    return l7s_image_section(image, L7S_SECTION_LIMITS);
}

const l7s_image_limit_t *l7s_image_limit(const l7s_image_t *image, uint32_t id)
{
    const l7s_image_limit_t *limits = l7s_image_section(image, L7S_SECTION_LIMITS);
    const uint32_t *ids = l7s_image_section(image, L7S_SECTION_LIMIT_IDS);
    uint32_t places = image->sections[L7S_SECTION_LIMIT_IDS].count;

    for (uint32_t i = 0; i < places; i++) {
        uint32_t limit = ids[(id + i) & (places - 1)];
        if (limit == 0) {
            return NULL;
        }
        if (limits[limit - 1].id == id) {
            return &limits[limit - 1];
        }
    }
    return NULL;
}

bool l7s_image_response(const l7s_image_t *image, const char *name,
                        const char **content_type, const char **body)
{
    const l7s_image_response_t *responses =
        l7s_image_section(image, L7S_SECTION_RESPONSES);

    for (uint32_t i = 0; name && i < image->sections[L7S_SECTION_RESPONSES].count; i++) {
        if (strcmp(l7s_image_text(image, responses[i].name), name) == 0) {
            *content_type = l7s_image_text(image, responses[i].content_type);
            *body = l7s_image_text(image, responses[i].body);
            return true;
        }
    }
    return false;
}

static bool is_free(const l7s_image_string_t *string)
{
    return (string->digest.lo | string->digest.hi) == 0;
}

const l7s_image_string_t *l7s_image_string(const l7s_image_t *image, uint32_t list,
                                           const char *value)
{
    const l7s_image_list_t *lists = l7s_image_section(image, L7S_SECTION_LISTS);
    l7s_run_t run = lists[list].strings;
    const l7s_image_string_t *strings =
        (const l7s_image_string_t *)l7s_image_section(image, L7S_SECTION_STRINGS) +
        run.first;
    l7s_hash128_t digest;

    if (run.count == 0) {
        return NULL;
    }
    digest = l7s_siphash128(&image->count_key, value, strlen(value));
    for (uint32_t i = 0; i < run.count; i++) {
        const l7s_image_string_t *at =
            &strings[((uint32_t)digest.lo + i) & (run.count - 1)];
        if (is_free(at)) {
            return NULL;
        }
        if (at->digest.lo == digest.lo && at->digest.hi == digest.hi) {
            return at;
        }
    }
    return NULL;
}

const l7s_entry_t *l7s_names_find(const l7s_image_t *image, const l7s_names_t *names,
                                  uint32_t hash, const char *text, size_t length)
{
    const l7s_entry_t *entries =
        (const l7s_entry_t *)l7s_image_section(image, L7S_SECTION_ENTRIES) + names->first;
    uint32_t place = l7s_entry_place(hash, names->mask);

    for (uint32_t i = 0; i <= names->mask; i++, place = (place + 1) & names->mask) {
        const l7s_entry_t *entry = &entries[place];
        if (entry->length == 0) {
            return NULL;
        }
        if (entry->hash == hash && entry->length == length &&
            memcmp(l7s_image_text(image, entry->text), text, length) == 0) {
            return entry;
        }
    }
    return NULL;
}

uint32_t l7s_names_index(const l7s_image_t *image, const l7s_names_t *names,
                         const char *text)
{
    size_t length = strlen(text);
    const l7s_entry_t *entry;

    if (!l7s_names_has_length(names, length)) {
        return L7S_NONE;
    }
    entry =
        l7s_names_find(image, names, l7s_fnv(L7S_FNV_BASIS, text, length), text, length);
    return entry ? entry->sure : L7S_NONE;
}
