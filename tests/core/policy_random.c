/* SPDX-License-Identifier: Apache-2.0
 *
 * See policy_random.h. Half of the policies match everything in most dimensions: a policy
 * that never matches tests nothing.
 */
#include "policy_random.h"
#include "seeded.h"

#include <stdio.h>
#include <string.h>

#define PICK(seed, table) table[seeded_below(seed, sizeof(table) / sizeof *(table))]

static const char *const CLIENTS[] = {
    "203.0.113.1",  "203.0.113.2",  "203.0.113.129",   "198.51.100.7",
    "198.51.101.7", "10.0.0.1",     "0.0.0.0",         "255.255.255.255",
    "2001:db8::1",  "2001:db8::2",  "2001:db8:0:1::1", "2001:db8:1::1",
    "::1",          "ffff:ffff::1",
};
static const char *const NETWORKS[] = {
    "203.0.113.0/24", "203.0.113.1",   "203.0.113.0/25",  "198.51.100.0/23",
    "10.0.0.0/8",     "0.0.0.0/0",     "2001:db8::/32",   "2001:db8::/64",
    "::/0",           "2001:db8:1::1", "255.255.255.255", "0.0.0.0/1",
};
static const char *const METHODS[] = {"GET", "POST", "PUT", "HEAD", "OPTIONS"};
static const char *const HOSTS[] = {"example.com",     "www.example.com",
                                    "a.b.example.com", "shop.test",
                                    "xexample.com",    "",
                                    ".example.com",    "com"};
static const char *const HOST_PATTERNS[] = {"example.com", "*.example.com",
                                            "*.com",       "*.b.example.com",
                                            "shop.test",   "www.example.com"};
static const char *const SEGMENTS[] = {"a", "b", "api", "login", "x.php", "v1", "ab"};
static const char *const GLOBS[] = {"a",     "b",  "api", "login", "*",
                                    "*.php", "a*", "*b",  "x*p",   "v1"};
static const char *const HEADERS[] = {"user-agent", "x-api-key", "accept", "x-empty"};
static const char *const VALUES[] = {"curl/8", "Mozilla", "key-1",    "key-2",
                                     "",       "text",    "text/html"};
static const char *const VALUE_GLOBS[] = {"curl*", "*-?", "*", "key-*", "*z*l*", "text"};
static const char *const REGEXES[] = {"^/a",     "login$", "/(api|v1)/",
                                      "\\.php$", "^/$",    "b+/?a"};
static const char *const VALUE_REGEXES[] = {"^curl", "[0-9]$", "Mo.*a", "^k.*(1|3)$"};
static const char *const PARAMETERS[] = {"q", "page", "a b", "Q"};
static const char *const QUERIES[] = {
    "q=key-1", "q",  "page=2",    "a+b=text",    "%61%20b=cu%72l/8", "&&",
    "=x",      "q=", "Q=key%2D2", "q=Mozilla+x", "page=%zz%00",      "other=1"};
static const char *const CRUMBS[] = {"q=key-1",  "q",      " page = 2", "a b=text ",
                                     "=x",       "",       "q=",        "Q=key-2",
                                     "q=curl/8", "other=1"};
static const char *const APPS[] = {"shop", "blog", "admin", "undeclared"};

static bool chance(uint64_t *seed, unsigned percent)
{
    return seeded_below(seed, 100) < percent;
}

static char *join(fixture_t *fixture, const char *const *words, size_t count,
                  uint64_t *seed, unsigned most)
{
    char text[512] = "";
    size_t wanted = 1 + seeded_below(seed, most);

    for (size_t i = 0; i < wanted; i++) {
        size_t size = strlen(text);
        snprintf(text + size, sizeof text - size, "%s%s", i > 0 ? " " : "",
                 words[seeded_below(seed, count)]);
    }
    return fixture_text(fixture, text);
}

#define JOIN(fixture, table, seed, most)                                                 \
    join(fixture, table, sizeof(table) / sizeof *(table), seed, most)

static void path_of(char out[200], const char *const *segments, size_t count,
                    uint64_t *seed)
{
    size_t depth = seeded_below(seed, 4), size = 0;

    for (size_t i = 0; i < depth; i++) {
        size += (size_t)snprintf(out + size, 200 - size, "/%s",
                                 segments[seeded_below(seed, count)]);
    }
    if (depth == 0 || chance(seed, 15)) {
        snprintf(out + size, 200 - size, "/");
    }
}

static l7s_strings_t random_paths(fixture_t *fixture, uint64_t *seed)
{
    char text[512] = "", path[200];
    size_t wanted = 1 + seeded_below(seed, 3);

    for (size_t i = 0; i < wanted; i++) {
        size_t size = strlen(text), length;
        if (chance(seed, 50)) {
            path_of(path, SEGMENTS, sizeof SEGMENTS / sizeof *SEGMENTS, seed);
        } else {
            path_of(path, GLOBS, sizeof GLOBS / sizeof *GLOBS, seed);
        }
        length = strlen(path);
        if (chance(seed, 50)) {
            length -= path[length - 1] == '/';
            snprintf(path + length, sizeof path - length, "/**");
        }
        snprintf(text + size, sizeof text - size, "%s%s", i > 0 ? " " : "", path);
    }
    return fixture_strings(fixture, text);
}

/* --- matches --- */

static const char *random_values(fixture_t *fixture, uint64_t *seed, l7s_is_t *is)
{
    *is = (l7s_is_t)seeded_below(seed, 6);
    if (*is == L7S_IS_GLOB) {
        return JOIN(fixture, VALUE_GLOBS, seed, 2);
    }
    if (*is == L7S_IS_REGEX) {
        return JOIN(fixture, VALUE_REGEXES, seed, 2);
    }
    return *is >= L7S_IS_EQUALS ? JOIN(fixture, VALUES, seed, 2) : "";
}

static void random_pairs(fixture_t *fixture, uint64_t *seed, l7s_match_t *match)
{
    size_t wanted = 1 + seeded_below(seed, 2);

    for (size_t i = 0; i < wanted; i++) {
        l7s_is_t is;
        const char *values = random_values(fixture, seed, &is);
        l7s_field_t field = chance(seed, 50) ? L7S_FIELD_QUERY : L7S_FIELD_COOKIE;
        fixture_match_pair(fixture, match, field, PICK(seed, PARAMETERS), is, values);
    }
}

static void random_headers(fixture_t *fixture, uint64_t *seed, l7s_match_t *match)
{
    size_t wanted = 1 + seeded_below(seed, 2);

    for (size_t i = 0; i < wanted; i++) {
        const char *values;
        l7s_is_t is;
        if (chance(seed, 15)) {
            fixture_match_header_list(fixture, match, PICK(seed, HEADERS),
                                      chance(seed, 50) ? "strings-0" : "strings-1");
            continue;
        }
        values = random_values(fixture, seed, &is);
        fixture_match_header(fixture, match, PICK(seed, HEADERS), is, values);
    }
}

static void random_client_in(fixture_t *fixture, uint64_t *seed, l7s_match_t *match)
{
    char text[600];

    snprintf(text, sizeof text, "%s%s", JOIN(fixture, NETWORKS, seed, 3),
             chance(seed, 40)   ? " @list-0"
             : chance(seed, 30) ? " @list-1 @missing"
             : chance(seed, 30) ? " country:XA asn:64501 country:XZ"
             : chance(seed, 30) ? " @list-3 asn:64500"
                                : "");
    fixture_match_client(fixture, match, text);
}

static void random_match(fixture_t *fixture, uint64_t *seed, l7s_match_t *match,
                         unsigned density)
{
    if (chance(seed, density)) {
        match->methods = fixture_strings(fixture, JOIN(fixture, METHODS, seed, 2));
    }
    if (chance(seed, density)) {
        match->hosts = fixture_strings(fixture, JOIN(fixture, HOST_PATTERNS, seed, 2));
    }
    if (chance(seed, 2 * density)) {
        match->paths = random_paths(fixture, seed);
    }
    if (chance(seed, density)) {
        match->patterns = fixture_strings(fixture, JOIN(fixture, REGEXES, seed, 2));
    }
    if (chance(seed, density)) {
        match->apps = fixture_strings(fixture, JOIN(fixture, APPS, seed, 2));
    }
    if (chance(seed, density)) {
        random_headers(fixture, seed, match);
    }
    if (chance(seed, density)) {
        random_pairs(fixture, seed, match);
    }
    if (chance(seed, density)) {
        random_client_in(fixture, seed, match);
    }
}

/* --- policies --- */

static void random_count(fixture_t *fixture, uint64_t *seed, l7s_policy_t *policy)
{
    static const char *const parts[] = {
        "client",
        "client",
        "client",
        "network",
        "path",
        "host",
        "header:x-api-key",
        "global",
        "header:user-agent",
        "app",
        "cookie:q",
        "asn",
        "country",
        "user",
        "user",
    };
    static const uint8_t v4[] = {8, 16, 24, 31, 32}, v6[] = {32, 48, 56, 64, 128};

    fixture_by(fixture, policy, JOIN(fixture, parts, seed, chance(seed, 30) ? 3 : 1));
    policy->when_absent = (l7s_absent_t)seeded_below(seed, 3);
    policy->ipv4_prefix = PICK(seed, v4);
    policy->ipv6_prefix = PICK(seed, v6);
}

static void random_rates(uint64_t *seed, l7s_policy_t *policy)
{
    policy->rate_count = chance(seed, 15) ? 0 : chance(seed, 80) ? 1 : 3;
    for (size_t i = 0; i < policy->rate_count; i++) {
        policy->rates[i].requests = 1 + (uint32_t)seeded_below(seed, 12);
        policy->rates[i].burst = 1 + (uint32_t)seeded_below(seed, 12);
        policy->rates[i].period_us = (1 + seeded_below(seed, 20)) * 1000000;
    }
}

/* Some policies that count by one header have plans. */
static void random_plans(fixture_t *fixture, uint64_t *seed, l7s_policy_t *policy)
{
    static const char *const names[] = {"bronze", "gold", "silver"};
    size_t headers = 0;

    for (size_t i = 0; i < policy->by_count; i++) {
        headers += policy->by[i].part == L7S_PART_HEADER;
    }
    if (headers != 1 || policy->rate_count == 0 || chance(seed, 40)) {
        return;
    }
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        l7s_rate_t rate = {1 + (uint32_t)seeded_below(seed, 12),
                           1 + (uint32_t)seeded_below(seed, 12),
                           (1 + seeded_below(seed, 20)) * 1000000};
        if (chance(seed, 70)) {
            l7s_plan_t *plan =
                fixture_plan(fixture, policy, "strings-1", "plan", names[i], rate);
            if (chance(seed, 30)) {
                plan->rates[plan->rate_count++] = policy->rates[0];
            }
        }
    }
}

/* What is in flight must be known when the request comes. */
static bool may_limit_flight(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_USER) {
            return false;
        }
    }
    return policy->rate_count == 0;
}

static void random_riches(fixture_t *fixture, uint64_t *seed, l7s_policy_t *policy)
{
    if (chance(seed, 20)) {
        policy->action = L7S_ACTION_CHALLENGE;
        policy->refuses = chance(seed, 50);
    }
    if (may_limit_flight(policy) && chance(seed, 60)) {
        policy->concurrency = 1 + (uint32_t)seeded_below(seed, 3);
        policy->fleet = false;
    } else if (chance(seed, 30)) {
        random_deferral(fixture, seed, policy);
    }
    if (policy->action >= L7S_ACTION_DENY && chance(seed, 30)) {
        random_steps(seed, policy);
    }
}

static void random_policy(fixture_t *fixture, uint64_t *seed, unsigned number, bool rich)
{
    static const l7s_action_t actions[] = {
        L7S_ACTION_THROTTLE, L7S_ACTION_THROTTLE, L7S_ACTION_DROP, L7S_ACTION_DENY,
        L7S_ACTION_BAN,      L7S_ACTION_BAN,      L7S_ACTION_LOG,  L7S_ACTION_ALLOW,
    };
    static const uint32_t rollouts[] = {100, 100, 100, 50, 0};
    char name[L7S_POLICY_NAME_MAX];
    l7s_policy_t *policy;

    snprintf(name, sizeof name, "policy-%u", number);
    policy = fixture_policy(fixture, name, PICK(seed, actions), 0, 0);
    random_match(fixture, seed, &policy->match, 25);
    random_count(fixture, seed, policy);
    random_rates(seed, policy);
    random_plans(fixture, seed, policy);
    if (policy->rate_count == 0 && policy->match.paths.count == 0) {
        policy->match.paths = random_paths(fixture, seed); /* else nothing gets past */
    }
    policy->mode = chance(seed, 65)   ? L7S_MODE_ENFORCE
                   : chance(seed, 85) ? L7S_MODE_OBSERVE
                                      : L7S_MODE_OFF;
    policy->rollout_percent = PICK(seed, rollouts);
    policy->ban_seconds = 1 + (uint32_t)seeded_below(seed, 30);
    policy->status = (uint16_t)(400 + seeded_below(seed, 30));
    policy->fleet = chance(seed, 70);
    if (rich) {
        random_riches(fixture, seed, policy);
    }
    for (unsigned i = 0; chance(seed, 25) && i < 3; i++) {
        random_match(fixture, seed, fixture_except(fixture, policy), 35);
    }
    for (unsigned i = 0; chance(seed, 25) && i < 3; i++) {
        random_match(fixture, seed, fixture_any(fixture, policy), 35);
    }
}

static void random_lists(fixture_t *fixture, uint64_t *seed)
{
    for (unsigned i = 0; i < 3; i++) {
        l7s_effect_t effect = chance(seed, 60)   ? L7S_EFFECT_NONE
                              : chance(seed, 50) ? L7S_EFFECT_ALLOW
                                                 : L7S_EFFECT_DENY;
        char name[32];
        l7s_list_t *list;
        snprintf(name, sizeof name, "list-%u", i);
        list = fixture_list(fixture, name, effect, JOIN(fixture, NETWORKS, seed, 2));
        if (effect != L7S_EFFECT_NONE && chance(seed, 50)) {
            list->apps = fixture_strings(fixture, JOIN(fixture, APPS, seed, 2));
        }
    }
    if (chance(seed, 50)) {
        fixture_list_of(fixture, "list-3", L7S_LIST_COUNTRIES, L7S_EFFECT_NONE, "XB XA");
    } else {
        fixture_list_of(fixture, "list-3", L7S_LIST_ASNS,
                        chance(seed, 70)   ? L7S_EFFECT_NONE
                        : chance(seed, 50) ? L7S_EFFECT_ALLOW
                                           : L7S_EFFECT_DENY,
                        "1 64500 64501");
    }
}

static void random_apps(fixture_t *fixture, uint64_t *seed)
{
    for (unsigned i = 0; i < 3; i++) {
        l7s_app_t *app;
        if (chance(seed, 50)) {
            continue;
        }
        app = fixture_app(fixture, APPS[i], "", "");
        if (chance(seed, 60)) {
            app->paths = random_paths(fixture, seed);
        }
        if (chance(seed, 40) || app->paths.count == 0) {
            app->hosts = fixture_strings(fixture, JOIN(fixture, HOST_PATTERNS, seed, 2));
        }
        app->mode = chance(seed, 80)   ? L7S_MODE_ENFORCE
                    : chance(seed, 70) ? L7S_MODE_OBSERVE
                                       : L7S_MODE_OFF;
    }
}

/* The second one is sometimes empty; no list holds every value. */
static void random_strings(fixture_t *fixture, uint64_t *seed)
{
    static const char *const plans[] = {"gold", "silver", "lead"};
    l7s_list_t *list;

    fixture_strings_list(fixture, "strings-0", JOIN(fixture, VALUES, seed, 1));
    list = fixture_strings_list(fixture, "strings-1",
                                chance(seed, 20) ? "" : JOIN(fixture, VALUES, seed, 3));
    for (size_t i = 0; i < list->entry_count; i++) {
        if (chance(seed, 80)) {
            fixture_attribute(fixture, list, i, "since", "gold");
            fixture_attribute(fixture, list, i, "plan", PICK(seed, plans));
        }
    }
}

void random_config(fixture_t *fixture, uint64_t *seed, bool rich)
{
    unsigned count = 1 + (unsigned)seeded_below(seed, chance(seed, 4) ? 150 : 12);

    random_lists(fixture, seed);
    random_strings(fixture, seed);
    random_apps(fixture, seed);
    for (unsigned i = 0; i < count; i++) {
        random_policy(fixture, seed, i, rich);
    }
}

const char *random_client(uint64_t *seed)
{
    return PICK(seed, CLIENTS);
}

static char *random_parts(fixture_t *fixture, uint64_t *seed, const char *before,
                          const char *const *parts, size_t count, char separator)
{
    char text[512];
    size_t wanted = seeded_below(seed, 4), size;

    size = (size_t)snprintf(text, sizeof text, "%s", before);
    for (size_t i = 0; i < wanted; i++) {
        if (i > 0) {
            text[size++] = separator;
        }
        size += (size_t)snprintf(text + size, sizeof text - size, "%s",
                                 parts[seeded_below(seed, count)]);
    }
    return fixture_text(fixture, text);
}

static char *random_target(fixture_t *fixture, uint64_t *seed, const char *path)
{
    char text[220];

    snprintf(text, sizeof text, "%s?", path);
    return random_parts(fixture, seed, text, QUERIES, sizeof QUERIES / sizeof *QUERIES,
                        '&');
}

static char *random_cookies(fixture_t *fixture, uint64_t *seed)
{
    return random_parts(fixture, seed, "cookie: ", CRUMBS, sizeof CRUMBS / sizeof *CRUMBS,
                        ';');
}

void random_request(fixture_t *fixture, uint64_t *seed, fixture_request_t *request)
{
    const char *client = CLIENTS[seeded_below(seed, chance(seed, 70) ? 3 : 14)];
    unsigned used = 0;
    char text[200];

    path_of(text, SEGMENTS, sizeof SEGMENTS / sizeof *SEGMENTS, seed);
    *request = fixture_request(client, PICK(seed, METHODS), PICK(seed, HOSTS),
                               fixture_text(fixture, text));
    request->facts.client_is_proxy = chance(seed, 5);
    request->facts.app = chance(seed, 20) ? PICK(seed, APPS) : NULL;
    request->facts.mode = chance(seed, 92)   ? L7S_MODE_ENFORCE
                          : chance(seed, 80) ? L7S_MODE_OBSERVE
                                             : L7S_MODE_OFF;
    request->facts.user = chance(seed, 30) ? NULL : chance(seed, 50) ? "alice" : "bob";
    if (chance(seed, 60)) {
        request->facts.target = random_target(fixture, seed, request->facts.path);
    }
    if (chance(seed, 60)) {
        request->headers[used++] = random_cookies(fixture, seed);
    }
    for (unsigned i = 0; i < sizeof HEADERS / sizeof *HEADERS; i++) {
        if (chance(seed, 60)) {
            snprintf(text, sizeof text, "%s: %s", HEADERS[i], PICK(seed, VALUES));
            request->headers[used++] = fixture_text(fixture, text);
        }
    }
}
