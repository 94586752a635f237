/* SPDX-License-Identifier: Apache-2.0
 *
 * What a policy counts of the answer to a request, and what cannot be done by then.
 */
#include "config_reader.h"
#include <stdlib.h>
#include <string.h>

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

static void check_action(l7s_reader_t *reader, const l7s_policy_t *policy)
{
    bool has_rate = policy->rate_count > 0;

    if (!has_rate && policy->action != L7S_ACTION_BAN &&
        policy->action != L7S_ACTION_LOG) {
        size_t mark = l7s_pointer_push(&reader->at, "action");

        l7s_reader_wrong_at(reader, l7s_action_name(policy->action), "acts_too_late",
                            "the answer is on its way when count.statuses is known: "
                            "use ban or log, or a rate, which acts on later requests");
        l7s_pointer_pop(&reader->at, mark);
    }
}

void l7s_answer_read(l7s_reader_t *reader, const json_t *json, l7s_policy_t *out)
{
    const json_t *statuses = json_object_get(json_object_get(json, "count"), "statuses");
    const json_t *item = NULL;
    size_t index = 0;

    json_array_foreach(statuses, index, item)
    {
        if (json_is_string(item)) {
            read_status(json_string_value(item), out);
        }
    }
    if (out->status_count == 0) {
        return;
    }
    check_action(reader, out);
    if (out->strict) {
        l7s_reader_wrong_at(reader, "consistency", "decided_too_early",
                            "\"strict\" decides before the answer, by which "
                            "count.statuses counts: leave it out");
    }
}
