/* SPDX-License-Identifier: Apache-2.0
 *
 * "match" and "except" of a policy: hosts, paths, headers and clients.
 */
#include "config_reader.h"
#include "utf8.h"
#include <stdlib.h>
#include <string.h>

static bool parse_is(const char *text, l7s_is_t *out)
{
    static const char *const names[] = {"present", "absent", "equals", "contains",
                                        "glob"};

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

static void read_header(l7s_reader_t *reader, const json_t *json, l7s_header_match_t *out)
{
    out->name = l7s_reader_lower(reader, l7s_reader_string(json, "name", ""));
    l7s_reader_strings(reader, json, "values", NULL, &out->values);
    if (json_object_get(json, "list") != NULL) {
        out->list = l7s_reader_text(reader, l7s_reader_string(json, "list", ""));
    }
    if (parse_is(l7s_reader_string(json, "is", ""), &out->is)) {
        check_values(reader, out);
        if (out->list != NULL) {
            check_list(reader, out);
        }
    }
}

static void read_headers(l7s_reader_t *reader, const json_t *json, l7s_match_t *out)
{
    size_t mark = l7s_pointer_push(&reader->at, "headers");
    const json_t *item = NULL;
    size_t index = 0;

    out->headers = l7s_reader_array(reader, json_array_size(json), sizeof *out->headers);
    json_array_foreach(json, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (out->headers != NULL) {
            read_header(reader, item, &out->headers[out->header_count++]);
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
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
    return strncmp(text, "country:", 8) == 0 || strncmp(text, "asn:", 4) == 0 ||
           strncmp(text, "ja4:", 4) == 0;
}

static void read_client(l7s_reader_t *reader, const char *text, l7s_match_t *out)
{
    char shown[80];

    l7s_utf8_copy(shown, sizeof shown, text);
    if (is_later_kind(text)) {
        l7s_reader_wrong(reader, "unsupported", "\"%s\" is not supported by this version",
                         shown);
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
    read_headers(reader, json_object_get(json, "headers"), out);
    read_clients(reader, json_object_get(json, "client"), out);
}

void l7s_match_free(l7s_match_t *match)
{
    l7s_strings_free(&match->apps);
    l7s_strings_free(&match->hosts);
    l7s_strings_free(&match->methods);
    l7s_strings_free(&match->paths);
    l7s_strings_free(&match->patterns);
    for (size_t i = 0; i < match->header_count; i++) {
        free(match->headers[i].name);
        free(match->headers[i].list);
        l7s_strings_free(&match->headers[i].values);
    }
    free(match->headers);
    free(match->networks);
    l7s_strings_free(&match->client_lists);
}
