/* SPDX-License-Identifier: Apache-2.0
 *
 * "match" and "except" of a policy: hosts, paths, headers, query, cookies and clients.
 */
#include "../schema/utf8.h"
#include "config_reader.h"
#include <stdlib.h>
#include <string.h>

static bool parse_is(const char *text, l7s_is_t *out)
{
    static const char *const names[] = {"present",  "absent", "equals",
                                        "contains", "glob",   "regex"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], text) == 0) {
            *out = (l7s_is_t)i;
            return true;
        }
    }
    return false;
}

static void check_list(l7s_reader_t *reader, const l7s_header_match_t *header)
{
    if (header->is != L7S_IS_EQUALS) {
        l7s_reader_wrong_at(reader, "list", "not_allowed",
                            "\"list\" has a meaning beside equals only");
    } else if (header->values.count != 0) {
        l7s_reader_wrong_at(reader, "list", "not_allowed",
                            "write \"values\" or \"list\", not both");
    }
}

static void check_values(l7s_reader_t *reader, const l7s_header_match_t *header)
{
    bool takes_values = header->is >= L7S_IS_EQUALS;

    if (takes_values && header->values.count == 0 && header->list == NULL) {
        l7s_reader_wrong(reader, "missing_key",
                         "\"values\" is required beside this \"is\"");
    }
    if (!takes_values && header->values.count != 0) {
        l7s_reader_wrong_at(reader, "values", "not_allowed",
                            "\"values\" has no meaning beside present and absent");
    }
    for (size_t i = 0; i < header->values.count && header->is > L7S_IS_EQUALS; i++) {
        if (header->values.items[i] != NULL && header->values.items[i][0] == '\0') {
            l7s_reader_wrong_at(reader, "values", "wrong_length",
                                "an empty value would match nearly everything");
        }
    }
}

static void read_header(l7s_reader_t *reader, const json_t *json, l7s_field_t field,
                        l7s_header_match_t *out)
{
    const char *name = l7s_reader_string(json, "name", "");
    bool is_known = parse_is(l7s_reader_string(json, "is", ""), &out->is);

    out->field = field;
    out->name = field == L7S_FIELD_HEADER ? l7s_reader_lower(reader, name)
                                          : l7s_reader_text(reader, name);
    l7s_reader_strings(reader, json, "values",
                       is_known && out->is == L7S_IS_REGEX ? l7s_accept_pattern : NULL,
                       &out->values);
    if (json_object_get(json, "list") != NULL) {
        out->list = l7s_reader_text(reader, l7s_reader_string(json, "list", ""));
    }
    if (is_known) {
        check_values(reader, out);
        if (out->list != NULL) {
            check_list(reader, out);
        }
    }
}

/* The items of one member; *count of them are in `out` already, which has room. */
static void read_items(l7s_reader_t *reader, const json_t *json, const char *member,
                       l7s_field_t field, l7s_header_match_t *out, size_t *count)
{
    const json_t *array = json_object_get(json, member), *item = NULL;
    size_t mark = l7s_pointer_push(&reader->at, member), index = 0;

    json_array_foreach(array, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (out != NULL) {
            read_header(reader, item, field, &out[(*count)++]);
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
}

static size_t size_of(const json_t *json, const char *member)
{
    return json_array_size(json_object_get(json, member));
}

static void read_fields(l7s_reader_t *reader, const json_t *json, l7s_match_t *out)
{
    size_t pairs = size_of(json, "query") + size_of(json, "cookies");

    out->headers =
        l7s_reader_array(reader, size_of(json, "headers"), sizeof *out->headers);
    out->pairs = l7s_reader_array(reader, pairs, sizeof *out->pairs);
    read_items(reader, json, "headers", L7S_FIELD_HEADER, out->headers,
               &out->header_count);
    read_items(reader, json, "query", L7S_FIELD_QUERY, out->pairs, &out->pair_count);
    read_items(reader, json, "cookies", L7S_FIELD_COOKIE, out->pairs, &out->pair_count);
}

static bool is_list_name(const char *name)
{
    size_t length = strlen(name);

    return length > 0 && length < L7S_POLICY_NAME_MAX && name[0] != '-' &&
           name[length - 1] != '-' &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-") == length;
}

/* Kinds of clients that API.md describes and this version cannot tell apart. */
static bool is_later_kind(const char *text)
{
    return strncmp(text, "ja4:", 4) == 0;
}

static void read_client(l7s_reader_t *reader, const char *text, l7s_match_t *out)
{
    char shown[80];

    l7s_utf8_copy(shown, sizeof shown, text);
    if (is_later_kind(text)) {
        l7s_reader_wrong(reader, "unsupported", "\"%s\" is not supported by this version",
                         shown);
    } else if (strncmp(text, "country:", 8) == 0) {
        if (l7s_accept_country(reader, text + 8, &out->countries[out->country_count])) {
            out->country_count++;
        }
    } else if (strncmp(text, "asn:", 4) == 0) {
        if (l7s_accept_asn(reader, text + 4, &out->asns[out->asn_count])) {
            out->asn_count++;
        }
    } else if (*text != '@') {
        if (l7s_accept_cidr(reader, text, &out->networks[out->network_count])) {
            out->network_count++;
        }
    } else if (is_list_name(text + 1)) {
        out->client_lists.items[out->client_lists.count++] =
            l7s_reader_text(reader, text + 1);
    } else {
        l7s_reader_wrong(reader, "bad_name", "\"%s\" is not a list's name after \"@\"",
                         shown);
    }
}

static void read_clients(l7s_reader_t *reader, const json_t *json, l7s_match_t *out)
{
    const json_t *array = json_object_get(json, "in");
    size_t outer = l7s_pointer_push(&reader->at, "client");
    size_t mark = l7s_pointer_push(&reader->at, "in");
    size_t count = json_array_size(array), index = 0;
    const json_t *item = NULL;

    out->has_client = array != NULL;
    out->networks = l7s_reader_array(reader, count, sizeof *out->networks);
    out->countries = l7s_reader_array(reader, count, sizeof *out->countries);
    out->asns = l7s_reader_array(reader, count, sizeof *out->asns);
    out->client_lists.items =
        l7s_reader_array(reader, count, sizeof *out->client_lists.items);
    json_array_foreach(array, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (json_is_string(item) && !reader->no_memory) {
            read_client(reader, json_string_value(item), out);
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
    l7s_pointer_pop(&reader->at, outer);
}

void l7s_match_read(l7s_reader_t *reader, const json_t *json, l7s_match_t *out)
{
    l7s_reader_strings(reader, json, "apps", NULL, &out->apps);
    l7s_reader_strings(reader, json, "hosts", l7s_accept_host, &out->hosts);
    l7s_reader_strings(reader, json, "methods", NULL, &out->methods);
    l7s_reader_strings(reader, json, "paths", l7s_accept_path, &out->paths);
    l7s_reader_strings(reader, json, "path_regex", l7s_accept_pattern, &out->patterns);
    read_fields(reader, json, out);
    read_clients(reader, json_object_get(json, "client"), out);
}

static void free_items(l7s_header_match_t *items, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        free(items[i].name);
        free(items[i].list);
        l7s_strings_free(&items[i].values);
    }
    free(items);
}

void l7s_match_free(l7s_match_t *match)
{
    l7s_strings_free(&match->apps);
    l7s_strings_free(&match->hosts);
    l7s_strings_free(&match->methods);
    l7s_strings_free(&match->paths);
    l7s_strings_free(&match->patterns);
    free_items(match->headers, match->header_count);
    free_items(match->pairs, match->pair_count);
    free(match->networks);
    free(match->countries);
    free(match->asns);
    l7s_strings_free(&match->client_lists);
}
