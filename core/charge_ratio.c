/* SPDX-License-Identifier: Apache-2.0
 *
 * Policies on the share of failing answers. A key has two tallies, each in a slot of its
 * own: what was answered, and what of it failed; a key of which nothing failed has only
 * the first. They are counted when the answer is known and asked at the head of requests.
 *
 * Slots may be evicted one by one. Without the tally of what was answered the other one
 * would say that everything failed: it means nothing then, and begins anew with it.
 */
#include "evaluation.h"

static l7s_hash128_t key_of(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                            uint32_t place)
{
    return l7s_hash128_xor(
        trip->digest, l7s_limit_at(evaluation, trip->limits.first + place)->identity);
}

static l7s_slot_t *find(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                        uint32_t place)
{
    return l7s_table_find(&evaluation->shared->table, key_of(evaluation, trip, place));
}

bool l7s_ratio_measure(const l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    const l7s_ratio_t *ratio = &l7s_image_policy(evaluation->image, trip->policy)->ratio;
    const l7s_slot_t *failed_at = find(evaluation, trip, L7S_RATIO_FAILED);
    const l7s_slot_t *answered_at =
        failed_at != NULL ? find(evaluation, trip, L7S_RATIO_ANSWERED) : NULL;
    uint64_t now_us = evaluation->now.mono_us, answered, failed;

    if (answered_at == NULL) {
        return false;
    }
    answered = atomic_load_explicit(&answered_at->tat, memory_order_relaxed);
    failed = atomic_load_explicit(&failed_at->tat, memory_order_relaxed);
    trip->wait_us = l7s_ratio_wait_s(ratio, answered, failed, now_us) * 1000000ULL;
    if (trip->wait_us == 0) {
        return false;
    }
    trip->observed = l7s_ratio_percent(ratio, answered, failed, now_us);
    return true;
}

static void add(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                uint32_t place, l7s_slot_t *slot)
{
    const l7s_image_limit_t *limit = l7s_limit_at(evaluation, trip->limits.first + place);

    l7s_tally_add(l7s_image_policy(evaluation->image, trip->policy)->ratio.seconds,
                  &slot->tat, evaluation->now.mono_us, 1);
    if (limit->fleet) {
        l7s_table_mark(&evaluation->shared->table, slot, 1, evaluation->now);
    }
}

/* NULL: no room, it goes uncounted. */
static l7s_slot_t *claim(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                         uint32_t place)
{
    return l7s_table_claim_tally(
        &evaluation->shared->table, key_of(evaluation, trip, place),
        l7s_limit_at(evaluation, trip->limits.first + place)->id,
        l7s_image_policy(evaluation->image, trip->policy)->ratio.seconds,
        evaluation->now);
}

/* The tally of what failed has lost its other half. */
static void begin_anew(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    l7s_slot_t *slot = find(evaluation, trip, L7S_RATIO_FAILED);

    if (slot != NULL) {
        atomic_store_explicit(&slot->tat, L7S_TALLY_FRESH, memory_order_relaxed);
        atomic_store_explicit(&slot->pending, 0, memory_order_relaxed);
    }
}

void l7s_ratio_count(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                     bool failed)
{
    l7s_slot_t *slot;

    if (find(evaluation, trip, L7S_RATIO_ANSWERED) == NULL) {
        begin_anew(evaluation, trip);
    }
    slot = claim(evaluation, trip, L7S_RATIO_ANSWERED);
    if (slot == NULL) {
        return; /* nor may the other one be counted */
    }
    add(evaluation, trip, L7S_RATIO_ANSWERED, slot);
    slot = failed ? claim(evaluation, trip, L7S_RATIO_FAILED) : NULL;
    if (slot != NULL) {
        add(evaluation, trip, L7S_RATIO_FAILED, slot);
    }
}
