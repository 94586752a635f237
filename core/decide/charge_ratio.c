/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies on the share of failing answers: counted when the answer is known, asked at
 * the head of requests. Of most keys too little was answered: one look tells.
 */
#include "evaluation.h"
#include "share.h"

static l7s_share_place_t place_of(const l7s_evaluation_t *evaluation,
                                  const l7s_trip_t *trip)
{
    return (l7s_share_place_t){.table = &evaluation->shared->table,
                               .limits = l7s_limit_at(evaluation, trip->limits.first),
                               .digest = trip->digest,
                               .now = evaluation->now};
}

bool l7s_ratio_measure(const l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    const l7s_ratio_t *ratio = &l7s_image_policy(evaluation->image, trip->policy)->ratio;
    l7s_share_place_t place = place_of(evaluation, trip);
    uint64_t now_us = evaluation->now.mono_us, answered, failed;
    const l7s_slot_t *slot = l7s_share_slot(&place, L7S_RATIO_ANSWERED);

    if (slot == NULL) {
        return false;
    }
    answered = atomic_load_explicit(&slot->tat, memory_order_relaxed);
    slot = l7s_ratio_is_enough(ratio, answered, now_us)
               ? l7s_share_slot(&place, L7S_RATIO_FAILED)
               : NULL;
    if (slot == NULL) {
        return false;
    }
    failed = atomic_load_explicit(&slot->tat, memory_order_relaxed);
    trip->wait_us = l7s_ratio_wait_s(ratio, answered, failed, now_us) * 1000000ULL;
    if (trip->wait_us == 0) {
        return false;
    }
    trip->observed = l7s_ratio_percent(ratio, answered, failed, now_us);
    return true;
}

void l7s_ratio_count(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                     bool failed)
{
    l7s_share_place_t place = place_of(evaluation, trip);
    l7s_share_t one = {.answered = 1, .failed = failed};

    if (l7s_share_add(&place, one) != NULL && place.limits->fleet) {
        l7s_share_mark(&place, one);
    }
}
