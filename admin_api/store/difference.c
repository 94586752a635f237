/* SPDX-License-Identifier: Apache-2.0
 *
 * Comparing documents (difference.h). Objects are compared by key, arrays of entries by
 * their values, other arrays by what lies between their common head and tail: enough for
 * policies and lists, linear in time.
 */
#include "difference.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define POINTER_MAX 192

typedef struct {
    json_t *items;
    size_t more;
} collector_t;

/* Steals the members of `item`. */
static void add(collector_t *to, const char *pointer, const char *op, json_t *item)
{
    if (json_array_size(to->items) >= ADMIN_DIFFERENCES_MAX) {
        to->more++;
        json_decref(item);
        return;
    }
    json_t *entry = json_pack("{s:s, s:s}", "pointer", pointer, "op", op);
    if (entry != NULL && json_object_update(entry, item) == 0) {
        json_array_append_new(to->items, entry);
    } else {
        json_decref(entry);
    }
    json_decref(item);
}

/* RFC 6901: ~ and / are escaped. */
static void extend(char out[POINTER_MAX], const char *pointer, const char *key)
{
    size_t used = (size_t)snprintf(out, POINTER_MAX, "%s/", pointer);
    for (; *key != '\0' && used + 3 < POINTER_MAX; key++) {
        if (*key == '~' || *key == '/') {
            out[used++] = '~';
            out[used++] = *key == '~' ? '0' : '1';
        } else {
            out[used++] = *key;
        }
    }
    out[used < POINTER_MAX ? used : POINTER_MAX - 1] = '\0';
}

static json_t *slice(const json_t *array, size_t begin, size_t end)
{
    json_t *out = json_array();
    size_t shown = end - begin;
    if (shown > ADMIN_DIFFERENCE_ITEMS_MAX) {
        shown = ADMIN_DIFFERENCE_ITEMS_MAX;
    }
    for (size_t i = 0; i < shown; i++) {
        json_array_append(out, json_array_get(array, begin + i));
    }
    return out;
}

/* What entries of a list, and objects, are known by; NULL: nothing. */
static const char *own_key(const json_t *item)
{
    const char *value = json_string_value(json_object_get(item, "value"));
    return value != NULL ? value : json_string_value(json_object_get(item, "name"));
}

/* What differs of two arrays: from `head` to each one's end. */
typedef struct {
    size_t head, end_a, end_b;
} middle_t;

static middle_t middle_of(const json_t *a, const json_t *b)
{
    middle_t middle = {0, json_array_size(a), json_array_size(b)};
    while (middle.head < middle.end_a && middle.head < middle.end_b &&
           json_equal(json_array_get(a, middle.head), json_array_get(b, middle.head))) {
        middle.head++;
    }
    while (middle.end_a > middle.head && middle.end_b > middle.head &&
           json_equal(json_array_get(a, middle.end_a - 1),
                      json_array_get(b, middle.end_b - 1))) {
        middle.end_a--;
        middle.end_b--;
    }
    return middle;
}

/* The items by their keys; NULL: one has none, or two have the same. */
static json_t *index_items(const json_t *array, size_t begin, size_t end)
{
    json_t *map = json_object();
    for (size_t i = begin; i < end; i++) {
        json_t *item = json_array_get(array, i);
        const char *key = own_key(item);
        if (key == NULL || json_object_get(map, key) != NULL) {
            json_decref(map);
            return NULL;
        }
        json_object_set(map, key, item);
    }
    return map;
}

/* The items that the other side has not, or has otherwise; *count of them in all. */
static json_t *only_here(json_t *here, const json_t *there, size_t *count)
{
    json_t *out = json_array(), *item;
    const char *key;
    *count = 0;
    json_object_foreach(here, key, item)
    {
        const json_t *other = json_object_get(there, key);
        if (other != NULL && json_equal(item, other)) {
            continue;
        }
        if (++*count <= ADMIN_DIFFERENCE_ITEMS_MAX) {
            json_array_append(out, item);
        }
    }
    return out;
}

static void add_items(collector_t *to, const char *pointer, json_t *removed,
                      size_t removed_count, json_t *added, size_t added_count)
{
    json_t *item = json_pack("{s:o, s:o}", "removed", removed, "added", added);
    if (removed_count > ADMIN_DIFFERENCE_ITEMS_MAX ||
        added_count > ADMIN_DIFFERENCE_ITEMS_MAX) {
        json_object_set_new(item, "removed_count",
                            json_integer((json_int_t)removed_count));
        json_object_set_new(item, "added_count", json_integer((json_int_t)added_count));
    }
    add(to, pointer, "replace", item);
}

/* False: they are no entries. */
static bool compare_entries(collector_t *to, const char *pointer, const json_t *a,
                            const json_t *b, middle_t middle)
{
    json_t *of_a = index_items(a, middle.head, middle.end_a);
    json_t *of_b = index_items(b, middle.head, middle.end_b);
    bool keyed = of_a != NULL && of_b != NULL;
    if (keyed) {
        size_t removed_count, added_count;
        json_t *removed = only_here(of_a, of_b, &removed_count);
        json_t *added = only_here(of_b, of_a, &added_count);
        add_items(to, pointer, removed, removed_count, added, added_count);
    }
    json_decref(of_a);
    json_decref(of_b);
    return keyed;
}

static void compare_arrays(collector_t *to, const char *pointer, const json_t *a,
                           const json_t *b)
{
    middle_t middle = middle_of(a, b);
    if (!compare_entries(to, pointer, a, b, middle)) {
        add_items(to, pointer, slice(a, middle.head, middle.end_a),
                  middle.end_a - middle.head, slice(b, middle.head, middle.end_b),
                  middle.end_b - middle.head);
    }
}

static void compare(collector_t *to, const char *pointer, json_t *a, json_t *b);

static void compare_objects(collector_t *to, const char *pointer, json_t *a, json_t *b)
{
    char below[POINTER_MAX];
    const char *key;
    json_t *value;
    json_object_foreach(a, key, value)
    {
        extend(below, pointer, key);
        json_t *other = json_object_get(b, key);
        if (other == NULL) {
            add(to, below, "remove", json_pack("{s:O}", "from", value));
        } else {
            compare(to, below, value, other);
        }
    }
    json_object_foreach(b, key, value)
    {
        if (json_object_get(a, key) == NULL) {
            extend(below, pointer, key);
            add(to, below, "add", json_pack("{s:O}", "to", value));
        }
    }
}

/* Depth is bounded by the reader of requests (32). */
static void compare(collector_t *to, const char *pointer, json_t *a, json_t *b)
{
    if (json_is_object(a) && json_is_object(b)) {
        compare_objects(to, pointer, a, b);
    } else if (json_equal(a, b)) {
        return;
    } else if (json_is_array(a) && json_is_array(b)) {
        compare_arrays(to, pointer, a, b);
    } else {
        add(to, pointer, "replace", json_pack("{s:O, s:O}", "from", a, "to", b));
    }
}

json_t *admin_difference(const json_t *from, const json_t *to)
{
    collector_t out = {.items = json_array()};
    if (out.items == NULL) {
        return NULL;
    }
    if (from != NULL && to != NULL) {
        compare(&out, "", (json_t *)from, (json_t *)to);
    }
    if (out.more > 0) {
        json_array_append_new(out.items, json_pack("{s:s, s:I}", "op", "more", "count",
                                                   (json_int_t)out.more));
    }
    return out.items;
}
