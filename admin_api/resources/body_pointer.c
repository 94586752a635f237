/* SPDX-License-Identifier: Apache-2.0
 *
 * See body_pointer.h. Objects are recognised by their names, which are unique.
 */
#include "body_pointer.h"

#include <stdio.h>
#include <string.h>

bool admin_body_pointer(const admin_call_t *call, const char *member, const char *name,
                        char out[64])
{
    const json_t *array = member == NULL ? NULL : json_object_get(call->body, member);
    size_t index;
    json_t *object;
    out[0] = '\0';
    json_array_foreach(array, index, object)
    {
        const char *own = json_string_value(json_object_get(object, "name"));
        if (own != NULL && strcmp(own, name) == 0) {
            snprintf(out, 64, "/%s/%zu", member, index);
            return true;
        }
    }
    return false;
}

/* One problem: "/policies/7/mode" becomes "/policies/0/mode". */
static bool point(const admin_call_t *call, const json_t *document,
                  l7s_problem_t *problem)
{
    char member[32], own[64], rest[sizeof problem->pointer];
    size_t index;
    int used = 0;
    if (sscanf(problem->pointer, "/%31[a-z]/%zu%n", member, &index, &used) != 2) {
        return false;
    }
    const json_t *object = json_array_get(json_object_get(document, member), index);
    const char *name = json_string_value(json_object_get(object, "name"));
    if (name == NULL || !admin_body_pointer(call, member, name, own)) {
        return false;
    }
    snprintf(rest, sizeof rest, "%s", problem->pointer + used);
    snprintf(problem->pointer, sizeof problem->pointer, "%s%.120s", own, rest);
    return true;
}

size_t admin_body_point(admin_call_t *call, const json_t *document)
{
    size_t foreign = call->problems.count;
    for (size_t i = call->problems.count; i-- > 0;) {
        foreign = point(call, document, &call->problems.items[i]) ? foreign : i;
    }
    return foreign;
}
