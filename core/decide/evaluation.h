/* SPDX-License-Identifier: Apache-2.0
 *
 * One request being decided: what decide.c (who is asked, in which order), trip.c (one
 * policy regarded closely), charge.c (who is charged), answer.c (what is known when it
 * has been answered), settle.c (what follows: verdict, ban, statistics) and record.c
 * (episodes) share.
 */
#ifndef L7S_EVALUATION_H
#define L7S_EVALUATION_H

#include "../match/tuple.h"
#include "../signals.h"
#include "answer.h"
#include "plan.h"

#include <string.h>

/* A limit that the request conforms to, to be charged when it is admitted. Those of one
 * policy stand together. */
typedef struct {
    l7s_slot_t *slot; /* seen when asking; NULL: claimed when it is charged */
    const l7s_image_limit_t *limit;
    uint64_t key_lo; /* half of the slot's key: tells whether it is still that one */
} l7s_charge_t;

/* On the stack of l7s_decide and never cleared as a whole: it has room for the largest
 * image, a request uses little of it. */
typedef struct {
    const l7s_shared_t *shared;
    const l7s_image_t *image;
    const l7s_request_t *request;
    l7s_verdict_t *verdict;
    l7s_now_t now;
    l7s_mode_t mode;     /* of the stage: request and node */
    l7s_mode_t app_mode; /* the app's too, once the index has been walked */
    bool walked;
    uint8_t awaits;        /* what policies wait for that were asked: L7S_AWAITS_… */
    bool is_answered;      /* the answer is out: nothing refuses this request any more */
    bool is_barred;        /* … and a ban in force would have refused it */
    uint32_t flight_count; /* policies that limit what is in flight */
    uint32_t charge_count; /* of limits that the request conforms to */
    bool has_strict;       /* `strict` is valid: policies that the store decides */
    uint32_t flights[L7S_FLIGHTS_PER_REQUEST];
    const l7s_signals_t *signals; /* that a policy matched; NULL: none */
    uint64_t units;               /* charged, where these are not requests */
    uint32_t spoken; /* a policy whose ban was observed already, or L7S_NONE */
    l7s_matcher_t matcher;
    l7s_tuples_t tuples;
    uint64_t strict[L7S_POLICIES_MAX / 64];
    l7s_charge_t charges[L7S_POLICIES_MAX * L7S_RATES_MAX];
} l7s_evaluation_t;

/* Where a client stands with a challenge. */
typedef enum {
    L7S_EXAM_PASSED,
    L7S_EXAM_OWED,
    L7S_EXAM_EXEMPT,    /* it cannot be challenged and may go on */
    L7S_EXAM_IMPOSSIBLE /* it cannot be challenged and is refused */
} l7s_exam_t;

/* A policy regarded for this request. */
typedef struct {
    uint32_t policy;
    l7s_mode_t mode;               /* the effective one */
    l7s_hash128_t digest;          /* of the tuple */
    l7s_hash128_t key;             /* of its first limit: names its episode */
    uint64_t wait_us;              /* until the request would conform; 0: not known */
    uint32_t limit;                /* that it did not conform to, or L7S_NONE */
    l7s_run_t limits;              /* that it is held to: the policy's or a plan's */
    uint32_t observed;             /* what was measured, where a share is; 0: nothing */
    bool simulated;                /* a ban would be in force: nothing new happened */
    l7s_image_sanction_t sanction; /* what is done: settle.c's */
    l7s_exam_t exam;               /* … for a challenge, when it has been examined */
} l7s_trip_t;

/* The request comes from a listed address. True: that decides. */
bool l7s_settle_listed(l7s_evaluation_t *evaluation, const l7s_image_list_t *list,
                       l7s_mode_t mode);

/* A ban is in force. True: the request is refused. */
bool l7s_settle_ban(l7s_evaluation_t *evaluation, const l7s_ban_t *ban, l7s_mode_t mode);

/* A policy's detector tripped. True: the evaluation ends here, by an allow or a refusal.
 */
bool l7s_settle_trip(l7s_evaluation_t *evaluation, l7s_trip_t *trip);

/* The store gave no verdict, and the policy says closed. True: the request is refused. */
bool l7s_settle_unanswered(l7s_evaluation_t *evaluation, const l7s_trip_t *trip);

/* Is a ban in force that an observing policy would have made? */
bool l7s_would_be_banned(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip);

/* --- examine.c --- */

l7s_exam_t l7s_examine(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip);

/* Puts what the client has to answer into the verdict. */
void l7s_examine_begin(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                       l7s_verdict_t *verdict);

/* --- record.c --- */

/* The episode of the trip's key, opened when it is new. NULL: there is no room. */
l7s_episode_t *l7s_record_episode(const l7s_evaluation_t *evaluation,
                                  const l7s_trip_t *trip, const char *ban_id);

/* Counts this request in its episode (may be NULL). */
void l7s_record_count(l7s_evaluation_t *evaluation, l7s_episode_t *episode, bool tripped,
                      bool acted);

/* Leaves the episode with the key's slot, so that admitted requests find it and the slot
 * is not evicted while it runs. */
void l7s_record_link(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                     const l7s_episode_t *episode);

/* The request was admitted and the slot of the policy's first limit carries an episode:
 * counts there, if it still runs. */
__attribute__((noinline)) void l7s_record_passed(l7s_evaluation_t *evaluation,
                                                 uint32_t policy, l7s_slot_t *slot);

/* --- escalate.c --- */

/* A ban begins: counts it, and puts the strongest step that its key has reached in the
 * place of trip->sanction. False: it has reached none. */
bool l7s_escalate_ban(const l7s_evaluation_t *evaluation, l7s_trip_t *trip,
                      const l7s_ban_t *ban);

/* The same for a running episode (may be NULL): once, and from then on what was reached.
 */
void l7s_escalate_episode(const l7s_evaluation_t *evaluation, l7s_trip_t *trip,
                          l7s_episode_t *episode);

/* --- trip.c --- */

/* Fills in a trip for this policy. False: it does not count this request at all. */
bool l7s_trip_regard(l7s_evaluation_t *evaluation, uint32_t index, l7s_trip_t *trip);

/* Would a ban be in force that the policy, which only observes, has made? */
bool l7s_trip_is_simulated(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip);

/* Fills in the first limit that `cost` tokens (0: asks for debt) do not conform to, and
 * the longest wait. False: they conform to all. */
bool l7s_trip_measure(const l7s_evaluation_t *evaluation, l7s_trip_t *trip,
                      uint32_t cost);
/* The same for a request that did not conform a moment ago: should it by now, the first
 * limit stands for all. */
void l7s_trip_measure_late(const l7s_evaluation_t *evaluation, l7s_trip_t *trip);

/* --- decide.c --- */

/* l7s_decide, leaving the evaluation to the caller: what was matched and counted by. */
void l7s_decide_in(l7s_evaluation_t *evaluation, const l7s_shared_t *shared,
                   const l7s_image_t *image, const l7s_request_t *request, l7s_now_t now,
                   l7s_verdict_t *verdict);

void l7s_evaluation_begin(l7s_evaluation_t *evaluation, const l7s_shared_t *shared,
                          const l7s_image_t *image, const l7s_request_t *request,
                          l7s_now_t now, l7s_verdict_t *verdict);
/* Walks the index, unless that has been done. */
void l7s_evaluation_walk(l7s_evaluation_t *evaluation);

/* Asks and charges all that l7s_decide would have, about a request that has been answered
 * without being asked about. False: a list, a ban or the mode exempts it. */
bool l7s_decide_late(l7s_evaluation_t *evaluation);

/* --- answer.c --- */

/* Names a policy that waits for the answer, whatever image it will be found in. */
static inline uint32_t l7s_awaiting_id(const l7s_image_policy_t *policy)
{
    return (uint32_t)policy->identity.lo;
}

/* What the policy counts of this answer. 0: nothing. */
uint32_t l7s_answer_amount(const l7s_image_t *image, const l7s_image_policy_t *policy,
                           const l7s_answer_t *answer);

/* --- charge_flight.c --- */

/* Are as many requests in flight as the policy lets? True: that ends the evaluation. */
bool l7s_ask_flight(l7s_evaluation_t *evaluation, l7s_trip_t *trip);

/* Takes the places that were found free. False: one was gone, and that refuses it. */
__attribute__((noinline)) bool l7s_charge_flight(l7s_evaluation_t *evaluation);

/* --- charge_ratio.c --- */

/* Fills in what share failed, and for how long that is too much. False: it is not. */
bool l7s_ratio_measure(const l7s_evaluation_t *evaluation, l7s_trip_t *trip);

/* Counts an answer. */
void l7s_ratio_count(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                     bool failed);

/* --- charge.c --- */

/* Takes a token for each charge that was noted. Whoever took the last one in the meantime
 * makes a policy trip after all. False: it refuses the request, everything has been given
 * back. */
bool l7s_charge(l7s_evaluation_t *evaluation);

/* The tokens are taken for good: the fleet and running episodes hear of them. */
void l7s_charge_book(l7s_evaluation_t *evaluation);

/* A policy may yet refuse the request when its user is known: leaves its tokens with it
 * instead, as far as there is room. */
void l7s_charge_leave(l7s_evaluation_t *evaluation);

/* What was left there is taken for good or, if the request is refused, given back. */
void l7s_charge_settle(l7s_evaluation_t *evaluation);

/* The slot of a limit that is about to be charged. NULL: no room, it goes uncounted. */
l7s_slot_t *l7s_charged_slot(const l7s_evaluation_t *evaluation,
                             const l7s_image_limit_t *limit, l7s_hash128_t digest);

/* Takes a token of each of these limits and notes the charges. False: one was gone,
 * nothing was taken. */
bool l7s_take(l7s_evaluation_t *evaluation, l7s_run_t limits);

/* Gives back the tokens of the charges from `first` up to `end`. */
void l7s_refund(const l7s_evaluation_t *evaluation, uint32_t first, uint32_t end);

/* The policy conformed a moment ago and does not any more. True: it ends the request. */
bool l7s_trip_late(l7s_evaluation_t *evaluation, uint32_t index);

/* charge_strict.c: charges what the store decides. False: the request is refused, and
 * everything that was charged here has been given back. */
__attribute__((noinline)) bool l7s_charge_strict(l7s_evaluation_t *evaluation);

static inline const l7s_image_limit_t *l7s_limit_at(const l7s_evaluation_t *evaluation,
                                                    uint32_t limit)
{
    return (const l7s_image_limit_t *)l7s_image_section(evaluation->image,
                                                        L7S_SECTION_LIMITS) +
           limit;
}

static inline const char *l7s_text_at(const l7s_evaluation_t *evaluation, uint32_t offset)
{
    return l7s_image_text(evaluation->image, offset);
}

/* Cuts what does not fit. */
static inline void l7s_copy_text(char *out, size_t capacity, const char *text)
{
    size_t length = strlen(text);

    length = length < capacity ? length : capacity - 1;
    memcpy(out, text, length);
    out[length] = '\0';
}

#define L7S_COPY(out, text) l7s_copy_text(out, sizeof(out), text)

static inline uint32_t l7s_whole_seconds(uint64_t us)
{
    uint64_t seconds = us / 1000000 + (us % 1000000 != 0);

    return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

static inline void l7s_count_up(_Atomic uint64_t *counter)
{
    atomic_fetch_add_explicit(counter, 1, memory_order_relaxed);
}

static inline l7s_stats_row_t *l7s_stats_of(const l7s_evaluation_t *evaluation,
                                            uint32_t policy)
{
    return &evaluation->shared->stats
                .rows[l7s_image_policy(evaluation->image, policy)->stats_row];
}

/* Has the guard told this policy to observe only? */
static inline bool l7s_is_demoted(const l7s_evaluation_t *evaluation,
                                  const l7s_image_policy_t *policy)
{
    return atomic_load_explicit(
               &evaluation->shared->stats.rows[policy->stats_row].demoted,
               memory_order_relaxed) != 0;
}

#endif
