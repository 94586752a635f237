/* SPDX-License-Identifier: Apache-2.0
 *
 * Charging an admitted request, phase 2 of a decision: one token of every limit that was
 * noted while asking. Between the two another worker may have taken the last token: then
 * the policy's tokens go back and it has tripped after all. Only when all are taken does
 * the fleet hear of them.
 */
#include "evaluation.h"

#include <string.h>

static const l7s_image_policy_t *policy_of(const l7s_evaluation_t *evaluation,
                                           const l7s_image_limit_t *limit)
{
    return l7s_image_policy(evaluation->image, limit->policy);
}

/* The digest of a policy that conformed: it has been computed. */
static l7s_hash128_t digest_of(const l7s_evaluation_t *evaluation,
                               const l7s_image_limit_t *limit)
{
    return evaluation->tuples.digests[policy_of(evaluation, limit)->spec];
}

/* Another key may have got the slot meanwhile. */
static bool still_holds(l7s_slot_t *slot, l7s_hash128_t key)
{
    return slot != NULL && l7s_cell_holds((l7s_cell_t *)slot, l7s_cell_storable(key));
}

static void touch(l7s_slot_t *slot, l7s_now_t now)
{
    uint32_t second = (uint32_t)(now.mono_us / 1000000);

    if (atomic_load_explicit(&slot->touched_s, memory_order_relaxed) != second) {
        atomic_store_explicit(&slot->touched_s, second, memory_order_relaxed);
    }
}

l7s_slot_t *l7s_charged_slot(const l7s_evaluation_t *evaluation, uint32_t index,
                             l7s_slot_t *seen, l7s_hash128_t digest)
{
    const l7s_image_limit_t *limit = l7s_limit_at(evaluation, index);
    l7s_hash128_t key = l7s_hash128_xor(digest, limit->identity);

    if (still_holds(seen, key)) {
        touch(seen, evaluation->now);
        return seen;
    }
    return l7s_table_claim(&evaluation->shared->table, key, limit->id, &limit->rate,
                           evaluation->now);
}

void l7s_refund(const l7s_evaluation_t *evaluation, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        const l7s_charge_t *charge = &evaluation->charges[i];
        const l7s_image_limit_t *limit = l7s_limit_at(evaluation, charge->limit);
        l7s_hash128_t key =
            l7s_hash128_xor(digest_of(evaluation, limit), limit->identity);
        if (still_holds(charge->slot, key)) {
            l7s_bucket_refund(&limit->rate, &charge->slot->tat, evaluation->now.mono_us,
                              1);
        }
    }
}

/* Without a slot the request goes uncounted there. */
static inline bool take(l7s_evaluation_t *evaluation, l7s_charge_t *charge)
{
    const l7s_image_limit_t *limit = l7s_limit_at(evaluation, charge->limit);

    charge->slot = l7s_charged_slot(evaluation, charge->limit, charge->slot,
                                    digest_of(evaluation, limit));
    return charge->slot == NULL ||
           l7s_bucket_take(&limit->rate, &charge->slot->tat, evaluation->now.mono_us, 1);
}

bool l7s_take(l7s_evaluation_t *evaluation, l7s_run_t limits)
{
    uint32_t first = evaluation->charge_count, end = first + limits.count;

    for (uint32_t i = first; i < end; i++) {
        evaluation->charges[i] = (l7s_charge_t){NULL, limits.first + i - first};
        if (!take(evaluation, &evaluation->charges[i])) {
            l7s_refund(evaluation, first, i);
            return false;
        }
    }
    evaluation->charge_count = end;
    return true;
}

bool l7s_trip_late(l7s_evaluation_t *evaluation, uint32_t index)
{
    l7s_trip_t trip;

    if (!l7s_trip_regard(evaluation, index, &trip)) {
        return false;
    }
    l7s_trip_measure_late(evaluation, &trip);
    return l7s_settle_trip(evaluation, &trip) &&
           l7s_outcome_refuses(evaluation->verdict->outcome);
}

/* The charge at `at` found its token gone: its policy is not charged at all. True: it
 * refuses the request, and everything has been given back. Apart from the loop that most
 * requests run through, like all that is rare. */
static __attribute__((noinline)) bool give_up(l7s_evaluation_t *evaluation, uint32_t *at)
{
    const l7s_image_limit_t *limit =
        l7s_limit_at(evaluation, evaluation->charges[*at].limit);
    uint32_t first = *at - limit->place, end = first + limit->of;

    if (l7s_trip_late(evaluation, limit->policy)) {
        l7s_refund(evaluation, 0, *at);
        return true;
    }
    l7s_refund(evaluation, first, *at);
    memmove(evaluation->charges + first, evaluation->charges + end,
            (evaluation->charge_count - end) * sizeof *evaluation->charges);
    evaluation->charge_count -= limit->of;
    *at = first;
    return false;
}

/* The tokens are taken for good: the fleet and a running episode hear of them. */
static inline void book(l7s_evaluation_t *evaluation, const l7s_charge_t *charge)
{
    const l7s_image_limit_t *limit = l7s_limit_at(evaluation, charge->limit);

    if (charge->slot == NULL) {
        return;
    }
    if (limit->fleet) {
        l7s_table_mark(&evaluation->shared->table, charge->slot, 1, evaluation->now);
    }
    if (atomic_load_explicit(&charge->slot->episode, memory_order_relaxed) != 0 &&
        limit->place == 0) {
        l7s_record_passed(evaluation, limit->policy, charge->slot);
    }
}

__attribute__((flatten)) bool l7s_charge(l7s_evaluation_t *evaluation)
{
    for (uint32_t i = 0; i < evaluation->charge_count;) {
        if (take(evaluation, &evaluation->charges[i])) {
            i++;
        } else if (give_up(evaluation, &i)) {
            return false;
        }
    }
    return true;
}

__attribute__((flatten)) void l7s_charge_book(l7s_evaluation_t *evaluation)
{
    for (uint32_t i = 0; i < evaluation->charge_count; i++) {
        book(evaluation, &evaluation->charges[i]);
    }
}
