/* SPDX-License-Identifier: Apache-2.0
 *
 * A list from JSON to the model. Lists are the only documents that grow large (100,000
 * entries), so nothing here is quadratic. Strings may be secrets (keys of an API): no
 * problem quotes one.
 */
#include "../clock.h"
#include "config_reader.h"
#include <stdlib.h>
#include <string.h>

enum { ENTRIES_MAX = 100000 };

typedef struct {
    const l7s_list_entry_t *entry;
    size_t index;
} place_t;

static int compare_values(const l7s_list_entry_t *a, const l7s_list_entry_t *b)
{
    if (a->code != b->code) {
        return a->code < b->code ? -1 : 1;
    }
    return a->text != NULL ? strcmp(a->text, b->text)
                           : memcmp(&a->network, &b->network, sizeof a->network);
}

static int compare_places(const void *a, const void *b)
{
    const place_t *left = a, *right = b;
    int order = compare_values(left->entry, right->entry);

    return order != 0 ? order
                      : (left->index > right->index) - (left->index < right->index);
}

/* Entries are addressed by their value (…/entries/{id}), so each may stand there once.
 * `places` holds the valid entries with their index in the document. */
static void check_duplicates(l7s_reader_t *reader, place_t *places, size_t count)
{
    qsort(places, count, sizeof *places, compare_places);
    for (size_t i = 1; i < count; i++) {
        const l7s_list_entry_t *entry = places[i].entry;
        char text[L7S_CIDR_TEXT] = "this value";
        size_t mark = 0;

        if (compare_values(entry, places[i - 1].entry) != 0) {
            continue;
        }
        if (entry->text == NULL && entry->code == 0) {
            l7s_cidr_text(&entry->network, text);
        }
        mark = l7s_pointer_push_index(&reader->at, places[i].index);
        l7s_reader_wrong_at(reader, "value", "duplicate_entry", "%s is entry %zu already",
                            text, places[i - 1].index);
        l7s_pointer_pop(&reader->at, mark);
    }
}

static void read_attributes(l7s_reader_t *reader, const json_t *json,
                            l7s_list_entry_t *out)
{
    size_t count = json_object_size(json);
    const char *name = NULL;
    json_t *value = NULL;

    out->attributes = l7s_reader_array(reader, count, sizeof *out->attributes);
    json_object_foreach((json_t *)json, name, value)
    {
        if (json_is_string(value) && out->attributes != NULL) {
            l7s_attribute_t *attribute = &out->attributes[out->attribute_count++];

            attribute->name = l7s_reader_text(reader, name);
            attribute->value = l7s_reader_text(reader, json_string_value(value));
        }
    }
}

static bool read_value(l7s_reader_t *reader, const char *value, l7s_list_kind_t kind,
                       l7s_list_entry_t *out)
{
    if (value == NULL) {
        return false;
    }
    switch (kind) {
    case L7S_LIST_ADDRESSES:
        return l7s_accept_cidr(reader, value, &out->network);
    case L7S_LIST_COUNTRIES:
        return l7s_accept_country(reader, value, &out->code);
    case L7S_LIST_ASNS:
        return l7s_accept_asn(reader, value, &out->code);
    default:
        break;
    }
    out->text = l7s_reader_text(reader, value);
    return out->text != NULL;
}

static bool read_entry(l7s_reader_t *reader, const json_t *json, l7s_list_kind_t kind,
                       l7s_list_entry_t *out)
{
    size_t mark = l7s_pointer_push(&reader->at, "value");
    bool good = read_value(reader, l7s_reader_string(json, "value", NULL), kind, out);

    l7s_pointer_pop(&reader->at, mark);
    if (good && kind == L7S_LIST_STRINGS) {
        read_attributes(reader, json_object_get(json, "attributes"), out);
    }
    l7s_reader_time(reader, json, "expires_at", &out->expires_ms);
    return good;
}

/* A list that is too long was refused by its schema and is not read. */
static void read_entries(l7s_reader_t *reader, const json_t *array, l7s_list_t *out)
{
    size_t count = json_array_size(array);
    size_t mark = l7s_pointer_push(&reader->at, "entries");
    place_t *places = NULL;

    count = count > ENTRIES_MAX ? 0 : count;
    places = l7s_reader_array(reader, count, sizeof *places);
    out->entries = l7s_reader_array(reader, count, sizeof *out->entries);
    for (size_t i = 0; i < count && !reader->no_memory; i++) {
        size_t inner = l7s_pointer_push_index(&reader->at, i);

        if (read_entry(reader, json_array_get(array, i), out->kind,
                       &out->entries[out->entry_count])) {
            places[out->entry_count].entry = &out->entries[out->entry_count];
            places[out->entry_count++].index = i;
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    if (out->entry_count > 1) {
        check_duplicates(reader, places, out->entry_count);
    }
    free(places);
    l7s_pointer_pop(&reader->at, mark);
}

static l7s_list_kind_t kind_of(const char *name)
{
    for (l7s_list_kind_t kind = L7S_LIST_ADDRESSES; kind < L7S_LIST_KINDS; kind++) {
        if (strcmp(l7s_list_kind_name(kind), name) == 0) {
            return kind;
        }
    }
    return L7S_LIST_ADDRESSES;
}

void l7s_list_read(l7s_reader_t *reader, const json_t *json, l7s_list_t *out)
{
    const char *effect = l7s_reader_string(json, "effect", "none");

    l7s_reader_name(json, out->name);
    out->effect = strcmp(effect, "allow") == 0  ? L7S_EFFECT_ALLOW
                  : strcmp(effect, "deny") == 0 ? L7S_EFFECT_DENY
                                                : L7S_EFFECT_NONE;
    out->kind = kind_of(l7s_reader_string(json, "kind", "addresses"));
    if (out->kind == L7S_LIST_STRINGS && out->effect != L7S_EFFECT_NONE) {
        l7s_reader_wrong_at(reader, "effect", "needs_addresses",
                            "a list of strings does nothing by itself: name it in a "
                            "policy, as the list of a header");
    }
    l7s_reader_strings(reader, json, "apps", NULL, &out->apps);
    read_entries(reader, json_object_get(json, "entries"), out);
}

bool l7s_entry_expired(const json_t *entry, uint64_t now_ms)
{
    const char *text = json_string_value(json_object_get(entry, "expires_at"));
    uint64_t expires_ms = 0;

    return text != NULL && l7s_time_parse(text, &expires_ms) && expires_ms <= now_ms;
}

static bool any_expired(const json_t *entries, uint64_t now_ms)
{
    size_t index = 0;
    json_t *entry = NULL;

    json_array_foreach(entries, index, entry)
    {
        if (l7s_entry_expired(entry, now_ms)) {
            return true;
        }
    }
    return false;
}

json_t *l7s_list_unexpired(const json_t *list, uint64_t now_ms)
{
    const json_t *entries = json_object_get(list, "entries");
    json_t *left = NULL, *entry = NULL, *copy = NULL;
    size_t index = 0;

    if (!any_expired(entries, now_ms)) {
        return json_incref((json_t *)list);
    }
    left = json_array();
    json_array_foreach(entries, index, entry)
    {
        if (!l7s_entry_expired(entry, now_ms)) {
            json_array_append(left, entry);
        }
    }
    copy = json_copy((json_t *)list);
    json_object_set_new(copy, "entries", left);
    return copy;
}

static void free_entry(l7s_list_entry_t *entry)
{
    for (size_t i = 0; i < entry->attribute_count; i++) {
        free(entry->attributes[i].name);
        free(entry->attributes[i].value);
    }
    free(entry->attributes);
    free(entry->text);
}

void l7s_list_free(l7s_list_t *list)
{
    l7s_strings_free(&list->apps);
    for (size_t i = 0; i < list->entry_count; i++) {
        free_entry(&list->entries[i]);
    }
    free(list->entries);
}
