/* SPDX-License-Identifier: Apache-2.0
 *
 * Signals of an incident: those that its nodes reported, added up, and the attack that
 * they are evidence of. Which name means what is one table.
 */
#include "incident_parts.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TOP_MAX = 10 };

static void add_count(json_t *sums, const char *name, json_int_t count)
{
    json_int_t before = json_integer_value(json_object_get(sums, name));

    json_object_set_new(sums, name, json_integer(before + count));
}

/* One entry per "name;detail" in `sums`, an object of counts. Whoever wrote the text may
 * have been another version, or worse: it is bounded, and what does not parse is left
 * out. */
static void add_text(json_t *sums, const char *text)
{
    char one[80];

    while (*text != '\0') {
        size_t length = strcspn(text, ",");
        char *star = NULL;

        snprintf(one, sizeof one, "%.*s", (int)(length < 79 ? length : 79), text);
        star = strrchr(one, '*');
        if (star != NULL && star > one) {
            unsigned long long count = strtoull(star + 1, NULL, 10);

            *star = '\0';
            add_count(sums, one, count < UINT32_MAX ? (json_int_t)count : UINT32_MAX);
        }
        text += length + (text[length] == ',');
    }
}

/* Before the first one that is less frequent: equals stay in their order. */
static void insert(json_t *top, const char *text, json_int_t count)
{
    const char *detail = strchr(text, ';');
    size_t at = 0, name = detail == NULL ? strlen(text) : (size_t)(detail - text);

    while (at < json_array_size(top) && json_integer_value(json_object_get(
                                            json_array_get(top, at), "count")) >= count) {
        at++;
    }
    json_array_insert_new(
        top, at,
        json_pack("{s:s%, s:o, s:I}", "name", text, name, "detail",
                  detail == NULL ? json_null() : json_string(detail + 1), "count",
                  count));
    if (json_array_size(top) > TOP_MAX) {
        json_array_remove(top, TOP_MAX);
    }
}

json_t *l7s_signals_top(const json_t *reports)
{
    json_t *sums = json_object(), *top = json_array(), *value = NULL;
    const char *name = NULL;

    json_object_foreach((json_t *)reports, name, value)
    {
        add_text(sums, l7s_report_text(value, "signals"));
    }
    json_object_foreach(sums, name, value)
    {
        insert(top, name, json_integer_value(value));
    }
    json_decref(sums);
    return top;
}

const char *l7s_signals_signature(const json_t *top)
{
    static const struct {
        const char *name, *signature;
    } table[] = {
        {"remote-command", "remote_control"},
        {"remote-command-execution", "remote_control"},
        {"remote-control", "remote_control"},
        {"web-shell", "remote_control"},
        {"failed-login", "credential_guessing"},
        {"credential-stuffing", "credential_guessing"},
        {"scanner", "scanning"},
        {"scraper", "scraping"},
    };
    const json_t *signal = NULL;
    size_t index = 0;

    json_array_foreach(top, index, signal)
    {
        const char *name = json_string_value(json_object_get(signal, "name"));

        for (size_t i = 0; name != NULL && i < sizeof table / sizeof table[0]; i++) {
            if (strcmp(table[i].name, name) == 0) {
                return table[i].signature;
            }
        }
    }
    return NULL;
}
