/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy counts of the answer to a request, and what cannot be done by then.
 */
#include "config_reader.h"
#include <stdlib.h>
#include <string.h>

#define REQUESTS_MAX 1000000

/* "401" or "4xx"; the schema has looked at its form. */
static void read_status(const char *text, l7s_policy_t *out)
{
    uint16_t status = (uint16_t)strtoul(text, NULL, 10);
    bool is_class = strchr(text, 'x') != NULL;

    if (out->status_count < L7S_STATUSES_MAX) {
        out->statuses[out->status_count].lowest = is_class ? status * 100 : status;
        out->statuses[out->status_count].highest = is_class ? status * 100 + 99 : status;
        out->status_count++;
    }
}

static void read_signals(l7s_reader_t *reader, const json_t *match, l7s_policy_t *out)
{
    size_t mark = l7s_pointer_push(&reader->at, "match");

    l7s_reader_strings(reader, match, "signals", NULL, &out->signals);
    l7s_pointer_pop(&reader->at, mark);
}

static void read_cost(const json_t *count, l7s_policy_t *out)
{
    const char *name = l7s_reader_string(count, "cost", "requests");

    for (unsigned i = 0; i < L7S_COSTS; i++) {
        if (strcmp(l7s_cost_name((l7s_cost_t)i), name) == 0) {
            out->cost = (l7s_cost_t)i;
        }
    }
}

/* Large numbers are for costs: nobody means two million requests. */
static void check_sizes(l7s_reader_t *reader, const json_t *detect)
{
    const char *name = NULL;
    json_t *value = NULL;
    size_t index = 0;
    int64_t number = 0;

    json_object_foreach((json_t *)detect, name, value)
    {
        size_t mark = l7s_pointer_push(&reader->at, name);

        if ((strcmp(name, "requests") == 0 || strcmp(name, "burst") == 0) &&
            l7s_json_integer(value, &number) && number > REQUESTS_MAX) {
            l7s_reader_wrong(reader, "out_of_range", "must be at most %d", REQUESTS_MAX);
        }
        check_sizes(reader, value);
        l7s_pointer_pop(&reader->at, mark);
    }
    json_array_foreach(detect, index, value)
    {
        size_t mark = l7s_pointer_push_index(&reader->at, index);

        check_sizes(reader, value);
        l7s_pointer_pop(&reader->at, mark);
    }
}

static void check_cost(l7s_reader_t *reader, const json_t *json,
                       const l7s_policy_t *policy)
{
    size_t mark = 0;

    if (policy->cost == L7S_COST_REQUESTS) {
        mark = l7s_pointer_push(&reader->at, "detect");
        check_sizes(reader, json_object_get(json, "detect"));
    } else if (policy->rate_count == 0) {
        mark = l7s_pointer_push(&reader->at, "count");
        l7s_reader_wrong_at(reader, "cost", "needs_rate",
                            "a cost is counted against a rate: \"detect\" must be one");
    } else {
        return;
    }
    l7s_pointer_pop(&reader->at, mark);
}

static void check_action(l7s_reader_t *reader, const l7s_policy_t *policy)
{
    bool acts_later = policy->rate_count > 0 || policy->ratio.percent > 0;

    if (!acts_later && policy->cost == L7S_COST_REQUESTS &&
        policy->action != L7S_ACTION_BAN && policy->action != L7S_ACTION_LOG) {
        size_t mark = l7s_pointer_push(&reader->at, "action");

        l7s_reader_wrong_at(reader, l7s_action_name(policy->action), "acts_too_late",
                            "the answer is on its way when %s: use ban or log, or a "
                            "rate, which acts on later requests",
                            policy->signals.count > 0 ? "signals are known"
                                                      : "count.statuses is known");
        l7s_pointer_pop(&reader->at, mark);
    }
}

/* What is in flight has not been answered, and is known to this node only. */
static void check_concurrency(l7s_reader_t *reader, const json_t *json,
                              const l7s_policy_t *policy)
{
    if (policy->status_count > 0 || policy->signals.count > 0 ||
        policy->cost != L7S_COST_REQUESTS) {
        size_t mark = l7s_pointer_push(&reader->at, "detect");

        l7s_reader_wrong_at(reader, "concurrency", "not_allowed",
                            "what is in flight has no answer yet: leave count.statuses, "
                            "count.cost and match.signals out");
        l7s_pointer_pop(&reader->at, mark);
    }
    for (size_t i = 0; i < policy->by_count; i++) {
        if (policy->by[i].part == L7S_PART_USER) {
            size_t mark = l7s_pointer_push(&reader->at, "detect");

            l7s_reader_wrong_at(reader, "concurrency", "not_allowed",
                                "who a user is becomes known too late to be held back: "
                                "count by something else");
            l7s_pointer_pop(&reader->at, mark);
        }
    }
    if (strcmp(l7s_reader_string(json, "scope", "node"), "node") != 0) {
        l7s_reader_wrong_at(reader, "scope", "node_only",
                            "requests in flight are counted by each node for itself: "
                            "write \"node\", or leave it out");
    }
    if (policy->strict) {
        l7s_reader_wrong_at(reader, "consistency", "node_only",
                            "requests in flight are counted by each node for itself: "
                            "leave it out");
    }
}

static void read_concurrency(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    const json_t *own = json_object_get(json_object_get(json, "detect"), "concurrency");

    if (own != NULL) {
        out->concurrency = (uint32_t)l7s_reader_integer(own, "max", 1);
        out->fleet = false;
        check_concurrency(reader, json, out);
    }
}

/* What fails, unless count.statuses says: what the client or the server did wrong. */
static void fail_by_default(l7s_policy_t *out)
{
    if (out->status_count == 0) {
        out->statuses[0].lowest = 400;
        out->statuses[0].highest = 599;
        out->status_count = 1;
    }
}

static void check_ratio(l7s_reader_t *reader, const l7s_policy_t *policy)
{
    if (policy->signals.count > 0) {
        size_t mark = l7s_pointer_push(&reader->at, "detect");

        l7s_reader_wrong_at(reader, "ratio", "not_allowed",
                            "it is the share of all answers: leave match.signals out");
        l7s_pointer_pop(&reader->at, mark);
    }
}

static void read_ratio(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    const json_t *own = json_object_get(json_object_get(json, "detect"), "ratio");

    if (own != NULL) {
        out->ratio.percent = (uint32_t)l7s_reader_integer(own, "percent", 1);
        out->ratio.min_requests = (uint32_t)l7s_reader_integer(own, "min_requests", 1);
        out->ratio.seconds = (uint32_t)l7s_reader_integer(own, "per_seconds", 1);
        fail_by_default(out);
        check_ratio(reader, out);
    }
}

void l7s_answer_read(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    const json_t *count = json_object_get(json, "count");
    const json_t *statuses = json_object_get(count, "statuses");
    const json_t *item = NULL;
    size_t index = 0;

    json_array_foreach(statuses, index, item)
    {
        if (json_is_string(item)) {
            read_status(json_string_value(item), out);
        }
    }
    read_signals(reader, json_object_get(json, "match"), out);
    read_cost(count, out);
    check_cost(reader, json, out);
    read_concurrency(reader, json, out);
    read_ratio(reader, json, out);
    if (out->concurrency > 0) {
        return;
    }
    if (out->status_count == 0 && out->signals.count == 0 &&
        out->cost == L7S_COST_REQUESTS) {
        return;
    }
    check_action(reader, out);
    if (out->strict) {
        l7s_reader_wrong_at(reader, "consistency", "decided_too_early",
                            "\"strict\" decides before the answer, by which "
                            "this policy counts: leave it out");
    }
}
