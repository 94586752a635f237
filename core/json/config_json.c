/* SPDX-License-Identifier: Apache-2.0
 *
 * The whole configuration from JSON to the model, and single objects for the daemon. One
 * table describes the four kinds of objects. An object that fails its schema does not
 * keep the others from being read: whoever wrote the file gets every problem at once.
 */
#include "../schema/utf8.h"
#include "config_names.h"
#include "config_reader.h"
#include "override.h"
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

enum { LISTS = 1, RESPONSES = 3, KINDS_COUNT = sizeof KINDS / sizeof KINDS[0] };
enum { OBJECTS_MAX = 1024 };

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

/* Objects keep their index in the document until everything is checked. More of them than
 * the schema allows (which has refused them already) are not read. */
static void read_kind(l7s_reader_t *reader, const json_t *document, const kind_t *kind,
                      l7s_config_t *out)
{
    const json_t *array = json_object_get(document, kind->member);
    size_t mark = l7s_pointer_push(&reader->at, kind->member);
    size_t count = json_array_size(array) > OBJECTS_MAX ? 0 : json_array_size(array);
    char *objects = l7s_reader_array(reader, count, kind->size);

    *(char **)((char *)out + kind->array_at) = objects;
    for (size_t i = 0; i < count && objects != NULL; i++) {
        size_t inner = l7s_pointer_push_index(&reader->at, i);

        ++*count_of(out, kind);
        kind->read(reader, json_array_get(array, i), objects + i * kind->size);
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

static void read_settings(l7s_reader_t *reader, const json_t *settings, l7s_config_t *out)
{
    size_t mark = l7s_pointer_push(&reader->at, "settings");

    l7s_reader_mode(settings, L7S_MODE_ENFORCE, &out->mode);
    l7s_reader_time(reader, settings, "mode_until", &out->mode_until_ms);
    const json_t *guard = json_object_get(settings, "guard");
    out->guard.max_acted_clients_percent =
        (uint32_t)l7s_reader_integer(guard, "max_acted_clients_percent", 5);
    out->guard.within_seconds = (uint32_t)l7s_reader_integer(guard, "within_seconds", 60);
    out->records_query = strcmp(l7s_reader_string(json_object_get(settings, "privacy"),
                                                  "query_strings", "omit"),
                                "include") == 0;
    l7s_pointer_pop(&reader->at, mark);
}

/* What an image may hold (image_check.c), said before anything is compiled. */
static void check_rates(l7s_reader_t *reader, const l7s_config_t *config)
{
    size_t count = 0;

    for (size_t i = 0; i < config->policy_count; i++) {
        count += config->policies[i].rate_count + config->policies[i].step_count;
        for (size_t j = 0; j < config->policies[i].plan_count; j++) {
            count += config->policies[i].plans[j].rate_count;
        }
    }
    if (count > L7S_LIMITS_MAX) {
        l7s_reader_wrong_at(reader, "policies", "too_many_rates",
                            "all policies and plans together may have %d rates and steps "
                            "of escalation, not %zu",
                            L7S_LIMITS_MAX, count);
    }
}

static void read_all(l7s_reader_t *reader, const json_t *document, l7s_config_t *out)
{
    l7s_names_t names[KINDS_COUNT];

    for (size_t i = 0; i < KINDS_COUNT; i++) {
        const kind_t *kind = &KINDS[i];

        read_kind(reader, document, kind, out);
        l7s_names_begin(reader, &names[i], kind->name, kind->member, array_of(out, kind),
                        *count_of(out, kind), kind->size);
        l7s_names_check(reader, &names[i]);
    }
    check_rates(reader, out);
    read_settings(reader, json_object_get(document, "settings"), out);
    l7s_overrides_read(reader, document, out);
    l7s_references_check(reader, document, &names[LISTS], &names[RESPONSES]);
    for (size_t i = 0; i < KINDS_COUNT; i++) {
        l7s_names_end(&names[i]);
    }
}

static int by_priority(const void *a, const void *b)
{
    const l7s_policy_t *left = a, *right = b;

    if (left->priority != right->priority) {
        return left->priority < right->priority ? -1 : 1;
    }
    return strcmp(left->name, right->name);
}

static l7s_status_t verdict(const l7s_reader_t *reader)
{
    if (reader->no_memory) {
        return L7S_NO_MEMORY;
    }
    return reader->held && !reader->failed ? L7S_OK : L7S_INVALID;
}

l7s_status_t l7s_config_parse(const json_t *document, l7s_problems_t *problems,
                              l7s_config_t **out)
{
    const l7s_schema_t *schema = l7s_openapi_schema("Snapshot");
    l7s_config_t *config = calloc(1, sizeof *config);
    l7s_status_t status = L7S_OK;
    l7s_reader_t reader;

    *out = NULL;
    if (config == NULL || schema == NULL) {
        free(config);
        return L7S_NO_MEMORY;
    }
    l7s_reader_begin(&reader, problems);
    reader.held = l7s_schema_validate(schema, document, problems) == L7S_OK;
    read_all(&reader, document, config);
    status = verdict(&reader);
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
    char shown[L7S_POLICY_NAME_MAX];

    if (given != NULL && strcmp(given, name) != 0) {
        l7s_utf8_copy(shown, sizeof shown, name);
        l7s_reader_wrong_at(reader, "name", "name_mismatch",
                            "the path says \"%s\": leave the name out or write this one",
                            shown);
    }
}

l7s_status_t l7s_object_check(const char *kind, const char *name, const json_t *document,
                              l7s_problems_t *problems)
{
    const kind_t *found = find_kind(kind);
    const l7s_schema_t *schema = found == NULL ? NULL : l7s_openapi_schema(found->schema);
    l7s_reader_t reader;
    void *object = NULL;

    if (schema == NULL) {
        return L7S_NOT_FOUND;
    }
    l7s_reader_begin(&reader, problems);
    reader.held = l7s_schema_validate(schema, document, problems) == L7S_OK;
    check_own_name(&reader, name, document);
    object = l7s_reader_array(&reader, 1, found->size);
    if (object != NULL) {
        found->read(&reader, document, object);
        found->free(object);
        free(object);
    }
    return verdict(&reader);
}
