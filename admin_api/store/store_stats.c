/* SPDX-License-Identifier: Apache-2.0
 *
 * See store_stats.h. Policies without a request leave no row.
 */
#include "store_stats.h"

#include "sql.h"

#include <string.h>

#define NUMBERS 4 /* of a policy in a seat: matched, acted, would_act, logged */

static uint64_t number(const json_t *array, size_t index)
{
    json_int_t value = json_integer_value(json_array_get(array, index));

    return value > 0 ? (uint64_t)value : 0;
}

/* Since the seat before. False: nothing. */
static bool difference(const json_t *now, const json_t *before, int64_t out[NUMBERS])
{
    bool any = false;

    for (size_t i = 0; i < NUMBERS; i++) {
        uint64_t total = number(now, i), known = number(before, i);
        uint64_t more = total >= known ? total - known : total;
        out[i] = more > INT64_MAX ? INT64_MAX : (int64_t)more;
        any |= more > 0;
    }
    return any;
}

/* What the node told last, or NULL. New reference. */
static json_t *kept_policies(admin_store_t *store, const char *node)
{
    admin_query_t query;
    json_t *seat = NULL, *policies = NULL;

    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT seat FROM node WHERE name = ?", "t", node);
    if (admin_query_row(&query)) {
        seat = admin_query_json(&query, 0);
        policies = json_incref(json_object_get(seat, "policies"));
    }
    json_decref(seat);
    if (admin_query_end(&query) != L7S_OK) {
        json_decref(policies);
        return NULL;
    }
    return policies;
}

static l7s_status_t add(admin_store_t *store, const char *policy, uint64_t now_ms,
                        const int64_t more[NUMBERS])
{
    int64_t step = (int64_t)(now_ms / 1000 / ADMIN_STATS_STEP_S * ADMIN_STATS_STEP_S);

    return admin_sql_run(
        store, ADMIN_EVENTS_DB, NULL,
        "INSERT INTO policy_step(policy, at_s, matched, acted, would_act, logged)"
        " VALUES(?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT(policy, at_s) DO UPDATE SET"
        " matched = matched + ?3, acted = acted + ?4, would_act = would_act + ?5,"
        " logged = logged + ?6",
        "tiiiii", policy, step, more[0], more[1], more[2], more[3]);
}

l7s_status_t admin_stats_take(admin_store_t *store, const char *node, const json_t *seat,
                              uint64_t now_ms)
{
    json_t *before = kept_policies(store, node), *numbers;
    l7s_status_t status = L7S_OK;
    const char *policy;

    json_object_foreach(json_object_get(seat, "policies"), policy, numbers)
    {
        int64_t more[NUMBERS];
        if (status == L7S_OK &&
            difference(numbers, json_object_get(before, policy), more)) {
            status = add(store, policy, now_ms, more);
        }
    }
    json_decref(before);
    return status;
}

l7s_status_t admin_stats_each(admin_store_t *store, const char *policy, uint64_t since_s,
                              uint64_t step_s, admin_stats_fn each, void *context)
{
    admin_query_t query;

    admin_query_begin(store, ADMIN_EVENTS_DB, &query,
                      "SELECT at_s / ?3 * ?3, sum(matched), sum(acted), sum(would_act),"
                      " sum(logged) FROM policy_step WHERE policy = ?1 AND at_s >= ?2"
                      " GROUP BY 1 ORDER BY 1",
                      "tii", policy, (int64_t)since_s, (int64_t)step_s);
    while (admin_query_row(&query)) {
        admin_policy_sums_t sums = {.matched = (uint64_t)admin_query_number(&query, 1),
                                    .acted = (uint64_t)admin_query_number(&query, 2),
                                    .would_act = (uint64_t)admin_query_number(&query, 3),
                                    .logged = (uint64_t)admin_query_number(&query, 4)};
        each(context, (uint64_t)admin_query_number(&query, 0), &sums);
    }
    return admin_query_end(&query);
}

l7s_status_t admin_stats_prune(admin_store_t *store, uint64_t before_ms,
                               uint64_t rows_max)
{
    l7s_status_t status = admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                                        "DELETE FROM policy_step WHERE at_s < ?", "i",
                                        (int64_t)(before_ms / 1000));

    return status != L7S_OK
               ? status
               : admin_sql_run(store, ADMIN_EVENTS_DB, NULL,
                               "DELETE FROM policy_step WHERE at_s < (SELECT at_s FROM"
                               " policy_step ORDER BY at_s DESC LIMIT 1 OFFSET ?)",
                               "i", (int64_t)rows_max);
}
