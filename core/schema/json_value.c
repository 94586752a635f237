/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON values as JSON Schema compares them: numbers by their mathematical value, which
 * jansson does not.
 */
#include "schema.h"
#include <math.h>
#include <string.h>

bool l7s_json_integer(const json_t *value, int64_t *out)
{
    double real = json_real_value(value);

    if (json_is_integer(value)) {
        *out = json_integer_value(value);
        return true;
    }
    if (!json_is_real(value) || floor(real) != real || fabs(real) >= 9.2e18) {
        return false;
    }
    *out = (int64_t)real;
    return true;
}

int64_t l7s_json_integer_or(const json_t *value, int64_t otherwise)
{
    int64_t out;

    return l7s_json_integer(value, &out) ? out : otherwise;
}

static bool numbers_equal(const json_t *a, const json_t *b)
{
    if (json_is_integer(a) && json_is_integer(b)) {
        return json_integer_value(a) == json_integer_value(b);
    }
    return json_number_value(a) == json_number_value(b);
}

static bool arrays_equal(const json_t *a, const json_t *b)
{
    for (size_t i = 0; i < json_array_size(a); i++) {
        if (!l7s_json_equal(json_array_get(a, i), json_array_get(b, i))) {
            return false;
        }
    }
    return json_array_size(a) == json_array_size(b);
}

static bool objects_equal(const json_t *a, const json_t *b)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)a, name, value)
    {
        if (!l7s_json_equal(value, json_object_get(b, name))) {
            return false;
        }
    }
    return json_object_size(a) == json_object_size(b);
}

bool l7s_json_equal(const json_t *a, const json_t *b)
{
    if (a == NULL || b == NULL) {
        return false;
    }
    if (json_is_number(a) && json_is_number(b)) {
        return numbers_equal(a, b);
    }
    if (json_typeof(a) != json_typeof(b)) {
        return false;
    }
    switch (json_typeof(a)) {
    case JSON_ARRAY:
        return arrays_equal(a, b);
    case JSON_OBJECT:
        return objects_equal(a, b);
    case JSON_STRING:
        return json_string_length(a) == json_string_length(b) &&
               memcmp(json_string_value(a), json_string_value(b),
                      json_string_length(a)) == 0;
    default:
        return true; /* null, true and false have no content */
    }
}
