/* SPDX-License-Identifier: Apache-2.0
 *
 * The names of a policy's vocabulary, as they stand in documents, records and logs.
 */
#include "rule.h"

const char *l7s_action_name(l7s_action_t action)
{
    switch (action) {
    case L7S_ACTION_ALLOW:
        return "allow";
    case L7S_ACTION_LOG:
        return "log";
    case L7S_ACTION_DENY:
        return "deny";
    case L7S_ACTION_THROTTLE:
        return "throttle";
    case L7S_ACTION_BAN:
        return "ban";
    case L7S_ACTION_DROP:
        return "drop";
    case L7S_ACTION_CHALLENGE:
        return "challenge";
    }
    return "unknown";
}

static const struct {
    const char *name, *unit;
} COSTS[L7S_COSTS] = {
    [L7S_COST_REQUESTS] = {"requests", "requests"},
    [L7S_COST_BYTES_IN] = {"bytes_in", "bytes"},
    [L7S_COST_BYTES_OUT] = {"bytes_out", "bytes"},
    [L7S_COST_BUSY_MS] = {"busy_ms", "milliseconds"},
    [L7S_COST_HEADER] = {"response_header", "units"},
};

const char *l7s_cost_name(l7s_cost_t cost)
{
    return cost < L7S_COSTS ? COSTS[cost].name : "unknown";
}

const char *l7s_cost_unit(l7s_cost_t cost)
{
    return cost < L7S_COSTS ? COSTS[cost].unit : "unknown";
}

const char *l7s_part_name(l7s_part_t part)
{
    switch (part) {
    case L7S_PART_CLIENT:
        return "client";
    case L7S_PART_NETWORK:
        return "network";
    case L7S_PART_PATH:
        return "path";
    case L7S_PART_HOST:
        return "host";
    case L7S_PART_HEADER:
        return "header";
    case L7S_PART_GLOBAL:
        return "global";
    case L7S_PART_APP:
        return "app";
    case L7S_PART_COOKIE:
        return "cookie";
    case L7S_PART_ASN:
        return "asn";
    case L7S_PART_COUNTRY:
        return "country";
    case L7S_PART_USER:
        return "user";
    case L7S_PART_MAX:
        break;
    }
    return "unknown";
}

const char *l7s_list_kind_name(l7s_list_kind_t kind)
{
    static const char *const names[L7S_LIST_KINDS] = {"addresses", "strings", "countries",
                                                      "asns"};

    return kind < L7S_LIST_KINDS ? names[kind] : "unknown";
}
