/* SPDX-License-Identifier: Apache-2.0
 *
 * Values of query parameters (parameter_words.h). The embedded contract is asked, so that
 * what it says of a parameter is what the daemon does.
 */
#include "parameter_words.h"
#include "../../core/schema/nearest.h"
#include "../../core/schema/schema.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#define LIST_MAX 160

/* {"$ref": "#/components/parameters/limit"}: what it stands for. */
static const json_t *resolve(const json_t *parameter)
{
    static const char prefix[] = "#/components/parameters/";
    const char *reference = json_string_value(json_object_get(parameter, "$ref"));
    const json_t *components = json_object_get(l7s_openapi(), "components");

    return reference == NULL || strncmp(reference, prefix, sizeof prefix - 1) != 0
               ? parameter
               : json_object_get(json_object_get(components, "parameters"),
                                 reference + sizeof prefix - 1);
}

static bool is_named(const json_t *parameter, const char *name)
{
    const char *own = json_string_value(json_object_get(parameter, "name"));
    const char *in = json_string_value(json_object_get(parameter, "in"));

    return own != NULL && in != NULL && strcmp(in, "query") == 0 &&
           strcmp(own, name) == 0;
}

static const json_t *operation_of(const admin_route_t *route)
{
    char method[16];
    size_t size = 0;

    for (; route->method[size] != '\0' && size < sizeof method - 1; size++) {
        method[size] = (char)tolower((unsigned char)route->method[size]);
    }
    method[size] = '\0';
    const json_t *paths = json_object_get(l7s_openapi(), "paths");
    return json_object_get(json_object_get(paths, route->pattern), method);
}

/* Of one value. NULL: the contract does not say. */
static const json_t *schema_of(const admin_route_t *route, const char *name)
{
    const json_t *parameters = json_object_get(operation_of(route), "parameters");

    for (size_t i = 0; i < json_array_size(parameters); i++) {
        const json_t *parameter = resolve(json_array_get(parameters, i));
        if (is_named(parameter, name)) {
            const json_t *schema = json_object_get(parameter, "schema");
            const json_t *items = json_object_get(schema, "items");
            return items != NULL ? items : schema;
        }
    }
    return NULL;
}

static void refuse_word(admin_call_t *call, const char *name, const char *value,
                        const json_t *words)
{
    char list[LIST_MAX] = "";
    l7s_nearest_t nearest;

    l7s_nearest_begin(&nearest, value);
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        size_t used = strlen(list);
        snprintf(list + used, sizeof list - used, "%s\"%s\"", i == 0 ? "" : ", ", word);
        l7s_nearest_offer(&nearest, word);
    }
    bool near = nearest.best != NULL;
    admin_call_problem(call, "invalid_parameter", "%s is one of %s%s%s%s", name, list,
                       near ? "; did you mean \"" : ".", near ? nearest.best : "",
                       near ? "\"?" : "");
}

static bool is_one_of(const json_t *words, const char *value)
{
    bool found = false;

    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        found = found || (word != NULL && strcmp(word, value) == 0);
    }
    return found;
}

bool admin_parameter_words(admin_call_t *call, const admin_route_t *route,
                           const char *name, const char *value)
{
    const json_t *schema = schema_of(route, name);
    const json_t *words = json_object_get(schema, "enum");
    const char *type = json_string_value(json_object_get(schema, "type"));
    bool is_flag = strcmp(name, "pretty") == 0 || /* even where it is not worth a word */
                   (type != NULL && strcmp(type, "boolean") == 0);

    if (is_flag && strcmp(value, "true") != 0 && strcmp(value, "false") != 0) {
        admin_call_problem(call, "invalid_parameter",
                           "The query parameter \"%s\" is true or false.", name);
        return false;
    }
    if (words != NULL && !is_one_of(words, value)) {
        refuse_word(call, name, value, words);
        return false;
    }
    return true;
}
