/* SPDX-License-Identifier: Apache-2.0
 *
 * What spans several objects of a configuration: duplicate names and references.
 */
#include "config_names.h"
#include "../schema/nearest.h"
#include "../schema/utf8.h"
#include <stdlib.h>
#include <string.h>

static int compare(const void *a, const void *b)
{
    const l7s_name_t *left = a, *right = b;
    int order = strcmp(left->name, right->name);

    return order != 0 ? order
                      : (left->index > right->index) - (left->index < right->index);
}

static int compare_name(const void *name, const void *item)
{
    return strcmp(name, ((const l7s_name_t *)item)->name);
}

void l7s_names_begin(l7s_reader_t *reader, l7s_names_t *names, const char *kind,
                     const char *member, const char *objects, size_t count, size_t size)
{
    *names = (l7s_names_t){.kind = kind, .member = member};
    names->items = l7s_reader_array(reader, count, sizeof *names->items);
    for (size_t i = 0; i < count && names->items != NULL; i++) {
        const char *name = objects + i * size;

        if (*name != '\0') {
            names->items[names->count++] = (l7s_name_t){name, i};
        }
    }
    if (names->count > 1) {
        qsort(names->items, names->count, sizeof *names->items, compare);
    }
}

void l7s_names_end(l7s_names_t *names)
{
    free(names->items);
}

void l7s_names_check(l7s_reader_t *reader, const l7s_names_t *names)
{
    size_t mark = l7s_pointer_push(&reader->at, names->member), first = 0;

    for (size_t i = 1; i < names->count; i++) {
        size_t inner = 0;

        if (strcmp(names->items[i].name, names->items[first].name) != 0) {
            first = i;
            continue;
        }
        inner = l7s_pointer_push_index(&reader->at, names->items[i].index);
        l7s_reader_wrong_at(reader, "name", "duplicate_name",
                            "\"%s\" is the name of /%s/%zu already", names->items[i].name,
                            names->member, names->items[first].index);
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

/* --- references --- */

static const l7s_name_t *find(const l7s_names_t *names, const char *name)
{
    return names->count == 0 ? NULL
                             : bsearch(name, names->items, names->count,
                                       sizeof *names->items, compare_name);
}

/* Nothing is compared for a report that would not be kept. */
static const char *suggest(const l7s_reader_t *reader, const l7s_names_t *names,
                           const char *name)
{
    l7s_nearest_t nearest;

    l7s_nearest_begin(&nearest, name);
    if (reader->problems == NULL || reader->problems->count == L7S_PROBLEMS_MAX) {
        return NULL;
    }
    for (size_t i = 0; i < names->count; i++) {
        l7s_nearest_offer(&nearest, names->items[i].name);
    }
    return nearest.best;
}

/* The object of this name; NULL: reports at the present place that there is none. */
static const void *check_reference(l7s_reader_t *reader, const l7s_names_t *names,
                                   const char *code, const char *name)
{
    const l7s_name_t *found = find(names, name);
    const char *best = NULL;
    char shown[L7S_POLICY_NAME_MAX];

    if (found != NULL) {
        return found->name; /* with which the object begins */
    }
    best = suggest(reader, names, name);
    l7s_utf8_copy(shown, sizeof shown, name);
    if (best != NULL) {
        l7s_reader_wrong(reader, code, "there is no %s \"%s\"; did you mean \"%s\"?",
                         names->kind, shown, best);
    } else {
        l7s_reader_wrong(reader, code, "there is no %s \"%s\"", names->kind, shown);
    }
    return NULL;
}

static void check_list(l7s_reader_t *reader, const l7s_names_t *lists, const char *name,
                       bool of_clients)
{
    const l7s_list_t *list = check_reference(reader, lists, "list_unknown", name);

    if (list != NULL && l7s_list_is_of_clients(list->kind) != of_clients) {
        l7s_reader_wrong(reader, "list_kind",
                         "list \"%s\" holds %s; a list of %s is needed here", list->name,
                         l7s_list_kind_name(list->kind),
                         of_clients ? "addresses" : "strings");
    }
}

static void check_headers(l7s_reader_t *reader, const json_t *headers,
                          const l7s_names_t *lists)
{
    size_t mark = l7s_pointer_push(&reader->at, "headers");

    for (size_t i = 0; i < json_array_size(headers); i++) {
        const char *name = l7s_reader_string(json_array_get(headers, i), "list", NULL);

        if (name != NULL) {
            size_t inner = l7s_pointer_push_index(&reader->at, i);
            size_t place = l7s_pointer_push(&reader->at, "list");

            check_list(reader, lists, name, false);
            l7s_pointer_pop(&reader->at, place);
            l7s_pointer_pop(&reader->at, inner);
        }
    }
    l7s_pointer_pop(&reader->at, mark);
}

static void check_match(l7s_reader_t *reader, const json_t *match,
                        const l7s_names_t *lists)
{
    const json_t *in = json_object_get(json_object_get(match, "client"), "in");
    size_t outer = l7s_pointer_push(&reader->at, "client");
    size_t mark = l7s_pointer_push(&reader->at, "in");

    for (size_t i = 0; i < json_array_size(in); i++) {
        const char *text = json_string_value(json_array_get(in, i));

        if (text != NULL && *text == '@') {
            size_t inner = l7s_pointer_push_index(&reader->at, i);

            check_list(reader, lists, text + 1, true);
            l7s_pointer_pop(&reader->at, inner);
        }
    }
    l7s_pointer_pop(&reader->at, mark);
    l7s_pointer_pop(&reader->at, outer);
    check_headers(reader, json_object_get(match, "headers"), lists);
}

static void check_plans(l7s_reader_t *reader, const json_t *plans,
                        const l7s_names_t *lists)
{
    const char *name = l7s_reader_string(plans, "list", NULL);
    size_t outer = l7s_pointer_push(&reader->at, "detect");
    size_t mark = l7s_pointer_push(&reader->at, "plans");
    size_t inner = l7s_pointer_push(&reader->at, "list");

    if (name != NULL) {
        check_list(reader, lists, name, false);
    }
    l7s_pointer_pop(&reader->at, inner);
    l7s_pointer_pop(&reader->at, mark);
    l7s_pointer_pop(&reader->at, outer);
}

static void check_inner(l7s_reader_t *reader, const json_t *match, const char *member,
                        const l7s_names_t *lists)
{
    const json_t *array = json_object_get(match, member);
    size_t mark = l7s_pointer_push(&reader->at, member);

    for (size_t i = 0; i < json_array_size(array); i++) {
        size_t place = l7s_pointer_push_index(&reader->at, i);

        check_match(reader, json_array_get(array, i), lists);
        l7s_pointer_pop(&reader->at, place);
    }
    l7s_pointer_pop(&reader->at, mark);
}

static void check_action(l7s_reader_t *reader, const json_t *action,
                         const l7s_names_t *responses)
{
    size_t outer = l7s_pointer_push(&reader->at, "action");

    for (l7s_action_t i = L7S_ACTION_ALLOW; i <= L7S_ACTION_LAST; i++) {
        const json_t *options = json_object_get(action, l7s_action_name(i));
        const char *name = l7s_reader_string(options, "response", "default");

        if (strcmp(name, "default") != 0) {
            size_t mark = l7s_pointer_push(&reader->at, l7s_action_name(i));
            size_t inner = l7s_pointer_push(&reader->at, "response");

            check_reference(reader, responses, "response_unknown", name);
            l7s_pointer_pop(&reader->at, inner);
            l7s_pointer_pop(&reader->at, mark);
        }
    }
    l7s_pointer_pop(&reader->at, outer);
}

static void check_steps(l7s_reader_t *reader, const json_t *steps,
                        const l7s_names_t *responses)
{
    size_t outer = l7s_pointer_push(&reader->at, "escalate");

    for (size_t i = 0; i < json_array_size(steps); i++) {
        size_t mark = l7s_pointer_push_index(&reader->at, i);

        check_action(reader, json_object_get(json_array_get(steps, i), "action"),
                     responses);
        l7s_pointer_pop(&reader->at, mark);
    }
    l7s_pointer_pop(&reader->at, outer);
}

static void check_policy(l7s_reader_t *reader, const json_t *policy,
                         const l7s_names_t *lists, const l7s_names_t *responses)
{
    const json_t *match = json_object_get(policy, "match");
    size_t mark = l7s_pointer_push(&reader->at, "match");

    check_match(reader, match, lists);
    check_inner(reader, match, "any", lists);
    check_inner(reader, match, "except", lists);
    l7s_pointer_pop(&reader->at, mark);
    check_plans(reader, json_object_get(json_object_get(policy, "detect"), "plans"),
                lists);
    check_action(reader, json_object_get(policy, "action"), responses);
    check_steps(reader, json_object_get(policy, "escalate"), responses);
}

void l7s_references_check(l7s_reader_t *reader, const json_t *document,
                          const l7s_names_t *lists, const l7s_names_t *responses)
{
    const json_t *policies = json_object_get(document, "policies");
    size_t mark = l7s_pointer_push(&reader->at, "policies");

    for (size_t i = 0; i < json_array_size(policies); i++) {
        size_t inner = l7s_pointer_push_index(&reader->at, i);

        check_policy(reader, json_array_get(policies, i), lists, responses);
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}
