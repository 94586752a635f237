/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters and the headers that negotiate: times, numbers, labels, clients,
 * values of columns, Accept and Content-Type. What is taken is within its bounds, what is
 * refused is answered with 400.
 */
#include "../../admin_api/http/media.h"
#include "../../admin_api/http/page.h"
#include "../../admin_api/http/parameters.h"
#include "query.h"

static json_t *labelled;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
    (void)argc;
    (void)argv;
    labelled = json_pack("{s:{s:s, s:s}}", "labels", "team", "web", "a", "");
    return 0;
}

static void refused(const admin_call_t *call)
{
    fuzz_must(call->status == 400 && call->detail[0] != '\0', "a refusal has its reason");
}

static void check_times(admin_call_t *call)
{
    uint64_t time_ms = 7;
    if (!admin_parameter_time(call, "since", &time_ms)) {
        refused(call);
    } else if (call->query(call, "since") == NULL) {
        fuzz_must(time_ms == 0, "no time without a parameter");
    }
}

static void check_numbers(admin_call_t *call)
{
    int64_t number = 7;
    if (admin_parameter_number(call, "wait_seconds", 1, 60, &number)) {
        fuzz_must(number >= 1 && number <= 60, "a number in its bounds");
    } else {
        refused(call);
    }
}

static void check_selection(admin_call_t *call)
{
    static const char *const columns[] = {"policy", NULL};
    admin_selection_t rows;
    if (!admin_parameter_selection(call, columns, &rows)) {
        refused(call);
        return;
    }
    fuzz_must(rows.term_count <= 1 && (rows.term_count == 0 || rows.terms[0].count > 0),
              "a term has values");
    fuzz_must(rows.has_client == (call->query(call, "client") != NULL), "the client");
}

static void check_media(const admin_call_t *call)
{
    const char *accept = call->query(call, "accept");
    if (accept != NULL) {
        bool all = admin_media_accepts(accept, "application/json") &&
                   admin_media_accepts(accept, "text/plain");
        fuzz_must(!all || strchr(accept, '/') != NULL, "a type has a slash");
        (void)admin_media_is(accept, "application/json");
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    fuzz_query_t query;
    fuzz_query_begin(&query, &input);
    check_times(&query.call);
    check_numbers(&query.call);
    check_selection(&query.call);
    check_media(&query.call);
    bool holds = admin_page_labels(&query.call, labelled);
    fuzz_must(holds || query.call.query(&query.call, "label") != NULL,
              "without a label everything holds");
    fuzz_query_end(&query);
    return 0;
}
