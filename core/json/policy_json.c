/* SPDX-License-Identifier: Apache-2.0
 *
 * A policy from JSON to the model, with the checks that a schema cannot express.
 */
#include "../schema/utf8.h"
#include "config_reader.h"
#include <stdlib.h>
#include <string.h>

/* --- count --- */

static void read_part(l7s_reader_t *reader, const char *text, l7s_policy_t *out)
{
    l7s_by_t *by = &out->by[out->by_count];

    if (text == NULL || out->by_count == L7S_KEY_PARTS_MAX) {
        return;
    }
    if (strncmp(text, "header:", 7) == 0) {
        by->part = L7S_PART_HEADER;
        by->name = l7s_reader_lower(reader, text + 7);
        out->by_count++;
        return;
    }
    if (strncmp(text, "cookie:", 7) == 0) {
        by->part = L7S_PART_COOKIE;
        by->name = l7s_reader_text(reader, text + 7);
        out->by_count++;
        return;
    }
    for (l7s_part_t part = L7S_PART_CLIENT; part < L7S_PART_MAX; part++) {
        if (strcmp(l7s_part_name(part), text) == 0) {
            by->part = part;
            out->by_count++;
            return;
        }
    }
}

static void read_count(l7s_reader_t *reader, const json_t *count, l7s_policy_t *out)
{
    const json_t *by = json_object_get(count, "by"), *item = NULL;
    const char *absent = l7s_reader_string(count, "when_absent", "client");
    size_t index = 0;

    json_array_foreach(by, index, item)
    {
        read_part(reader, json_string_value(item), out);
    }
    out->when_absent = strcmp(absent, "skip") == 0     ? L7S_ABSENT_SKIP
                       : strcmp(absent, "shared") == 0 ? L7S_ABSENT_SHARED
                                                       : L7S_ABSENT_CLIENT;
    out->ipv4_prefix = (uint8_t)l7s_reader_integer(count, "ipv4_prefix", 24);
    out->ipv6_prefix = (uint8_t)l7s_reader_integer(count, "ipv6_prefix", 48);
}

/* --- detect --- */

static void read_rate(l7s_reader_t *reader, const json_t *json, l7s_rate_t *out)
{
    out->requests = (uint32_t)l7s_reader_integer(json, "requests", 1);
    out->burst = (uint32_t)l7s_reader_integer(json, "burst", out->requests);
    out->period_us = (uint64_t)l7s_reader_integer(json, "per_seconds", 1) * 1000000;
    if (reader->held && !l7s_rate_valid(out)) {
        l7s_reader_wrong(reader, "bad_rate", "this rate is too large to count exactly");
    }
}

/* One rate, or a list of such, that stand at member `key`. Returns how many. */
static size_t read_rates(l7s_reader_t *reader, const json_t *object, const char *key,
                         l7s_rate_t out[L7S_RATES_MAX])
{
    const json_t *rates = json_object_get(object, key), *item = NULL;
    size_t mark = l7s_pointer_push(&reader->at, key), index = 0, count = 0;

    if (json_is_object(rates)) {
        read_rate(reader, rates, &out[count++]);
    }
    json_array_foreach(rates, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (count < L7S_RATES_MAX) {
            read_rate(reader, item, &out[count++]);
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
    return count;
}

/* The plan is found by the value that is counted by: there must be one, and only one. */
static void check_plan_header(l7s_reader_t *reader, const l7s_policy_t *policy)
{
    size_t headers = 0;

    for (size_t i = 0; i < policy->by_count; i++) {
        headers += policy->by[i].part == L7S_PART_HEADER;
    }
    if (headers != 1) {
        l7s_reader_wrong(reader, "needs_header",
                         "plans are found by the value of a counted header: \"count.by\" "
                         "must hold exactly one \"header:x\"");
    }
}

static int by_plan_name(const void *a, const void *b)
{
    return strcmp(((const l7s_plan_t *)a)->name, ((const l7s_plan_t *)b)->name);
}

static void read_plan(l7s_reader_t *reader, const json_t *rates, const char *name,
                      l7s_policy_t *out)
{
    l7s_plan_t *plan = &out->plans[out->plan_count++];

    plan->name = l7s_reader_text(reader, name);
    plan->rate_count = read_rates(reader, rates, name, plan->rates);
}

/* Sorted, so that the order in which plans are written changes no counter. */
static void read_plans(l7s_reader_t *reader, const json_t *plans, l7s_policy_t *out)
{
    const json_t *rates = json_object_get(plans, "rates");
    size_t count = json_object_size(rates) > L7S_PLANS_MAX ? 0 : json_object_size(rates);
    size_t mark = l7s_pointer_push(&reader->at, "plans"), inner;
    const char *name = NULL;
    json_t *value = NULL;

    out->plan_list = l7s_reader_text(reader, l7s_reader_string(plans, "list", ""));
    out->plan_attribute =
        l7s_reader_text(reader, l7s_reader_string(plans, "attribute", ""));
    out->plans = l7s_reader_array(reader, count, sizeof *out->plans);
    inner = l7s_pointer_push(&reader->at, "rates");
    json_object_foreach((json_t *)rates, name, value)
    {
        if (out->plans != NULL) {
            read_plan(reader, rates, name, out);
        }
    }
    l7s_pointer_pop(&reader->at, inner);
    if (out->plan_count > 1 && !reader->no_memory) {
        qsort(out->plans, out->plan_count, sizeof *out->plans, by_plan_name);
    }
    out->rate_count = read_rates(reader, plans, "default", out->rates);
    check_plan_header(reader, out);
    l7s_pointer_pop(&reader->at, mark);
}

static void read_detect(l7s_reader_t *reader, const json_t *detect, l7s_policy_t *out)
{
    const json_t *plans = json_object_get(detect, "plans");
    size_t mark = l7s_pointer_push(&reader->at, "detect");

    if (plans != NULL) {
        read_plans(reader, plans, out);
    } else {
        out->rate_count = read_rates(reader, detect, "rate", out->rates);
    }
    l7s_pointer_pop(&reader->at, mark);
}

/* --- action --- */

/* Work is done for a proof only. */
static void read_challenge(l7s_reader_t *reader, const json_t *options,
                           l7s_sanction_t *out)
{
    bool cookie = strcmp(l7s_reader_string(options, "kind", ""), "cookie") == 0;

    out->challenge = cookie ? L7S_CHALLENGE_COOKIE : L7S_CHALLENGE_WORK;
    out->seconds = (uint32_t)l7s_reader_integer(options, "seconds", 3600);
    out->bits = (uint8_t)l7s_reader_integer(options, "difficulty", 18);
    out->refuses =
        strcmp(l7s_reader_string(options, "api_clients", "pass"), "refuse") == 0;
    if (cookie && json_object_get(options, "difficulty") != NULL) {
        size_t outer = l7s_pointer_push(&reader->at, "action");
        size_t mark = l7s_pointer_push(&reader->at, "challenge");

        l7s_reader_wrong_at(reader, "difficulty", "nothing_to_compute",
                            "only \"proof_of_work\" has a difficulty");
        l7s_pointer_pop(&reader->at, mark);
        l7s_pointer_pop(&reader->at, outer);
    }
}

static void read_sanction(l7s_reader_t *reader, const json_t *action, l7s_sanction_t *out)
{
    const json_t *options = NULL;

    for (l7s_action_t i = L7S_ACTION_ALLOW; i <= L7S_ACTION_LAST; i++) {
        const json_t *found = json_object_get(action, l7s_action_name(i));

        if (found != NULL) {
            out->action = i;
            options = found;
        }
    }
    out->status = (uint16_t)l7s_reader_integer(
        options, "status", out->action == L7S_ACTION_THROTTLE ? 429 : 403);
    out->seconds = (uint32_t)l7s_reader_integer(options, "seconds", 0);
    l7s_utf8_copy(out->response, sizeof out->response,
                  l7s_reader_string(options, "response", "default"));
    if (out->action == L7S_ACTION_CHALLENGE) {
        read_challenge(reader, options, out);
    }
}

static void read_action(l7s_reader_t *reader, const json_t *action, l7s_policy_t *out)
{
    l7s_sanction_t sanction = {.action = L7S_ACTION_ALLOW};

    read_sanction(reader, action, &sanction);
    out->challenge = sanction.challenge;
    out->bits = sanction.bits;
    out->refuses = sanction.refuses;
    out->action = sanction.action;
    out->status = sanction.status;
    out->ban_seconds = sanction.seconds;
    memcpy(out->response, sanction.response, sizeof out->response);
}

/* Does the counted tuple tell one client from another? A header, cookie or user that all
 * clients lack does not, when its absence is one shared counter. */
static bool tells_clients_apart(const l7s_policy_t *policy)
{
    for (size_t i = 0; i < policy->by_count; i++) {
        l7s_part_t part = policy->by[i].part;

        if (part == L7S_PART_CLIENT || part == L7S_PART_NETWORK ||
            (l7s_part_may_lack(part) && policy->when_absent != L7S_ABSENT_SHARED)) {
            return true;
        }
    }
    return false;
}

/* `by` as it was written: a part that is not known, and reported already, may well have
 * been meant to tell clients apart. */
static void check_ban(l7s_reader_t *reader, const json_t *by, const l7s_policy_t *policy,
                      l7s_action_t action)
{
    if (action == L7S_ACTION_BAN && !tells_clients_apart(policy) &&
        json_array_size(by) == policy->by_count) {
        size_t mark = l7s_pointer_push(&reader->at, "action");

        l7s_reader_wrong_at(
            reader, "ban", "ban_hits_everybody",
            "this ban would hit everybody: count by client, network, user, "
            "header or cookie (whose absence is not shared), or use "
            "throttle");
        l7s_pointer_pop(&reader->at, mark);
    }
}

/* --- escalate --- */

/* A ban goes on while its policy is not asked, so only a longer one is stronger. */
static void check_step(l7s_reader_t *reader, const l7s_policy_t *policy,
                       const l7s_sanction_t *step, uint32_t longest)
{
    if (!reader->held) {
        return;
    }
    if (policy->action < L7S_ACTION_DENY) {
        l7s_reader_wrong(reader, "escalates_nothing",
                         "only an action that refuses can be escalated");
    } else if (policy->action == L7S_ACTION_BAN && step->action != L7S_ACTION_BAN) {
        l7s_reader_wrong_at(reader, "action", "weaker_step",
                            "after a ban only a longer ban is stronger");
    } else if (step->action == L7S_ACTION_BAN && step->seconds <= longest) {
        l7s_reader_wrong_at(reader, "action", "weaker_step",
                            "this ban is not longer than the one before, %u seconds",
                            longest);
    }
}

static void read_escalate(l7s_reader_t *reader, const json_t *array, const json_t *by,
                          l7s_policy_t *out)
{
    size_t outer = l7s_pointer_push(&reader->at, "escalate");
    uint32_t longest = out->action == L7S_ACTION_BAN ? out->ban_seconds : 0;
    const json_t *item = NULL;
    size_t index = 0;

    json_array_foreach(array, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (out->step_count < L7S_STEPS_MAX) {
            l7s_step_t *step = &out->steps[out->step_count++];

            step->after = (uint32_t)l7s_reader_integer(item, "after", 2);
            step->within_seconds =
                (uint32_t)l7s_reader_integer(item, "within_seconds", 60);
            read_sanction(reader, json_object_get(item, "action"), &step->sanction);
            check_step(reader, out, &step->sanction, longest);
            check_ban(reader, by, out, step->sanction.action);
            longest = step->sanction.seconds > longest ? step->sanction.seconds : longest;
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, outer);
}

/* --- any and except --- */

static bool is_list_member(const char *name)
{
    static const char *const names[] = {"apps",       "hosts",   "methods", "paths",
                                        "path_regex", "headers", "query",   "cookies"};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

/* Nothing but members that are empty lists. */
static bool matches_everything(const json_t *match)
{
    const char *name = NULL;
    json_t *value = NULL;

    json_object_foreach((json_t *)match, name, value)
    {
        if (!is_list_member(name) || !json_is_array(value) ||
            json_array_size(value) != 0) {
            return false;
        }
    }
    return json_is_object(match);
}

/* The matches within a match; `empty` is the code and the sentence for one that holds
 * always. Returns the array, which *count fills. */
static l7s_match_t *read_matches(l7s_reader_t *reader, const json_t *match,
                                 const char *member, const char *const empty[2],
                                 size_t *count)
{
    const json_t *array = json_object_get(match, member), *item = NULL;
    size_t outer = l7s_pointer_push(&reader->at, "match");
    size_t mark = l7s_pointer_push(&reader->at, member), index = 0;
    l7s_match_t *matches =
        l7s_reader_array(reader, json_array_size(array), sizeof *matches);

    json_array_foreach(array, index, item)
    {
        size_t inner = l7s_pointer_push_index(&reader->at, index);

        if (matches != NULL) {
            l7s_match_read(reader, item, &matches[(*count)++]);
            if (matches_everything(item)) {
                l7s_reader_wrong(reader, empty[0], "%s", empty[1]);
            }
        }
        l7s_pointer_pop(&reader->at, inner);
    }
    l7s_pointer_pop(&reader->at, mark);
    l7s_pointer_pop(&reader->at, outer);
    return matches;
}

static void read_inner(l7s_reader_t *reader, const json_t *match, l7s_policy_t *out)
{
    static const char *const exempts[] = {
        "except_everything", "this exception is empty and would exempt every request"};
    static const char *const holds[] = {
        "any_everything", "this alternative is empty and would match every request"};

    out->any = read_matches(reader, match, "any", holds, &out->any_count);
    out->except = read_matches(reader, match, "except", exempts, &out->except_count);
}

/* --- consistency --- */

static void read_consistency(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    const char *down = l7s_reader_string(json, "when_store_down", "local");

    out->strict =
        strcmp(l7s_reader_string(json, "consistency", "eventual"), "strict") == 0;
    out->when_down = strcmp(down, "open") == 0     ? L7S_DOWN_OPEN
                     : strcmp(down, "closed") == 0 ? L7S_DOWN_CLOSED
                                                   : L7S_DOWN_LOCAL;
    if (!out->strict && out->when_down != L7S_DOWN_LOCAL) {
        l7s_reader_wrong_at(reader, "when_store_down", "needs_strict",
                            "\"%s\" needs \"consistency\": \"strict\"; eventual policies "
                            "go on counting locally",
                            down);
    }
}

/* --- the policy --- */

static void read_spec(l7s_reader_t *reader, const json_t *counting, l7s_policy_t *out)
{
    out->spec =
        counting == NULL ? NULL : json_dumps(counting, JSON_SORT_KEYS | JSON_COMPACT);
    reader->no_memory |= out->spec == NULL;
}

/* No secret: whoever may write policies may as well make two that look alike. */
static void read_fingerprint(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    static const l7s_hashkey_t key = {0, 0};
    json_t *own = json_copy((json_t *)json);
    json_object_del(own, "status");
    char *text = json_dumps(own, JSON_SORT_KEYS | JSON_COMPACT);

    reader->no_memory |= text == NULL;
    out->fingerprint = text == NULL ? 0 : l7s_siphash64(&key, text, strlen(text));
    free(text);
    json_decref(own);
}

void l7s_policy_read(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    const json_t *match = json_object_get(json, "match");
    json_t *counting = l7s_policy_counting(json);
    const json_t *by = json_object_get(json_object_get(counting, "count"), "by");
    size_t mark = 0;

    l7s_reader_name(json, out->name);
    l7s_reader_mode(json, L7S_MODE_OBSERVE, &out->mode);
    out->rollout_percent = (uint32_t)l7s_reader_integer(json, "rollout_percent", 100);
    out->priority = (int32_t)l7s_reader_integer(json, "priority", 100);
    mark = l7s_pointer_push(&reader->at, "match");
    l7s_match_read(reader, match, &out->match);
    l7s_pointer_pop(&reader->at, mark);
    read_inner(reader, match, out);
    read_count(reader, json_object_get(counting, "count"), out);
    read_detect(reader, json_object_get(json, "detect"), out);
    out->fleet = strcmp(l7s_reader_string(json, "scope", "fleet"), "node") != 0;
    read_consistency(reader, json, out);
    read_action(reader, json_object_get(json, "action"), out);
    check_ban(reader, by, out, out->action);
    read_escalate(reader, json_object_get(json, "escalate"), by, out);
    l7s_answer_read(reader, json, out);
    l7s_reader_time(reader, json, "expires_at", &out->expires_ms);
    read_spec(reader, counting, out);
    out->guard_ignored =
        strcmp(l7s_reader_string(json, "guard", "default"), "ignore") == 0;
    read_fingerprint(reader, json, out);
    json_decref(counting);
}

static void free_matches(l7s_match_t *matches, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        l7s_match_free(&matches[i]);
    }
    free(matches);
}

void l7s_policy_free(l7s_policy_t *policy)
{
    l7s_match_free(&policy->match);
    free_matches(policy->any, policy->any_count);
    free_matches(policy->except, policy->except_count);
    for (size_t i = 0; i < policy->by_count; i++) {
        free(policy->by[i].name);
    }
    for (size_t i = 0; i < policy->plan_count; i++) {
        free(policy->plans[i].name);
    }
    free(policy->plans);
    free(policy->plan_list);
    free(policy->plan_attribute);
    free(policy->spec);
    l7s_strings_free(&policy->signals);
}
