/* SPDX-License-Identifier: Apache-2.0
 *
 * The defaults of a policy, in one place: what stands under status.effective and what the
 * identity of its counters is made of. A default that is written out changes neither.
 */
#include "config_reader.h"
#include <ctype.h>
#include <string.h>

/* Sets key to `value` (stolen) unless the object has it. */
static void set_default(json_t *object, const char *key, json_t *value)
{
    const json_t *present = json_object_get(object, key);

    if (present == NULL) {
        json_object_set_new(object, key, value);
    } else {
        json_decref(value);
    }
}

static void set_integer(json_t *out, const char *key, const json_t *from,
                        int64_t otherwise)
{
    json_object_set_new(out, key, json_integer(l7s_reader_integer(from, key, otherwise)));
}

/* "header:X-Key" counts the same as "header:x-key"; case matters in a cookie's name. */
static json_t *part_name(const char *text)
{
    char lower[128] = "";

    if (strncmp(text, "cookie:", 7) == 0) {
        return json_string(text);
    }
    for (size_t i = 0; text[i] != '\0' && i + 1 < sizeof lower; i++) {
        lower[i] = (char)tolower((unsigned char)text[i]);
    }
    return json_string(lower);
}

static json_t *count_of(const json_t *policy)
{
    const json_t *count = json_object_get(policy, "count"), *item = NULL;
    const json_t *given = json_object_get(count, "by");
    json_t *out = json_object(), *by = json_array();
    size_t index = 0;

    json_array_foreach(given, index, item)
    {
        json_array_append_new(
            by, json_is_string(item) ? part_name(json_string_value(item)) : json_null());
    }
    if (!json_is_array(given)) {
        json_array_append_new(by, json_string("client"));
    }
    json_object_set_new(out, "by", by);
    json_object_set_new(out, "when_absent",
                        json_string(l7s_reader_string(count, "when_absent", "client")));
    set_integer(out, "ipv4_prefix", count, 24);
    set_integer(out, "ipv6_prefix", count, 48);
    json_object_set_new(out, "cost",
                        json_string(l7s_reader_string(count, "cost", "requests")));
    if (json_array_size(json_object_get(count, "statuses")) > 0) {
        json_object_set(out, "statuses", json_object_get(count, "statuses"));
    } else if (json_object_get(json_object_get(policy, "detect"), "ratio") != NULL) {
        json_object_set_new(out, "statuses", json_pack("[s, s]", "4xx", "5xx"));
    }
    return out;
}

static json_t *rate_of(const json_t *rate)
{
    json_t *out = json_object();

    set_integer(out, "requests", rate, 1);
    set_integer(out, "per_seconds", rate, 1);
    set_integer(out, "burst", rate, l7s_reader_integer(rate, "requests", 1));
    return out;
}

/* One rate or a list of such, as a list. */
static json_t *rates_of(const json_t *rate)
{
    json_t *rates = json_array();
    const json_t *item = NULL;
    size_t index = 0;

    if (json_is_object(rate)) {
        json_array_append_new(rates, rate_of(rate));
    }
    json_array_foreach(rate, index, item)
    {
        json_array_append_new(rates, rate_of(item));
    }
    return rates;
}

static json_t *plans_of(const json_t *plans)
{
    json_t *out = json_object(), *rates = json_object(), *value = NULL;
    const char *name = NULL;

    json_object_foreach(json_object_get(plans, "rates"), name, value)
    {
        json_object_set_new(rates, name, rates_of(value));
    }
    json_object_set_new(out, "list", json_string(l7s_reader_string(plans, "list", "")));
    json_object_set_new(out, "attribute",
                        json_string(l7s_reader_string(plans, "attribute", "")));
    json_object_set_new(out, "rates", rates);
    json_object_set_new(out, "default", rates_of(json_object_get(plans, "default")));
    return out;
}

static json_t *ratio_of(const json_t *ratio)
{
    json_t *out = json_object();

    set_integer(out, "percent", ratio, 1);
    set_integer(out, "min_requests", ratio, 1);
    set_integer(out, "per_seconds", ratio, 1);
    return out;
}

static json_t *detect_of(const json_t *policy)
{
    const json_t *detect = json_object_get(policy, "detect");
    const json_t *rate = json_object_get(detect, "rate");
    const json_t *plans = json_object_get(detect, "plans");
    const json_t *concurrency = json_object_get(detect, "concurrency");
    const json_t *ratio = json_object_get(detect, "ratio");
    json_t *out = json_object();

    if (rate != NULL) {
        json_object_set_new(out, "rate", rates_of(rate));
    } else if (plans != NULL) {
        json_object_set_new(out, "plans", plans_of(plans));
    } else if (concurrency != NULL) {
        json_object_set_new(out, "concurrency", json_object());
        set_integer(json_object_get(out, "concurrency"), "max", concurrency, 1);
    } else if (ratio != NULL) {
        json_object_set_new(out, "ratio", ratio_of(ratio));
    } else {
        json_object_set_new(out, "always", json_object());
    }
    return out;
}

json_t *l7s_policy_counting(const json_t *policy)
{
    json_t *out = json_object();

    json_object_set_new(out, "count", count_of(policy));
    json_object_set_new(out, "detect", detect_of(policy));
    return out;
}

static void set_challenge_defaults(json_t *options)
{
    set_default(options, "seconds", json_integer(3600));
    set_default(options, "status", json_integer(403));
    set_default(options, "api_clients", json_string("pass"));
    if (strcmp(l7s_reader_string(options, "kind", ""), "cookie") != 0) {
        set_default(options, "difficulty", json_integer(18));
    }
}

/* The defaults of an action lie within its only member. */
static json_t *action_of(const json_t *holder)
{
    json_t *action = json_deep_copy(json_object_get(holder, "action"));
    const char *name = NULL;
    json_t *options = NULL;

    json_object_foreach(action, name, options)
    {
        if (strcmp(name, "challenge") == 0) {
            set_challenge_defaults(options);
        } else if (strcmp(name, "allow") != 0 && strcmp(name, "log") != 0) {
            set_default(options, "status",
                        json_integer(strcmp(name, "throttle") == 0 ? 429 : 403));
            if (strcmp(name, "drop") != 0) {
                set_default(options, "response", json_string("default"));
            }
        }
    }
    return action == NULL ? json_object() : action;
}

static json_t *escalate_of(const json_t *policy)
{
    json_t *out = json_array(), *step = NULL;
    size_t index = 0;

    json_array_foreach(json_object_get(policy, "escalate"), index, step)
    {
        json_t *copy = json_deep_copy(step);
        if (json_is_object(copy)) {
            json_object_set_new(copy, "action", action_of(step));
        }
        json_array_append_new(out, copy);
    }
    return out;
}

/* Does its detector count for each node alone, whatever is written? */
static bool is_of_node(const json_t *policy)
{
    return json_object_get(json_object_get(policy, "detect"), "concurrency") != NULL;
}

json_t *l7s_policy_effective(const json_t *policy)
{
    json_t *out = json_deep_copy(policy), *counting = l7s_policy_counting(policy);

    json_object_del(out, "status");
    set_default(out, "mode", json_string("observe"));
    set_default(out, "rollout_percent", json_integer(100));
    set_default(out, "priority", json_integer(100));
    set_default(out, "match", json_object());
    json_object_update(out, counting);
    set_default(out, "scope", json_string(is_of_node(policy) ? "node" : "fleet"));
    set_default(out, "consistency", json_string("eventual"));
    set_default(out, "when_store_down", json_string("local"));
    json_object_set_new(out, "action", action_of(policy));
    json_object_set_new(out, "escalate", escalate_of(policy));
    set_default(out, "guard", json_string("default"));
    set_default(out, "expires_at", json_null());
    set_default(out, "labels", json_object());
    json_decref(counting);
    return out;
}
