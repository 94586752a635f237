/* SPDX-License-Identifier: Apache-2.0
 *
 * Whoever comes back meets a stronger action. Each step of a policy's `escalate` is a
 * limit on how often episodes of one key may begin, and each episode is charged to all of
 * them, so also one that is over a limit already: it cannot become invisible by acting
 * too often. What stands in the policy's place is chosen when an episode begins and holds
 * until it ends.
 *
 * A policy that bans counts its bans, since whoever knocks on through a ban never lets
 * its episode end. Bans travel, so every node counts every ban once, its own and those
 * that it learns of, and no counter of this needs to: two nodes that ban the same client
 * at the same moment do not count for two. Other episodes are each node's own.
 *
 * Observing policies count and choose alike.
 */
#include "escalate.h"

#include "evaluation.h"

#define FIRST_STEP 2 /* of the low byte of l7s_episode_t.escalated */
#define LOW_BYTE 0xff
#define ACTION_SHIFT 8

static const l7s_image_step_t *step_at(const l7s_image_t *image,
                                       const l7s_image_policy_t *policy, uint32_t place)
{
    return (const l7s_image_step_t *)l7s_image_section(image, L7S_SECTION_STEPS) +
           policy->steps.first + place;
}

/* Charges one episode of `digest` to a step. True: it was one too many. */
static bool exceeds(const l7s_shared_t *shared, const l7s_image_t *image,
                    const l7s_image_step_t *step, l7s_hash128_t digest, l7s_now_t now)
{
    const l7s_image_limit_t *limit =
        (const l7s_image_limit_t *)l7s_image_section(image, L7S_SECTION_LIMITS) +
        step->limit;
    l7s_slot_t *slot =
        l7s_table_claim(&shared->table, l7s_hash128_xor(digest, limit->identity),
                        limit->id, &limit->rate, now);
    bool conforms;

    if (slot == NULL) { /* no room (alarm): it is not known to have come back */
        return false;
    }
    conforms = l7s_bucket_conforms(&limit->rate,
                                   atomic_load_explicit(&slot->tat, memory_order_relaxed),
                                   now.mono_us, 1);
    l7s_bucket_debit(&limit->rate, &slot->tat, now.mono_us, 1);
    atomic_store_explicit(&slot->touched_s, (uint32_t)(now.mono_us / 1000000),
                          memory_order_relaxed);
    return !conforms;
}

/* Returns 1 + the last step that is exceeded, 0 for none. */
static uint32_t charge(const l7s_shared_t *shared, const l7s_image_t *image,
                       const l7s_image_policy_t *policy, l7s_hash128_t digest,
                       l7s_now_t now)
{
    uint32_t reached = 0;

    for (uint32_t i = 0; i < policy->steps.count; i++) {
        if (exceeds(shared, image, step_at(image, policy, i), digest, now)) {
            reached = i + 1;
        }
    }
    return reached;
}

static uint32_t escalate(const l7s_evaluation_t *evaluation, l7s_trip_t *trip,
                         l7s_hash128_t digest)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    uint32_t reached =
        charge(evaluation->shared, evaluation->image, policy, digest, evaluation->now);

    if (reached > 0) {
        trip->sanction = step_at(evaluation->image, policy, reached - 1)->sanction;
    }
    return reached;
}

bool l7s_escalate_ban(const l7s_evaluation_t *evaluation, l7s_trip_t *trip,
                      const l7s_ban_t *ban)
{
    return escalate(evaluation, trip, ban->digest) > 0;
}

void l7s_escalate_learned(const l7s_shared_t *shared, const l7s_image_t *image,
                          const l7s_ban_t *ban, l7s_now_t now)
{
    uint32_t index = l7s_names_index(image, &image->policy_names, ban->policy);

    if (index != L7S_NONE && l7s_image_policy(image, index)->action == L7S_ACTION_BAN) {
        (void)charge(shared, image, l7s_image_policy(image, index), ban->digest, now);
    }
}

/* The one request that finds the episode uncounted counts it; others that come at the
 * same moment meet the policy's own action once more. */
void l7s_escalate_episode(const l7s_evaluation_t *evaluation, l7s_trip_t *trip,
                          l7s_episode_t *episode)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    uint32_t state;

    if (episode == NULL || episode->facts.campaign) {
        return;
    }
    state = atomic_load_explicit(&episode->escalated, memory_order_relaxed);
    if (state == 0 && atomic_compare_exchange_strong_explicit(&episode->escalated, &state,
                                                              1, memory_order_relaxed,
                                                              memory_order_relaxed)) {
        uint32_t reached = escalate(evaluation, trip, trip->digest);
        if (reached > 0) {
            state = (uint32_t)trip->sanction.action << ACTION_SHIFT | (reached + 1);
            atomic_store_explicit(&episode->escalated, state, memory_order_relaxed);
        }
        return;
    }
    state &= LOW_BYTE;
    /* The policy may have lost steps since. */
    if (state >= FIRST_STEP && state - FIRST_STEP < policy->steps.count) {
        trip->sanction = step_at(evaluation->image, policy, state - FIRST_STEP)->sanction;
    }
}
