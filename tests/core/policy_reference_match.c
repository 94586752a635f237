/* SPDX-License-Identifier: Apache-2.0
 *
 * What a request matches and whom it counts as, for policy_reference.h.
 */
#include "policy_reference_run.h"

#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool glob_from(const char *glob, const char *path)
{
    if (strcmp(glob, "/**") == 0 && (*path == '\0' || *path == '/')) {
        return true;
    }
    if (*glob == '*') {
        return glob_from(glob + 1, path) ||
               (*path != '\0' && *path != '/' && glob_from(glob, path + 1));
    }
    return *glob == *path && (*glob == '\0' || glob_from(glob + 1, path + 1));
}

static bool value_glob(const char *glob, const char *value)
{
    if (*glob == '*') {
        return value_glob(glob + 1, value) ||
               (*value != '\0' && value_glob(glob, value + 1));
    }
    return *glob == *value && (*glob == '\0' || value_glob(glob + 1, value + 1));
}

static bool any_path(const l7s_strings_t *globs, const char *path)
{
    for (size_t i = 0; i < globs->count; i++) {
        if (glob_from(globs->items[i], path)) {
            return true;
        }
    }
    return globs->count == 0;
}

/* What random policies are written in means the same to POSIX. */
static bool any_regex(const l7s_strings_t *patterns, const char *text)
{
    bool found = patterns->count == 0;

    for (size_t i = 0; i < patterns->count && !found; i++) {
        regex_t regex;
        if (regcomp(&regex, patterns->items[i], REG_EXTENDED | REG_NOSUB) != 0) {
            abort();
        }
        found = regexec(&regex, text, 0, NULL, 0) == 0;
        regfree(&regex);
    }
    return found;
}

static bool any_host(const l7s_strings_t *patterns, const char *host)
{
    for (size_t i = 0; i < patterns->count; i++) {
        const char *pattern = patterns->items[i];
        size_t tail = strlen(pattern) - 1, size = strlen(host);
        if (pattern[0] != '*'
                ? strcmp(pattern, host) == 0
                : size > tail && strcmp(host + size - tail, pattern + 1) == 0) {
            return true;
        }
    }
    return patterns->count == 0;
}

bool reference_any_text(const l7s_strings_t *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (text != NULL && strcmp(texts->items[i], text) == 0) {
            return true;
        }
    }
    return texts->count == 0;
}

const l7s_list_t *reference_list_named(const reference_run_t *run, const char *name)
{
    const l7s_config_t *config = run->all->config;

    for (size_t i = 0; i < config->list_count; i++) {
        if (strcmp(config->lists[i].name, name) == 0) {
            return &config->lists[i];
        }
    }
    return NULL;
}

static bool in_strings(const l7s_list_t *list, const char *value)
{
    for (size_t i = 0; i < list->entry_count; i++) {
        if (strcmp(list->entries[i].text, value) == 0) {
            return true;
        }
    }
    return false;
}

static bool value_holds(const reference_run_t *run, const l7s_header_match_t *header,
                        const char *value)
{
    if (header->is == L7S_IS_PRESENT || value == NULL) {
        return header->is == L7S_IS_ABSENT
                   ? value == NULL
                   : header->is == L7S_IS_PRESENT && value != NULL;
    }
    if (header->list != NULL) {
        return in_strings(reference_list_named(run, header->list), value);
    }
    for (size_t i = 0; i < header->values.count; i++) {
        const char *wanted = header->values.items[i];
        if ((header->is == L7S_IS_EQUALS && strcmp(value, wanted) == 0) ||
            (header->is == L7S_IS_CONTAINS && strstr(value, wanted) != NULL) ||
            (header->is == L7S_IS_GLOB && value_glob(wanted, value))) {
            return true;
        }
    }
    return header->is == L7S_IS_REGEX && any_regex(&header->values, value);
}

static bool header_holds(const reference_run_t *run, const l7s_header_match_t *header)
{
    const l7s_request_t *request = run->request;

    return value_holds(run, header, request->header(request->context, header->name));
}

static int digit(char c)
{
    const char *digits = "0123456789abcdef0123456789ABCDEF";

    return c == '\0' || strchr(digits, c) == NULL
               ? -1
               : (int)((strchr(digits, c) - digits) % 16);
}

/* A query's part as text; what is no escape, and "%00", stays. */
static void decode(char *text)
{
    char *out = text;

    for (; *text != '\0'; text++) {
        int high = *text == '%' ? digit(text[1]) : -1;
        int low = high >= 0 ? digit(text[2]) : -1;
        if (low >= 0 && high + low > 0) {
            *out++ = (char)(high * 16 + low);
            text += 2;
        } else {
            *out++ = (char)(*text == '+' ? ' ' : *text);
        }
    }
    *out = '\0';
}

static char *trimmed(char *text)
{
    size_t size;

    text += strspn(text, " \t");
    size = strlen(text);
    while (size > 0 && strchr(" \t", text[size - 1]) != NULL) {
        text[--size] = '\0';
    }
    return text;
}

/* The n-th value of a name, counted from 0, or NULL. */
static const char *pair_value(const l7s_request_t *request, l7s_field_t field,
                              const char *name, unsigned n, char copy[1024])
{
    bool query = field == L7S_FIELD_QUERY;
    const char *all =
        query ? request->target : request->header(request->context, "cookie");
    char *rest = copy;

    all = query && all != NULL ? strchr(all, '?') : all;
    if (all == NULL) {
        return NULL;
    }
    snprintf(copy, 1024, "%s", query ? all + 1 : all);
    for (char *key = strsep(&rest, query ? "&" : ";"); key != NULL;
         key = strsep(&rest, query ? "&" : ";")) {
        char *value = strchr(key, '=');
        value = value != NULL ? value : key + strlen(key);
        value += *value == '=' ? (*value = '\0', 1) : 0;
        if (query) {
            decode(key);
            decode(value);
        } else {
            key = trimmed(key);
            value = trimmed(value);
        }
        if (strcmp(key, name) == 0 && n-- == 0) {
            return value;
        }
    }
    return NULL;
}

static bool pair_holds(const reference_run_t *run, const l7s_header_match_t *pair)
{
    const l7s_request_t *request = run->request;
    char copy[1024];
    const char *value = pair_value(request, pair->field, pair->name, 0, copy);
    bool holds = value_holds(run, pair, value);

    for (unsigned n = 1; value != NULL && !holds; n++) {
        value = pair_value(request, pair->field, pair->name, n, copy);
        holds = value != NULL && value_holds(run, pair, value);
    }
    return holds;
}

/* What geo_database.pl says of the clients that random requests have. */
static const char *origin(const reference_run_t *run, bool country)
{
    l7s_cidr_t known;

    return run->all->located && l7s_cidr_parse("203.0.113.0/24", &known) == L7S_OK &&
                   l7s_cidr_contains(&known, &run->request->client)
               ? country ? "XA" : "64500"
               : NULL;
}

static bool is_from(const reference_run_t *run, uint32_t code, bool country)
{
    const char *text = origin(run, country);

    return text != NULL &&
           code == (country ? l7s_country_code(text) : (uint32_t)atoi(text));
}

static bool entry_holds(const reference_run_t *run, const l7s_list_t *list, size_t i)
{
    return list->kind == L7S_LIST_ADDRESSES
               ? l7s_cidr_contains(&list->entries[i].network, &run->request->client)
               : is_from(run, list->entries[i].code, list->kind == L7S_LIST_COUNTRIES);
}

bool reference_in_list(const reference_run_t *run, const l7s_list_t *list,
                       uint64_t now_ms)
{
    for (size_t i = 0; i < list->entry_count; i++) {
        bool expired =
            list->entries[i].expires_ms != 0 && list->entries[i].expires_ms <= now_ms;
        if (!expired && entry_holds(run, list, i)) {
            return true;
        }
    }
    return false;
}

static bool client_holds(const reference_run_t *run, const l7s_match_t *match)
{
    if (!match->has_client) {
        return true;
    }
    for (size_t i = 0; i < match->network_count; i++) {
        if (l7s_cidr_contains(&match->networks[i], &run->request->client)) {
            return true;
        }
    }
    for (size_t i = 0; i < match->country_count; i++) {
        if (is_from(run, match->countries[i], true)) {
            return true;
        }
    }
    for (size_t i = 0; i < match->asn_count; i++) {
        if (is_from(run, match->asns[i], false)) {
            return true;
        }
    }
    for (size_t i = 0; i < match->client_lists.count; i++) {
        const l7s_list_t *list = reference_list_named(run, match->client_lists.items[i]);
        if (list != NULL && reference_in_list(run, list, 0)) {
            return true;
        }
    }
    return false;
}

static bool match_holds(const reference_run_t *run, const l7s_match_t *match)
{
    const l7s_request_t *request = run->request;

    for (size_t i = 0; i < match->pair_count; i++) {
        if (!pair_holds(run, &match->pairs[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < match->header_count; i++) {
        if (!header_holds(run, &match->headers[i])) {
            return false;
        }
    }
    return reference_any_text(&match->apps, run->app) &&
           reference_any_text(&match->methods, request->method) &&
           any_host(&match->hosts, request->host) &&
           any_path(&match->paths, request->path) &&
           any_regex(&match->patterns, request->path) && client_holds(run, match);
}

bool reference_matches(const reference_run_t *run, const l7s_policy_t *policy)
{
    bool any = policy->any_count == 0;

    for (size_t i = 0; i < policy->any_count; i++) {
        any = any || match_holds(run, &policy->any[i]);
    }
    if (!any) {
        return false;
    }
    if (policy->mode == L7S_MODE_OFF || !match_holds(run, &policy->match)) {
        return false;
    }
    for (size_t i = 0; i < policy->except_count; i++) {
        if (match_holds(run, &policy->except[i])) {
            return false;
        }
    }
    return true;
}

/* --- apps --- */

static size_t longest(const l7s_strings_t *strings)
{
    size_t most = 0;

    for (size_t i = 0; i < strings->count; i++) {
        size_t length = strlen(strings->items[i]);
        most = length > most ? length : most;
    }
    return most;
}

static bool more_specific(const l7s_app_t *a, const l7s_app_t *b)
{
    if (longest(&a->paths) != longest(&b->paths)) {
        return longest(&a->paths) > longest(&b->paths);
    }
    if (longest(&a->hosts) != longest(&b->hosts)) {
        return longest(&a->hosts) > longest(&b->hosts);
    }
    return strcmp(a->name, b->name) < 0;
}

void reference_find_app(reference_run_t *run)
{
    const l7s_config_t *config = run->all->config;
    const l7s_app_t *best = NULL;

    for (size_t i = 0; i < config->app_count; i++) {
        const l7s_app_t *app = &config->apps[i];
        bool here = run->request->app != NULL
                        ? strcmp(run->request->app, app->name) == 0
                        : any_host(&app->hosts, run->request->host) &&
                              any_path(&app->paths, run->request->path);
        if (here && (best == NULL || more_specific(app, best))) {
            best = app;
        }
    }
    run->app = best != NULL ? best->name : run->request->app;
    run->app_mode = l7s_mode_least(run->mode, best != NULL ? best->mode : run->mode);
}

/* --- tuples --- */

const char *reference_part_value(const reference_run_t *run, const l7s_by_t *by)
{
    switch (by->part) {
    case L7S_PART_PATH:
        return run->request->path;
    case L7S_PART_HOST:
        return run->request->host;
    case L7S_PART_APP:
        return run->app;
    case L7S_PART_HEADER:
        return run->request->header(run->request->context, by->name);
    case L7S_PART_ASN:
        return origin(run, false);
    case L7S_PART_COUNTRY:
        return origin(run, true);
    case L7S_PART_USER:
        return run->request->user;
    case L7S_PART_COOKIE:
        return pair_value(run->request, L7S_FIELD_COOKIE, by->name, 0, run->all->cookie);
    default:
        return "";
    }
}

static l7s_cidr_t part_network(const l7s_policy_t *policy, l7s_part_t part,
                               const l7s_addr_t *client)
{
    bool v4 = l7s_addr_is_v4(client);
    l7s_cidr_t cidr = {.prefix = v4 ? 128 : 64};

    if (part == L7S_PART_NETWORK) {
        cidr.prefix = v4 ? (uint8_t)(96 + policy->ipv4_prefix) : policy->ipv6_prefix;
    }
    cidr.base = l7s_addr_mask(client, cidr.prefix);
    return cidr;
}

static void add_network(reference_tuple_t *tuple, const reference_run_t *run,
                        const l7s_policy_t *policy, l7s_part_t part)
{
    l7s_cidr_t cidr = part_network(policy, part, &run->request->client);
    size_t size = strlen(tuple->text);
    char text[L7S_CIDR_TEXT];

    l7s_cidr_text(&cidr, text);
    snprintf(tuple->text + size, sizeof tuple->text - size, "%s=%s;", l7s_part_name(part),
             text);
    l7s_key_add_cidr(&tuple->encoding, part, &cidr);
    tuple->has_client = true;
}

void reference_make_tuple(const reference_run_t *run, const l7s_policy_t *policy,
                          reference_tuple_t *tuple)
{
    bool absent = false;

    tuple->skipped = tuple->has_client = false;
    tuple->text[0] = '\0';
    l7s_key_begin(&tuple->encoding);
    for (size_t i = 0; i < policy->by_count; i++) {
        const l7s_by_t *by = &policy->by[i];
        const char *value = reference_part_value(run, by);
        size_t size = strlen(tuple->text);
        if (by->part == L7S_PART_CLIENT || by->part == L7S_PART_NETWORK) {
            add_network(tuple, run, policy, by->part);
            continue;
        }
        absent = absent || (value == NULL && l7s_part_may_lack(by->part));
        snprintf(tuple->text + size, sizeof tuple->text - size, "%s:%s%s%s;",
                 l7s_part_name(by->part), by->name != NULL ? by->name : "",
                 value != NULL ? "=" : " absent", value != NULL ? value : "");
        l7s_key_add(&tuple->encoding, by->part,
                    l7s_part_is_named(by->part) ? by->name : NULL, value,
                    value != NULL ? strlen(value) : 0);
    }
    tuple->skipped = absent && policy->when_absent == L7S_ABSENT_SKIP;
    if (absent && policy->when_absent == L7S_ABSENT_CLIENT) {
        add_network(tuple, run, policy, L7S_PART_CLIENT);
    }
}

/* A single IPv6 address is no client: it is banned like any other tuple. */
bool reference_is_address(const reference_run_t *run, const l7s_policy_t *policy)
{
    return policy->by_count == 1 &&
           (policy->by[0].part == L7S_PART_CLIENT ||
            (policy->by[0].part == L7S_PART_NETWORK &&
             (l7s_addr_is_v4(&run->request->client) || policy->ipv6_prefix < 128)));
}

l7s_hash128_t reference_digest(const reference_t *reference, const l7s_policy_t *policy,
                               const l7s_request_t *request, char text[REFERENCE_KEY])
{
    reference_run_t run = {.all = (reference_t *)reference, .request = request};
    reference_tuple_t tuple;

    run.mode = L7S_MODE_ENFORCE;
    reference_find_app(&run);
    reference_make_tuple(&run, policy, &tuple);
    memcpy(text, tuple.text, sizeof tuple.text);
    return l7s_key_digest(reference->count_key, &tuple.encoding);
}
