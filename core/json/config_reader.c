/* SPDX-License-Identifier: Apache-2.0
 *
 * Members of documents: strings, times, hosts, paths and networks.
 */
#include "config_reader.h"
#include "../path.h"
#include "../schema/utf8.h"
#include "pattern_check.h"
#include <ctype.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 80 };

void l7s_reader_begin(l7s_reader_t *reader, l7s_problems_t *problems)
{
    *reader = (l7s_reader_t){.problems = problems};
    l7s_pointer_begin(&reader->at);
}

static bool is_known(const l7s_reader_t *reader)
{
    size_t count = reader->problems == NULL ? 0 : reader->problems->count;

    for (size_t i = 0; i < count; i++) {
        if (strcmp(reader->problems->items[i].pointer, reader->at.text) == 0) {
            return true;
        }
    }
    return false;
}

bool l7s_reader_wrong(l7s_reader_t *reader, const char *code, const char *format, ...)
{
    char message[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    reader->failed = true;
    if (!is_known(reader)) {
        l7s_problems_add(reader->problems, reader->at.text, code, "%s", message);
    }
    return false;
}

bool l7s_reader_wrong_at(l7s_reader_t *reader, const char *key, const char *code,
                         const char *format, ...)
{
    size_t mark = l7s_pointer_push(&reader->at, key);
    char message[256];
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    l7s_reader_wrong(reader, code, "%s", message);
    l7s_pointer_pop(&reader->at, mark);
    return false;
}

char *l7s_reader_text(l7s_reader_t *reader, const char *text)
{
    char *copy = strdup(text == NULL ? "" : text);

    reader->no_memory |= copy == NULL;
    return copy;
}

char *l7s_reader_lower(l7s_reader_t *reader, const char *text)
{
    char *copy = l7s_reader_text(reader, text);

    for (char *c = copy; c != NULL && *c != '\0'; c++) {
        *c = (char)tolower((unsigned char)*c);
    }
    return copy;
}

void *l7s_reader_array(l7s_reader_t *reader, size_t count, size_t size)
{
    void *array = count == 0 ? NULL : calloc(count, size);

    reader->no_memory |= count != 0 && array == NULL;
    return array;
}

int64_t l7s_reader_integer(const json_t *object, const char *key, int64_t otherwise)
{
    int64_t value = otherwise;

    (void)l7s_json_integer(json_object_get(object, key), &value);
    return value;
}

const char *l7s_reader_string(const json_t *object, const char *key,
                              const char *otherwise)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text == NULL ? otherwise : text;
}

void l7s_reader_name(const json_t *object, char out[L7S_POLICY_NAME_MAX])
{
    l7s_utf8_copy(out, L7S_POLICY_NAME_MAX, l7s_reader_string(object, "name", ""));
}

void l7s_reader_time(l7s_reader_t *reader, const json_t *object, const char *key,
                     uint64_t *out)
{
    const char *text = json_string_value(json_object_get(object, key));

    *out = 0;
    if (text != NULL && !l7s_time_parse(text, out)) {
        l7s_reader_wrong_at(reader, key, "bad_time",
                            "must be a time by RFC 3339 like 2026-01-31T23:59:59.000Z");
    }
}

void l7s_reader_mode(const json_t *object, l7s_mode_t otherwise, l7s_mode_t *out)
{
    *out = otherwise;
    (void)l7s_mode_parse(l7s_reader_string(object, "mode", ""), out);
}

void l7s_reader_strings(l7s_reader_t *reader, const json_t *object, const char *key,
                        l7s_accept_fn accept, l7s_strings_t *out)
{
    const json_t *array = json_object_get(object, key);
    size_t mark = l7s_pointer_push(&reader->at, key);
    const json_t *item = NULL;
    size_t index = 0;

    out->items = l7s_reader_array(reader, json_array_size(array), sizeof *out->items);
    json_array_foreach(array, index, item)
    {
        const char *text = json_string_value(item);
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (text != NULL && out->items != NULL) {
            out->items[out->count++] =
                accept == NULL ? l7s_reader_text(reader, text) : accept(reader, text);
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

void l7s_strings_free(l7s_strings_t *strings)
{
    for (size_t i = 0; i < strings->count; i++) {
        free(strings->items[i]);
    }
    free(strings->items);
    *strings = (l7s_strings_t){0};
}

/* What is wrong with a host pattern in lower case, or NULL. */
static const char *host_error(const char *host)
{
    const char *name = strncmp(host, "*.", 2) == 0 ? host + 2 : host;
    size_t length = strlen(name);

    if (*host == '[') {
        return host[strspn(host, "[]0123456789abcdef:.")] == '\0' &&
                       strchr(host, ']') != NULL
                   ? NULL
                   : "is not an address in brackets";
    }
    if (strchr(name, ':') != NULL) {
        return "is matched without scheme and port: leave them out";
    }
    if (strchr(name, '*') != NULL) {
        return "may hold one \"*\", as the whole first label: \"*.example.com\"";
    }
    if (name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-_.")] != '\0') {
        return "is not a host name (write international names in their xn-- form)";
    }
    if (length == 0 || *name == '.' || name[length - 1] == '.' || strstr(name, "..")) {
        return "has an empty label";
    }
    return NULL;
}

char *l7s_accept_host(l7s_reader_t *reader, const char *text)
{
    char *host = l7s_reader_lower(reader, text);
    const char *error = host == NULL ? NULL : host_error(host);

    if (error != NULL) {
        char shown[SHOWN_MAX];

        l7s_utf8_copy(shown, sizeof shown, text);
        l7s_reader_wrong(reader, "bad_host", "\"%s\" %s", shown, error);
    }
    return host;
}

char *l7s_accept_path(l7s_reader_t *reader, const char *text)
{
    const char *error = l7s_path_glob_error(text);

    if (error != NULL) {
        l7s_reader_wrong(reader, "bad_glob", "%s", error);
    }
    return l7s_reader_text(reader, text);
}

char *l7s_accept_pattern(l7s_reader_t *reader, const char *text)
{
    char error[224];

    /* Compiling costs time: not for a report that would not be kept. */
    bool is_full =
        reader->problems != NULL && reader->problems->count == L7S_PROBLEMS_MAX;

    if (!is_full && l7s_pattern_error(text, error, sizeof error)) {
        l7s_reader_wrong(reader, "bad_pattern", "%s", error);
    }
    return l7s_reader_text(reader, text);
}

bool l7s_accept_cidr(l7s_reader_t *reader, const char *text, l7s_cidr_t *out)
{
    l7s_status_t status = l7s_cidr_parse(text, out);
    char shown[SHOWN_MAX], corrected[L7S_CIDR_TEXT];

    if (status == L7S_OK) {
        return true;
    }
    l7s_utf8_copy(shown, sizeof shown, text);
    if (status == L7S_CONFLICT) {
        l7s_cidr_text(out, corrected);
        return l7s_reader_wrong(reader, "cidr_host_bits",
                                "\"%s\" has host bits set; write \"%s\"", shown,
                                corrected);
    }
    return l7s_reader_wrong(reader, "bad_cidr",
                            "\"%s\" is not an address or network like \"203.0.113.0/24\"",
                            shown);
}

bool l7s_accept_country(l7s_reader_t *reader, const char *text, uint32_t *out)
{
    *out = l7s_country_code(text);
    return *out != 0 || l7s_reader_wrong(reader, "bad_country",
                                         "a country is two capitals (ISO 3166-1), like "
                                         "\"DE\"");
}

bool l7s_accept_asn(l7s_reader_t *reader, const char *text, uint32_t *out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long long number = 0;

    if (digits > 0 && digits <= 10 && text[digits] == '\0' && *text != '0') {
        number = strtoull(text, NULL, 10);
    }
    *out = number <= UINT32_MAX ? (uint32_t)number : 0;
    return *out != 0 ||
           l7s_reader_wrong(reader, "bad_asn",
                            "an autonomous system is a number from 1 to 4294967295");
}
