/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and keeping a verdict. Most requests are admitted without a word: they leave a
 * mark that they were judged, no allocation, no variable. Does not send anything
 * (refuse.c).
 */
#include "verdict.h"

#include "answer_filter.h"
#include "request.h"
#include "shared_memory.h"

#include "apr_strings.h"

#include <string.h>

static void set_judged(request_rec *r, const shield_judged_t *judged)
{
    ap_set_module_config(r->request_config, &l7shield_module, (void *)judged);
}

const shield_judged_t shield_judged_admitted = {.verdict = NULL};

static apr_status_t leave(void *held)
{
    l7s_decide_over(&shield_process.shared, held);
    return APR_SUCCESS;
}

/* The request's memory lives as long as the request is in flight: until all of its answer
 * has been sent, or its connection is gone. */
static l7s_held_t *hold(request_rec *r, const l7s_held_t *held)
{
    l7s_held_t *own = apr_pmemdup(r->pool, held, sizeof(*held));
    apr_pool_cleanup_register(r->pool, own, leave, apr_pool_cleanup_null);
    return own;
}

static __attribute__((noinline)) shield_judged_t *
keep(request_rec *r, const l7s_verdict_t *verdict, uint64_t now_us)
{
    bool silent = verdict->outcome == L7S_OUTCOME_ADMITTED;
    shield_judged_t *judged = apr_pcalloc(r->pool, sizeof(*judged));
    judged->verdict = silent ? NULL : apr_pmemdup(r->pool, verdict, sizeof(*verdict));
    judged->awaits = verdict->awaits;
    judged->begun_us = now_us;
    set_judged(r, judged);
    shield_answer_watch_body(r);
    if (!silent) {
        shield_verdict_show(r, judged->verdict);
    }
    return judged;
}

/* What the engine leaves with a request, until it is known how much of it is kept. */
typedef struct {
    l7s_token_t tokens[L7S_TOKENS_PER_REQUEST];
    uint32_t awaiting[L7S_POLICIES_MAX];
} room_t;

static void keep_awaiting(request_rec *r, shield_judged_t *judged,
                          const l7s_verdict_t *verdict, const room_t *room)
{
    judged->awaiting_count = verdict->awaiting;
    judged->awaiting =
        apr_pmemdup(r->pool, room->awaiting, verdict->awaiting * sizeof(*room->awaiting));
}

/* What goes back if it is refused when its user is known. */
static void keep_taken(request_rec *r, shield_judged_t *judged,
                       const l7s_verdict_t *verdict, const room_t *room, l7s_held_t *held)
{
    judged->held = held;
    judged->token_count = verdict->tokens;
    judged->tokens =
        apr_pmemdup(r->pool, room->tokens, verdict->tokens * sizeof(*room->tokens));
}

const l7s_verdict_t *shield_verdict_make(request_rec *r, const shield_section_t *section)
{
    shield_request_t request;
    l7s_verdict_t verdict;
    room_t room;
    verdict.outcome = L7S_OUTCOME_ADMITTED;
    if (!shield_request_read(r, section, &request)) {
        return NULL;
    }
    request.facts.tokens = room.tokens;
    request.facts.awaiting = room.awaiting;
    l7s_pin_t *pin;
    const l7s_image_t *image = shield_image_hold(&pin);
    if (!image) {
        return NULL;
    }
    request.facts.generation =
        atomic_load_explicit(&pin->generation, memory_order_relaxed);
    request.facts.owner = atomic_load_explicit(&pin->owner, memory_order_relaxed);
    l7s_now_t now = shield_now(r->request_time);
    l7s_decide(&shield_process.shared, image, &request.facts, now, &verdict);
    l7s_segment_unpin(pin);
    l7s_held_t *held = verdict.held.count > 0 ? hold(r, &verdict.held) : NULL;
    if (verdict.outcome == L7S_OUTCOME_ADMITTED && !verdict.awaits) {
        set_judged(r, &shield_judged_admitted);
        return NULL;
    }
    shield_judged_t *judged = keep(r, &verdict, now.mono_us);
    keep_awaiting(r, judged, &verdict, &room);
    if ((verdict.awaits & L7S_AWAITS_USER) != 0) {
        keep_taken(r, judged, &verdict, &room, held);
    }
    return judged->verdict;
}

/* What is kept already is added to: filters hold on to it. */
static void keep_user(request_rec *r, shield_judged_t *judged,
                      const l7s_verdict_t *verdict, const room_t *room)
{
    uint8_t before = judged->awaits;
    judged->knows_user = true;
    keep_awaiting(r, judged, verdict, room);
    judged->awaits = verdict->awaits;
    if (judged->held) {
        *judged->held = verdict->held;
    }
    if ((before & L7S_AWAITS_BYTES_IN) == 0) {
        shield_answer_watch_body(r);
    }
    if (verdict->outcome != L7S_OUTCOME_ADMITTED) {
        judged->verdict = apr_pmemdup(r->pool, verdict, sizeof(*verdict));
        shield_verdict_show(r, judged->verdict);
    }
}

const l7s_verdict_t *shield_verdict_make_user(request_rec *r,
                                              const shield_section_t *section)
{
    shield_judged_t *judged = shield_judged_awaiting(r);
    shield_request_t request;
    l7s_verdict_t verdict = {.outcome = L7S_OUTCOME_ADMITTED};
    room_t room;
    l7s_pin_t *pin;
    if (!judged || !shield_request_read(r, section, &request)) {
        return NULL;
    }
    request.facts.user = r->user;
    request.facts.tokens = judged->tokens;
    request.facts.awaiting = room.awaiting;
    if (judged->verdict) {
        verdict = *judged->verdict;
    }
    verdict.awaits = judged->awaits;
    verdict.tokens = judged->token_count;
    verdict.awaiting = judged->awaiting_count;
    if (judged->awaiting_count > 0) {
        memcpy(room.awaiting, judged->awaiting,
               judged->awaiting_count * sizeof(*room.awaiting));
    }
    verdict.held = judged->held ? *judged->held : (l7s_held_t){.count = 0};
    const l7s_image_t *image = shield_image_hold(&pin);
    if (!image) {
        return NULL;
    }
    request.facts.generation =
        atomic_load_explicit(&pin->generation, memory_order_relaxed);
    l7s_decide_user(&shield_process.shared, image, &request.facts, false,
                    shield_now(r->request_time), &verdict);
    l7s_segment_unpin(pin);
    keep_user(r, judged, &verdict, &room);
    return judged->verdict;
}

const l7s_verdict_t *shield_verdict_make_address(request_rec *r, l7s_mode_t mode)
{
    l7s_addr_t client;
    l7s_verdict_t verdict;
    if (!shield_addr(r->useragent_addr, &client) || shield_is_proxy(&client)) {
        return NULL;
    }
    l7s_pin_t *pin;
    const l7s_image_t *image = shield_image_hold(&pin);
    if (!image) {
        return NULL;
    }
    bool refused = l7s_decide_address(&shield_process.shared, image, &client, mode,
                                      shield_now(r->request_time), &verdict);
    l7s_segment_unpin(pin);
    return refused ? keep(r, &verdict, 0)->verdict : NULL;
}

const shield_judged_t *shield_verdict_move(request_rec *r, apr_pool_t *pool)
{
    const shield_judged_t *judged = shield_judged(r);
    if (!judged) {
        return NULL;
    }
    shield_judged_t *moved = apr_pmemdup(pool, judged, sizeof(*judged));
    if (judged->verdict) {
        moved->verdict = apr_pmemdup(pool, judged->verdict, sizeof(*judged->verdict));
    }
    moved->held = NULL; /* its memory stays behind, and gives the places back */
    moved->tokens =
        apr_pmemdup(pool, judged->tokens, judged->token_count * sizeof(*judged->tokens));
    moved->awaiting = apr_pmemdup(pool, judged->awaiting,
                                  judged->awaiting_count * sizeof(*judged->awaiting));
    set_judged(r, &shield_judged_admitted);
    return moved;
}

void shield_verdict_keep(request_rec *r, const shield_judged_t *judged)
{
    set_judged(r, judged);
    if (judged->verdict) {
        shield_verdict_show(r, judged->verdict);
    }
}

void shield_verdict_hand_on(const request_rec *from, request_rec *to)
{
    const shield_judged_t *judged = shield_judged(from);
    if (judged) {
        shield_verdict_keep(to, judged);
    }
}

static void show(request_rec *r, const char *variable, const char *value)
{
    if (value[0] != '\0') {
        apr_table_setn(r->subprocess_env, variable, value);
    }
}

void shield_verdict_show(request_rec *r, const l7s_verdict_t *verdict)
{
    show(r, "L7SHIELD_ACTION", verdict->action);
    show(r, "L7SHIELD_POLICY", verdict->policy);
    show(r, "L7SHIELD_INCIDENT", verdict->incident);
    show(r, "L7SHIELD_KEY", verdict->key);
}
