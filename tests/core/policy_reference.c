/* SPDX-License-Identifier: Apache-2.0
 *
 * See policy_reference.h. Slow on purpose.
 */
#include "policy_reference.h"

#include <inttypes.h>
#include <regex.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    reference_t *all;
    const l7s_request_t *request;
    l7s_now_t now;
    reference_verdict_t *verdict;
    const char *app;
    l7s_mode_t mode, app_mode;
    char spoken[L7S_POLICY_NAME_MAX];
} run_t;

static void *grow(size_t count, size_t width)
{
    void *items = calloc(count, width);

    if (items == NULL) {
        abort();
    }
    return items;
}

void reference_begin(reference_t *reference, fixture_t *fixture)
{
    memset(reference, 0, sizeof *reference);
    reference->config = &fixture->config;
    reference->count_key = &fixture->count_key;
    reference->located = fixture->shared.geo != NULL;
    reference->node_mode = L7S_MODE_ENFORCE;
    reference->counters = grow(REFERENCE_MAX, sizeof *reference->counters);
    reference->bans = grow(REFERENCE_MAX, sizeof *reference->bans);
    reference->episodes = grow(REFERENCE_MAX, sizeof *reference->episodes);
}

void reference_end(reference_t *reference)
{
    free(reference->counters);
    free(reference->bans);
    free(reference->episodes);
}

/* --- matching --- */

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

static bool any_text(const l7s_strings_t *texts, const char *text)
{
    for (size_t i = 0; i < texts->count; i++) {
        if (text != NULL && strcmp(texts->items[i], text) == 0) {
            return true;
        }
    }
    return texts->count == 0;
}

static const l7s_list_t *list_named(const run_t *run, const char *name)
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

static bool value_holds(const run_t *run, const l7s_header_match_t *header,
                        const char *value)
{
    if (header->is == L7S_IS_PRESENT || value == NULL) {
        return header->is == L7S_IS_ABSENT
                   ? value == NULL
                   : header->is == L7S_IS_PRESENT && value != NULL;
    }
    if (header->list != NULL) {
        return in_strings(list_named(run, header->list), value);
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

static bool header_holds(const run_t *run, const l7s_header_match_t *header)
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

static bool pair_holds(const run_t *run, const l7s_header_match_t *pair)
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
static const char *origin(const run_t *run, bool country)
{
    l7s_cidr_t known;

    return run->all->located && l7s_cidr_parse("203.0.113.0/24", &known) == L7S_OK &&
                   l7s_cidr_contains(&known, &run->request->client)
               ? country ? "XA" : "64500"
               : NULL;
}

static bool is_from(const run_t *run, uint32_t code, bool country)
{
    const char *text = origin(run, country);

    return text != NULL &&
           code == (country ? l7s_country_code(text) : (uint32_t)atoi(text));
}

static bool entry_holds(const run_t *run, const l7s_list_t *list, size_t i)
{
    return list->kind == L7S_LIST_ADDRESSES
               ? l7s_cidr_contains(&list->entries[i].network, &run->request->client)
               : is_from(run, list->entries[i].code, list->kind == L7S_LIST_COUNTRIES);
}

static bool in_list(const run_t *run, const l7s_list_t *list, uint64_t now_ms)
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

static bool client_holds(const run_t *run, const l7s_match_t *match)
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
        const l7s_list_t *list = list_named(run, match->client_lists.items[i]);
        if (list != NULL && in_list(run, list, 0)) {
            return true;
        }
    }
    return false;
}

static bool match_holds(const run_t *run, const l7s_match_t *match)
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
    return any_text(&match->apps, run->app) &&
           any_text(&match->methods, request->method) &&
           any_host(&match->hosts, request->host) &&
           any_path(&match->paths, request->path) &&
           any_regex(&match->patterns, request->path) && client_holds(run, match);
}

static bool policy_matches(const run_t *run, const l7s_policy_t *policy)
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

static void find_app(run_t *run)
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

static const char *part_value(const run_t *run, const l7s_by_t *by)
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

typedef struct {
    bool skipped, has_client;
    char text[REFERENCE_KEY];
    l7s_key_t encoding;
} tuple_t;

static void add_network(tuple_t *tuple, const run_t *run, const l7s_policy_t *policy,
                        l7s_part_t part)
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

static void make_tuple(const run_t *run, const l7s_policy_t *policy, tuple_t *tuple)
{
    bool absent = false;

    tuple->skipped = tuple->has_client = false;
    tuple->text[0] = '\0';
    l7s_key_begin(&tuple->encoding);
    for (size_t i = 0; i < policy->by_count; i++) {
        const l7s_by_t *by = &policy->by[i];
        const char *value = part_value(run, by);
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
static bool is_address_tuple(const run_t *run, const l7s_policy_t *policy)
{
    return policy->by_count == 1 &&
           (policy->by[0].part == L7S_PART_CLIENT ||
            (policy->by[0].part == L7S_PART_NETWORK &&
             (l7s_addr_is_v4(&run->request->client) || policy->ipv6_prefix < 128)));
}

l7s_hash128_t reference_digest(const reference_t *reference, const l7s_policy_t *policy,
                               const l7s_request_t *request, char text[REFERENCE_KEY])
{
    run_t run = {.all = (reference_t *)reference, .request = request};
    tuple_t tuple;

    run.mode = L7S_MODE_ENFORCE;
    find_app(&run);
    make_tuple(&run, policy, &tuple);
    memcpy(text, tuple.text, sizeof tuple.text);
    return l7s_key_digest(reference->count_key, &tuple.encoding);
}

/* --- verdicts --- */

static int strength(l7s_outcome_t outcome)
{
    static const l7s_outcome_t order[] = {L7S_OUTCOME_ADMITTED, L7S_OUTCOME_LOGGED,
                                          L7S_OUTCOME_ALLOW_LISTED, L7S_OUTCOME_OBSERVED};

    for (int i = 0; i < 4; i++) {
        if (order[i] == outcome) {
            return i;
        }
    }
    return 4;
}

static void say(run_t *run, l7s_outcome_t outcome, const char *policy, uint16_t status,
                uint64_t retry_us)
{
    if (strength(outcome) > strength(run->verdict->outcome)) {
        run->verdict->outcome = outcome;
        snprintf(run->verdict->policy, sizeof run->verdict->policy, "%s", policy);
        run->verdict->status = status;
        run->verdict->retry_after_seconds = (uint32_t)((retry_us + 999999) / 1000000);
    }
}

/* --- episodes --- */

static reference_episode_t *find_episode(run_t *run, size_t policy, const char *tuple)
{
    for (size_t i = 0; i < run->all->episode_count; i++) {
        reference_episode_t *episode = &run->all->episodes[i];
        if (episode->policy == policy && strcmp(episode->tuple, tuple) == 0) {
            return episode;
        }
    }
    return NULL;
}

static reference_episode_t *tripped_episode(run_t *run, size_t policy, const char *tuple,
                                            bool acted)
{
    reference_episode_t *episode = find_episode(run, policy, tuple);

    if (episode == NULL) {
        if (run->all->episode_count == REFERENCE_MAX) {
            abort();
        }
        episode = &run->all->episodes[run->all->episode_count++];
        episode->policy = policy;
        snprintf(episode->tuple, sizeof episode->tuple, "%s", tuple);
    }
    episode->requests++;
    episode->acted += acted;
    return episode;
}

/* --- bans --- */

static reference_ban_t *find_ban(run_t *run, const char *key)
{
    for (size_t i = 0; i < run->all->ban_count; i++) {
        reference_ban_t *ban = &run->all->bans[i];
        if (strcmp(ban->key, key) == 0 && ban->until_ms > run->now.wall_ms) {
            return ban;
        }
    }
    return NULL;
}

static void put_ban(run_t *run, const char *key, const l7s_policy_t *policy)
{
    uint64_t until = run->now.wall_ms + policy->ban_seconds * 1000ULL;
    reference_ban_t *ban = find_ban(run, key);

    if (ban != NULL && ban->until_ms >= until) {
        return;
    }
    if (ban == NULL) {
        if (run->all->ban_count == REFERENCE_MAX) {
            abort();
        }
        ban = &run->all->bans[run->all->ban_count++];
    }
    snprintf(ban->key, sizeof ban->key, "%s", key);
    snprintf(ban->policy, sizeof ban->policy, "%s", policy->name);
    ban->until_ms = until;
    ban->status = policy->status;
}

void reference_ban(reference_t *reference, const char *key, uint64_t until_ms)
{
    reference_ban_t *ban = &reference->bans[reference->ban_count++];

    snprintf(ban->key, sizeof ban->key, "%s", key);
    ban->policy[0] = '\0';
    ban->until_ms = until_ms;
    ban->status = 403;
}

/* The banned one of the client's address and its networks, the narrowest last but the
 * client first. */
static reference_ban_t *find_address_ban(run_t *run)
{
    const l7s_addr_t *client = &run->request->client;
    l7s_cidr_t cidr = l7s_addr_client(client);
    char text[L7S_CIDR_TEXT], key[80];
    reference_ban_t *ban;

    l7s_cidr_text(&cidr, text);
    snprintf(key, sizeof key, "client=%s;", text);
    ban = find_ban(run, key);
    for (unsigned prefix = l7s_addr_is_v4(client) ? 96 : 0; prefix < 128 && ban == NULL;
         prefix++) {
        cidr.prefix = (uint8_t)prefix;
        cidr.base = l7s_addr_mask(client, cidr.prefix);
        l7s_cidr_text(&cidr, text);
        snprintf(key, sizeof key, "network=%s;", text);
        ban = find_ban(run, key);
    }
    return ban;
}

static size_t policy_index(const run_t *run, const char *name)
{
    for (size_t i = 0; i < run->all->config->policy_count; i++) {
        if (strcmp(run->all->config->policies[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

/* True: refused. `tuple`: of the ban when it is not one of an address. */
static bool ban_speaks(run_t *run, const reference_ban_t *ban, l7s_mode_t mode,
                       const char *key)
{
    size_t policy = policy_index(run, ban->policy);
    bool acted = mode == L7S_MODE_ENFORCE;
    tuple_t tuple;

    if (policy != SIZE_MAX) {
        const l7s_policy_t *owner = &run->all->config->policies[policy];
        if (key == NULL) {
            make_tuple(run, owner, &tuple);
            key = tuple.text;
        }
        tripped_episode(run, policy, key, acted);
        run->all->stats[policy].acted += acted;
        run->all->stats[policy].would_act += !acted;
    }
    say(run, acted ? L7S_OUTCOME_BANNED : L7S_OUTCOME_OBSERVED, ban->policy, ban->status,
        (ban->until_ms - run->now.wall_ms) * 1000);
    snprintf(run->spoken, sizeof run->spoken, "%s", ban->policy);
    return acted;
}

/* --- counters --- */

static reference_counter_t *find_counter(run_t *run, size_t policy, size_t rate,
                                         const char *tuple)
{
    for (size_t i = 0; i < run->all->counter_count; i++) {
        reference_counter_t *counter = &run->all->counters[i];
        if (counter->policy == policy && counter->rate == rate &&
            strcmp(counter->tuple, tuple) == 0) {
            return counter;
        }
    }
    return NULL;
}

/* The rates that a request is held to, and the number of the first of them among all of
 * the policy. */
typedef struct {
    const l7s_rate_t *rates;
    size_t count, number;
} held_t;

/* Of the first entry with this value: a document holds each value once. */
static const char *attribute_of(const l7s_list_t *list, const char *value,
                                const char *name)
{
    size_t at = 0;

    while (at < list->entry_count &&
           (value == NULL || strcmp(list->entries[at].text, value) != 0)) {
        at++;
    }
    for (size_t i = 0; at < list->entry_count && i < list->entries[at].attribute_count;
         i++) {
        if (strcmp(list->entries[at].attributes[i].name, name) == 0) {
            return list->entries[at].attributes[i].value;
        }
    }
    return "";
}

static const char *plan_of(const run_t *run, const l7s_policy_t *policy)
{
    const char *value = NULL;

    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_HEADER) {
            value = part_value(run, &policy->by[i]);
        }
    }
    return attribute_of(list_named(run, policy->plan_list), value,
                        policy->plan_attribute);
}

static held_t held_to(const run_t *run, size_t policy)
{
    const l7s_policy_t *asked = &run->all->config->policies[policy];
    const char *name = asked->plan_count > 0 ? plan_of(run, asked) : "";
    size_t number = asked->rate_count;

    for (size_t i = 0; i < asked->plan_count; i++) {
        const l7s_plan_t *plan = &asked->plans[i];
        if (strcmp(plan->name, name) == 0) {
            return (held_t){plan->rates, plan->rate_count, number};
        }
        number += plan->rate_count;
    }
    return (held_t){asked->rates, asked->rate_count, 0};
}

/* Units in use now, without and with the token that is asked for. */
static unsigned __int128 used_units(const run_t *run, const l7s_rate_t *rate,
                                    const reference_counter_t *counter)
{
    unsigned __int128 clock = (unsigned __int128)run->now.mono_us * rate->requests;

    return counter != NULL && counter->tat > clock ? counter->tat - clock : 0;
}

/* Microseconds to wait for the slowest rate; 0: all conform. */
static uint64_t wait_for(run_t *run, size_t policy, const char *tuple)
{
    held_t held = held_to(run, policy);
    uint64_t wait = 0;

    for (size_t i = 0; i < held.count; i++) {
        const l7s_rate_t *rate = &held.rates[i];
        unsigned __int128 used =
            used_units(run, rate, find_counter(run, policy, held.number + i, tuple)) +
            rate->period_us;
        unsigned __int128 room = (unsigned __int128)rate->burst * rate->period_us;
        if (used > room) {
            uint64_t needed =
                (uint64_t)((used - room + rate->requests - 1) / rate->requests);
            wait = needed > wait ? needed : wait;
        }
    }
    return wait;
}

/* Takes a token of each rate; the fleet does not know yet. */
static void take(run_t *run, size_t policy, const char *tuple)
{
    held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        const l7s_rate_t *rate = &held.rates[i];
        reference_counter_t *counter = find_counter(run, policy, held.number + i, tuple);
        if (counter == NULL) {
            if (run->all->counter_count == REFERENCE_MAX) {
                abort();
            }
            counter = &run->all->counters[run->all->counter_count++];
            counter->policy = policy;
            counter->rate = held.number + i;
            snprintf(counter->tuple, sizeof counter->tuple, "%s", tuple);
        }
        counter->tat = (unsigned __int128)run->now.mono_us * rate->requests +
                       used_units(run, rate, counter) + rate->period_us;
    }
}

static void give_back(run_t *run, size_t policy, const char *tuple)
{
    held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        find_counter(run, policy, held.number + i, tuple)->tat -= held.rates[i].period_us;
    }
}

/* The tokens are taken for good. */
static void book(run_t *run, size_t policy, const char *tuple)
{
    const l7s_policy_t *charged = &run->all->config->policies[policy];
    reference_episode_t *episode = find_episode(run, policy, tuple);
    held_t held = held_to(run, policy);

    for (size_t i = 0; i < held.count; i++) {
        find_counter(run, policy, held.number + i, tuple)->pending += charged->fleet;
    }
    if (episode != NULL && episode->linked) {
        episode->requests++;
        episode->passed++;
    }
}

/* --- policies --- */

typedef enum { CONFORMS, GOES_ON, ENDS } answer_t;

static l7s_mode_t policy_mode(const run_t *run, const l7s_policy_t *policy,
                              const tuple_t *tuple)
{
    l7s_mode_t mode = l7s_mode_least(run->app_mode, policy->mode);
    l7s_hash128_t key = l7s_hash128_xor(
        l7s_key_digest(run->all->count_key, &tuple->encoding),
        l7s_limit_identity(run->all->count_key, policy->name, policy->spec, 0));

    if (key.hi % 100 >= policy->rollout_percent ||
        (run->request->client_is_proxy && tuple->has_client)) {
        mode = l7s_mode_least(mode, L7S_MODE_OBSERVE);
    }
    return mode;
}

static void start_ban(run_t *run, size_t index, const tuple_t *tuple, l7s_mode_t mode)
{
    const l7s_policy_t *policy = &run->all->config->policies[index];
    char key[REFERENCE_KEY + 100];

    if (mode != L7S_MODE_ENFORCE) {
        snprintf(key, sizeof key, "shadow of %s: %s", policy->name, tuple->text);
    } else if (is_address_tuple(run, policy) && policy->by[0].part == L7S_PART_NETWORK &&
               policy->ipv4_prefix == 32 && l7s_addr_is_v4(&run->request->client)) {
        snprintf(key, sizeof key, "client=%s", tuple->text + strlen("network="));
    } else {
        snprintf(key, sizeof key, "%s", tuple->text);
    }
    put_ban(run, key, policy);
}

static bool is_simulated(run_t *run, size_t index, const tuple_t *tuple, l7s_mode_t mode)
{
    const l7s_policy_t *policy = &run->all->config->policies[index];
    char key[REFERENCE_KEY + 100];

    snprintf(key, sizeof key, "shadow of %s: %s", policy->name, tuple->text);
    return policy->action == L7S_ACTION_BAN && mode != L7S_MODE_ENFORCE &&
           find_ban(run, key) != NULL;
}

static answer_t trips(run_t *run, size_t index, const tuple_t *tuple, l7s_mode_t mode,
                      uint64_t wait_us, bool simulated)
{
    static const l7s_outcome_t outcomes[] = {
        L7S_OUTCOME_ALLOW_LISTED, L7S_OUTCOME_LOGGED, L7S_OUTCOME_DENIED,
        L7S_OUTCOME_THROTTLED,    L7S_OUTCOME_BANNED, L7S_OUTCOME_DROPPED};
    const l7s_policy_t *policy = &run->all->config->policies[index];
    reference_stats_t *stats = &run->all->stats[index];
    bool refuses = policy->action >= L7S_ACTION_DENY;
    bool acted = refuses && mode == L7S_MODE_ENFORCE;
    bool is_ban = policy->action == L7S_ACTION_BAN;

    if (policy->action == L7S_ACTION_ALLOW) {
        stats->logged++;
        if (mode != L7S_MODE_ENFORCE) {
            return GOES_ON;
        }
    } else {
        reference_episode_t *episode = tripped_episode(run, index, tuple->text, acted);
        episode->linked =
            episode->linked ||
            (policy->rate_count > 0 &&
             find_counter(run, index, held_to(run, index).number, tuple->text) != NULL);
        stats->logged += !refuses;
        stats->acted += acted;
        stats->would_act += refuses && !acted;
    }
    if (is_ban && !simulated) {
        start_ban(run, index, tuple, mode);
    }
    say(run, refuses && !acted ? L7S_OUTCOME_OBSERVED : outcomes[policy->action],
        policy->name, refuses ? policy->status : 0,
        is_ban ? policy->ban_seconds * 1000000ULL : wait_us);
    return acted || policy->action == L7S_ACTION_ALLOW ? ENDS : GOES_ON;
}

static answer_t ask(run_t *run, size_t index, char tuple_text[REFERENCE_KEY])
{
    const l7s_policy_t *policy = &run->all->config->policies[index];
    const reference_ban_t *ban;
    tuple_t tuple;
    l7s_mode_t mode;
    uint64_t wait_us;
    bool simulated;

    make_tuple(run, policy, &tuple);
    if (tuple.skipped || strcmp(run->spoken, policy->name) == 0) {
        return GOES_ON;
    }
    mode = policy_mode(run, policy, &tuple);
    run->all->stats[index].matched++;
    ban = is_address_tuple(run, policy) ? NULL : find_ban(run, tuple.text);
    if (ban != NULL) {
        bool spared = run->request->client_is_proxy && tuple.has_client;
        l7s_mode_t stage =
            spared ? l7s_mode_least(run->app_mode, L7S_MODE_OBSERVE) : run->app_mode;
        return ban_speaks(run, ban, stage, tuple.text) ? ENDS : GOES_ON;
    }
    simulated = is_simulated(run, index, &tuple, mode);
    wait_us = simulated ? 0 : wait_for(run, index, tuple.text);
    if (!simulated && wait_us == 0 && policy->rate_count > 0) {
        memcpy(tuple_text, tuple.text, sizeof tuple.text);
        return CONFORMS;
    }
    return trips(run, index, &tuple, mode, wait_us, simulated);
}

/* --- lists --- */

static bool lists_speak(run_t *run, l7s_effect_t effect)
{
    const l7s_config_t *config = run->all->config;

    for (size_t i = 0; i < config->list_count; i++) {
        const l7s_list_t *list = &config->lists[i];
        l7s_mode_t mode = list->apps.count > 0 ? run->app_mode : run->mode;
        if (list->effect != effect || !in_list(run, list, 0) ||
            !any_text(&list->apps, run->app) || mode == L7S_MODE_OFF) {
            continue;
        }
        if (effect == L7S_EFFECT_ALLOW) {
            say(run, L7S_OUTCOME_ALLOW_LISTED, list->name, 0, 0);
            return true;
        }
        say(run, mode == L7S_MODE_ENFORCE ? L7S_OUTCOME_LISTED : L7S_OUTCOME_OBSERVED,
            list->name, 403, 0);
        if (mode == L7S_MODE_ENFORCE) {
            return true;
        }
    }
    return false;
}

static bool address_speaks(run_t *run)
{
    const reference_ban_t *ban;

    if (run->request->client_is_proxy) {
        return false;
    }
    if (lists_speak(run, L7S_EFFECT_ALLOW)) {
        return true;
    }
    ban = find_address_ban(run);
    return (ban != NULL && ban_speaks(run, ban, run->mode, NULL)) ||
           lists_speak(run, L7S_EFFECT_DENY);
}

static bool counts_by_user(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_USER) {
            return true;
        }
    }
    return false;
}

/* Those that count by user, or all others. What the admitted request has taken joins
 * `taken`. True: one of them ends the evaluation. */
static bool policies_speak(run_t *run, bool by_user)
{
    static char tuples[L7S_POLICIES_MAX][REFERENCE_KEY];
    size_t conforming[L7S_POLICIES_MAX], count = 0;
    bool ended = false;

    for (size_t i = 0; i < run->all->config->policy_count && !ended; i++) {
        answer_t answer = GOES_ON;
        if (counts_by_user(&run->all->config->policies[i]) == by_user &&
            policy_matches(run, &run->all->config->policies[i])) {
            answer = ask(run, i, tuples[i]);
        }
        if (answer == CONFORMS) {
            conforming[count++] = i;
        }
        ended = answer == ENDS;
    }
    for (size_t i = 0; i < count && !l7s_outcome_refuses(run->verdict->outcome); i++) {
        reference_taken_t *taken = &run->all->taken[run->all->taken_count++];
        taken->policy = conforming[i];
        memcpy(taken->tuple, tuples[conforming[i]], sizeof taken->tuple);
        take(run, conforming[i], taken->tuple);
    }
    return ended;
}

/* All that is asked has been asked. */
static void settle(run_t *run)
{
    for (size_t i = 0; i < run->all->taken_count; i++) {
        const reference_taken_t *taken = &run->all->taken[i];
        if (l7s_outcome_refuses(run->verdict->outcome)) {
            give_back(run, taken->policy, taken->tuple);
        } else {
            book(run, taken->policy, taken->tuple);
        }
    }
    run->all->taken_count = 0;
}

bool reference_decide(reference_t *reference, const l7s_request_t *request, l7s_now_t now,
                      reference_verdict_t *verdict)
{
    run_t run = {.all = reference, .request = request, .now = now, .verdict = verdict};
    bool ended = true;

    memset(verdict, 0, sizeof *verdict);
    run.mode = l7s_mode_least(request->mode, reference->node_mode);
    if (run.mode == L7S_MODE_OFF) {
        return false;
    }
    find_app(&run);
    if (!address_speaks(&run) && run.app_mode != L7S_MODE_OFF) {
        ended = policies_speak(&run, false);
    }
    reference->verdicts[verdict->outcome]++;
    if (ended) {
        settle(&run);
    }
    return !ended;
}

void reference_decide_user(reference_t *reference, const l7s_request_t *request,
                           l7s_now_t now, reference_verdict_t *verdict)
{
    run_t run = {.all = reference, .request = request, .now = now, .verdict = verdict};

    reference->verdicts[verdict->outcome]--;
    run.mode = l7s_mode_least(request->mode, reference->node_mode);
    find_app(&run);
    if (run.app_mode != L7S_MODE_OFF) {
        policies_speak(&run, true);
    }
    settle(&run);
    reference->verdicts[verdict->outcome]++;
}
