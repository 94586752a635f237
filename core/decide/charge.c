/* SPDX-License-Identifier: Apache-2.0
 *
 * Charging an admitted request, phase 2 of a decision: one token of every limit that was
 * noted while asking. Between the two another worker may have taken the last token: then
 * the policy's tokens go back and it has tripped after all. Only when all are taken does
 * the fleet hear of them.
 *
 * A request that is judged in two stages, because policies count by its user, takes its
 * tokens in the first one: they would not hold back who tries many passwords at a time if
 * they waited for its end. The fleet hears of them after the second one, which may give
 * them back. Meanwhile the image may have been replaced, so they are remembered by their
 * slots.
 */
#include "evaluation.h"

#include <string.h>

/* The digest of a policy that conformed: it has been computed. */
static l7s_hash128_t digest_of(const l7s_evaluation_t *evaluation,
                               const l7s_image_limit_t *limit)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, limit->policy);

    return evaluation->tuples.digests[policy->spec];
}

/* Another key may have got the slot meanwhile. */
static inline bool still_holds(const l7s_charge_t *charge)
{
    return charge->slot != NULL &&
           atomic_load_explicit(&charge->slot->key_lo, memory_order_acquire) ==
               charge->key_lo;
}

l7s_slot_t *l7s_charged_slot(const l7s_evaluation_t *evaluation,
                             const l7s_image_limit_t *limit, l7s_hash128_t digest)
{
    return l7s_table_claim(&evaluation->shared->table,
                           l7s_hash128_xor(digest, limit->identity), limit->id,
                           &limit->rate, evaluation->now);
}

static __attribute__((noinline)) void claim(l7s_evaluation_t *evaluation,
                                            l7s_charge_t *charge)
{
    l7s_hash128_t digest = digest_of(evaluation, charge->limit);

    charge->slot = l7s_charged_slot(evaluation, charge->limit, digest);
    charge->key_lo =
        l7s_cell_storable(l7s_hash128_xor(digest, charge->limit->identity)).lo;
}

static inline void give_back(const l7s_evaluation_t *evaluation,
                             const l7s_charge_t *charge)
{
    if (still_holds(charge)) {
        l7s_bucket_refund(&charge->limit->rate, &charge->slot->tat,
                          evaluation->now.mono_us, 1);
    }
}

void l7s_refund(const l7s_evaluation_t *evaluation, uint32_t first, uint32_t end)
{
    for (uint32_t i = first; i < end; i++) {
        give_back(evaluation, &evaluation->charges[i]);
    }
}

/* Without a slot the request goes uncounted there. */
static inline bool take(l7s_evaluation_t *evaluation, l7s_charge_t *charge,
                        uint32_t now_s)
{
    if (still_holds(charge)) {
        l7s_slot_touch(charge->slot, now_s);
    } else {
        claim(evaluation, charge);
        if (charge->slot == NULL) {
            return true;
        }
    }
    return l7s_bucket_take(&charge->limit->rate, &charge->slot->tat,
                           evaluation->now.mono_us, 1);
}

bool l7s_take(l7s_evaluation_t *evaluation, l7s_run_t limits)
{
    uint32_t first = evaluation->charge_count, end = first + limits.count;
    uint32_t now_s = l7s_now_s(evaluation->now);

    for (uint32_t i = first; i < end; i++) {
        evaluation->charges[i] =
            (l7s_charge_t){.limit = l7s_limit_at(evaluation, limits.first + i - first)};
        if (!take(evaluation, &evaluation->charges[i], now_s)) {
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

/* This charge found its token gone: its policy is not charged at all, and what stands
 * behind it moves up. Returns where to go on; NULL: it refuses the request, and
 * everything has been given back. Apart from the loop that most requests run through,
 * like all that is rare. */
static __attribute__((noinline)) l7s_charge_t *give_up(l7s_evaluation_t *evaluation,
                                                       l7s_charge_t *charge)
{
    const l7s_image_limit_t *limit = charge->limit;
    uint32_t at = (uint32_t)(charge - evaluation->charges);
    uint32_t first = at - limit->place, end = first + limit->of;

    if (l7s_trip_late(evaluation, limit->policy)) {
        l7s_refund(evaluation, 0, at);
        return NULL;
    }
    l7s_refund(evaluation, first, at);
    memmove(evaluation->charges + first, evaluation->charges + end,
            (evaluation->charge_count - end) * sizeof *evaluation->charges);
    evaluation->charge_count -= limit->of;
    return evaluation->charges + first;
}

__attribute__((flatten)) bool l7s_charge(l7s_evaluation_t *evaluation)
{
    uint32_t now_s = l7s_now_s(evaluation->now);
    l7s_charge_t *charge = evaluation->charges;
    const l7s_charge_t *end = charge + evaluation->charge_count;

    while (charge < end) {
        if (take(evaluation, charge, now_s)) {
            charge++;
            continue;
        }
        charge = give_up(evaluation, charge);
        if (charge == NULL) {
            return false;
        }
        end = evaluation->charges + evaluation->charge_count;
    }
    return true;
}

/* The tokens are taken for good: the fleet and a running episode hear of them. */
static inline void book(l7s_evaluation_t *evaluation, const l7s_charge_t *charge)
{
    const l7s_image_limit_t *limit = charge->limit;

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

__attribute__((flatten)) void l7s_charge_book(l7s_evaluation_t *evaluation)
{
    const l7s_charge_t *end = evaluation->charges + evaluation->charge_count;

    for (const l7s_charge_t *charge = evaluation->charges; charge < end; charge++) {
        book(evaluation, charge);
    }
}

void l7s_charge_leave(l7s_evaluation_t *evaluation)
{
    l7s_token_t *tokens = evaluation->request->tokens;
    uint32_t room = tokens != NULL ? L7S_TOKENS_PER_REQUEST : 0, count = 0;

    for (uint32_t i = 0; i < evaluation->charge_count; i++) {
        const l7s_charge_t *charge = &evaluation->charges[i];
        if (count < room) {
            tokens[count++] = (l7s_token_t){charge->slot, charge->key_lo};
        } else {
            book(evaluation, charge);
        }
    }
    evaluation->verdict->tokens = (uint16_t)count;
}

void l7s_charge_settle(l7s_evaluation_t *evaluation)
{
    bool refused = l7s_outcome_refuses(evaluation->verdict->outcome);
    const l7s_token_t *token = evaluation->request->tokens;
    const l7s_token_t *end = token + evaluation->verdict->tokens;

    for (; token < end; token++) {
        l7s_charge_t charge = {.slot = token->slot, .key_lo = token->key_lo};
        if (still_holds(&charge)) {
            charge.limit = l7s_image_limit(
                evaluation->image,
                atomic_load_explicit(&charge.slot->limit, memory_order_relaxed));
        }
        if (charge.limit == NULL) {
            continue; /* its key was evicted, or no policy counts by it any more */
        }
        if (refused) {
            give_back(evaluation, &charge);
        } else {
            book(evaluation, &charge);
        }
    }
    evaluation->verdict->tokens = 0;
}
