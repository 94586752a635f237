/* SPDX-License-Identifier: Apache-2.0
 *
 * Charging the policies whose counter is in the store. They come last: what this node
 * alone can refuse has been refused, and its tokens can be given back, while a token that
 * the store took is gone. The slot of a strict limit holds what was learned from the
 * store, so a key that is over its limit is refused in phase 1 and never waits.
 *
 * A request without a verdict is a miss: it is counted, and when_store_down decides.
 */
#include "evaluation.h"

#include <string.h>

/* Puts the question about all limits that the request is held to, and learns from the
 * answer. */
static l7s_strict_verdict_t ask(l7s_evaluation_t *evaluation,
                                const l7s_image_policy_t *policy)
{
    const l7s_request_t *request = evaluation->request;
    l7s_run_t run = l7s_plan_limits(&evaluation->matcher, policy);
    const l7s_image_limit_t *limits = l7s_limit_at(evaluation, run.first);
    l7s_hash128_t digest = evaluation->tuples.digests[policy->spec];
    uint64_t now_us = evaluation->now.mono_us;
    l7s_slot_t *slots[L7S_STRICT_LIMITS];
    l7s_strict_question_t question = {
        .deadline_us = now_us + L7S_STRICT_WAIT_US, .cost = 1, .count = run.count};

    if (request->strict == NULL) {
        return L7S_STRICT_ALONE;
    }
    for (uint32_t i = 0; i < question.count; i++) {
        l7s_strict_limit_t *limit = &question.limits[i];
        limit->key = l7s_hash128_xor(digest, limits[i].identity);
        slots[i] = l7s_charged_slot(evaluation, &limits[i], digest);
        limit->rate = limits[i].rate;
        limit->used =
            slots[i] == NULL
                ? 0
                : l7s_strict_used(&limit->rate, atomic_load(&slots[i]->tat), now_us);
    }
    l7s_strict_verdict_t verdict = request->strict(request->context, &question);
    for (uint32_t i = 0; i < question.count; i++) {
        bool told = verdict == L7S_STRICT_ADMITTED || verdict == L7S_STRICT_REFUSED;
        if (told && slots[i] != NULL) {
            l7s_strict_learn(&limits[i].rate, &slots[i]->tat, now_us,
                             question.limits[i].used);
        }
    }
    return verdict;
}

/* For lack of a verdict it is charged here after all, like any other policy. */
static bool take_here(l7s_evaluation_t *evaluation, uint32_t index)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);

    return l7s_take(evaluation, l7s_plan_limits(&evaluation->matcher, policy)) ||
           !l7s_trip_late(evaluation, index);
}

static bool pass_unanswered(l7s_evaluation_t *evaluation, uint32_t index)
{
    l7s_down_t down = (l7s_down_t)l7s_image_policy(evaluation->image, index)->when_down;
    l7s_trip_t trip;

    l7s_count_up(&evaluation->shared->header->mailbox.missed);
    if (down == L7S_DOWN_LOCAL) {
        return take_here(evaluation, index);
    }
    if (down == L7S_DOWN_OPEN || !l7s_trip_regard(evaluation, index, &trip)) {
        return true;
    }
    return !l7s_settle_unanswered(evaluation, &trip);
}

/* False: the request is refused. */
static bool charge(l7s_evaluation_t *evaluation, uint32_t index)
{
    l7s_mailbox_head_t *head = &evaluation->shared->header->mailbox;

    switch (ask(evaluation, l7s_image_policy(evaluation->image, index))) {
    case L7S_STRICT_ADMITTED:
        l7s_count_up(&head->admitted);
        return true;
    case L7S_STRICT_REFUSED:
        l7s_count_up(&head->refused);
        return !l7s_trip_late(evaluation, index);
    case L7S_STRICT_ALONE:
        return take_here(evaluation, index);
    default:
        return pass_unanswered(evaluation, index);
    }
}

bool l7s_charge_strict(l7s_evaluation_t *evaluation)
{
    uint32_t policies = l7s_image_policies(evaluation->image);

    for (uint32_t word = 0; word * 64 < policies; word++) {
        uint64_t bits = evaluation->strict[word];
        for (; bits != 0; bits &= bits - 1) {
            if (!charge(evaluation, word * 64 + (uint32_t)__builtin_ctzll(bits))) {
                l7s_refund(evaluation, 0, evaluation->charge_count);
                return false;
            }
        }
    }
    return true;
}
