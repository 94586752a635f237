/* SPDX-License-Identifier: Apache-2.0
 *
 * See blind.h. A table: what a policy may ask for, and what tells it.
 */
#include "blind.h"

#include <string.h>

static bool is_logged(const char *header)
{
    return strcmp(header, "user-agent") == 0 || strcmp(header, "referer") == 0 ||
           strcmp(header, "host") == 0;
}

static bool match_asks_headers(const l7s_match_t *match)
{
    for (size_t i = 0; i < match->header_count; i++) {
        if (!is_logged(match->headers[i].name)) {
            return true;
        }
    }
    return false;
}

static bool match_asks_cookies(const l7s_match_t *match)
{
    for (size_t i = 0; i < match->pair_count; i++) {
        if (match->pairs[i].field == L7S_FIELD_COOKIE) {
            return true;
        }
    }
    return false;
}

static bool match_asks_origin(const l7s_match_t *match)
{
    return match->country_count > 0 || match->asn_count > 0;
}

static bool match_asks_hosts(const l7s_match_t *match)
{
    return match->hosts.count > 0;
}

/* Of the match and all within it. */
static bool any_match(const l7s_policy_t *policy, bool (*asks)(const l7s_match_t *match))
{
    bool found = asks(&policy->match);

    for (size_t i = 0; i < policy->except_count; i++) {
        found |= asks(&policy->except[i]);
    }
    for (size_t i = 0; i < policy->any_count; i++) {
        found |= asks(&policy->any[i]);
    }
    return found;
}

static bool asks_headers(const l7s_policy_t *policy)
{
    return any_match(policy, match_asks_headers);
}

static bool asks_cookies(const l7s_policy_t *policy)
{
    return any_match(policy, match_asks_cookies);
}

static bool asks_origin(const l7s_policy_t *policy)
{
    return any_match(policy, match_asks_origin);
}

static bool asks_hosts(const l7s_policy_t *policy)
{
    return any_match(policy, match_asks_hosts);
}

static bool asks_signals(const l7s_policy_t *policy)
{
    return policy->signals.count > 0;
}

static bool asks_in_flight(const l7s_policy_t *policy)
{
    return policy->concurrency > 0;
}

static bool asks_size_or_time(const l7s_policy_t *policy)
{
    return policy->cost == L7S_COST_BYTES_IN || policy->cost == L7S_COST_BUSY_MS;
}

static bool asks_cost_header(const l7s_policy_t *policy)
{
    return policy->cost == L7S_COST_HEADER;
}

static bool counts_by_what_is_not_logged(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->by_count; i++) {
        l7s_part_t part = policy->by[i].part;
        if (part == L7S_PART_COOKIE || part == L7S_PART_COUNTRY || part == L7S_PART_ASN ||
            (part == L7S_PART_HEADER && !is_logged(policy->by[i].name))) {
            return true;
        }
    }
    return false;
}

enum { NEVER, WHEN_FULL, WHEN_HOSTS };

static const struct {
    bool (*asks)(const l7s_policy_t *policy);
    int told;
    const char *pointer, *message;
} rows[] = {
    {asks_headers, NEVER, "/match/headers",
     "a log tells Host, Referer and User-Agent; other headers are absent"},
    {asks_cookies, NEVER, "/match/cookies", "a log tells no cookies: they are absent"},
    {asks_origin, NEVER, "/match/client/in",
     "the databases of countries and ASNs are at the nodes"},
    {asks_hosts, WHEN_HOSTS, "/match/hosts",
     "this log tells no host: name one, or log vhost_combined or JSON"},
    {asks_signals, WHEN_FULL, "/match/signals",
     "signals are told by the JSON of conf/backtest-log.conf only"},
    {counts_by_what_is_not_logged, NEVER, "/count/by",
     "a log does not tell it: it is absent"},
    {asks_size_or_time, WHEN_FULL, "/count/cost",
     "sizes of requests and durations are told by the JSON of conf/backtest-log.conf "
     "only"},
    {asks_cost_header, NEVER, "/count/cost", "L7Shield-Cost never leaves the server"},
    {asks_in_flight, NEVER, "/detect/concurrency",
     "what is in flight at once is not replayed: it never trips"},
};

json_t *admin_blind(const l7s_config_t *config, const admin_told_t *told)
{
    json_t *out = json_array();

    for (size_t i = 0; i < config->policy_count; i++) {
        for (size_t k = 0; k < sizeof rows / sizeof *rows; k++) {
            bool known = (rows[k].told == WHEN_FULL && told->full) ||
                         (rows[k].told == WHEN_HOSTS && told->hosts);
            if (!known && rows[k].asks(&config->policies[i])) {
                json_array_append_new(out, json_pack("{s:s, s:s, s:s}", "policy",
                                                     config->policies[i].name, "pointer",
                                                     rows[k].pointer, "message",
                                                     rows[k].message));
            }
        }
    }
    return out;
}
