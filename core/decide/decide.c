/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is asked about a request, and in which order. This is phase 1: it asks and changes
 * no counter, but notes what an admitted request will be charged for. Phase 2 is
 * charge.c's, what follows from an answer settle.c's.
 */
#include "decide.h"

#include "evaluation.h"

#include <string.h>

/* Another client than before, as behind a proxy, or another image? */
static inline void meet(const l7s_request_t *request)
{
    l7s_memo_t *memo = request->memo;

    if (memo == NULL) {
        return;
    }
    if (memcmp(&memo->client, &request->client, sizeof memo->client) != 0) {
        memo->client = request->client;
        memo->has_digest = memo->has_origin = memo->has_index = memo->was_seen = false;
    }
    if (memo->generation != request->generation) {
        memo->has_digest = memo->has_index = false;
    }
}

void l7s_evaluation_begin(l7s_evaluation_t *evaluation, const l7s_shared_t *shared,
                          const l7s_image_t *image, const l7s_request_t *request,
                          l7s_now_t now, l7s_verdict_t *verdict)
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
    evaluation->awaits = 0;
    evaluation->units = 0;
    evaluation->signals = NULL;
    evaluation->is_answered = false;
    evaluation->is_barred = false;
    evaluation->spoken = L7S_NONE;
    evaluation->charge_count = 0;
    evaluation->flight_count = 0;
    evaluation->has_strict = false;
    meet(request);
    l7s_matcher_begin(&evaluation->matcher, image, request);
    evaluation->matcher.geo = shared->geo;
    l7s_tuples_begin(&evaluation->tuples, &evaluation->matcher);
}

void l7s_evaluation_walk(l7s_evaluation_t *evaluation)
{
    if (!evaluation->walked) {
        l7s_matcher_index(&evaluation->matcher);
        evaluation->app_mode =
            l7s_mode_least(evaluation->mode, evaluation->matcher.app_mode);
        evaluation->walked = true;
    }
}

/* --- lists and bans --- */

bool l7s_addresses_matter(const l7s_shared_t *shared, const l7s_image_t *image)
{
    return (image->listed.v4.count | image->listed.v6.count) != 0 ||
           image->origin_lists != 0 || l7s_bans_any(&shared->bans);
}

static bool is_listed(const l7s_evaluation_t *evaluation)
{
    return evaluation->image->origin_lists != 0 ||
           l7s_matcher_in_ranges(&evaluation->matcher, evaluation->image->listed);
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

static __attribute__((noinline)) bool judge_bans(l7s_evaluation_t *evaluation)
{
    l7s_ban_t ban;

    return l7s_bans_find_address(&evaluation->shared->bans, &evaluation->image->count_key,
                                 &evaluation->request->client, evaluation->now, &ban) &&
           l7s_settle_ban(evaluation, &ban, evaluation->mode);
}

/* Whoever was released is not meant by lists of many. */
static bool judge_deny_lists(l7s_evaluation_t *evaluation)
{
    return !l7s_bans_holds_free(&evaluation->shared->bans, &evaluation->image->count_key,
                                &evaluation->request->client, evaluation->now) &&
           judge_lists(evaluation, L7S_EFFECT_DENY);
}

/* True: the client's address decides. */
static __attribute__((noinline)) bool judge_address(l7s_evaluation_t *evaluation)
{
    bool is_in_list = is_listed(evaluation);

    if (is_in_list && evaluation->image->app_lists) {
        l7s_evaluation_walk(evaluation);
    }
    return (is_in_list && judge_lists(evaluation, L7S_EFFECT_ALLOW)) ||
           judge_bans(evaluation) || (is_in_list && judge_deny_lists(evaluation));
}

/* --- phase 1: asking --- */

/* Bans of other tuples than addresses are found by the first policy that counts by the
 * same tuple. *ended: it refuses. Returns false when there is none. */
static bool find_ban(l7s_evaluation_t *evaluation, const l7s_trip_t *trip, bool *ended)
{
    const l7s_bans_t *bans = &evaluation->shared->bans;
    uint32_t spec = l7s_image_policy(evaluation->image, trip->policy)->spec;
    l7s_mode_t mode = evaluation->app_mode;
    l7s_cidr_t network;
    l7s_ban_t ban;

    if (l7s_tuples_ban_network(&evaluation->tuples, spec, &network) ||
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

/* The limits that this request would be charged for join the charges; one that it does
 * not conform to takes them away again. False: it does not conform, or there are no
 * limits (`always`). Called for every matching policy: nothing here that only a refusal
 * needs. */
static inline bool note_charges(l7s_evaluation_t *evaluation, l7s_run_t limits,
                                const l7s_hash128_t *digest)
{
    const l7s_image_limit_t *limit = l7s_limit_at(evaluation, limits.first);
    const l7s_image_limit_t *end = limit + limits.count;
    const l7s_table_t *table = &evaluation->shared->table;
    l7s_charge_t *charge = evaluation->charges + evaluation->charge_count;
    uint64_t now_us = evaluation->now.mono_us;

    for (; limit < end; limit++, charge++) {
        l7s_hash128_t key = l7s_cell_storable(l7s_hash128_xor(*digest, limit->identity));
        l7s_slot_t *slot = l7s_table_find(table, key);
        *charge = (l7s_charge_t){slot, limit, key.lo};
        /* Never seen: a full bucket. */
        if (slot != NULL &&
            !l7s_bucket_conforms(&limit->rate,
                                 atomic_load_explicit(&slot->tat, memory_order_relaxed),
                                 now_us, 1)) {
            return false;
        }
    }
    evaluation->charge_count += limits.count;
    return limits.count > 0;
}

static void note_strict(l7s_evaluation_t *evaluation, uint32_t index)
{
    if (!evaluation->has_strict) {
        memset(evaluation->strict, 0, sizeof evaluation->strict);
        evaluation->has_strict = true;
    }
    evaluation->strict[index / 64] |= 1ULL << index % 64;
}

/* The image may be another one when the request is answered: a policy is known by its
 * identity. */
static void note_awaiting(l7s_evaluation_t *evaluation, const l7s_image_policy_t *policy)
{
    uint32_t *awaiting = evaluation->request->awaiting;
    l7s_verdict_t *verdict = evaluation->verdict;

    evaluation->awaits |= policy->deferred;
    if (awaiting != NULL && verdict->awaiting < L7S_POLICIES_MAX) {
        awaiting[verdict->awaiting++] = l7s_awaiting_id(policy);
    }
}

/* Not charged with the others: the store decides (charge_strict.c), or the answer does
 * (answer.c). */
static __attribute__((noinline)) void
note_apart(l7s_evaluation_t *evaluation, uint32_t index, const l7s_image_policy_t *policy)
{
    if (policy->strict) {
        note_strict(evaluation, index);
    }
    if (policy->deferred) {
        note_awaiting(evaluation, policy);
    }
}

static bool note_conforming(l7s_evaluation_t *evaluation, uint32_t index,
                            const l7s_image_policy_t *policy, const l7s_hash128_t *digest)
{
    uint32_t before = evaluation->charge_count;

    if (!note_charges(evaluation, l7s_plan_limits(&evaluation->matcher, policy),
                      digest)) {
        return false;
    }
    if (policy->apart) {
        evaluation->charge_count = before;
        note_apart(evaluation, index, policy);
    }
    return true;
}

/* Charged when the answer is known (answer.c): here it trips while its key is in debt. */
static bool ask_deferred(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    note_awaiting(evaluation, l7s_image_policy(evaluation->image, trip->policy));
    if (evaluation->is_answered) {
        return false; /* answer.c asks */
    }
    trip->simulated = l7s_trip_is_simulated(evaluation, trip);
    return (trip->simulated || l7s_trip_measure(evaluation, trip, 0)) &&
           l7s_settle_trip(evaluation, trip);
}

/* A policy that trips, or that may find a ban of its tuple. True: the evaluation ends. */
static __attribute__((noinline)) bool ask_closely(l7s_evaluation_t *evaluation,
                                                  uint32_t index, bool banned)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    l7s_trip_t trip;
    bool ended = false;

    if (!l7s_trip_regard(evaluation, index, &trip)) {
        return false;
    }
    if (banned && find_ban(evaluation, &trip, &ended)) {
        return ended;
    }
    if (policy->concurrency > 0) {
        return l7s_ask_flight(evaluation, &trip);
    }
    if (policy->deferred) {
        return ask_deferred(evaluation, &trip);
    }
    trip.simulated = banned && l7s_trip_is_simulated(evaluation, &trip);
    if (banned && !trip.simulated &&
        note_conforming(evaluation, index, policy, &trip.digest)) {
        return false;
    }
    if (!trip.simulated) {
        l7s_trip_measure_late(evaluation, &trip);
    }
    return l7s_settle_trip(evaluation, &trip);
}

/* Are there bans of other tuples than addresses, also those that observing policies would
 * have made? */
static inline bool others_banned(const l7s_shared_t *shared)
{
    return atomic_load_explicit(&shared->bans.head->other, memory_order_relaxed) != 0;
}

/* True: the evaluation ends. */
static __attribute__((noinline)) bool ask(l7s_evaluation_t *evaluation, uint32_t index)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    const l7s_hash128_t *digest;

    if (index == evaluation->spoken || !l7s_matcher_policy(&evaluation->matcher, index)) {
        return false;
    }
    digest = l7s_tuples_digest(&evaluation->tuples, policy->spec);
    if (digest == NULL) {
        return false;
    }
    l7s_count_up(&l7s_stats_of(evaluation, index)->matched);
    bool banned = others_banned(evaluation->shared);
    return (banned || !note_conforming(evaluation, index, policy, digest)) &&
           ask_closely(evaluation, index, banned);
}

/* A plain policy that the request conforms to, as nearly always. False: ask() must look
 * at it; nothing has happened. */
static inline bool ask_plain(l7s_evaluation_t *evaluation,
                             const l7s_image_policy_t *policy)
{
    const l7s_shared_t *shared = evaluation->shared;
    const l7s_image_limit_t *limit = l7s_limit_at(evaluation, policy->limits.first);
    const l7s_hash128_t *digest = l7s_tuples_digest(&evaluation->tuples, policy->spec);
    l7s_charge_t *charge = &evaluation->charges[evaluation->charge_count];

    if (digest == NULL) {
        return false;
    }
    l7s_hash128_t key = l7s_cell_storable(l7s_hash128_xor(*digest, limit->identity));
    l7s_slot_t *slot = l7s_table_find(&shared->table, key);
    if (slot != NULL &&
        !l7s_bucket_conforms(&limit->rate,
                             atomic_load_explicit(&slot->tat, memory_order_relaxed),
                             evaluation->now.mono_us, 1)) {
        return false;
    }
    *charge = (l7s_charge_t){slot, limit, key.lo};
    evaluation->charge_count++;
    l7s_count_up(&shared->stats.rows[policy->stats_row].matched);
    return true;
}

/* Of the policies in a word of the sets: those that may be asked straight on. None while
 * there are bans that only tuples find, or while a policy has spoken. */
static inline uint64_t plain_ones(const l7s_evaluation_t *evaluation, uint32_t word)
{
    const l7s_image_t *image = evaluation->image;
    const uint64_t *plain =
        (const uint64_t *)l7s_image_section(image, L7S_SECTION_SETS) + image->plain;

    return others_banned(evaluation->shared) || evaluation->spoken != L7S_NONE
               ? 0
               : plain[word] & ~evaluation->matcher.unsure[word];
}

/* True: one of them ends the evaluation. Flat: with a call at each step a policy would
 * cost a third more. */
static __attribute__((flatten)) bool ask_all(l7s_evaluation_t *evaluation)
{
    const l7s_image_policy_t *policies = l7s_image_policy(evaluation->image, 0);
    uint32_t count = l7s_image_policies(evaluation->image);

    for (uint32_t word = 0; word * 64 < count; word++) {
        /* Bits behind the policies are apps. */
        uint64_t bits =
            evaluation->matcher.candidates[word] & l7s_set_below(count - word * 64);
        uint64_t plain = plain_ones(evaluation, word);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t bit = (uint32_t)__builtin_ctzll(bits), index = word * 64 + bit;
            if ((plain >> bit & 1) != 0 && ask_plain(evaluation, &policies[index])) {
                continue;
            }
            if (ask(evaluation, index)) {
                return true;
            }
            plain = plain_ones(evaluation, word);
        }
    }
    return false;
}

/* --- the whole --- */

/* An admitted request takes its places in flight, is charged here, then in the store,
 * then, unless it awaits its user, for good. */
static void charge(l7s_evaluation_t *evaluation)
{
    if ((evaluation->flight_count > 0 && !l7s_charge_flight(evaluation)) ||
        !l7s_charge(evaluation) ||
        (evaluation->has_strict && !l7s_charge_strict(evaluation))) {
        return;
    }
    if ((evaluation->awaits & L7S_AWAITS_USER) != 0) {
        l7s_charge_leave(evaluation);
    } else {
        l7s_charge_book(evaluation);
    }
}

/* Of the candidates only those that count by user, or only the others. True: it took some
 * away. */
static __attribute__((noinline)) bool keep(l7s_evaluation_t *evaluation, bool by_user)
{
    uint32_t policies = l7s_image_policies(evaluation->image);
    bool some = false;

    for (uint32_t index = 0; index < policies; index++) {
        uint64_t *word = &evaluation->matcher.candidates[index / 64];
        uint64_t bit = 1ULL << index % 64;
        if ((l7s_image_policy(evaluation->image, index)->by_user != 0) != by_user) {
            some = some || (*word & bit) != 0;
            *word &= ~bit;
        }
    }
    return some;
}

/* The guard counts clients, not requests: a connection shows its client once a turn. */
static inline void see(const l7s_shared_t *shared, const l7s_request_t *request)
{
    l7s_memo_t *memo = request->memo;
    uint32_t turns =
        atomic_load_explicit(&shared->guard.head->turns, memory_order_acquire);

    if (memo != NULL) {
        if (memo->was_seen && memo->seen_turns == turns) {
            return;
        }
        memo->was_seen = true;
        memo->seen_turns = turns;
    }
    l7s_guard_see(&shared->guard, &request->client);
}

/* Whoever is refused waits for nothing and is not in flight. */
static void forget(l7s_evaluation_t *evaluation)
{
    evaluation->awaits = 0;
    l7s_decide_over(evaluation->shared, &evaluation->verdict->held);
}

static inline __attribute__((always_inline)) void decide(l7s_evaluation_t *evaluation)
{
    if (l7s_addresses_matter(evaluation->shared, evaluation->image) &&
        !evaluation->request->client_is_proxy && judge_address(evaluation)) {
        return;
    }
    l7s_evaluation_walk(evaluation);
    if (evaluation->app_mode == L7S_MODE_OFF) {
        return;
    }
    if (evaluation->image->needs_user && keep(evaluation, false)) {
        evaluation->awaits = L7S_AWAITS_USER;
    }
    if (ask_all(evaluation)) { /* it is refused, or exempt from what stands behind */
        evaluation->awaits &= (uint8_t)~L7S_AWAITS_USER;
    }
    if (!l7s_outcome_refuses(evaluation->verdict->outcome)) {
        charge(evaluation);
    }
    if (l7s_outcome_refuses(evaluation->verdict->outcome)) {
        forget(evaluation);
    }
}

/* Nothing is said, taken or waited for. */
static inline void begin_verdict(l7s_verdict_t *verdict, int32_t owner)
{
    verdict->outcome = L7S_OUTCOME_ADMITTED;
    verdict->awaits = 0;
    verdict->awaiting = 0;
    verdict->tokens = 0;
    verdict->held.count = 0;
    verdict->held.owner = owner;
}

/* Written out in both of its callers: a call would cost every request. */
static inline __attribute__((always_inline)) void
decide_in(l7s_evaluation_t *evaluation, const l7s_shared_t *shared,
          const l7s_image_t *image, const l7s_request_t *request, l7s_now_t now,
          l7s_verdict_t *verdict)
{
    begin_verdict(verdict, request->owner);
    l7s_evaluation_begin(evaluation, shared, image, request, now, verdict);
    if (evaluation->mode == L7S_MODE_OFF) {
        return;
    }
    see(shared, request);
    decide(evaluation);
    verdict->awaits = evaluation->awaits;
    l7s_count_up(&shared->header->verdicts[verdict->outcome]);
}

void l7s_decide(const l7s_shared_t *shared, const l7s_image_t *image,
                const l7s_request_t *request, l7s_now_t now, l7s_verdict_t *verdict)
{
    l7s_evaluation_t evaluation;

    decide_in(&evaluation, shared, image, request, now, verdict);
}

void l7s_decide_in(l7s_evaluation_t *evaluation, const l7s_shared_t *shared,
                   const l7s_image_t *image, const l7s_request_t *request, l7s_now_t now,
                   l7s_verdict_t *verdict)
{
    decide_in(evaluation, shared, image, request, now, verdict);
}

void l7s_decide_user(const l7s_shared_t *shared, const l7s_image_t *image,
                     const l7s_request_t *request, bool answered, l7s_now_t now,
                     l7s_verdict_t *verdict)
{
    l7s_evaluation_t evaluation;
    l7s_outcome_t before = verdict->outcome;

    l7s_evaluation_begin(&evaluation, shared, image, request, now, verdict);
    evaluation.is_answered = answered;
    evaluation.awaits = verdict->awaits & (uint8_t)~L7S_AWAITS_USER;
    l7s_evaluation_walk(&evaluation);
    if (evaluation.app_mode != L7S_MODE_OFF) {
        (void)keep(&evaluation, true);
        (void)ask_all(&evaluation);
    }
    if (!l7s_outcome_refuses(verdict->outcome)) {
        charge(&evaluation);
    }
    l7s_charge_settle(&evaluation);
    if (l7s_outcome_refuses(verdict->outcome)) {
        forget(&evaluation);
    }
    verdict->awaits = evaluation.awaits;
    if (verdict->outcome != before) { /* each request is one verdict */
        atomic_fetch_sub_explicit(&shared->header->verdicts[before], 1,
                                  memory_order_relaxed);
        l7s_count_up(&shared->header->verdicts[verdict->outcome]);
    }
}

bool l7s_decide_late(l7s_evaluation_t *evaluation)
{
    l7s_guard_see(&evaluation->shared->guard, &evaluation->request->client);
    if (!evaluation->request->client_is_proxy && judge_address(evaluation)) {
        return false;
    }
    l7s_evaluation_walk(evaluation);
    if (evaluation->app_mode == L7S_MODE_OFF) {
        return false;
    }
    ask_all(evaluation);
    if (evaluation->is_barred) {
        return false;
    }
    charge(evaluation);
    l7s_count_up(&evaluation->shared->header->verdicts[evaluation->verdict->outcome]);
    return true;
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
    return judge_bans(evaluation) || (is_in_list && judge_deny_lists(evaluation));
}

bool l7s_decide_address(const l7s_shared_t *shared, const l7s_image_t *image,
                        const l7s_addr_t *peer, l7s_mode_t mode, l7s_now_t now,
                        l7s_verdict_t *verdict)
{
    l7s_request_t request = {
        .client = *peer, .method = "", .host = "", .path = "", .mode = mode};
    l7s_evaluation_t evaluation;

    begin_verdict(verdict, 0);
    if (image == NULL) {
        return false;
    }
    l7s_evaluation_begin(&evaluation, shared, image, &request, now, verdict);
    if (evaluation.mode != L7S_MODE_ENFORCE || !refuse_address(&evaluation)) {
        return false;
    }
    l7s_guard_see(&shared->guard, peer);
    l7s_count_up(&shared->header->verdicts[verdict->outcome]);
    return true;
}
