/* SPDX-License-Identifier: Apache-2.0
 *
 * What is decided once a request has been answered. Policies that count by the answer
 * (count.statuses, count.cost,
 * match.signals) are asked at the request's head, like all others, whether
 * the key is over its limit, but charged here. What trips here can no longer refuse the
 * request: it opens the episode and, for a ban, bans from the next request on.
 *
 * Requests that no earlier stage was asked about (400 and 408 never reach one) are
 * counted here as a whole.
 */
#ifndef L7S_ANSWER_H
#define L7S_ANSWER_H

#include "../rule.h"
#include "../signals.h"
#include "decide.h"

/* What is known of the answer. */
typedef struct {
    uint16_t status;  /* the one that the client saw */
    bool was_decided; /* l7s_decide was asked: only what waits for the answer is left */
    uint64_t amounts[L7S_COSTS]; /* 0: nothing to count; requests are always one */
    l7s_signals_t signals;
} l7s_answer_t;

/* Counts the answer to a request that was not refused. `verdict` and request->awaiting
 * hold what was said about the request before (ADMITTED: nothing) and who was asked; a
 * policy that trips here is added as LOGGED, unless something stronger stands. Never
 * waits: strict policies that were not asked count on this node alone. */
void l7s_decide_answer(const l7s_shared_t *shared, const l7s_image_t *image,
                       const l7s_request_t *request, const l7s_answer_t *answer,
                       l7s_now_t now, l7s_verdict_t *verdict);

#endif
