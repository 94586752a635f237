/* SPDX-License-Identifier: Apache-2.0
 *
 * Holds answers to the contract with the project's own validator. Reads lines
 * {"method","path","status","type","body"} (path: the template of the contract) and
 * answers each with one line: empty, or the problems of the body.
 */
#include "../../core/json/json_pointer.h"
#include "../../core/json/schema.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LINE_MAX_BYTES = 64 << 20 };

/* Compiled schemas by their pointer. */
static struct {
    char pointer[192];
    l7s_schema_t *schema;
} cache[256];
static size_t cached;

static const l7s_schema_t *schema_at(const char *pointer)
{
    l7s_schema_t *schema = NULL;

    for (size_t i = 0; i < cached; i++) {
        if (strcmp(cache[i].pointer, pointer) == 0) {
            return cache[i].schema;
        }
    }
    if (cached == sizeof cache / sizeof cache[0] ||
        l7s_schema_compile(l7s_openapi(), pointer, NULL, &schema) != L7S_OK) {
        return NULL;
    }
    l7s_schema_assert_formats(schema);
    snprintf(cache[cached].pointer, sizeof cache[0].pointer, "%s", pointer);
    cache[cached++].schema = schema;
    return schema;
}

static const char *text(const json_t *object, const char *name)
{
    const char *value = json_string_value(json_object_get(object, name));

    return value == NULL ? "" : value;
}

/* The response that the contract documents, and in *at where it stands. */
static const json_t *find_response(const json_t *line, l7s_pointer_t *at)
{
    const json_t *operation = json_object_get(
        json_object_get(json_object_get(l7s_openapi(), "paths"), text(line, "path")),
        text(line, "method"));
    const json_t *response = NULL;
    const char *reference = NULL;
    char status[24];

    snprintf(status, sizeof status, "%" JSON_INTEGER_FORMAT,
             json_integer_value(json_object_get(line, "status")));
    response = json_object_get(json_object_get(operation, "responses"), status);
    reference = text(response, "$ref");
    l7s_pointer_begin(at);
    if (strncmp(reference, "#/components/responses/", 23) == 0) {
        l7s_pointer_push(at, "components");
        l7s_pointer_push(at, "responses");
        l7s_pointer_push(at, reference + 23);
        return json_object_get(
            json_object_get(json_object_get(l7s_openapi(), "components"), "responses"),
            reference + 23);
    }
    l7s_pointer_push(at, "paths");
    l7s_pointer_push(at, text(line, "path"));
    l7s_pointer_push(at, text(line, "method"));
    l7s_pointer_push(at, "responses");
    l7s_pointer_push(at, status);
    return response;
}

static void check(const json_t *line)
{
    l7s_problems_t problems = {.count = 0};
    l7s_pointer_t at;
    const json_t *response = find_response(line, &at);
    const json_t *content = json_object_get(response, "content");
    const l7s_schema_t *schema = NULL;

    if (response == NULL) {
        printf("this status is not documented");
        return;
    }
    if (content == NULL && text(line, "type")[0] == '\0') {
        return;
    }
    if (json_object_get(content, text(line, "type")) == NULL) {
        printf("the media type \"%s\" is not documented", text(line, "type"));
        return;
    }
    l7s_pointer_push(&at, "content");
    l7s_pointer_push(&at, text(line, "type"));
    l7s_pointer_push(&at, "schema");
    schema = schema_at(at.text);
    if (schema == NULL) {
        printf("no schema at %s", at.text);
        return;
    }
    if (l7s_schema_validate(schema, json_object_get(line, "body"), &problems) != L7S_OK) {
        for (size_t i = 0; i < problems.count; i++) {
            printf("%s: %s; ", problems.items[i].pointer, problems.items[i].message);
        }
    }
}

int main(void)
{
    char *buffer = malloc(LINE_MAX_BYTES);

    while (buffer != NULL && fgets(buffer, LINE_MAX_BYTES, stdin) != NULL) {
        json_t *line = json_loads(buffer, 0, NULL);

        if (line == NULL) {
            printf("not a line of JSON");
        } else {
            check(line);
        }
        printf("\n");
        fflush(stdout);
        json_decref(line);
    }
    free(buffer);
    return 0;
}
