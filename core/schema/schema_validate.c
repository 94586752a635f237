/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluates a compiled schema. Every failing keyword is one problem; a keyword that says
 * nothing about the value's type holds. Alternatives are tried silently, and when none
 * holds, the problems of the nearest one are reported instead of a bare "no alternative".
 */
#include "nearest.h"
#include "schema_check.h"
#include "utf8.h"
#include <string.h>

enum { FRAMES_MAX = 512, SHOWN_MAX = 64 };

static bool check(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value);

static bool check_member(l7s_check_t *c, const l7s_schema_node_t *node, const char *name,
                         const json_t *value)
{
    size_t mark = l7s_pointer_push(&c->at, name);
    bool good = check(c, node, value);

    l7s_pointer_pop(&c->at, mark);
    return good;
}

static bool check_item(l7s_check_t *c, const l7s_schema_node_t *node, size_t index,
                       const json_t *value)
{
    size_t mark = l7s_pointer_push_index(&c->at, index);
    bool good = check(c, node, value);

    l7s_pointer_pop(&c->at, mark);
    return good;
}

/* Does it hold, without a word? */
static bool holds(const l7s_check_t *c, const l7s_schema_node_t *node,
                  const json_t *value)
{
    l7s_check_t silent = {.schema = c->schema, .frames = c->frames};

    l7s_pointer_begin(&silent.at);
    return check(&silent, node, value);
}

/* --- arrays --- */

static bool check_contains(l7s_check_t *c, const l7s_schema_node_t *node,
                           const json_t *value)
{
    size_t found = 0;

    for (size_t i = 0; i < json_array_size(value); i++) {
        found += holds(c, node->contains, json_array_get(value, i));
    }
    if (found < node->min_contains || found > node->max_contains) {
        return l7s_check_wrong(c, "wrong_items",
                               "%zu of its items are of the demanded kind", found);
    }
    return true;
}

/* Quadratic: schemas bound the array with maxItems where they use it. */
static bool check_unique(l7s_check_t *c, const json_t *value)
{
    size_t count = json_array_size(value);

    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (l7s_json_equal(json_array_get(value, i), json_array_get(value, j))) {
                size_t mark = l7s_pointer_push_index(&c->at, i);

                l7s_check_wrong(c, "duplicate_item", "the same as item %zu", j);
                l7s_pointer_pop(&c->at, mark);
                return false;
            }
        }
    }
    return true;
}

static bool check_array(l7s_check_t *c, const l7s_schema_node_t *node,
                        const json_t *value)
{
    size_t count = json_array_size(value), first = node->prefix_items.count;
    bool good = true;

    if (count < node->min_items) {
        good = l7s_check_wrong(c, "wrong_items", "must have at least %zu item%s",
                               node->min_items, node->min_items == 1 ? "" : "s");
    }
    if (count > node->max_items) {
        return l7s_check_wrong(c, "wrong_items", "must have at most %zu items",
                               node->max_items);
    }
    for (size_t i = 0; i < count; i++) {
        const l7s_schema_node_t *item =
            i < first ? node->prefix_items.items[i].node : node->items;

        if (item != NULL) {
            good &= check_item(c, item, i, json_array_get(value, i));
        }
    }
    if (node->contains != NULL) {
        good &= check_contains(c, node, value);
    }
    if (node->unique) {
        good &= check_unique(c, value);
    }
    return good;
}

/* --- objects --- */

/* Nothing is compared for a problem that would not be kept: a document may hold a million
 * unknown keys. */
static bool unknown_key(l7s_check_t *c, const l7s_schema_node_t *node, const char *name)
{
    size_t mark = 0;
    char shown[SHOWN_MAX];
    l7s_nearest_t nearest;

    if (!l7s_check_kept(c)) {
        return l7s_check_wrong(c, "unknown_key", "unknown key");
    }
    mark = l7s_pointer_push(&c->at, name);
    l7s_utf8_copy(shown, sizeof shown, name);
    l7s_nearest_begin(&nearest, name);
    for (size_t i = 0; i < node->properties.count; i++) {
        l7s_nearest_offer(&nearest, node->properties.items[i].name);
    }
    if (l7s_check_unsupported(node, name)) {
        l7s_check_wrong(c, "unsupported", "\"%s\" is not supported by this version",
                        shown);
    } else if (nearest.best != NULL) {
        l7s_check_wrong(c, "unknown_key", "unknown key; did you mean \"%s\"?",
                        nearest.best);
    } else {
        l7s_check_wrong(c, "unknown_key", "unknown key");
    }
    l7s_pointer_pop(&c->at, mark);
    return false;
}

static bool check_property(l7s_check_t *c, const l7s_schema_node_t *node,
                           const char *name, const json_t *value)
{
    bool good = true, known = false;

    for (size_t i = 0; i < node->properties.count; i++) {
        const l7s_schema_member_t *member = &node->properties.items[i];

        if (strcmp(member->name, name) == 0) {
            known = true;
            good &= check_member(c, member->node, name, value);
        }
    }
    for (size_t i = 0; i < node->pattern_properties.count; i++) {
        const l7s_schema_member_t *member = &node->pattern_properties.items[i];

        if (l7s_check_matches(member->pattern, name)) {
            known = true;
            good &= check_member(c, member->node, name, value);
        }
    }
    if (known || node->additional == NULL) {
        return good;
    }
    if (node->additional->never) {
        return unknown_key(c, node, name);
    }
    return check_member(c, node->additional, name, value) && good;
}

static bool check_required(l7s_check_t *c, const json_t *required, const json_t *value)
{
    const json_t *item = NULL;
    size_t index = 0;
    bool good = true;

    json_array_foreach(required, index, item)
    {
        const char *name = json_string_value(item);

        if (name != NULL && json_object_get(value, name) == NULL) {
            good = l7s_check_wrong(c, "missing_key", "\"%s\" is required", name);
        }
    }
    return good;
}

static bool check_dependents(l7s_check_t *c, const l7s_schema_node_t *node,
                             const json_t *value)
{
    const char *name = NULL;
    json_t *names = NULL;
    bool good = true;

    json_object_foreach((json_t *)node->dependent_required, name, names)
    {
        if (json_object_get(value, name) != NULL) {
            good &= check_required(c, names, value);
        }
    }
    for (size_t i = 0; i < node->dependent_schemas.count; i++) {
        const l7s_schema_member_t *member = &node->dependent_schemas.items[i];

        if (json_object_get(value, member->name) != NULL) {
            good &= check(c, member->node, value);
        }
    }
    return good;
}

static bool check_name(l7s_check_t *c, const l7s_schema_node_t *node, const char *name)
{
    json_t *text = json_string(name);
    bool good = text != NULL && check_member(c, node, name, text);

    json_decref(text);
    return good;
}

/* Whoever merges a second one into it must learn of the first. */
static bool wrong_single(l7s_check_t *c, const json_t *value)
{
    void *first = json_object_iter((json_t *)value);
    void *second = json_object_iter_next((json_t *)value, first);
    char names[2][44]; /* cut between characters */

    if (second == NULL) {
        return l7s_check_wrong(c, "wrong_members", "must have exactly one member");
    }
    l7s_utf8_copy(names[0], sizeof names[0], json_object_iter_key(first));
    l7s_utf8_copy(names[1], sizeof names[1], json_object_iter_key(second));
    return l7s_check_wrong(c, "wrong_members",
                           "must have exactly one member, and has \"%s\", \"%s\"%s",
                           names[0], names[1], json_object_size(value) > 2 ? ", …" : "");
}

static bool check_object_size(l7s_check_t *c, const l7s_schema_node_t *node,
                              const json_t *value)
{
    size_t size = json_object_size(value);

    if (node->min_properties == 1 && node->max_properties == 1 && size != 1) {
        return wrong_single(c, value);
    }
    if (size < node->min_properties) {
        return l7s_check_wrong(c, "wrong_members", "must have at least %zu member%s",
                               node->min_properties,
                               node->min_properties == 1 ? "" : "s");
    }
    if (size > node->max_properties) {
        return l7s_check_wrong(c, "wrong_members", "must have at most %zu member%s",
                               node->max_properties,
                               node->max_properties == 1 ? "" : "s");
    }
    return true;
}

static bool check_object(l7s_check_t *c, const l7s_schema_node_t *node,
                         const json_t *value)
{
    bool good = check_object_size(c, node, value);
    const char *name = NULL;
    json_t *member = NULL;

    good &= check_required(c, node->required, value);
    json_object_foreach((json_t *)value, name, member)
    {
        good &= check_property(c, node, name, member);
        if (node->property_names != NULL) {
            good &= check_name(c, node->property_names, name);
        }
    }
    return check_dependents(c, node, value) && good;
}

/* --- combinations --- */

/* Reports the problems of the alternative that comes nearest: the fewest of them. */
static bool report_nearest(l7s_check_t *c, const l7s_schema_members_t *members,
                           const json_t *value)
{
    const l7s_schema_node_t *best = NULL;
    size_t fewest = SIZE_MAX;

    for (size_t i = 0; i < members->count && c->problems != NULL; i++) {
        l7s_problems_t found = {.count = 0};
        l7s_check_t trial = {
            .schema = c->schema, .problems = &found, .frames = c->frames};

        l7s_pointer_begin(&trial.at);
        check(&trial, members->items[i].node, value);
        if (found.count + found.dropped < fewest) {
            fewest = found.count + found.dropped;
            best = members->items[i].node;
        }
    }
    return best != NULL && check(c, best, value);
}

static bool check_alternatives(l7s_check_t *c, const l7s_schema_node_t *node,
                               const l7s_schema_members_t *members, size_t most,
                               const json_t *value)
{
    size_t held = 0;

    for (size_t i = 0; i < members->count; i++) {
        held += holds(c, members->items[i].node, value);
    }
    if (members->count == 0 || (held >= 1 && held <= most)) {
        return true;
    }
    if (node->message != NULL) {
        return l7s_check_wrong(c, "no_alternative", "%s", node->message);
    }
    if (held == 0) {
        report_nearest(c, members, value);
        return false;
    }
    return l7s_check_wrong(c, "no_alternative",
                           "matches %zu alternatives that exclude each other", held);
}

static bool check_combinations(l7s_check_t *c, const l7s_schema_node_t *node,
                               const json_t *value)
{
    bool good = true;

    for (size_t i = 0; i < node->all_of.count; i++) {
        good &= check(c, node->all_of.items[i].node, value);
    }
    good &= check_alternatives(c, node, &node->any_of, SIZE_MAX, value);
    good &= check_alternatives(c, node, &node->one_of, 1, value);
    if (node->negated != NULL && holds(c, node->negated, value)) {
        good = l7s_check_wrong(c, "not_allowed", "%s",
                               node->message != NULL ? node->message : "is not allowed");
    }
    if (node->condition != NULL) {
        const l7s_schema_node_t *next =
            holds(c, node->condition, value) ? node->consequence : node->alternative;

        if (next != NULL) {
            good &= check(c, next, value);
        }
    }
    if (node->reference != NULL) {
        good &= check(c, node->reference, value);
    }
    return good;
}

static bool check_content(l7s_check_t *c, const l7s_schema_node_t *node,
                          const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return check_object(c, node, value);
    case JSON_ARRAY:
        return check_array(c, node, value);
    case JSON_STRING:
        return l7s_check_string(c, node, json_string_value(value));
    case JSON_INTEGER:
    case JSON_REAL:
        return l7s_check_number(c, node, value);
    default:
        return true;
    }
}

static bool check(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    bool good = true;

    if (node->never) {
        return l7s_check_wrong(c, "not_allowed", "is not allowed");
    }
    if (c->frames == FRAMES_MAX) {
        return l7s_check_wrong(c, "too_deep", "is nested too deeply");
    }
    c->frames++;
    good &= l7s_check_type(c, node, value);
    if (good) {
        good &= l7s_check_choice(c, node, value);
    }
    if (good) {
        good &= check_content(c, node, value);
        good &= check_combinations(c, node, value);
    }
    c->frames--;
    return good;
}

l7s_status_t l7s_schema_validate(const l7s_schema_t *schema, const json_t *instance,
                                 l7s_problems_t *problems)
{
    l7s_check_t c = {.schema = schema, .problems = problems};

    l7s_pointer_begin(&c.at);
    return check(&c, schema->top, instance) ? L7S_OK : L7S_INVALID;
}
