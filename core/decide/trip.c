/* SPDX-License-Identifier: Apache-2.0
 *
 * One policy regarded closely for one request: its mode, its key, and by how much the
 * request exceeds its limits. Needed only where something trips or is charged apart; most
 * requests conform and never come here.
 */
#include "evaluation.h"

/* The least strict of all switches; for a part of the keys and for a trusted proxy a
 * policy only observes. */
static l7s_mode_t mode_of(const l7s_evaluation_t *evaluation,
                          const l7s_image_policy_t *policy, l7s_hash128_t key)
{
    l7s_mode_t mode = l7s_mode_least(evaluation->app_mode, (l7s_mode_t)policy->mode);

    if (l7s_is_demoted(evaluation, policy) ||
        (policy->rollout < 100 && key.hi % 100 >= policy->rollout) ||
        (evaluation->request->client_is_proxy &&
         l7s_tuples_has_client(&evaluation->tuples, policy->spec))) {
        mode = l7s_mode_least(mode, L7S_MODE_OBSERVE);
    }
    return mode;
}

bool l7s_trip_regard(l7s_evaluation_t *evaluation, uint32_t index, l7s_trip_t *trip)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    const l7s_hash128_t *digest = l7s_tuples_digest(&evaluation->tuples, policy->spec);

    if (digest == NULL) {
        return false;
    }
    trip->digest = *digest;
    trip->policy = index;
    trip->key = l7s_hash128_xor(trip->digest, policy->identity);
    trip->mode = mode_of(evaluation, policy, trip->key);
    trip->wait_us = 0;
    trip->limit = L7S_NONE;
    trip->limits = policy->ratio.percent > 0
                       ? policy->tallies
                       : l7s_plan_limits(&evaluation->matcher, policy);
    trip->observed = 0;
    trip->simulated = false;
    return true;
}

bool l7s_trip_is_simulated(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    return l7s_image_policy(evaluation->image, trip->policy)->may_ban &&
           trip->mode != L7S_MODE_ENFORCE && l7s_would_be_banned(evaluation, trip);
}

bool l7s_trip_measure(const l7s_evaluation_t *evaluation, l7s_trip_t *trip, uint32_t cost)
{
    l7s_run_t limits = trip->limits;
    uint64_t now_us = evaluation->now.mono_us;

    if (l7s_image_policy(evaluation->image, trip->policy)->ratio.percent > 0) {
        return l7s_ratio_measure(evaluation, trip);
    }
    for (uint32_t i = limits.first; i < limits.first + limits.count; i++) {
        const l7s_image_limit_t *limit = l7s_limit_at(evaluation, i);
        const l7s_slot_t *slot = l7s_table_find(
            &evaluation->shared->table, l7s_hash128_xor(trip->digest, limit->identity));
        uint64_t tat, wait_us;

        if (slot == NULL) {
            continue; /* never seen: a full bucket */
        }
        tat = atomic_load_explicit(&slot->tat, memory_order_relaxed);
        wait_us = l7s_bucket_wait_us(&limit->rate, tat, now_us, cost);
        if (wait_us > 0 && trip->limit == L7S_NONE) {
            trip->limit = i;
        }
        trip->wait_us = wait_us > trip->wait_us ? wait_us : trip->wait_us;
    }
    return trip->limit != L7S_NONE;
}

void l7s_trip_measure_late(const l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    if (!l7s_trip_measure(evaluation, trip, 1) && trip->limits.count > 0) {
        trip->limit = trip->limits.first;
    }
}
