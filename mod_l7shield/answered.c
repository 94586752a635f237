/* SPDX-License-Identifier: Apache-2.0
 *
 * From the end of a request to what is counted of it. Most requests have been judged and
 * no policy waits for their answer: they leave at once. Those that never reached a stage
 * that judges (400 and 408, and what another module answered before) are judged here, as
 * far as that can still be done.
 */
#include "answered.h"

#include "../core/decide/answer.h"
#include "answer_filter.h"
#include "request.h"
#include "shared_memory.h"
#include "verdict.h"

#include "apr_strings.h"

#include <string.h>

/* The status that the client saw is that of the last request of a chain of internal
 * redirects, and the access log reads the variables there, too. */
static request_rec *last_of(request_rec *r)
{
    while (r->next) {
        r = r->next;
    }
    return r;
}

/* A connection on which nothing came is no request, though httpd logs it with 408. */
static bool has_line(const request_rec *r)
{
    return r->the_request && r->the_request[0] != '\0';
}

/* Of the body, like %b in the access log. */
static uint64_t sent_by(const request_rec *r)
{
    return r->sent_bodyct && r->bytes_sent > 0 ? (uint64_t)r->bytes_sent : 0;
}

static void show(request_rec *r, const l7s_verdict_t *verdict)
{
    shield_verdict_show(r, apr_pmemdup(r->pool, verdict, sizeof(*verdict)));
}

/* Whole milliseconds, rounded by the moment at which the request ended, so that many
 * short requests cost what they took. */
static uint64_t busy_ms(const shield_judged_t *judged, uint64_t now_us)
{
    uint64_t end_us = judged->answered_us ? judged->answered_us : now_us;
    return end_us > judged->begun_us ? (end_us - judged->begun_us + end_us % 1000) / 1000
                                     : 0;
}

static void read_answer(request_rec *r, shield_judged_t *judged, l7s_now_t now,
                        l7s_answer_t *answer)
{
    for (request_rec *each = r; each; each = each->next) {
        shield_answer_take_headers(each, judged);
    }
    answer->amounts[L7S_COST_BYTES_IN] = judged->bytes_in;
    answer->amounts[L7S_COST_BUSY_MS] = busy_ms(judged, now.mono_us);
    answer->amounts[L7S_COST_HEADER] = judged->cost;
    l7s_signals_read(&answer->signals, judged->signals);
}

/* What other modules raised, in whichever part of a chain of internal redirects. */
static void read_variables(const request_rec *r, l7s_answer_t *answer)
{
    for (; r; r = r->next) {
        l7s_signals_read(&answer->signals,
                         apr_table_get(r->subprocess_env, "L7SHIELD_SIGNAL"));
    }
}

static void count(request_rec *r, shield_judged_t *judged,
                  const shield_section_t *section)
{
    request_rec *last = last_of(r);
    l7s_now_t now = shield_now(apr_time_now());
    l7s_answer_t answer = {.status = (uint16_t)last->status,
                           .was_decided = judged || !has_line(r),
                           .amounts = {[L7S_COST_BYTES_OUT] = sent_by(last)}};
    uint32_t awaiting[L7S_POLICIES_MAX];
    shield_request_t request;
    l7s_verdict_t verdict;
    l7s_pin_t *pin;

    if (!shield_request_read(r, section, &request)) {
        return;
    }
    if (judged) {
        read_answer(r, judged, now, &answer);
    }
    read_variables(r, &answer);
    request.facts.strict = NULL; /* it would wait */
    request.facts.user = judged && judged->knows_user ? r->user : NULL;
    request.facts.awaiting = awaiting;
    verdict.awaits = 0;
    verdict.awaiting = 0;
    if (judged && judged->awaiting_count > 0) {
        verdict.awaiting = judged->awaiting_count;
        memcpy(awaiting, judged->awaiting, judged->awaiting_count * sizeof(*awaiting));
    }
    verdict.held.count = 0;
    verdict.outcome =
        judged && judged->verdict ? judged->verdict->outcome : L7S_OUTCOME_ADMITTED;
    l7s_outcome_t before = verdict.outcome;
    const l7s_image_t *image = shield_image_hold(&pin);
    if (!image) {
        return;
    }
    request.facts.generation =
        atomic_load_explicit(&pin->generation, memory_order_relaxed);
    if (judged && (judged->awaits & L7S_AWAITS_USER) != 0) { /* it never became known */
        request.facts.tokens = judged->tokens;
        verdict.tokens = judged->token_count;
        l7s_decide_user(&shield_process.shared, image, &request.facts, true, now,
                        &verdict);
    }
    l7s_decide_answer(&shield_process.shared, image, &request.facts, &answer, now,
                      &verdict);
    l7s_segment_unpin(pin);
    if (verdict.outcome != before) {
        show(last, &verdict);
    }
}

int shield_answered(request_rec *r)
{
    const shield_judged_t *judged = shield_judged(r);
    if (judged && !judged->awaits) {
        return DECLINED;
    }
    const shield_section_t *section =
        shield_section(shield_host(r->server)->sections ? r->per_dir_config
                                                        : r->server->lookup_defaults);
    if (shield_section_mode(section) != L7S_MODE_OFF) {
        count(r, shield_judged_awaiting(r), section);
    }
    return DECLINED;
}
