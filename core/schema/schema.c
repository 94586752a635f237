/* SPDX-License-Identifier: Apache-2.0
 *
 * Compiles a JSON Schema into nodes. One table maps each keyword to the function that
 * reads it and the member that keeps it; what is not in the table and does not begin with
 * "x-" is an error. A node is found again by the JSON value that it was compiled from, so
 * recursive references end.
 */
#include "schema.h"
#include "json_pointer.h"
#include "schema_node.h"
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

enum { NODES_MAX = 8192, DEPTH_MAX = 128 };

typedef struct {
    l7s_schema_t *schema;
    l7s_problems_t *problems;
    l7s_pointer_t at;
    unsigned depth;
    bool failed;
} compiler_t;

typedef struct {
    const char *name;
    bool (*read)(compiler_t *compiler, const json_t *value, void *member);
    size_t offset; /* of the member within the node */
} keyword_t;

static l7s_schema_node_t *compile(compiler_t *compiler, const json_t *source);

static void fail(compiler_t *compiler, const char *code, const char *message)
{
    compiler->failed = true;
    l7s_problems_add(compiler->problems, compiler->at.text, code, "%s", message);
}

/* --- what a keyword's value may be; each returns false for anything else --- */

static bool read_nothing(compiler_t *compiler, const json_t *value, void *member)
{
    (void)compiler, (void)value, (void)member;
    return true;
}

static bool read_value(compiler_t *compiler, const json_t *value, void *member)
{
    (void)compiler;
    *(const json_t **)member = value;
    return true;
}

static bool read_number(compiler_t *compiler, const json_t *value, void *member)
{
    return json_is_number(value) && read_value(compiler, value, member);
}

static bool read_array(compiler_t *compiler, const json_t *value, void *member)
{
    return json_is_array(value) && read_value(compiler, value, member);
}

static bool read_object(compiler_t *compiler, const json_t *value, void *member)
{
    return json_is_object(value) && read_value(compiler, value, member);
}

static bool read_text(compiler_t *compiler, const json_t *value, void *member)
{
    (void)compiler;
    *(const char **)member = json_string_value(value);
    return json_is_string(value);
}

static bool read_flag(compiler_t *compiler, const json_t *value, void *member)
{
    (void)compiler;
    *(bool *)member = json_is_true(value);
    return json_is_boolean(value);
}

static bool read_size(compiler_t *compiler, const json_t *value, void *member)
{
    double size = json_number_value(value);

    (void)compiler;
    if (!json_is_number(value) || size < 0 || size > 1e15 ||
        (double)(int64_t)size != size) {
        return false;
    }
    *(size_t *)member = (size_t)size;
    return true;
}

static bool read_types(compiler_t *compiler, const json_t *value, void *member)
{
    static const char *const names[] = {"null",   "boolean", "object", "array",
                                        "number", "string",  "integer"};
    const json_t *item = NULL;
    size_t index = 0;
    unsigned found = 0;

    if (json_is_array(value)) {
        json_array_foreach(value, index, item)
        {
            if (json_is_array(item) || !read_types(compiler, item, member)) {
                return false;
            }
        }
        return true;
    }
    for (size_t i = 0; json_is_string(value) && i < 7; i++) {
        found |= strcmp(names[i], json_string_value(value)) == 0 ? 1u << i : 0;
    }
    *(unsigned *)member |= found;
    return found != 0;
}

static bool read_pattern(compiler_t *compiler, const json_t *value, void *member)
{
    regex_t **pattern = member;

    (void)compiler;
    *pattern =
        json_is_string(value) ? l7s_schema_pattern(json_string_value(value)) : NULL;
    return *pattern != NULL;
}

static bool read_schema(compiler_t *compiler, const json_t *value, void *member)
{
    *(l7s_schema_node_t **)member = compile(compiler, value);
    return true; /* its own problems are reported already */
}

static bool members_reserve(l7s_schema_members_t *members, size_t count)
{
    members->items = calloc(count + 1, sizeof *members->items);
    return members->items != NULL;
}

static bool read_schemas(compiler_t *compiler, const json_t *value, void *member)
{
    l7s_schema_members_t *members = member;
    const json_t *item = NULL;
    size_t index = 0;

    if (!json_is_array(value) || !members_reserve(members, json_array_size(value))) {
        return false;
    }
    json_array_foreach(value, index, item)
    {
        size_t mark = l7s_pointer_push_index(&compiler->at, index);

        members->items[members->count++].node = compile(compiler, item);
        l7s_pointer_pop(&compiler->at, mark);
    }
    return true;
}

/* Another one would make other keywords known. */
static bool read_dialect(compiler_t *compiler, const json_t *value, void *member)
{
    const char *text = json_string_value(value);

    (void)compiler, (void)member;
    return text != NULL &&
           strcmp(text, "https://json-schema.org/draft/2020-12/schema") == 0;
}

static bool read_members(compiler_t *compiler, const json_t *value, void *member)
{
    l7s_schema_members_t *members = member;
    const char *name = NULL;
    json_t *item = NULL;

    if (!json_is_object(value) || !members_reserve(members, json_object_size(value))) {
        return false;
    }
    json_object_foreach((json_t *)value, name, item)
    {
        size_t mark = l7s_pointer_push(&compiler->at, name);

        members->items[members->count].name = name;
        members->items[members->count++].node = compile(compiler, item);
        l7s_pointer_pop(&compiler->at, mark);
    }
    return true;
}

static bool read_patterns(compiler_t *compiler, const json_t *value, void *member)
{
    l7s_schema_members_t *members = member;

    if (!read_members(compiler, value, member)) {
        return false;
    }
    for (size_t i = 0; i < members->count; i++) {
        members->items[i].pattern = l7s_schema_pattern(members->items[i].name);
        if (members->items[i].pattern == NULL) {
            return false;
        }
    }
    return true;
}

/* The value that "#/a/b" names within the root document, or NULL. */
static const json_t *resolve(const json_t *root, const char *pointer)
{
    const json_t *value = root;
    char token[256];

    while (value != NULL && *pointer == '/') {
        size_t size = strcspn(++pointer, "/");

        if (!l7s_pointer_decode(pointer, size, token, sizeof token)) {
            return NULL;
        }
        pointer += size;
        value = json_is_array(value) ? json_array_get(value, strtoul(token, NULL, 10))
                                     : json_object_get(value, token);
    }
    return *pointer == '\0' ? value : NULL;
}

static bool read_reference(compiler_t *compiler, const json_t *value, void *member)
{
    const char *text = json_string_value(value);
    const json_t *target = NULL;

    if (text == NULL || *text != '#') {
        return false;
    }
    target = resolve(compiler->schema->root, text + 1);
    if (target == NULL) {
        return false;
    }
    *(l7s_schema_node_t **)member = compile(compiler, target);
    return true;
}

#define AT(member) offsetof(l7s_schema_node_t, member)

static const keyword_t KEYWORDS[] = {
    {"$ref", read_reference, AT(reference)},
    {"$defs", read_members, AT(defs)},
    {"$schema", read_dialect, 0},
    {"$comment", read_nothing, 0},
    {"title", read_nothing, 0},
    {"description", read_nothing, 0},
    {"default", read_nothing, 0},
    {"examples", read_nothing, 0},
    {"deprecated", read_nothing, 0},
    {"readOnly", read_nothing, 0},
    {"writeOnly", read_nothing, 0},
    {"contentMediaType", read_nothing, 0},
    {"contentEncoding", read_nothing, 0},
    {"format", read_text, AT(format)},
    {"type", read_types, AT(types)},
    {"const", read_value, AT(constant)},
    {"enum", read_array, AT(choices)},
    {"minimum", read_number, AT(minimum)},
    {"maximum", read_number, AT(maximum)},
    {"exclusiveMinimum", read_number, AT(exclusive_minimum)},
    {"exclusiveMaximum", read_number, AT(exclusive_maximum)},
    {"multipleOf", read_number, AT(multiple_of)},
    {"minLength", read_size, AT(min_length)},
    {"maxLength", read_size, AT(max_length)},
    {"pattern", read_pattern, AT(pattern)},
    {"minItems", read_size, AT(min_items)},
    {"maxItems", read_size, AT(max_items)},
    {"uniqueItems", read_flag, AT(unique)},
    {"items", read_schema, AT(items)},
    {"prefixItems", read_schemas, AT(prefix_items)},
    {"contains", read_schema, AT(contains)},
    {"minContains", read_size, AT(min_contains)},
    {"maxContains", read_size, AT(max_contains)},
    {"minProperties", read_size, AT(min_properties)},
    {"maxProperties", read_size, AT(max_properties)},
    {"required", read_array, AT(required)},
    {"dependentRequired", read_object, AT(dependent_required)},
    {"dependentSchemas", read_members, AT(dependent_schemas)},
    {"properties", read_members, AT(properties)},
    {"patternProperties", read_patterns, AT(pattern_properties)},
    {"additionalProperties", read_schema, AT(additional)},
    {"propertyNames", read_schema, AT(property_names)},
    {"allOf", read_schemas, AT(all_of)},
    {"anyOf", read_schemas, AT(any_of)},
    {"oneOf", read_schemas, AT(one_of)},
    {"not", read_schema, AT(negated)},
    {"if", read_schema, AT(condition)},
    {"then", read_schema, AT(consequence)},
    {"else", read_schema, AT(alternative)},
    {"x-unsupported", read_array, AT(unsupported)},
    {"x-message", read_text, AT(message)},
};

static void compile_keyword(compiler_t *compiler, l7s_schema_node_t *node,
                            const char *name, const json_t *value)
{
    size_t mark = l7s_pointer_push(&compiler->at, name);
    const keyword_t *keyword = NULL;

    for (size_t i = 0; i < sizeof KEYWORDS / sizeof KEYWORDS[0]; i++) {
        if (strcmp(KEYWORDS[i].name, name) == 0) {
            keyword = &KEYWORDS[i];
            break;
        }
    }
    if (keyword == NULL && strncmp(name, "x-", 2) != 0) {
        fail(compiler, "unknown_keyword", "this keyword is not supported");
    } else if (keyword != NULL &&
               !keyword->read(compiler, value, (char *)node + keyword->offset)) {
        fail(compiler, "bad_keyword", "this keyword cannot have this value");
    }
    l7s_pointer_pop(&compiler->at, mark);
}

static l7s_schema_node_t *node_new(compiler_t *compiler, const json_t *source)
{
    l7s_schema_t *schema = compiler->schema;
    l7s_schema_node_t *node = NULL;

    if (schema->count == schema->capacity) {
        size_t capacity = schema->capacity == 0 ? 64 : schema->capacity * 2;
        void *nodes = capacity > NODES_MAX
                          ? NULL
                          : realloc(schema->nodes, capacity * sizeof *schema->nodes);

        if (nodes == NULL) {
            return NULL;
        }
        schema->nodes = nodes;
        schema->capacity = capacity;
    }
    node = calloc(1, sizeof *node);
    if (node != NULL) {
        schema->nodes[schema->count++] = node;
        node->source = source;
        node->max_length = node->max_items = node->max_properties = SIZE_MAX;
        node->min_contains = 1;
        node->max_contains = SIZE_MAX;
    }
    return node;
}

static l7s_schema_node_t *compile(compiler_t *compiler, const json_t *source)
{
    l7s_schema_node_t *node = NULL;
    const char *name = NULL;
    json_t *value = NULL;

    for (size_t i = 0; i < compiler->schema->count; i++) {
        if (compiler->schema->nodes[i]->source == source) {
            return compiler->schema->nodes[i];
        }
    }
    if (!json_is_object(source) && !json_is_boolean(source)) {
        fail(compiler, "bad_schema", "a schema is an object or a boolean");
        return NULL;
    }
    node = compiler->depth < DEPTH_MAX ? node_new(compiler, source) : NULL;
    if (node == NULL) {
        fail(compiler, "too_big", "the schema is too big");
        return NULL;
    }
    compiler->depth++;
    node->never = json_is_false(source);
    node->pattern_text = json_string_value(json_object_get(source, "pattern"));
    json_object_foreach((json_t *)source, name, value)
    {
        compile_keyword(compiler, node, name, value);
    }
    compiler->depth--;
    return node;
}

l7s_status_t l7s_schema_compile(json_t *root, const char *pointer,
                                l7s_problems_t *problems, l7s_schema_t **out)
{
    compiler_t compiler = {.problems = problems};
    const json_t *source = resolve(root, pointer);

    *out = NULL;
    l7s_pointer_begin(&compiler.at);
    if (source == NULL) {
        l7s_problems_add(problems, pointer, "bad_schema", "there is nothing here");
        return L7S_NOT_FOUND;
    }
    compiler.schema = calloc(1, sizeof *compiler.schema);
    if (compiler.schema == NULL) {
        return L7S_NO_MEMORY;
    }
    compiler.schema->root = json_incref(root);
    compiler.schema->top = compile(&compiler, source);
    if (compiler.failed) {
        l7s_schema_free(compiler.schema);
        return L7S_INVALID;
    }
    *out = compiler.schema;
    return L7S_OK;
}

void l7s_schema_assert_formats(l7s_schema_t *schema)
{
    schema->assert_formats = true;
}

static void members_free(l7s_schema_members_t *members)
{
    for (size_t i = 0; i < members->count; i++) {
        l7s_schema_pattern_free(members->items[i].pattern);
    }
    free(members->items);
}

void l7s_schema_free(l7s_schema_t *schema)
{
    if (schema == NULL) {
        return;
    }
    for (size_t i = 0; i < schema->count; i++) {
        l7s_schema_node_t *node = schema->nodes[i];

        l7s_schema_pattern_free(node->pattern);
        members_free(&node->properties);
        members_free(&node->pattern_properties);
        members_free(&node->dependent_schemas);
        members_free(&node->defs);
        members_free(&node->prefix_items);
        members_free(&node->all_of);
        members_free(&node->any_of);
        members_free(&node->one_of);
        free(node);
    }
    free(schema->nodes);
    json_decref(schema->root);
    free(schema);
}
