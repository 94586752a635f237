/* SPDX-License-Identifier: Apache-2.0
 *
 * The keywords that look at one value by itself: type, const, enum, numbers, strings. And
 * how a problem is reported.
 */
#include "../clock.h"
#include "nearest.h"
#include "schema_check.h"
#include "utf8.h"
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 64 };

bool l7s_check_wrong(l7s_check_t *c, const char *code, const char *format, ...)
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

bool l7s_check_kept(const l7s_check_t *c)
{
    return c->problems != NULL && c->problems->count < L7S_PROBLEMS_MAX;
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

bool l7s_check_type(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    static const char *const names[] = {"null",      "true or false", "an object",
                                        "an array",  "a number",      "a string",
                                        "an integer"};
    char allowed[96] = "";

    if (node->types == 0 || (node->types & types_of(value)) != 0) {
        return true;
    }
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        size_t length = strlen(allowed);

        if ((node->types >> i & 1) != 0) {
            snprintf(allowed + length, sizeof allowed - length, "%s%s",
                     length == 0 ? "" : " or ", names[i]);
        }
    }
    return l7s_check_wrong(c, "wrong_type", "must be %s", allowed);
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
bool l7s_check_unsupported(const l7s_schema_node_t *node, const char *word)
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

static bool wrong_choice(l7s_check_t *c, const l7s_schema_node_t *node,
                         const json_t *value)
{
    char choices[180] = "", shown[SHOWN_MAX];
    const json_t *item = NULL;
    size_t index = 0;
    l7s_nearest_t nearest;

    if (!l7s_check_kept(c)) {
        return l7s_check_wrong(c, "not_allowed", "is not allowed");
    }
    if (!json_is_string(value)) {
        list_choices(node->choices, choices, sizeof choices);
        return l7s_check_wrong(c, "not_allowed", "must be one of %s", choices);
    }
    l7s_utf8_copy(shown, sizeof shown, json_string_value(value));
    if (l7s_check_unsupported(node, json_string_value(value))) {
        return l7s_check_wrong(c, "unsupported",
                               "\"%s\" is not supported by this version", shown);
    }
    l7s_nearest_begin(&nearest, json_string_value(value));
    json_array_foreach(node->choices, index, item)
    {
        if (json_is_string(item)) {
            l7s_nearest_offer(&nearest, json_string_value(item));
        }
    }
    if (nearest.best != NULL) {
        return l7s_check_wrong(c, "not_allowed",
                               "\"%s\" is not allowed; did you mean \"%s\"?", shown,
                               nearest.best);
    }
    list_choices(node->choices, choices, sizeof choices);
    return l7s_check_wrong(c, "not_allowed", "must be one of %s", choices);
}

bool l7s_check_choice(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    const json_t *item = NULL;
    size_t index = 0;

    if (node->constant != NULL && !l7s_json_equal(node->constant, value)) {
        char *text = json_dumps(node->constant, JSON_ENCODE_ANY | JSON_COMPACT);

        l7s_check_wrong(c, "not_allowed", "must be %.120s",
                        text == NULL ? "the constant" : text);
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

bool l7s_check_number(l7s_check_t *c, const l7s_schema_node_t *node, const json_t *value)
{
    long double n = number(value);
    bool good = true;

    if (node->minimum != NULL && n < number(node->minimum)) {
        good = l7s_check_wrong(c, "out_of_range", "must be at least %Lg",
                               number(node->minimum));
    }
    if (node->maximum != NULL && n > number(node->maximum)) {
        good = l7s_check_wrong(c, "out_of_range", "must be at most %.15Lg",
                               number(node->maximum));
    }
    if (node->exclusive_minimum != NULL && n <= number(node->exclusive_minimum)) {
        good = l7s_check_wrong(c, "out_of_range", "must be more than %.15Lg",
                               number(node->exclusive_minimum));
    }
    if (node->exclusive_maximum != NULL && n >= number(node->exclusive_maximum)) {
        good = l7s_check_wrong(c, "out_of_range", "must be less than %.15Lg",
                               number(node->exclusive_maximum));
    }
    if (node->multiple_of != NULL && !is_multiple(n, number(node->multiple_of))) {
        good = l7s_check_wrong(c, "out_of_range", "must be a multiple of %.15Lg",
                               number(node->multiple_of));
    }
    return good;
}

/* --- strings --- */

bool l7s_check_matches(const regex_t *pattern, const char *text)
{
    return regexec(pattern, text, 0, NULL, 0) == 0;
}

bool l7s_check_string(l7s_check_t *c, const l7s_schema_node_t *node, const char *text)
{
    size_t length = l7s_utf8_characters(text);
    uint64_t time_ms = 0;
    bool good = true;

    if (length < node->min_length) {
        good = l7s_check_wrong(c, "wrong_length", "must have at least %zu character%s",
                               node->min_length, node->min_length == 1 ? "" : "s");
    }
    if (length > node->max_length) {
        /* No pattern is run over a text that is too long anyway. */
        return l7s_check_wrong(c, "wrong_length", "must have at most %zu characters",
                               node->max_length);
    }
    if (node->pattern != NULL && !l7s_check_matches(node->pattern, text)) {
        good =
            node->message != NULL
                ? l7s_check_wrong(c, "bad_format", "%s", node->message)
                : l7s_check_wrong(c, "bad_format", "must match %s", node->pattern_text);
    }
    if (c->schema->assert_formats && node->format != NULL &&
        strcmp(node->format, "date-time") == 0 && !l7s_time_parse(text, &time_ms)) {
        good = l7s_check_wrong(
            c, "bad_time", "must be a time by RFC 3339 like 2026-01-31T23:59:59.000Z");
    }
    return good;
}
