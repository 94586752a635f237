/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is asked about a request, in which order, and who is charged for it. Phase 1 asks
 * and changes no counter; phase 2 takes a token of every policy that the request conforms
 * to. Between the two another worker may have taken the last token: then the tokens go
 * back and the policy has tripped after all. What follows from an answer is settle.c's.
 */
#include "decide.h"

#include "evaluation.h"

#include <string.h>

static void begin(l7s_evaluation_t *evaluation, const l7s_shared_t *shared,
                  const l7s_image_t *image, const l7s_request_t *request, l7s_now_t now,
                  l7s_verdict_t *verdict)
{
    uint32_t node = atomic_load_explicit(&shared->header->mode, memory_order_relaxed);

    evaluation->shared = shared;
    evaluation->image = image;
    evaluation->request = request;
    evaluation->verdict = verdict;
    evaluation->now = now;
    evaluation->mode = l7s_mode_least(request->mode, (l7s_mode_t)node);
    evaluation->app_mode = evaluation->mode;
    evaluation->walked = false;
    evaluation->spoken = L7S_NONE;
    l7s_matcher_begin(&evaluation->matcher, image, request);
    l7s_tuples_begin(&evaluation->tuples, &evaluation->matcher);
}

static void walk(l7s_evaluation_t *evaluation)
{
    if (!evaluation->walked) {
        l7s_matcher_index(&evaluation->matcher);
        evaluation->app_mode =
            l7s_mode_least(evaluation->mode, evaluation->matcher.app_mode);
        evaluation->walked = true;
    }
}

/* --- lists and bans --- */

static bool is_listed(const l7s_evaluation_t *evaluation)
{
    return l7s_matcher_in_ranges(&evaluation->matcher, evaluation->image->listed);
}

/* Lets every list with this effect speak that holds the client and is meant here; those
 * of single apps only where the app is known. True: one decides. */
static bool judge_lists(l7s_evaluation_t *evaluation, l7s_effect_t effect)
{
    const l7s_image_t *image = evaluation->image;
    const l7s_image_list_t *lists = l7s_image_section(image, L7S_SECTION_LISTS);

    for (uint32_t i = 0; i < image->sections[L7S_SECTION_LISTS].count; i++) {
        bool bound = lists[i].apps.count > 0;
        l7s_mode_t mode = bound ? evaluation->app_mode : evaluation->mode;
        if (lists[i].effect == effect && mode != L7S_MODE_OFF &&
            l7s_matcher_in_list(&evaluation->matcher, i) &&
            l7s_matcher_in_apps(&evaluation->matcher, lists[i].apps) &&
            l7s_settle_listed(evaluation, &lists[i], mode)) {
            return true;
        }
    }
    return false;
}

static bool judge_bans(l7s_evaluation_t *evaluation)
{
    l7s_ban_t ban;

    return l7s_bans_find_address(&evaluation->shared->bans, &evaluation->image->count_key,
                                 &evaluation->request->client, evaluation->now, &ban) &&
           l7s_settle_ban(evaluation, &ban, evaluation->mode);
}

/* True: the client's address decides. */
static bool judge_address(l7s_evaluation_t *evaluation)
{
    bool is_in_list = is_listed(evaluation);

    if (is_in_list && evaluation->image->app_lists) {
        walk(evaluation);
    }
    return (is_in_list && judge_lists(evaluation, L7S_EFFECT_ALLOW)) ||
           judge_bans(evaluation) ||
           (is_in_list && judge_lists(evaluation, L7S_EFFECT_DENY));
}

/* --- phase 1: asking --- */

static const l7s_image_limit_t *limit_at(const l7s_image_t *image, uint32_t limit)
{
    return (const l7s_image_limit_t *)l7s_image_section(image, L7S_SECTION_LIMITS) +
           limit;
}

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

bool l7s_regard(l7s_evaluation_t *evaluation, uint32_t index, l7s_trip_t *trip)
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
    trip->simulated = false;
    return true;
}

/* Bans of other tuples than addresses are found by the first policy that counts by the
 * same tuple. *ended: it refuses. Returns false when there is none. */
static bool find_ban(l7s_evaluation_t *evaluation, const l7s_trip_t *trip, bool *ended)
{
    const l7s_bans_t *bans = &evaluation->shared->bans;
    uint32_t spec = l7s_image_policy(evaluation->image, trip->policy)->spec;
    l7s_mode_t mode = evaluation->app_mode;
    l7s_cidr_t network;
    l7s_ban_t ban;

    if (atomic_load_explicit(&bans->head->other, memory_order_relaxed) == 0 ||
        l7s_tuples_ban_network(&evaluation->tuples, spec, &network) ||
        !l7s_bans_find(bans, trip->digest, evaluation->now, &ban)) {
        return false;
    }
    if (evaluation->request->client_is_proxy &&
        l7s_tuples_has_client(&evaluation->tuples, spec)) {
        mode = l7s_mode_least(mode, L7S_MODE_OBSERVE);
    }
    *ended = l7s_settle_ban(evaluation, &ban, mode);
    return true;
}

/* Notes the slots, the first limit that is exceeded and the longest wait. */
static bool conforms(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    const l7s_table_t *table = &evaluation->shared->table;
    uint64_t now_us = evaluation->now.mono_us;

    for (uint32_t i = 0; i < policy->limits.count; i++) {
        uint32_t index = policy->limits.first + i;
        const l7s_image_limit_t *limit = limit_at(evaluation->image, index);
        const l7s_slot_t *slot =
            l7s_table_find(table, l7s_hash128_xor(trip->digest, limit->identity));
        uint64_t tat, wait_us;
        evaluation->slots[index] = L7S_NONE;
        if (slot == NULL) {
            continue; /* never seen: a full bucket */
        }
        evaluation->slots[index] = (uint32_t)(slot - table->slots);
        tat = atomic_load_explicit(&slot->tat, memory_order_relaxed);
        if (l7s_bucket_conforms(&limit->rate, tat, now_us, 1)) {
            continue;
        }
        wait_us = l7s_bucket_wait_us(&limit->rate, tat, now_us, 1);
        trip->limit = trip->limit == L7S_NONE ? index : trip->limit;
        trip->wait_us = wait_us > trip->wait_us ? wait_us : trip->wait_us;
    }
    return trip->limit == L7S_NONE && policy->limits.count > 0;
}

/* True: the evaluation ends. */
static bool ask(l7s_evaluation_t *evaluation, uint32_t index)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    l7s_trip_t trip;
    bool ended = false;

    if (index == evaluation->spoken || !l7s_regard(evaluation, index, &trip)) {
        return false;
    }
    l7s_count_up(&l7s_stats_of(evaluation, index)->matched);
    if (find_ban(evaluation, &trip, &ended)) {
        return ended;
    }
    trip.simulated = policy->action == L7S_ACTION_BAN && trip.mode != L7S_MODE_ENFORCE &&
                     l7s_would_be_banned(evaluation, &trip);
    if (!trip.simulated && conforms(evaluation, &trip)) {
        evaluation->conforming[index / 64] |= 1ULL << index % 64;
        return false;
    }
    return l7s_settle_trip(evaluation, &trip);
}

/* Flat: with a call at each step a policy would cost a third more. */
static __attribute__((flatten)) void ask_all(l7s_evaluation_t *evaluation)
{
    uint32_t policies = l7s_image_policies(evaluation->image);

    evaluation->conforming[0] = 0;
    for (uint32_t word = 1; word * 64 < policies; word++) {
        evaluation->conforming[word] = 0;
    }
    for (uint32_t word = 0; word * 64 < policies; word++) {
        uint64_t bits = evaluation->matcher.candidates[word];
        for (; bits != 0; bits &= bits - 1) {
            uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (index >= policies) {
                return; /* the bits behind are apps */
            }
            if (l7s_matcher_policy(&evaluation->matcher, index) &&
                ask(evaluation, index)) {
                return;
            }
        }
    }
}

/* --- phase 2: charging --- */

/* The slot noted for a limit, unless another key has got it meanwhile. */
static l7s_slot_t *noted_slot(const l7s_evaluation_t *evaluation, uint32_t limit,
                              l7s_hash128_t key)
{
    l7s_slot_t *slot = evaluation->shared->table.slots + evaluation->slots[limit];

    return evaluation->slots[limit] != L7S_NONE &&
                   l7s_cell_holds((l7s_cell_t *)slot, l7s_cell_storable(key))
               ? slot
               : NULL;
}

/* The digest of a policy that conformed: it has been computed. */
static const l7s_hash128_t *digest_of(const l7s_evaluation_t *evaluation,
                                      const l7s_image_policy_t *policy)
{
    return &evaluation->tuples.digests[policy->spec];
}

void l7s_refund(const l7s_evaluation_t *evaluation, const l7s_image_policy_t *policy,
                uint32_t count)
{
    for (uint32_t i = policy->limits.first; i < policy->limits.first + count; i++) {
        const l7s_image_limit_t *limit = limit_at(evaluation->image, i);
        l7s_slot_t *slot =
            noted_slot(evaluation, i,
                       l7s_hash128_xor(*digest_of(evaluation, policy), limit->identity));
        if (slot != NULL) {
            l7s_bucket_refund(&limit->rate, &slot->tat, evaluation->now.mono_us, 1);
        }
    }
}

static void touch(l7s_slot_t *slot, l7s_now_t now)
{
    uint32_t second = (uint32_t)(now.mono_us / 1000000);

    if (atomic_load_explicit(&slot->touched_s, memory_order_relaxed) != second) {
        atomic_store_explicit(&slot->touched_s, second, memory_order_relaxed);
    }
}

l7s_slot_t *l7s_charged_slot(l7s_evaluation_t *evaluation, uint32_t index,
                             l7s_hash128_t digest)
{
    const l7s_image_limit_t *limit = limit_at(evaluation->image, index);
    const l7s_table_t *table = &evaluation->shared->table;
    l7s_hash128_t key = l7s_hash128_xor(digest, limit->identity);
    l7s_slot_t *slot = noted_slot(evaluation, index, key);

    if (slot != NULL) {
        touch(slot, evaluation->now);
        return slot;
    }
    slot = l7s_table_claim(table, key, limit->id, &limit->rate, evaluation->now);
    evaluation->slots[index] = slot != NULL ? (uint32_t)(slot - table->slots) : L7S_NONE;
    return slot;
}

bool l7s_take(l7s_evaluation_t *evaluation, const l7s_image_policy_t *policy)
{
    l7s_hash128_t digest = *digest_of(evaluation, policy);

    for (uint32_t i = 0; i < policy->limits.count; i++) {
        uint32_t index = policy->limits.first + i;
        l7s_slot_t *slot = l7s_charged_slot(evaluation, index, digest);
        if (slot != NULL && !l7s_bucket_take(&limit_at(evaluation->image, index)->rate,
                                             &slot->tat, evaluation->now.mono_us, 1)) {
            l7s_refund(evaluation, policy, i);
            return false;
        }
    }
    return true;
}

bool l7s_trip_late(l7s_evaluation_t *evaluation, uint32_t index)
{
    l7s_trip_t trip;

    evaluation->conforming[index / 64] &= ~(1ULL << index % 64);
    if (!l7s_regard(evaluation, index, &trip)) {
        return false;
    }
    if (conforms(evaluation, &trip)) { /* and now it does again */
        trip.limit = l7s_image_policy(evaluation->image, index)->limits.first;
    }
    return l7s_settle_trip(evaluation, &trip) &&
           l7s_outcome_refuses(evaluation->verdict->outcome);
}

void l7s_refund_all_before(l7s_evaluation_t *evaluation, uint32_t end)
{
    for (uint32_t index = 0; index < end; index++) {
        if ((evaluation->conforming[index / 64] >> index % 64 & 1) != 0) {
            const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
            if (!policy->strict) {
                l7s_refund(evaluation, policy, policy->limits.count);
            }
        }
    }
}

/* The tokens are taken for good: the fleet and a running episode hear of them. */
static void book(l7s_evaluation_t *evaluation, uint32_t index)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    const l7s_table_t *table = &evaluation->shared->table;

    for (uint32_t i = 0; i < policy->limits.count; i++) {
        const l7s_image_limit_t *limit =
            limit_at(evaluation->image, policy->limits.first + i);
        l7s_slot_t *slot = table->slots + evaluation->slots[policy->limits.first + i];
        if (evaluation->slots[policy->limits.first + i] == L7S_NONE) {
            continue;
        }
        if (limit->fleet) {
            l7s_table_mark(table, slot, 1, evaluation->now);
        }
        if (i == 0 && atomic_load_explicit(&slot->episode, memory_order_relaxed) != 0) {
            l7s_settle_passed(evaluation, index, slot);
        }
    }
}

static __attribute__((flatten)) void charge_all(l7s_evaluation_t *evaluation)
{
    uint32_t policies = l7s_image_policies(evaluation->image);
    bool strict = false;

    for (uint32_t word = 0; word * 64 < policies; word++) {
        uint64_t bits = evaluation->conforming[word];
        for (; bits != 0; bits &= bits - 1) {
            uint32_t index = word * 64 + (uint32_t)__builtin_ctzll(bits);
            const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
            if (policy->strict) {
                strict = true;
            } else if (!l7s_take(evaluation, policy) &&
                       l7s_trip_late(evaluation, index)) {
                l7s_refund_all_before(evaluation, index);
                return;
            }
        }
    }
    if (strict && !l7s_charge_strict(evaluation)) {
        return;
    }
    for (uint32_t word = 0; word * 64 < policies; word++) {
        uint64_t bits = evaluation->conforming[word];
        for (; bits != 0; bits &= bits - 1) {
            book(evaluation, word * 64 + (uint32_t)__builtin_ctzll(bits));
        }
    }
}

/* --- the whole --- */

static void decide(l7s_evaluation_t *evaluation)
{
    if (!evaluation->request->client_is_proxy && judge_address(evaluation)) {
        return;
    }
    walk(evaluation);
    if (evaluation->app_mode == L7S_MODE_OFF) {
        return;
    }
    ask_all(evaluation);
    if (!l7s_outcome_refuses(evaluation->verdict->outcome)) {
        charge_all(evaluation);
    }
}

void l7s_decide(const l7s_shared_t *shared, const l7s_image_t *image,
                const l7s_request_t *request, l7s_now_t now, l7s_verdict_t *verdict)
{
    l7s_evaluation_t evaluation;

    verdict->outcome = L7S_OUTCOME_ADMITTED;
    begin(&evaluation, shared, image, request, now, verdict);
    if (evaluation.mode == L7S_MODE_OFF) {
        return;
    }
    l7s_guard_see(&shared->guard, &request->client);
    decide(&evaluation);
    l7s_count_up(&shared->header->verdicts[verdict->outcome]);
}

static bool is_allowed_anywhere(l7s_evaluation_t *evaluation)
{
    const l7s_image_t *image = evaluation->image;
    const l7s_image_list_t *lists = l7s_image_section(image, L7S_SECTION_LISTS);

    for (uint32_t i = 0; i < image->sections[L7S_SECTION_LISTS].count; i++) {
        if (lists[i].effect == L7S_EFFECT_ALLOW &&
            l7s_matcher_in_list(&evaluation->matcher, i)) {
            return true;
        }
    }
    return false;
}

/* The app is not known yet: a deny list of single apps is not meant, while an allow list
 * of theirs may be, so its clients are judged later. */
static bool refuse_address(l7s_evaluation_t *evaluation)
{
    bool is_in_list = is_listed(evaluation);

    if (is_in_list && is_allowed_anywhere(evaluation)) {
        return false;
    }
    return judge_bans(evaluation) ||
           (is_in_list && judge_lists(evaluation, L7S_EFFECT_DENY));
}

bool l7s_addresses_matter(const l7s_shared_t *shared, const l7s_image_t *image)
{
    return image->listed.count > 0 || l7s_bans_any(&shared->bans);
}

bool l7s_decide_address(const l7s_shared_t *shared, const l7s_image_t *image,
                        const l7s_addr_t *peer, l7s_mode_t mode, l7s_now_t now,
                        l7s_verdict_t *verdict)
{
    l7s_request_t request = {
        .client = *peer, .method = "", .host = "", .path = "", .mode = mode};
    l7s_evaluation_t evaluation;

    verdict->outcome = L7S_OUTCOME_ADMITTED;
    if (image == NULL) {
        return false;
    }
    begin(&evaluation, shared, image, &request, now, verdict);
    if (evaluation.mode != L7S_MODE_ENFORCE || !refuse_address(&evaluation)) {
        return false;
    }
    l7s_guard_see(&shared->guard, peer);
    l7s_count_up(&shared->header->verdicts[verdict->outcome]);
    return true;
}
