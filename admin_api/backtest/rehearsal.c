/* SPDX-License-Identifier: Apache-2.0
 *
 * See rehearsal.h. Its counting key is drawn anew each time: what a rehearsal says about
 * secrets ("h:…") cannot be compared with anything.
 */
#include "rehearsal.h"

#include "../../core/bus/trust.h"

#include <string.h>

static const char *const members[] = {"policies", "lists", "apps", "responses"};

json_t *admin_rehearsal_document(const json_t *stored, const json_t *given)
{
    json_t *out = json_object();

    for (size_t i = 0; i < sizeof members / sizeof *members && out != NULL; i++) {
        json_t *member = json_object_get(given, members[i]);
        if (member == NULL) {
            member = json_object_get(stored, members[i]);
        }
        if (member != NULL && json_object_set(out, members[i], member) != 0) {
            json_decref(out);
            return NULL;
        }
    }
    return out;
}

l7s_status_t admin_rehearsal_open(const json_t *document, size_t memory, l7s_now_t now,
                                  l7s_problems_t *problems, admin_rehearsal_t *out)
{
    l7s_replay_setup_t setup = {.memory = memory, .mode = L7S_MODE_ENFORCE, .now = now};

    memset(out, 0, sizeof *out);
    l7s_status_t status = l7s_config_parse(document, problems, &out->config);
    if (status == L7S_OK) {
        status = l7s_random(&setup.count_key, sizeof setup.count_key);
    }
    if (status == L7S_OK) {
        status = l7s_random(setup.random, sizeof setup.random);
    }
    if (status == L7S_OK) {
        status = l7s_replay_create(out->config, &setup, &out->replay);
    }
    if (status == L7S_INVALID && problems->count == 0) {
        l7s_problems_add(problems, "", "too_complex",
                         "the patterns, parameters or cookies are too many, or too "
                         "complex together");
    }
    return status;
}

static json_int_t number(_Atomic uint64_t *counter)
{
    return (json_int_t)atomic_load_explicit(counter, memory_order_relaxed);
}

json_t *admin_rehearsal_counts(const admin_rehearsal_t *rehearsal)
{
    const l7s_stats_t *stats = &l7s_replay_shared(rehearsal->replay)->stats;
    json_t *out = json_array();

    for (size_t i = 0; i < rehearsal->config->policy_count; i++) {
        const l7s_policy_t *policy = &rehearsal->config->policies[i];
        l7s_stats_row_t *row = &stats->rows[l7s_stats_row(stats, policy->name)];
        json_array_append_new(
            out, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "name", policy->name, "mode",
                           l7s_mode_name(policy->mode), "matched", number(&row->matched),
                           "acted", number(&row->acted), "would_act",
                           number(&row->would_act), "logged", number(&row->logged)));
    }
    return out;
}

void admin_rehearsal_close(admin_rehearsal_t *rehearsal)
{
    l7s_replay_free(rehearsal->replay);
    l7s_config_free(rehearsal->config);
}
