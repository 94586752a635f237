/* SPDX-License-Identifier: Apache-2.0
 *
 * A compiled schema, shared by its compiler (schema.c) and its evaluation
 * (schema_validate.c) and by nobody else. JSON values in it are borrowed from the root
 * document, to which the schema holds a reference.
 */
#ifndef L7S_SCHEMA_NODE_H
#define L7S_SCHEMA_NODE_H

#include "schema.h"
#include <regex.h>

typedef struct l7s_schema_node l7s_schema_node_t;

typedef struct {
    const char *name; /* of the member, or the pattern's source */
    regex_t *pattern; /* patternProperties only, else NULL */
    l7s_schema_node_t *node;
} l7s_schema_member_t;

typedef struct {
    size_t count;
    l7s_schema_member_t *items;
} l7s_schema_members_t;

enum { /* bits of `types` */
       L7S_TYPE_NULL = 1,
       L7S_TYPE_BOOLEAN = 2,
       L7S_TYPE_OBJECT = 4,
       L7S_TYPE_ARRAY = 8,
       L7S_TYPE_NUMBER = 16,
       L7S_TYPE_STRING = 32,
       L7S_TYPE_INTEGER = 64
};

/* An absent keyword is NULL, a zero mask, or a bound that always holds. */
struct l7s_schema_node {
    const json_t *source; /* what it was compiled from; the key that "$ref" finds */
    bool never;           /* the schema "false" */
    unsigned types;
    const json_t *constant, *choices;
    const json_t *minimum, *maximum, *exclusive_minimum, *exclusive_maximum, *multiple_of;
    size_t min_length, max_length, min_items, max_items, min_properties, max_properties;
    size_t min_contains, max_contains;
    const char *pattern_text;
    regex_t *pattern;
    const char *format;
    bool unique;
    const json_t *required, *dependent_required;
    l7s_schema_members_t properties, pattern_properties, dependent_schemas, defs;
    l7s_schema_node_t *additional, *property_names, *items, *contains;
    l7s_schema_members_t prefix_items, all_of, any_of, one_of;
    l7s_schema_node_t *negated, *condition, *consequence, *alternative, *reference;
    /* Extensions: names and values that a later version will know, and the sentence that
     * explains a failed pattern, not or oneOf. */
    const json_t *unsupported;
    const char *message;
};

struct l7s_schema {
    json_t *root;
    l7s_schema_node_t *top;
    l7s_schema_node_t **nodes; /* all of them, owned */
    size_t count, capacity;
    bool assert_formats;
};

/* Translates the regular expressions that schemas may use (anchors, classes, groups,
 * repeats, \d \w \s) to POSIX and compiles them. NULL when it uses anything else. */
regex_t *l7s_schema_pattern(const char *source);
void l7s_schema_pattern_free(regex_t *pattern);

#endif
