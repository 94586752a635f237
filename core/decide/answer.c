/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies whose count is known only when the request has been answered: asked at its
 * head, charged afterwards. "Over the limit" means in debt: as much as the limit holds
 * may be counted, and what is counted beyond it trips. A charge never asks first, so what
 * was in flight when the limit was reached is paid back later (debt ends at one period).
 */
#include "answer.h"

#include "evaluation.h"

#include <string.h>

static l7s_slot_t *slot_of(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                           const l7s_image_limit_t *limit)
{
    return l7s_table_find(&evaluation->shared->table,
                          l7s_hash128_xor(trip->digest, limit->identity));
}

static bool has_status(const l7s_image_t *image, l7s_run_t statuses, uint16_t status)
{
    const uint32_t *refs = l7s_image_refs(image, statuses);

    for (uint32_t i = 0; i < statuses.count; i++) {
        if (status >= refs[i] >> 16 && status <= (refs[i] & 0xffff)) {
            return true;
        }
    }
    return statuses.count == 0;
}

/* Those of the policy's among the request's. False: it asks for some, and there are none.
 */
static bool match_signals(const l7s_image_t *image, l7s_run_t wanted,
                          const l7s_signals_t *raised, l7s_signals_t *out)
{
    const uint32_t *refs = l7s_image_refs(image, wanted);

    out->count = 0;
    for (size_t i = 0; i < raised->count; i++) {
        for (uint32_t k = 0; k < wanted.count; k++) {
            if (strcmp(raised->items[i].name, l7s_image_text(image, refs[k])) == 0) {
                out->items[out->count++] = raised->items[i];
                break;
            }
        }
    }
    return wanted.count == 0 || out->count > 0;
}

uint32_t l7s_answer_amount(const l7s_image_t *image, const l7s_image_policy_t *policy,
                           const l7s_answer_t *answer)
{
    uint64_t amount =
        policy->cost == L7S_COST_REQUESTS ? 1 : answer->amounts[policy->cost];

    if (!has_status(image, policy->statuses, answer->status)) {
        return 0;
    }
    return amount < UINT32_MAX ? (uint32_t)amount : UINT32_MAX;
}

static void debit(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                  uint32_t amount)
{
    l7s_run_t limits = trip->limits;
    uint32_t tokens;

    for (uint32_t i = limits.first; i < limits.first + limits.count; i++) {
        const l7s_image_limit_t *limit = l7s_limit_at(evaluation, i);
        l7s_slot_t *slot = l7s_charged_slot(evaluation, limit, trip->digest);
        if (slot == NULL) {
            continue; /* no room: it goes uncounted */
        }
        /* Debt ends at one period: what is forgiven here, the fleet does not hear of. */
        uint64_t most = (uint64_t)limit->rate.requests + limit->rate.burst;
        tokens = amount < most ? amount : (uint32_t)most;
        l7s_bucket_debit(&limit->rate, &slot->tat, evaluation->now.mono_us, tokens);
        if (limit->fleet) {
            l7s_table_mark(&evaluation->shared->table, slot, tokens, evaluation->now);
        }
    }
}

/* The request does not trip; where the key's episode still runs it has passed. */
static void note_passed(l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    l7s_slot_t *slot =
        slot_of(evaluation, trip, l7s_limit_at(evaluation, trip->limits.first));

    if (slot != NULL && atomic_load_explicit(&slot->episode, memory_order_relaxed) != 0) {
        l7s_record_passed(evaluation, trip->policy, slot);
    }
}

/* A policy that would have refused the request, had it been enforced, or asked, does not
 * charge it: observing counts as enforcing would. */
static void charge_trip(l7s_evaluation_t *evaluation, l7s_trip_t *trip, uint32_t amount,
                        bool was_decided)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    bool refuses = policy->action >= L7S_ACTION_DENY && trip->mode == L7S_MODE_ENFORCE;

    if (l7s_trip_measure(evaluation, trip, 0) && !(was_decided && refuses)) {
        if (!was_decided) {
            l7s_settle_trip(evaluation, trip);
        }
        return;
    }
    if (policy->ratio.percent > 0) {
        l7s_ratio_count(evaluation, trip, amount > 0);
    } else {
        debit(evaluation, trip, amount);
    }
    evaluation->units = policy->cost == L7S_COST_REQUESTS ? 0 : amount;
    if (trip->limits.count == 0 || l7s_trip_measure(evaluation, trip, 0)) {
        l7s_settle_trip(evaluation, trip);
    } else {
        note_passed(evaluation, trip);
    }
    evaluation->units = 0;
}

static void charge(l7s_evaluation_t *evaluation, uint32_t index,
                   const l7s_answer_t *answer)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    uint32_t amount = l7s_answer_amount(evaluation->image, policy, answer);
    l7s_signals_t signals;
    l7s_trip_t trip;

    /* For a share those that do not fail count, too. */
    if ((amount == 0 && policy->ratio.percent == 0) ||
        !match_signals(evaluation->image, policy->signals, &answer->signals, &signals) ||
        !l7s_trip_regard(evaluation, index, &trip) ||
        l7s_trip_is_simulated(evaluation, &trip)) {
        return;
    }
    evaluation->signals = signals.count > 0 ? &signals : NULL;
    charge_trip(evaluation, &trip, amount, answer->was_decided);
    evaluation->signals = NULL;
}

/* The policy with this id, from `index` on, and from the first one again: they are asked
 * in their order. NULL: it is gone. */
static const l7s_image_policy_t *find_policy(const l7s_image_t *image, uint32_t id,
                                             uint32_t *index)
{
    uint32_t policies = l7s_image_policies(image);

    for (uint32_t i = 0; i < policies; i++) {
        const l7s_image_policy_t *policy = l7s_image_policy(image, *index);
        if (l7s_awaiting_id(policy) == id) {
            return policy;
        }
        *index = (*index + 1) % policies;
    }
    return NULL;
}

/* Who was asked at the head is charged, and nobody else: a request is not matched again,
 * since what it was exempt from is not in it. */
static void charge_deferred(l7s_evaluation_t *evaluation, const l7s_answer_t *answer)
{
    const uint32_t *awaiting = evaluation->request->awaiting;
    uint32_t index = 0;

    for (uint32_t i = 0; i < evaluation->verdict->awaiting; i++) {
        const l7s_image_policy_t *policy =
            find_policy(evaluation->image, awaiting[i], &index);
        if (policy != NULL && policy->deferred && policy->mode != L7S_MODE_OFF) {
            charge(evaluation, index, answer);
        }
    }
}

void l7s_decide_answer(const l7s_shared_t *shared, const l7s_image_t *image,
                       const l7s_request_t *request, const l7s_answer_t *answer,
                       l7s_now_t now, l7s_verdict_t *verdict)
{
    l7s_evaluation_t evaluation;

    l7s_evaluation_begin(&evaluation, shared, image, request, now, verdict);
    evaluation.is_answered = true;
    if (!answer->was_decided) {
        verdict->awaiting = 0;
    }
    if (evaluation.mode == L7S_MODE_OFF ||
        (!answer->was_decided && !l7s_decide_late(&evaluation))) {
        return;
    }
    l7s_evaluation_walk(&evaluation);
    if (evaluation.app_mode != L7S_MODE_OFF) {
        charge_deferred(&evaluation, answer);
    }
}
