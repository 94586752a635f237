/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole configuration from JSON to the model, and single objects for the daemon. One
 * table describes the four kinds of objects. An object that fails its schema does not
 * keep the others from being read: whoever wrote the file gets every problem at once.
 */
#include "config_reader.h"
#include "nearest.h"
#include <stdlib.h>
#include <string.h>

/* Every kind's struct begins with its name. */
_Static_assert(offsetof(l7s_policy_t, name) == 0, "name first");
_Static_assert(offsetof(l7s_list_t, name) == 0, "name first");
_Static_assert(offsetof(l7s_app_t, name) == 0, "name first");
_Static_assert(offsetof(l7s_response_t, name) == 0, "name first");

static void read_policy(l7s_reader_t *reader, const json_t *json, void *out)
{
    l7s_policy_read(reader, json, out);
}

static void read_list(l7s_reader_t *reader, const json_t *json, void *out)
{
    l7s_list_read(reader, json, out);
}

static void read_app(l7s_reader_t *reader, const json_t *json, void *out)
{
    l7s_app_read(reader, json, out);
}

static void read_response(l7s_reader_t *reader, const json_t *json, void *out)
{
    l7s_response_read(reader, json, out);
}

static void free_policy(void *object)
{
    l7s_policy_free(object);
}

static void free_list(void *object)
{
    l7s_list_free(object);
}

static void free_app(void *object)
{
    l7s_app_free(object);
}

static void free_response(void *object)
{
    l7s_response_free(object);
}

typedef struct {
    const char *name, *member, *schema;
    size_t size, array_at, count_at; /* within l7s_config_t */
    void (*read)(l7s_reader_t *reader, const json_t *json, void *out);
    void (*free)(void *object);
} kind_t;

#define KIND(name, member, schema, type, array, count, noun)                             \
    {                                                                                    \
        name, member, schema, sizeof(type), offsetof(l7s_config_t, array),               \
            offsetof(l7s_config_t, count), read_##noun, free_##noun                      \
    }

static const kind_t KINDS[] = {
    KIND("policy", "policies", "Policy", l7s_policy_t, policies, policy_count, policy),
    KIND("list", "lists", "List", l7s_list_t, lists, list_count, list),
    KIND("app", "apps", "App", l7s_app_t, apps, app_count, app),
    KIND("response", "responses", "Response", l7s_response_t, responses, response_count,
         response),
};

enum { KINDS_COUNT = sizeof KINDS / sizeof KINDS[0] };

static char *array_of(const l7s_config_t *config, const kind_t *kind)
{
    return *(char **)((char *)config + kind->array_at);
}

static size_t *count_of(const l7s_config_t *config, const kind_t *kind)
{
    return (size_t *)((char *)config + kind->count_at);
}

void l7s_config_free(l7s_config_t *config)
{
    if (config == NULL) {
        return;
    }
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        char *array = array_of(config, &KINDS[i]);

        for (size_t j = 0; j < *count_of(config, &KINDS[i]); j++) {
            KINDS[i].free(array + j * KINDS[i].size);
        }
        free(array);
    }
    free(config);
}

/* --- reading --- */

/* Objects keep their index in the document until everything is checked; one that fails
 * its schema keeps its name only. */
static void read_kind(l7s_reader_t *reader, const json_t *document, const kind_t *kind,
                      bool schema_held, l7s_config_t *out)
{
    const json_t *array = json_object_get(document, kind->member), *item = NULL;
    const l7s_schema_t *schema = l7s_openapi_schema(kind->schema);
    size_t mark = l7s_pointer_push(&reader->at, kind->member);
    char *objects = l7s_reader_array(reader, json_array_size(array), kind->size);
    size_t index = 0;

    *(char **)((char *)out + kind->array_at) = objects;
    json_array_foreach(array, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (objects == NULL) {
            break;
        }
        ++*count_of(out, kind);
        l7s_reader_name(item, objects + index * kind->size);
        if (schema_held || l7s_schema_validate(schema, item, NULL) == L7S_OK) {
            kind->read(reader, item, objects + index * kind->size);
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

static void read_settings(l7s_reader_t *reader, const json_t *settings, l7s_config_t *out)
{
    size_t mark = l7s_pointer_push(&reader->at, "settings");

    l7s_reader_mode(settings, L7S_MODE_ENFORCE, &out->mode);
    l7s_reader_time(reader, settings, "mode_until", &out->mode_until_ms);
    l7s_pointer_pop(&reader->at, mark);
}

/* --- what spans several objects --- */

/* Quadratic, but the schema allows 1,024 objects of a kind. */
static void check_names(l7s_reader_t *reader, const l7s_config_t *config,
                        const kind_t *kind)
{
    const char *objects = array_of(config, kind);
    size_t mark = l7s_pointer_push(&reader->at, kind->member);

    for (size_t i = 1; i < *count_of(config, kind); i++) {
        const char *name = objects + i * kind->size;
        size_t inner = l7s_pointer_push_index(&reader->at, i);

        for (size_t j = 0; j < i && *name != '\0'; j++) {
            if (strcmp(name, objects + j * kind->size) == 0) {
                l7s_reader_wrong_at(reader, "name", "duplicate_name",
                                    "\"%s\" is the name of /%s/%zu already", name,
                                    kind->member, j);
                break;
            }
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

/* Reports at the present place that nothing of this kind has this name. */
static void check_reference(l7s_reader_t *reader, const l7s_config_t *config,
                            const kind_t *kind, const char *code, const char *name)
{
    const char *objects = array_of(config, kind);
    l7s_nearest_t nearest;

    l7s_nearest_begin(&nearest, name);
    for (size_t i = 0; i < *count_of(config, kind); i++) {
        if (strcmp(objects + i * kind->size, name) == 0) {
            return;
        }
        l7s_nearest_offer(&nearest, objects + i * kind->size);
    }
    if (nearest.best != NULL) {
        l7s_reader_wrong(reader, code, "there is no %s \"%.63s\"; did you mean \"%s\"?",
                         kind->name, name, nearest.best);
    } else {
        l7s_reader_wrong(reader, code, "there is no %s \"%.63s\"", kind->name, name);
    }
}

static void check_match(l7s_reader_t *reader, const l7s_config_t *config,
                        const json_t *match)
{
    const json_t *in = json_object_get(json_object_get(match, "client"), "in");
    const json_t *item = NULL;
    size_t outer = l7s_pointer_push(&reader->at, "client");
    size_t mark = l7s_pointer_push(&reader->at, "in"), index = 0;

    json_array_foreach(in, index, item)
    {
        const char *text = json_string_value(item);

        if (text != NULL && *text == '@') {
            size_t inner = l7s_pointer_push_index(&reader->at, index);

            check_reference(reader, config, &KINDS[1], "list_unknown", text + 1);
            l7s_pointer_pop(&reader->at, inner);
        }
    }
    l7s_pointer_pop(&reader->at, mark);
    l7s_pointer_pop(&reader->at, outer);
}

static void check_response(l7s_reader_t *reader, const l7s_config_t *config,
                           const json_t *action)
{
    size_t outer = l7s_pointer_push(&reader->at, "action");
    const char *key = NULL;
    json_t *options = NULL;

    json_object_foreach((json_t *)action, key, options)
    {
        const char *name = l7s_reader_string(options, "response", "default");

        if (strcmp(name, "default") != 0) {
            size_t mark = l7s_pointer_push(&reader->at, key);
            size_t inner = l7s_pointer_push(&reader->at, "response");

            check_reference(reader, config, &KINDS[3], "response_unknown", name);
            l7s_pointer_pop(&reader->at, inner);
            l7s_pointer_pop(&reader->at, mark);
        }
    }
    l7s_pointer_pop(&reader->at, outer);
}

static void check_policy(l7s_reader_t *reader, const l7s_config_t *config,
                         const json_t *policy)
{
    const json_t *match = json_object_get(policy, "match"), *item = NULL;
    size_t mark = l7s_pointer_push(&reader->at, "match");
    size_t inner = 0, index = 0;

    check_match(reader, config, match);
    inner = l7s_pointer_push(&reader->at, "except");
    json_array_foreach(json_object_get(match, "except"), index, item)
    {
        size_t place = l7s_pointer_push_index(&reader->at, index);

        check_match(reader, config, item);
        l7s_pointer_pop(&reader->at, place);
    }
    l7s_pointer_pop(&reader->at, inner);
    l7s_pointer_pop(&reader->at, mark);
    check_response(reader, config, json_object_get(policy, "action"));
}

static void check_references(l7s_reader_t *reader, const l7s_config_t *config,
                             const json_t *document)
{
    size_t mark = l7s_pointer_push(&reader->at, "policies"), index = 0;
    const json_t *policy = NULL;

    json_array_foreach(json_object_get(document, "policies"), index, policy)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        check_policy(reader, config, policy);
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

static int by_priority(const void *a, const void *b)
{
    const l7s_policy_t *left = a, *right = b;

    if (left->priority != right->priority) {
        return left->priority < right->priority ? -1 : 1;
    }
    return strcmp(left->name, right->name);
}

l7s_status_t l7s_config_parse(const json_t *document, l7s_problems_t *problems,
                              l7s_config_t **out)
{
    const l7s_schema_t *schema = l7s_openapi_schema("Snapshot");
    l7s_config_t *config = calloc(1, sizeof *config);
    l7s_status_t status = L7S_OK;
    l7s_reader_t reader;
    bool held = false;

    *out = NULL;
    if (config == NULL || schema == NULL) {
        free(config);
        return L7S_NO_MEMORY;
    }
    l7s_reader_begin(&reader, problems);
    held = l7s_schema_validate(schema, document, problems) == L7S_OK;
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        read_kind(&reader, document, &KINDS[i], held, config);
        check_names(&reader, config, &KINDS[i]);
    }
    read_settings(&reader, json_object_get(document, "settings"), config);
    check_references(&reader, config, document);
    status = reader.no_memory         ? L7S_NO_MEMORY
             : held && !reader.failed ? L7S_OK
                                      : L7S_INVALID;
    if (status != L7S_OK) {
        l7s_config_free(config);
        return status;
    }
    if (config->policy_count > 1) {
        qsort(config->policies, config->policy_count, sizeof *config->policies,
              by_priority);
    }
    *out = config;
    return L7S_OK;
}

/* --- one object --- */

static const kind_t *find_kind(const char *name)
{
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        if (strcmp(KINDS[i].name, name) == 0) {
            return &KINDS[i];
        }
    }
    return NULL;
}

static void check_own_name(l7s_reader_t *reader, const char *name, const json_t *document)
{
    const char *given = json_string_value(json_object_get(document, "name"));

    if (given != NULL && strcmp(given, name) != 0) {
        l7s_reader_wrong_at(
            reader, "name", "name_mismatch",
            "the path says \"%.63s\": leave the name out or write this one", name);
    }
}

l7s_status_t l7s_object_check(const char *kind, const char *name, const json_t *document,
                              l7s_problems_t *problems)
{
    const kind_t *found = find_kind(kind);
    const l7s_schema_t *schema = found == NULL ? NULL : l7s_openapi_schema(found->schema);
    l7s_reader_t reader;
    void *object = NULL;
    bool held = false;

    if (schema == NULL) {
        return L7S_NOT_FOUND;
    }
    l7s_reader_begin(&reader, problems);
    held = l7s_schema_validate(schema, document, problems) == L7S_OK;
    check_own_name(&reader, name, document);
    if (held) {
        object = l7s_reader_array(&reader, 1, found->size);
    }
    if (object != NULL) {
        found->read(&reader, document, object);
        found->free(object);
        free(object);
    }
    return reader.no_memory         ? L7S_NO_MEMORY
           : held && !reader.failed ? L7S_OK
                                    : L7S_INVALID;
}
