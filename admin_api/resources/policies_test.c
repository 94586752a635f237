/* SPDX-License-Identifier: Apache-2.0
 *
 * POST /v1/policies:test: requests of anybody's making, each at its time, through the
 * engine of a node that is made for them. Nothing of the fleet is asked or changed.
 */
#include "../../core/clock.h"
#include "../../core/schema/schema.h"
#include "../backtest/rehearsal.h"
#include "../http/problem.h"
#include "../store/store_objects.h"
#include "check_request.h"
#include "resources.h"
#include "verdict.h"

#include <stdio.h>
#include <string.h>

#define VERDICTS_MAX 10000
#define MEMORY L7S_SEGMENT_SIZE_MIN

typedef struct {
    admin_call_t *call;
    admin_rehearsal_t rehearsal;
    json_t *items;
    uint64_t now_ms;
} test_t;

static void wrong(admin_call_t *call, size_t index, const char *member, const char *code,
                  const char *message)
{
    char pointer[64];

    snprintf(pointer, sizeof pointer, "/requests/%zu/%s", index, member);
    l7s_problems_add(&call->problems, pointer, code, "%s", message);
}

/* --- times --- */

static size_t repeats(const json_t *request)
{
    int64_t repeat = l7s_json_integer_or(json_object_get(request, "repeat"), 1);

    return repeat > 0 ? (size_t)repeat : 1;
}

static uint64_t number(const json_t *request, const char *member)
{
    int64_t value = l7s_json_integer_or(json_object_get(request, member), 0);

    return value > 0 ? (uint64_t)value : 0;
}

/* Moves on to the request's time, where it has one of its own. */
static void read_time(test_t *test, const json_t *request, size_t index)
{
    const char *text = json_string_value(json_object_get(request, "at"));
    uint64_t at_ms;

    if (text == NULL) {
        return;
    }
    if (!l7s_time_parse(text, &at_ms)) {
        wrong(test->call, index, "at", "bad_time", "must be a time in RFC 3339");
    } else if (index > 0 && at_ms < test->now_ms) {
        wrong(test->call, index, "at", "not_ascending",
              "must not be before the request in front of it");
    } else {
        test->now_ms = at_ms;
    }
}

static uint64_t end_of(const json_t *request, uint64_t begin_ms)
{
    return begin_ms + (repeats(request) - 1) * number(request, "every_ms");
}

/* Before anything runs: are the times in order, and the requests not too many? */
static bool check_times(test_t *test)
{
    const json_t *requests = json_object_get(test->call->body, "requests");
    uint64_t begin_ms = test->now_ms;
    size_t index, total = 0;
    json_t *request;

    json_array_foreach((json_t *)requests, index, request)
    {
        total += repeats(request);
        read_time(test, request, index);
        begin_ms = index == 0 ? test->now_ms : begin_ms;
        test->now_ms = end_of(request, test->now_ms);
    }
    test->now_ms = begin_ms;
    if (total > VERDICTS_MAX) {
        l7s_problems_add(&test->call->problems, "/requests", "too_many",
                         "are %zu with their repetitions; at most %d are answered", total,
                         VERDICTS_MAX);
    }
    if (test->call->problems.count > 0) {
        admin_call_invalid(test->call);
    }
    return test->call->problems.count == 0;
}

/* --- requests --- */

static l7s_answer_t answer_of(const json_t *request)
{
    l7s_answer_t answer = {.status = (uint16_t)number(request, "status"),
                           .was_decided = true};

    answer.amounts[L7S_COST_BYTES_IN] = number(request, "bytes_in");
    answer.amounts[L7S_COST_BYTES_OUT] = number(request, "bytes_out");
    answer.amounts[L7S_COST_BUSY_MS] = number(request, "busy_ms");
    answer.amounts[L7S_COST_HEADER] = number(request, "cost");
    l7s_signals_read(&answer.signals,
                     json_string_value(json_object_get(request, "signals")));
    return answer;
}

static json_t *item_of(const test_t *test, size_t index, const l7s_verdict_t *verdict)
{
    bool plain = verdict->outcome == L7S_OUTCOME_ADMITTED;
    char at[L7S_TIME_TEXT];
    json_t *wait = plain || verdict->retry_after_seconds == 0
                       ? json_null()
                       : json_integer(verdict->retry_after_seconds);

    l7s_time_text(test->now_ms, at);
    return json_pack("{s:I, s:s, s:o, s:s?, s:o}", "request", (json_int_t)index, "at", at,
                     "verdict", admin_verdict(verdict), "key",
                     plain || verdict->key[0] == '\0' ? NULL : verdict->key,
                     "retry_after_seconds", wait);
}

static l7s_status_t run_one(test_t *test, size_t index, const json_t *request,
                            const l7s_request_t *facts)
{
    l7s_answer_t answer = answer_of(request);
    l7s_replay_t *replay = test->rehearsal.replay;
    l7s_verdict_t verdict;
    l7s_status_t status =
        l7s_replay_move(replay, (l7s_now_t){test->now_ms * 1000, test->now_ms});

    if (status == L7S_OK) {
        l7s_replay_request(replay, facts, answer.status != 0 ? &answer : NULL, &verdict);
        status = json_array_append_new(test->items, item_of(test, index, &verdict)) == 0
                     ? L7S_OK
                     : L7S_NO_MEMORY;
    }
    return status;
}

static l7s_status_t run_request(test_t *test, size_t index, const json_t *request)
{
    uint64_t count = repeats(request), every_ms = number(request, "every_ms");
    admin_check_request_t read;
    l7s_status_t status = L7S_OK;
    char pointer[64];

    admin_check_request_begin(&read);
    snprintf(pointer, sizeof pointer, "/requests/%zu/client", index);
    read_time(test, request, index);
    if (!admin_check_request_members(test->call, request, pointer, &read)) {
        status = L7S_INVALID;
    }
    l7s_request_t facts = admin_check_request_facts(&read);
    for (uint64_t i = 0; i < count && status == L7S_OK; i++) {
        test->now_ms += i == 0 ? 0 : every_ms;
        status = run_one(test, index, request, &facts);
    }
    admin_check_request_clear(&read);
    return status;
}

/* --- the call --- */

static l7s_status_t run_all(test_t *test)
{
    const json_t *requests = json_object_get(test->call->body, "requests");
    l7s_status_t status = L7S_OK;
    size_t index;
    json_t *request;

    json_array_foreach((json_t *)requests, index, request)
    {
        status = run_request(test, index, request);
        if (status != L7S_OK) {
            break;
        }
    }
    return status;
}

static void run(test_t *test, const json_t *document)
{
    admin_call_t *call = test->call;
    const json_t *first = json_array_get(json_object_get(call->body, "requests"), 0);

    read_time(test, first, 0);
    l7s_status_t status = admin_rehearsal_open(
        document, MEMORY, (l7s_now_t){test->now_ms * 1000, test->now_ms}, &call->problems,
        &test->rehearsal);
    if (status == L7S_OK) {
        status = run_all(test);
    }
    if (status == L7S_OK) {
        admin_call_reply(call, 200,
                         json_pack("{s:O, s:o}", "items", test->items, "policies",
                                   admin_rehearsal_counts(&test->rehearsal)));
    } else if (call->status == 0) {
        admin_call_failed(call, status);
    }
    admin_rehearsal_close(&test->rehearsal);
}

void admin_policies_test(admin_call_t *call)
{
    test_t test = {.call = call, .items = json_array(), .now_ms = call->now_ms};
    int64_t revision;

    if (check_times(&test)) {
        json_t *stored = admin_config_document(call->daemon->store, &revision);
        json_t *document =
            stored == NULL ? NULL : admin_rehearsal_document(stored, call->body);
        if (document == NULL) {
            admin_call_failed(call, L7S_IO);
        } else {
            run(&test, document);
        }
        json_decref(document);
        json_decref(stored);
    }
    json_decref(test.items);
}
