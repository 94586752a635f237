/* SPDX-License-Identifier: Apache-2.0
 *
 * GET /v1/policies/{name}/stats: what a policy did over time, as nodes told, and to whom,
 * as its incidents tell. Who is in good standing nobody knows yet.
 */
#include "../../core/clock.h"
#include "../http/parameters.h"
#include "../http/problem.h"
#include "../store/privacy.h"
#include "../store/store_events.h"
#include "../store/store_objects.h"
#include "../store/store_stats.h"
#include "resources.h"

#include <stdlib.h>
#include <string.h>

#define SINCE_MS ((uint64_t)86400000)
#define STEP_SECONDS 3600
#define STEPS_MAX 1000
#define INCIDENTS_MAX 10000 /* the newest ones are looked at */
#define TOP 20

/* --- what is asked --- */

static bool read_step(admin_call_t *call, uint64_t *step_s)
{
    const char *text = call->query(call, "step_seconds");
    char *end;

    *step_s = STEP_SECONDS;
    if (text == NULL) {
        return true;
    }
    *step_s = strtoull(text, &end, 10);
    if (text[0] < '0' || text[0] > '9' || *end != '\0' || *step_s == 0 ||
        *step_s % ADMIN_STATS_STEP_S != 0 || *step_s > 366 * 86400) {
        admin_call_problem(call, "invalid_parameter",
                           "step_seconds is a multiple of %d: what nodes tell is kept in "
                           "such steps.",
                           ADMIN_STATS_STEP_S);
        return false;
    }
    return true;
}

static bool read_asked(admin_call_t *call, uint64_t *since_ms, uint64_t *step_s)
{
    if (!admin_parameter_time(call, "since", since_ms) || !read_step(call, step_s)) {
        return false;
    }
    *since_ms = *since_ms == 0 ? call->now_ms - SINCE_MS : *since_ms;
    *since_ms -= *since_ms % (*step_s * 1000);
    if (*since_ms < call->now_ms &&
        (call->now_ms - *since_ms) / 1000 / *step_s > STEPS_MAX) {
        admin_call_problem(call, "invalid_parameter",
                           "At most %d steps are answered: ask for longer ones, or since "
                           "later.",
                           STEPS_MAX);
        return false;
    }
    return true;
}

static bool exists(admin_call_t *call, const char *name)
{
    admin_object_t object;
    l7s_status_t status = admin_object_get(call->daemon->store, "policy", name, &object);

    if (status != L7S_OK) {
        admin_call_unread(call, status, "policy", name);
        return false;
    }
    admin_object_clear(&object);
    return true;
}

/* --- over time --- */

typedef struct {
    json_t *items;
    admin_policy_sums_t total;
} series_t;

static json_t *describe(const admin_policy_sums_t *sums)
{
    return json_pack("{s:I, s:I, s:I, s:I}", "matched", (json_int_t)sums->matched,
                     "acted", (json_int_t)sums->acted, "would_act",
                     (json_int_t)sums->would_act, "logged", (json_int_t)sums->logged);
}

static void add_step(void *context, uint64_t at_s, const admin_policy_sums_t *sums)
{
    series_t *series = context;
    char at[L7S_TIME_TEXT];
    json_t *item = describe(sums);

    l7s_time_text(at_s * 1000, at);
    json_object_set_new(item, "at", json_string(at));
    json_array_append_new(series->items, item);
    series->total.matched += sums->matched;
    series->total.acted += sums->acted;
    series->total.would_act += sums->would_act;
    series->total.logged += sums->logged;
}

/* --- whom --- */

typedef struct {
    json_t *keys;        /* by their text: {"key","requests","acted"} */
    json_int_t campaign; /* the most distinct clients of one */
} whom_t;

static void add_number(json_t *item, const char *member, const json_t *counts)
{
    json_int_t sum = json_integer_value(json_object_get(item, member)) +
                     json_integer_value(json_object_get(counts, member));

    json_object_set_new(item, member, json_integer(sum));
}

static bool add_incident(void *context, uint64_t started_ms, int64_t seq,
                         const json_t *doc)
{
    whom_t *whom = context;
    const json_t *source = json_object_get(doc, "source");
    json_t *key = json_object_get(source, "key");
    json_int_t clients = json_integer_value(json_object_get(source, "distinct_clients"));
    char *text = json_dumps(key, JSON_COMPACT | JSON_ENCODE_ANY);

    (void)started_ms;
    (void)seq;
    whom->campaign = clients > whom->campaign ? clients : whom->campaign;
    if (text != NULL && json_object_size(key) > 0) {
        json_t *item = json_object_get(whom->keys, text);
        if (item == NULL) {
            item = json_pack("{s:O}", "key", key);
            json_object_set_new(whom->keys, text, item);
        }
        add_number(item, "requests", json_object_get(doc, "counts"));
        add_number(item, "acted", json_object_get(doc, "counts"));
    }
    free(text);
    return true;
}

static int by_requests(const void *a, const void *b)
{
    json_int_t x = json_integer_value(json_object_get(*(json_t *const *)a, "requests"));
    json_int_t y = json_integer_value(json_object_get(*(json_t *const *)b, "requests"));

    return x < y ? 1 : x > y ? -1 : 0;
}

static json_t *top_keys(const json_t *keys)
{
    size_t count = 0, size = json_object_size(keys);
    json_t **items = calloc(size + 1, sizeof *items), *out = json_array(), *item;
    const char *text;

    if (items != NULL) {
        json_object_foreach((json_t *)keys, text, item)
        {
            items[count++] = item;
        }
        qsort(items, count, sizeof *items, by_requests);
        for (size_t i = 0; i < count && i < TOP; i++) {
            json_array_append(out, items[i]);
        }
    }
    free(items);
    return out;
}

static l7s_status_t read_whom(admin_call_t *call, const char *name, uint64_t since_ms,
                              whom_t *whom)
{
    admin_incident_filter_t filter = {
        .rows = {.term_count = 1,
                 .terms = {{.column = "policy", .count = 1, .values = {name}}},
                 .since_ms = since_ms},
        .limit = INCIDENTS_MAX};

    return admin_incident_each(call->daemon->store, &filter, add_incident, whom);
}

/* --- the call --- */

static json_t *describe_all(const char *name, uint64_t since_ms, uint64_t step_s,
                            const series_t *series, const whom_t *whom)
{
    json_int_t keys = (json_int_t)json_object_size(whom->keys);
    char since[L7S_TIME_TEXT];

    l7s_time_text(since_ms, since);
    return json_pack("{s:s, s:s, s:I, s:o, s:I, s:n, s:o, s:O}", "name", name, "since",
                     since, "step_seconds", (json_int_t)step_s, "total",
                     describe(&series->total), "distinct_clients",
                     keys > whom->campaign ? keys : whom->campaign, "standing_percent",
                     "top_keys", top_keys(whom->keys), "items", series->items);
}

void admin_policies_stats(admin_call_t *call)
{
    const char *name = call->parameters[0];
    series_t series = {.items = json_array()};
    whom_t whom = {.keys = json_object()};
    uint64_t since_ms, step_s;

    if (exists(call, name) && read_asked(call, &since_ms, &step_s)) {
        l7s_status_t status = admin_stats_each(call->daemon->store, name, since_ms / 1000,
                                               step_s, add_step, &series);
        if (status == L7S_OK) {
            status = read_whom(call, name, since_ms, &whom);
        }
        if (status == L7S_OK) {
            admin_call_reply(call, 200,
                             admin_privacy_shown(
                                 call->daemon->store,
                                 describe_all(name, since_ms, step_s, &series, &whom)));
        } else {
            admin_call_failed(call, status);
        }
    }
    json_decref(series.items);
    json_decref(whom.keys);
}
