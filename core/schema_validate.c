/* SPDX-License-Identifier: Apache-2.0
 *
 * Evaluates a compiled schema. Every failing keyword is one problem; a keyword that says
 * nothing about the value's type holds. Alternatives are tried silently, and when none
 * holds, the problems of the nearest one are reported instead of a bare "no alternative".
 */
#include "clock.h"
#include "json_pointer.h"
#include "nearest.h"
#include "schema_node.h"
#include "utf8.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES_MAX = 512, SHOWN_MAX = 64 };

typedef struct {
    const l7s_schema_t *schema;
    l7s_problems_t *problems; /* NULL: only the answer matters */
    l7s_pointer_t at;
    unsigned frames;
} check_t;

static bool check(check_t *c, const l7s_schema_node_t *node, const json_t *value);

/* Reports a problem and is false, so that a keyword can return it. */
L7S_PRINTF(3, 4)
static bool wrong(check_t *c, const char *code, const char *format, ...)
{
    char message[256];
    va_list arguments;

    if (c->problems != NULL) {
        va_start(arguments, format);
        vsnprintf(message, sizeof message, format, arguments);
        va_end(arguments);
        l7s_problems_add(c->problems, c->at.text, code, "%s", message);
    }
    return false;
}

static bool is_kept(const check_t *c)
{
    return c->problems != NULL && c->problems->count < L7S_PROBLEMS_MAX;
}

static bool check_member(check_t *c, const l7s_schema_node_t *node, const char *name,
                         const json_t *value)
{
    size_t mark = l7s_pointer_push(&c->at, name);
    bool good = check(c, node, value);

    l7s_pointer_pop(&c->at, mark);
    return good;
}

static bool check_item(check_t *c, const l7s_schema_node_t *node, size_t index,
                       const json_t *value)
{
    size_t mark = l7s_pointer_push_index(&c->at, index);
    bool good = check(c, node, value);

    l7s_pointer_pop(&c->at, mark);
    return good;
}

/* Does it hold, without a word? */
static bool holds(const check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    check_t silent = {.schema = c->schema, .frames = c->frames};

    l7s_pointer_begin(&silent.at);
    return check(&silent, node, value);
}

/* --- type, const, enum --- */

static unsigned types_of(const json_t *value)
{
    int64_t integer = 0;

    switch (json_typeof(value)) {
    case JSON_NULL:
        return L7S_TYPE_NULL;
    case JSON_TRUE:
    case JSON_FALSE:
        return L7S_TYPE_BOOLEAN;
    case JSON_OBJECT:
        return L7S_TYPE_OBJECT;
    case JSON_ARRAY:
        return L7S_TYPE_ARRAY;
    case JSON_STRING:
        return L7S_TYPE_STRING;
    default:
        /* Beyond int64 every double is whole. */
        return L7S_TYPE_NUMBER | (l7s_json_integer(value, &integer) ||
                                          fabs(json_real_value(value)) >= 9.2e18
                                      ? L7S_TYPE_INTEGER
                                      : 0);
    }
}

static bool check_type(check_t *c, const l7s_schema_node_t *node, unsigned types)
{
    static const char *const names[] = {"null",      "true or false", "an object",
                                        "an array",  "a number",      "a string",
                                        "an integer"};
    char allowed[96] = "";

    if (node->types == 0 || (node->types & types) != 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(allowed);

        if ((node->types >> i & 1) != 0) {
            snprintf(allowed + length, sizeof allowed - length, "%s%s",
                     length == 0 ? "" : " or ", names[i]);
        }
    }
    return wrong(c, "wrong_type", "must be %s", allowed);
}

/* Writes the choices as far as they fit: "enforce", "observe", "off". */
static void list_choices(const json_t *choices, char *out, size_t capacity)
{
    const json_t *item = NULL;
    size_t index = 0, length = 0;

    json_array_foreach(choices, index, item)
    {
        char *text = json_dumps(item, JSON_ENCODE_ANY | JSON_COMPACT);
        size_t size = text == NULL ? 0 : strlen(text);

        if (text != NULL && length + size + 3 < capacity) {
            length += (size_t)snprintf(out + length, capacity - length, "%s%s",
                                       index == 0 ? "" : ", ", text);
        }
        free(text);
    }
}

/* Is `word` one of x-unsupported, literally or by "prefix:*"? */
static bool is_unsupported(const l7s_schema_node_t *node, const char *word)
{
    const json_t *item = NULL;
    size_t index = 0;

    json_array_foreach(node->unsupported, index, item)
    {
        const char *name = json_string_value(item);
        size_t size = name == NULL ? 0 : strlen(name);

        if (size != 0 && name[size - 1] == '*' ? strncmp(word, name, size - 1) == 0
                                               : size != 0 && strcmp(word, name) == 0) {
            return true;
        }
    }
    return false;
}

static bool wrong_choice(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    char choices[180] = "", shown[SHOWN_MAX];
    const json_t *item = NULL;
    size_t index = 0;
    l7s_nearest_t nearest;

    if (!is_kept(c)) {
        return wrong(c, "not_allowed", "is not allowed");
    }
    if (!json_is_string(value)) {
        list_choices(node->choices, choices, sizeof choices);
        return wrong(c, "not_allowed", "must be one of %s", choices);
    }
    l7s_utf8_copy(shown, sizeof shown, json_string_value(value));
    if (is_unsupported(node, json_string_value(value))) {
        return wrong(c, "unsupported", "\"%s\" is not supported by this version", shown);
    }
    l7s_nearest_begin(&nearest, json_string_value(value));
    json_array_foreach(node->choices, index, item)
    {
        if (json_is_string(item)) {
            l7s_nearest_offer(&nearest, json_string_value(item));
        }
    }
    if (nearest.best != NULL) {
        return wrong(c, "not_allowed", "\"%s\" is not allowed; did you mean \"%s\"?",
                     shown, nearest.best);
    }
    list_choices(node->choices, choices, sizeof choices);
    return wrong(c, "not_allowed", "must be one of %s", choices);
}

static bool check_choice(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    const json_t *item = NULL;
    size_t index = 0;

    if (node->constant != NULL && !l7s_json_equal(node->constant, value)) {
        char *text = json_dumps(node->constant, JSON_ENCODE_ANY | JSON_COMPACT);

        wrong(c, "not_allowed", "must be %.120s", text == NULL ? "the constant" : text);
        free(text);
        return false;
    }
    if (node->choices == NULL) {
        return true;
    }
    json_array_foreach(node->choices, index, item)
    {
        if (l7s_json_equal(item, value)) {
            return true;
        }
    }
    return wrong_choice(c, node, value);
}

/* --- numbers --- */

/* Long double holds every int64 and every double exactly. */
static long double number(const json_t *value)
{
    return json_is_integer(value) ? (long double)json_integer_value(value)
                                  : (long double)json_real_value(value);
}

/* Decimal fractions are not exact in binary: 0.0075 is a multiple of 0.0001. */
static bool is_multiple(long double value, long double of)
{
    long double rest = fabsl(fmodl(value, of));

    return rest <= of * 1e-9L || of - rest <= of * 1e-9L;
}

static bool check_number(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    long double n = number(value);
    bool good = true;

    if (node->minimum != NULL && n < number(node->minimum)) {
        good = wrong(c, "out_of_range", "must be at least %Lg", number(node->minimum));
    }
    if (node->maximum != NULL && n > number(node->maximum)) {
        good = wrong(c, "out_of_range", "must be at most %.15Lg", number(node->maximum));
    }
    if (node->exclusive_minimum != NULL && n <= number(node->exclusive_minimum)) {
        good = wrong(c, "out_of_range", "must be more than %.15Lg",
                     number(node->exclusive_minimum));
    }
    if (node->exclusive_maximum != NULL && n >= number(node->exclusive_maximum)) {
        good = wrong(c, "out_of_range", "must be less than %.15Lg",
                     number(node->exclusive_maximum));
    }
    if (node->multiple_of != NULL && !is_multiple(n, number(node->multiple_of))) {
        good = wrong(c, "out_of_range", "must be a multiple of %.15Lg",
                     number(node->multiple_of));
    }
    return good;
}

/* --- strings --- */

static bool matches(const regex_t *pattern, const char *text)
{
    return regexec(pattern, text, 0, NULL, 0) == 0;
}

static bool check_string(check_t *c, const l7s_schema_node_t *node, const char *text)
{
    size_t length = l7s_utf8_characters(text);
    uint64_t time_ms = 0;
    bool good = true;

    if (length < node->min_length) {
        good = wrong(c, "wrong_length", "must have at least %zu character%s",
                     node->min_length, node->min_length == 1 ? "" : "s");
    }
    if (length > node->max_length) {
        /* No pattern is run over a text that is too long anyway. */
        return wrong(c, "wrong_length", "must have at most %zu characters",
                     node->max_length);
    }
    if (node->pattern != NULL && !matches(node->pattern, text)) {
        good = node->message != NULL
                   ? wrong(c, "bad_format", "%s", node->message)
                   : wrong(c, "bad_format", "must match %s", node->pattern_text);
    }
    if (c->schema->assert_formats && node->format != NULL &&
        strcmp(node->format, "date-time") == 0 && !l7s_time_parse(text, &time_ms)) {
        good = wrong(c, "bad_time",
                     "must be a time by RFC 3339 like 2026-01-31T23:59:59.000Z");
    }
    return good;
}

/* --- arrays --- */

static bool check_contains(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    size_t found = 0;

    for (size_t i = 0; i < json_array_size(value); i++) {
        found += holds(c, node->contains, json_array_get(value, i));
    }
    if (found < node->min_contains || found > node->max_contains) {
        return wrong(c, "wrong_items", "%zu of its items are of the demanded kind",
                     found);
    }
    return true;
}

/* Quadratic: schemas bound the array with maxItems where they use it. */
static bool check_unique(check_t *c, const json_t *value)
{
    size_t count = json_array_size(value);

    for (size_t i = 1; i < count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (l7s_json_equal(json_array_get(value, i), json_array_get(value, j))) {
                size_t mark = l7s_pointer_push_index(&c->at, i);

                wrong(c, "duplicate_item", "the same as item %zu", j);
                l7s_pointer_pop(&c->at, mark);
                return false;
            }
        }
    }
    return true;
}

static bool check_array(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    size_t count = json_array_size(value), first = node->prefix_items.count;
    bool good = true;

    if (count < node->min_items) {
        good = wrong(c, "wrong_items", "must have at least %zu item%s", node->min_items,
                     node->min_items == 1 ? "" : "s");
    }
    if (count > node->max_items) {
        return wrong(c, "wrong_items", "must have at most %zu items", node->max_items);
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
static bool unknown_key(check_t *c, const l7s_schema_node_t *node, const char *name)
{
    size_t mark = 0;
    char shown[SHOWN_MAX];
    l7s_nearest_t nearest;

    if (!is_kept(c)) {
        return wrong(c, "unknown_key", "unknown key");
    }
    mark = l7s_pointer_push(&c->at, name);
    l7s_utf8_copy(shown, sizeof shown, name);
    l7s_nearest_begin(&nearest, name);
    for (size_t i = 0; i < node->properties.count; i++) {
        l7s_nearest_offer(&nearest, node->properties.items[i].name);
    }
    if (is_unsupported(node, name)) {
        wrong(c, "unsupported", "\"%s\" is not supported by this version", shown);
    } else if (nearest.best != NULL) {
        wrong(c, "unknown_key", "unknown key; did you mean \"%s\"?", nearest.best);
    } else {
        wrong(c, "unknown_key", "unknown key");
    }
    l7s_pointer_pop(&c->at, mark);
    return false;
}

static bool check_property(check_t *c, const l7s_schema_node_t *node, const char *name,
                           const json_t *value)
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

        if (matches(member->pattern, name)) {
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

static bool check_required(check_t *c, const json_t *required, const json_t *value)
{
    const json_t *item = NULL;
    size_t index = 0;
    bool good = true;

    json_array_foreach(required, index, item)
    {
        const char *name = json_string_value(item);

        if (name != NULL && json_object_get(value, name) == NULL) {
            good = wrong(c, "missing_key", "\"%s\" is required", name);
        }
    }
    return good;
}

static bool check_dependents(check_t *c, const l7s_schema_node_t *node,
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

static bool check_name(check_t *c, const l7s_schema_node_t *node, const char *name)
{
    json_t *text = json_string(name);
    bool good = text != NULL && check_member(c, node, name, text);

    json_decref(text);
    return good;
}

static bool check_object_size(check_t *c, const l7s_schema_node_t *node, size_t size)
{
    if (node->min_properties == 1 && node->max_properties == 1 && size != 1) {
        return wrong(c, "wrong_members", "must have exactly one member");
    }
    if (size < node->min_properties) {
        return wrong(c, "wrong_members", "must have at least %zu member%s",
                     node->min_properties, node->min_properties == 1 ? "" : "s");
    }
    if (size > node->max_properties) {
        return wrong(c, "wrong_members", "must have at most %zu member%s",
                     node->max_properties, node->max_properties == 1 ? "" : "s");
    }
    return true;
}

static bool check_object(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    bool good = check_object_size(c, node, json_object_size(value));
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
static bool report_nearest(check_t *c, const l7s_schema_members_t *members,
                           const json_t *value)
{
    const l7s_schema_node_t *best = NULL;
    size_t fewest = SIZE_MAX;

    for (size_t i = 0; i < members->count && c->problems != NULL; i++) {
        l7s_problems_t found = {.count = 0};
        check_t trial = {.schema = c->schema, .problems = &found, .frames = c->frames};

        l7s_pointer_begin(&trial.at);
        check(&trial, members->items[i].node, value);
        if (found.count + found.dropped < fewest) {
            fewest = found.count + found.dropped;
            best = members->items[i].node;
        }
    }
    return best != NULL && check(c, best, value);
}

static bool check_alternatives(check_t *c, const l7s_schema_node_t *node,
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
        return wrong(c, "no_alternative", "%s", node->message);
    }
    if (held == 0) {
        report_nearest(c, members, value);
        return false;
    }
    return wrong(c, "no_alternative", "matches %zu alternatives that exclude each other",
                 held);
}

static bool check_combinations(check_t *c, const l7s_schema_node_t *node,
                               const json_t *value)
{
    bool good = true;

    for (size_t i = 0; i < node->all_of.count; i++) {
        good &= check(c, node->all_of.items[i].node, value);
    }
    good &= check_alternatives(c, node, &node->any_of, SIZE_MAX, value);
    good &= check_alternatives(c, node, &node->one_of, 1, value);
    if (node->negated != NULL && holds(c, node->negated, value)) {
        good = wrong(c, "not_allowed", "%s",
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

static bool check_content(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    switch (json_typeof(value)) {
    case JSON_OBJECT:
        return check_object(c, node, value);
    case JSON_ARRAY:
        return check_array(c, node, value);
    case JSON_STRING:
        return check_string(c, node, json_string_value(value));
    case JSON_INTEGER:
    case JSON_REAL:
        return check_number(c, node, value);
    default:
        return true;
    }
}

static bool check(check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    bool good = true;

    if (node->never) {
        return wrong(c, "not_allowed", "is not allowed");
    }
    if (c->frames == FRAMES_MAX) {
        return wrong(c, "too_deep", "is nested too deeply");
    }
    c->frames++;
    good &= check_type(c, node, types_of(value));
    if (good) {
        good &= check_choice(c, node, value);
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
    check_t c = {.schema = schema, .problems = problems};

    l7s_pointer_begin(&c.at);
    return check(&c, schema->top, instance) ? L7S_OK : L7S_INVALID;
}
