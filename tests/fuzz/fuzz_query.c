/* SPDX-License-Identifier: Apache-2.0
 *
 * Query parameters and the headers that negotiate: times, numbers, labels, clients,
 * values of columns, Accept and Content-Type. What is taken is within its bounds, what is
 * refused is answered with 400.
 */
#include "../../admin_api/http/media.h"
#include "../../admin_api/http/page.h"
#include "../../admin_api/http/terms.h"
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
    if (!admin_page_time(call, "since", &time_ms)) {
        refused(call);
    } else if (call->query(call, "since") == NULL) {
        fuzz_must(time_ms == 0, "no time without a parameter");
    }
}

static void check_numbers(admin_call_t *call)
{
    unsigned number = 0;
    if (admin_page_number(call, "wait_seconds", 60, 7, &number)) {
        fuzz_must(number <= 60, "a number in its bounds");
    } else {
        refused(call);
    }
}

static void check_terms(admin_call_t *call)
{
    admin_term_t terms[2];
    size_t count = 0;
    l7s_cidr_t client;
    bool given = false;
    if (admin_terms_add(call, "policy", terms, &count)) {
        fuzz_must(count <= 1 && (count == 0 || terms[0].count > 0), "a term has values");
    } else {
        refused(call);
    }
    if (!admin_terms_client(call, &client, &given)) {
        refused(call);
    }
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
    check_terms(&query.call);
    check_media(&query.call);
    bool holds = admin_page_labels(&query.call, labelled);
    fuzz_must(holds || query.call.query(&query.call, "label") != NULL,
              "without a label everything holds");
    fuzz_query_end(&query);
    return 0;
}
