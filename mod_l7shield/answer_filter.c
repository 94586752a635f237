/* SPDX-License-Identifier: Apache-2.0
 *
 * The filters are there for requests that a policy waits for, and where a handler was
 * named that may be a back end: its headers must not leave even when no policy asks. A
 * static file pays nothing.
 *
 * A request header of such a name is nobody's word: these functions read answers only.
 */
#include "answer_filter.h"

#include "shared_memory.h"

#include "apr_strings.h"
#include "http_core.h"
#include "util_filter.h"

#include <stdlib.h>
#include <string.h>

#define COST_HEADER "L7Shield-Cost"
#define SIGNAL_HEADER "L7Shield-Signal"

static ap_filter_rec_t *answer_filter, *store_filter, *body_filter;
static bool is_cached; /* mod_cache is there */

/* --- the answer --- */

/* Digits only; a number that does not fit is a very large one. */
static uint64_t read_cost(const char *text)
{
    return text[strspn(text, "0123456789")] == '\0' ? strtoull(text, NULL, 10) : 0;
}

static void take_from(const request_rec *r, apr_table_t *headers, shield_judged_t *judged)
{
    const char *cost = apr_table_get(headers, COST_HEADER);
    if (cost) {
        if (judged) {
            judged->cost = read_cost(cost);
        }
        apr_table_unset(headers, COST_HEADER);
    }
    if (apr_table_get(headers, SIGNAL_HEADER)) {
        if (judged) {
            /* Said more than once, it is one list. */
            const char *more = apr_table_getm(r->pool, headers, SIGNAL_HEADER);
            judged->signals = judged->signals
                                  ? apr_pstrcat(r->pool, judged->signals, ",", more, NULL)
                                  : more;
        }
        apr_table_unset(headers, SIGNAL_HEADER);
    }
}

void shield_answer_take_headers(request_rec *r, shield_judged_t *judged)
{
    take_from(r, r->headers_out, judged);
    take_from(r, r->err_headers_out, judged);
}

static bool has_end(const apr_bucket_brigade *brigade)
{
    const apr_bucket *last = APR_BRIGADE_LAST(brigade);
    while (last != APR_BRIGADE_SENTINEL(brigade)) {
        if (APR_BUCKET_IS_EOS(last)) {
            return true;
        }
        last = APR_BUCKET_PREV(last);
    }
    return false;
}

/* Just before httpd writes the head; f->ctx is the judged request, or NULL. What a slow
 * client has not fetched yet when the end is passed on waits without a worker. */
static apr_status_t pass_answer(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    shield_judged_t *judged = f->ctx;
    bool stays = judged && (judged->awaits & L7S_AWAITS_BUSY) != 0;
    ap_filter_t *next = f->next;
    shield_answer_take_headers(f->r, judged);
    if (!stays) {
        ap_remove_output_filter(f);
        return ap_pass_brigade(next, brigade);
    }
    bool ends = has_end(brigade);
    apr_status_t status = ap_pass_brigade(next, brigade);
    if (ends) {
        judged->answered_us = shield_mono_us();
    }
    return status;
}

/* What is kept in a cache must not tell on those who fetch it from there. f->ctx as
 * above. */
static apr_status_t pass_to_store(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    ap_filter_t *next = f->next;
    shield_answer_take_headers(f->r, f->ctx);
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, brigade);
}

/* Mostly the first letter tells. */
static bool names_handler(const char *type)
{
    static const char prefix[] = "application/x-httpd-";
    return type[0] == prefix[0] && strncmp(type, prefix, sizeof(prefix) - 1) == 0;
}

/* A handler that was named (SetHandler, AddHandler, a proxy), or that a type stands for,
 * may pass on what a back end says. */
static bool may_have_back_end(const request_rec *r)
{
    return r->handler || (r->content_type && names_handler(r->content_type));
}

static bool is_refused(const request_rec *r)
{
    const l7s_verdict_t *verdict = shield_verdict_kept(r);
    return verdict && l7s_outcome_refuses(verdict->outcome);
}

static __attribute__((noinline)) void add_filter(request_rec *r, shield_judged_t *judged)
{
    /* Where an error replaces the answer of a back end, its headers are about to be
     * thrown away. */
    shield_answer_take_headers(r, judged);
    ap_add_output_filter_handle(answer_filter, judged, r, r->connection);
    if (is_cached) {
        ap_add_output_filter_handle(store_filter, judged, r, r->connection);
    }
}

void shield_answer_filters(request_rec *r)
{
    shield_judged_t *judged = shield_judged_awaiting(r);
    if ((judged || may_have_back_end(r)) && shield_process.attached && !is_refused(r)) {
        add_filter(r, judged);
    }
}

/* --- the body --- */

static apr_status_t count_body(ap_filter_t *f, apr_bucket_brigade *brigade,
                               ap_input_mode_t mode, apr_read_type_e block,
                               apr_off_t readbytes)
{
    shield_judged_t *judged = f->ctx;
    apr_off_t length = 0;
    apr_status_t status = ap_get_brigade(f->next, brigade, mode, block, readbytes);
    if (status == APR_SUCCESS && mode != AP_MODE_SPECULATIVE &&
        apr_brigade_length(brigade, 0, &length) == APR_SUCCESS && length > 0) {
        judged->bytes_in += (uint64_t)length;
    }
    return status;
}

void shield_answer_watch_body(request_rec *r)
{
    shield_judged_t *judged = shield_judged_awaiting(r);
    if (judged && (judged->awaits & L7S_AWAITS_BYTES_IN) != 0) {
        ap_add_input_filter_handle(body_filter, judged, r, r->connection);
    }
}

void shield_answer_start(void)
{
    is_cached = ap_get_output_filter_handle("CACHE_SAVE") != NULL;
}

void shield_answer_register(void)
{
    /* Before mod_cache stores it. What mod_headers sets comes later. */
    store_filter = ap_register_output_filter("L7SHIELD_STORE", pass_to_store, NULL,
                                             AP_FTYPE_CONTENT_SET - 2);
    /* Behind compression, before the head is written. */
    answer_filter = ap_register_output_filter("L7SHIELD_ANSWER", pass_answer, NULL,
                                              AP_FTYPE_PROTOCOL - 1);
    body_filter = ap_register_input_filter("L7SHIELD_BODY", count_body, NULL,
                                           AP_FTYPE_PROTOCOL - 1);
}
