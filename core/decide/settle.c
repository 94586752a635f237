/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows when a list, a ban or a policy speaks about a request: the verdict, the
 * ban, the statistics, and what record.c keeps of it. Only requests that somebody objects
 * to come here.
 *
 * An observing ban policy records its ban too, under a digest that no tuple has: it is
 * found by its own policy only, refuses nobody and never leaves the node.
 */
#include "evaluation.h"

#include "../segment/ban_id.h"

#include <string.h>

/* The exclusive-or of a limit's key and this names a ban that is only simulated. */
static const l7s_hash128_t SHADOW = {0x6f62736572766564ULL, 0x776f756c64206261ULL};

/* Service unavailable: it is not the client's fault, and soon better. */
#define UNANSWERED_STATUS 503
#define UNANSWERED_RETRY_S 2

/* --- verdict --- */

/* What several policies say about one request: a refusal is final, what would have been
 * one comes before an allow, that before a log; among equals the first. */
static unsigned rank(l7s_outcome_t outcome)
{
    switch (outcome) {
    case L7S_OUTCOME_ADMITTED:
        return 0;
    case L7S_OUTCOME_LOGGED:
        return 1;
    case L7S_OUTCOME_ALLOW_LISTED:
        return 2;
    case L7S_OUTCOME_OBSERVED:
        return 3;
    default:
        return 4;
    }
}

/* Takes over the verdict, with everything empty but outcome and action; NULL: a stronger
 * one stands. */
static l7s_verdict_t *take_verdict(l7s_evaluation_t *evaluation, l7s_outcome_t outcome,
                                   const char *action)
{
    l7s_verdict_t *verdict = evaluation->verdict;
    bool would = outcome == L7S_OUTCOME_OBSERVED;

    if (rank(outcome) <= rank(verdict->outcome)) {
        return NULL;
    }
    verdict->outcome = outcome;
    verdict->status = 0;
    verdict->retry_after_seconds = 0;
    L7S_COPY(verdict->action, would ? "would_" : "");
    l7s_copy_text(verdict->action + (would ? 6 : 0), sizeof verdict->action - 6, action);
    verdict->policy[0] = '\0';
    verdict->incident[0] = '\0';
    verdict->key[0] = '\0';
    verdict->response[0] = '\0';
    verdict->challenge.token[0] = '\0';
    return verdict;
}

static void write_client(l7s_verdict_t *verdict, const char *part, const l7s_cidr_t *cidr)
{
    size_t length = strlen(part);

    memcpy(verdict->key, part, length);
    verdict->key[length] = '=';
    l7s_cidr_text(cidr, verdict->key + length + 1);
}

bool l7s_settle_listed(l7s_evaluation_t *evaluation, const l7s_image_list_t *list,
                       l7s_mode_t mode)
{
    bool allow = list->effect == L7S_EFFECT_ALLOW;
    l7s_outcome_t outcome = allow                      ? L7S_OUTCOME_ALLOW_LISTED
                            : mode == L7S_MODE_ENFORCE ? L7S_OUTCOME_LISTED
                                                       : L7S_OUTCOME_OBSERVED;
    l7s_cidr_t client = l7s_addr_client(&evaluation->request->client);
    l7s_verdict_t *verdict;

    if (evaluation->is_answered) {
        return outcome != L7S_OUTCOME_OBSERVED;
    }
    verdict = take_verdict(evaluation, outcome, allow ? "allow" : "deny");
    if (verdict != NULL) {
        verdict->status = allow ? 0 : 403;
        L7S_COPY(verdict->policy, l7s_text_at(evaluation, list->name));
        write_client(verdict, "client", &client);
    }
    return outcome != L7S_OUTCOME_OBSERVED;
}

/* The guard hears of everybody who is refused. */
static void note_acted(const l7s_evaluation_t *evaluation, uint32_t policy)
{
    l7s_guard_acted(&evaluation->shared->guard,
                    l7s_image_policy(evaluation->image, policy)->stats_row,
                    &evaluation->request->client);
}

/* --- bans --- */

static void raise_until(l7s_episode_t *episode, uint64_t until_ms)
{
    uint64_t seen = atomic_load_explicit(&episode->ban_until_ms, memory_order_relaxed);

    while (seen < until_ms && !atomic_compare_exchange_weak_explicit(
                                  &episode->ban_until_ms, &seen, until_ms,
                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static uint32_t ban_retry_after(const l7s_evaluation_t *evaluation, uint64_t until_ms)
{
    uint64_t now_ms = evaluation->now.wall_ms, seconds;

    if (until_ms == UINT64_MAX || until_ms <= now_ms) {
        return 0;
    }
    seconds = (until_ms - now_ms + 999) / 1000;
    return seconds > UINT32_MAX ? UINT32_MAX : (uint32_t)seconds;
}

/* Who a trip would ban: an address where the tuple is one, else the tuple's digest. */
static void name_ban(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                     l7s_ban_t *ban)
{
    const l7s_image_t *image = evaluation->image;
    const l7s_spec_t *specs = l7s_image_section(image, L7S_SECTION_SPECS);
    uint32_t spec = l7s_image_policy(image, trip->policy)->spec;

    ban->digest = trip->digest;
    ban->is_address = l7s_tuples_ban_network(&evaluation->tuples, spec, &ban->network);
    if (!ban->is_address) {
        l7s_ban_id_hash(specs[spec].parts[0], trip->digest, ban->id);
        return;
    }
    l7s_ban_id(&ban->network, ban->id);
    if (ban->network.prefix == 128) { /* a network of one address is banned as a client */
        ban->digest =
            l7s_key_digest_cidr(&image->count_key, L7S_PART_CLIENT, &ban->network);
    }
}

static l7s_hash128_t shadow_of(const l7s_trip_t *trip)
{
    return l7s_hash128_xor(trip->key, SHADOW);
}

/* Records the ban of an enforcing policy, or what would be one; *began: there was none.
 * False: a lift holds it off, so the client is not to be refused either. */
static bool record_ban(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                       const l7s_ban_t *named, l7s_episode_t *episode, bool *began)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    l7s_ban_t ban = *named;
    l7s_status_t status;

    ban.since_ms = evaluation->now.wall_ms;
    ban.until_ms = ban.since_ms + trip->sanction.seconds * 1000ULL;
    ban.status = trip->sanction.status;
    ban.origin = L7S_ORIGIN_NODE;
    L7S_COPY(ban.policy, l7s_text_at(evaluation, policy->name));
    L7S_COPY(ban.response, l7s_text_at(evaluation, trip->sanction.response));
    L7S_COPY(ban.incident, episode != NULL ? episode->facts.id : "");
    if (trip->mode != L7S_MODE_ENFORCE) {
        ban.digest = shadow_of(trip);
        ban.is_address = false;
        ban.origin = L7S_ORIGIN_SHADOW;
        ban.id[0] = '\0';
    }
    /* A full table (alarm) still refuses this request. */
    status = l7s_bans_begin(&evaluation->shared->bans, &ban, evaluation->now, began);
    if (status != L7S_CONFLICT && episode != NULL && trip->mode == L7S_MODE_ENFORCE) {
        raise_until(episode, ban.until_ms);
    }
    return status != L7S_CONFLICT;
}

bool l7s_would_be_banned(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    const l7s_bans_t *bans = &evaluation->shared->bans;

    return atomic_load_explicit(&bans->head->other, memory_order_relaxed) != 0 &&
           l7s_bans_find(bans, shadow_of(trip), evaluation->now, NULL);
}

/* The episode that the ban's policy opened for the banned key; another node may have,
 * then it opens here too, for this node's share. */
static l7s_episode_t *episode_of_ban(l7s_evaluation_t *evaluation, const l7s_ban_t *ban,
                                     uint32_t policy, l7s_mode_t mode)
{
    const l7s_spec_t *specs = l7s_image_section(evaluation->image, L7S_SECTION_SPECS);
    const l7s_image_policy_t *record = l7s_image_policy(evaluation->image, policy);
    l7s_trip_t trip = {
        .policy = policy, .mode = mode, .limit = L7S_NONE, .limits = record->limits};
    l7s_episode_t *episode;
    l7s_cidr_t network;

    /* A network of one address is banned as a client, under that digest. */
    trip.digest = ban->digest;
    if (ban->is_address && ban->network.prefix == 128 &&
        specs[record->spec].parts[0] == L7S_PART_NETWORK &&
        l7s_tuples_ban_network(&evaluation->tuples, record->spec, &network)) {
        trip.digest = *l7s_tuples_digest(&evaluation->tuples, record->spec);
    }
    trip.key = l7s_hash128_xor(trip.digest, record->identity);
    episode = l7s_record_episode(evaluation, &trip, ban->id);
    if (episode != NULL) {
        raise_until(episode, ban->until_ms);
    }
    return episode;
}

static void fill_ban(l7s_evaluation_t *evaluation, const l7s_ban_t *ban, uint32_t policy,
                     l7s_verdict_t *verdict)
{
    verdict->status = ban->status;
    verdict->retry_after_seconds = ban_retry_after(evaluation, ban->until_ms);
    L7S_COPY(verdict->policy, ban->policy);
    L7S_COPY(verdict->response, ban->response);
    if (ban->is_address) {
        bool one = strncmp(ban->id, "ip:", 3) == 0 || ban->network.prefix == 64;
        write_client(verdict, one ? "client" : "network", &ban->network);
    } else if (policy != L7S_NONE) {
        l7s_tuples_text(&evaluation->tuples,
                        l7s_image_policy(evaluation->image, policy)->spec, verdict->key);
    }
}

/* The ban was found by the client's digest: no need to compute it again. */
static void learn_client(l7s_evaluation_t *evaluation, const l7s_ban_t *ban)
{
    if (ban->is_address && strncmp(ban->id, "ip:", 3) == 0) {
        l7s_tuples_learn_client(&evaluation->tuples, ban->digest);
    }
}

bool l7s_settle_ban(l7s_evaluation_t *evaluation, const l7s_ban_t *ban, l7s_mode_t mode)
{
    uint32_t policy =
        l7s_names_index(evaluation->image, &evaluation->image->policy_names, ban->policy);
    /* What a policy banned before the guard demoted it must not outlive its demotion. */
    bool acted =
        mode == L7S_MODE_ENFORCE &&
        (policy == L7S_NONE ||
         !l7s_is_demoted(evaluation, l7s_image_policy(evaluation->image, policy)));
    l7s_episode_t *episode = NULL;
    l7s_verdict_t *verdict;

    if (evaluation->is_answered) {
        evaluation->is_barred = acted;
        return acted;
    }
    verdict = take_verdict(evaluation, acted ? L7S_OUTCOME_BANNED : L7S_OUTCOME_OBSERVED,
                           "ban");
    learn_client(evaluation, ban);
    if (policy != L7S_NONE) {
        l7s_stats_row_t *row = l7s_stats_of(evaluation, policy);
        if (acted) {
            note_acted(evaluation, policy);
        } else {
            mode = l7s_mode_least(mode, L7S_MODE_OBSERVE);
        }
        episode = episode_of_ban(evaluation, ban, policy, mode);
        l7s_record_count(evaluation, episode, true, acted);
        l7s_count_up(acted ? &row->acted : &row->would_act);
    }
    if (verdict != NULL) {
        fill_ban(evaluation, ban, policy, verdict);
        L7S_COPY(verdict->incident, episode != NULL ? episode->facts.id : ban->incident);
    }
    evaluation->spoken = policy;
    return acted;
}

/* --- policies --- */

static l7s_outcome_t refusal_of(l7s_action_t action)
{
    switch (action) {
    case L7S_ACTION_THROTTLE:
        return L7S_OUTCOME_THROTTLED;
    case L7S_ACTION_BAN:
        return L7S_OUTCOME_BANNED;
    case L7S_ACTION_DROP:
        return L7S_OUTCOME_DROPPED;
    case L7S_ACTION_CHALLENGE:
        return L7S_OUTCOME_CHALLENGED;
    default:
        return L7S_OUTCOME_DENIED;
    }
}

static void fill_trip(l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                      l7s_outcome_t outcome, const l7s_episode_t *episode)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    const l7s_image_sanction_t *sanction = &trip->sanction;
    l7s_action_t action =
        outcome == L7S_OUTCOME_LOGGED ? L7S_ACTION_LOG : (l7s_action_t)sanction->action;
    l7s_verdict_t *verdict = take_verdict(evaluation, outcome, l7s_action_name(action));

    if (verdict == NULL) {
        return;
    }
    verdict->status = sanction->action >= L7S_ACTION_DENY ? sanction->status : 0;
    verdict->retry_after_seconds = sanction->action == L7S_ACTION_BAN
                                       ? sanction->seconds
                                       : l7s_whole_seconds(trip->wait_us);
    L7S_COPY(verdict->policy, l7s_text_at(evaluation, policy->name));
    L7S_COPY(verdict->response, l7s_text_at(evaluation, sanction->response));
    L7S_COPY(verdict->incident, episode != NULL ? episode->facts.id : "");
    l7s_tuples_text(&evaluation->tuples, policy->spec, verdict->key);
    if (outcome == L7S_OUTCOME_CHALLENGED && trip->exam == L7S_EXAM_OWED) {
        l7s_examine_begin(evaluation, trip, verdict);
    }
}

/* Records the ban that the sanction says. One that begins is an episode of a policy whose
 * own action is to ban, and may turn out to be a longer one. A ban that a lift holds off
 * is only observed: trip->mode changes. */
static void ban(l7s_evaluation_t *evaluation, l7s_trip_t *trip, const l7s_ban_t *named,
                l7s_episode_t *episode)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    bool began, again;

    if (!record_ban(evaluation, trip, named, episode, &began)) {
        trip->mode = L7S_MODE_OBSERVE;
    } else if (began && policy->action == L7S_ACTION_BAN &&
               l7s_escalate_ban(evaluation, trip, named)) {
        (void)record_ban(evaluation, trip, named, episode, &again);
    }
}

/* Opens or finds the episode, settles on a sanction and, for a ban, records it. */
static l7s_episode_t *act(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    l7s_episode_t *episode;
    l7s_ban_t named;

    if (trip->simulated) {
        trip->sanction.action = L7S_ACTION_BAN;
        return l7s_record_episode(evaluation, trip, "");
    }
    named.id[0] = '\0';
    if (policy->may_ban) {
        memset(&named, 0, sizeof named);
        name_ban(evaluation, trip, &named);
    }
    episode = l7s_record_episode(evaluation, trip,
                                 trip->mode == L7S_MODE_ENFORCE ? named.id : "");
    if (policy->steps.count > 0 && policy->action != L7S_ACTION_BAN) {
        l7s_escalate_episode(evaluation, trip, episode);
    }
    if (trip->sanction.action == L7S_ACTION_BAN) {
        ban(evaluation, trip, &named, episode);
    }
    return episode;
}

static void settle_log(l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    l7s_episode_t *episode = l7s_record_episode(evaluation, trip, "");

    l7s_record_count(evaluation, episode, true, false);
    l7s_record_link(evaluation, trip, episode);
    l7s_count_up(&l7s_stats_of(evaluation, trip->policy)->logged);
    fill_trip(evaluation, trip, L7S_OUTCOME_LOGGED, episode);
}

/* May the request go on, although it is to be challenged? A client that has passed is
 * ordinary traffic; one that cannot be challenged is looked after. */
static bool is_excused(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    trip->exam = l7s_examine(evaluation, trip);
    if (trip->exam == L7S_EXAM_PASSED) {
        l7s_record_count(evaluation,
                         l7s_episode_find(&evaluation->shared->episodes, trip->key),
                         false, false);
    } else if (trip->exam == L7S_EXAM_EXEMPT) {
        settle_log(evaluation, trip);
    }
    return trip->exam == L7S_EXAM_PASSED || trip->exam == L7S_EXAM_EXEMPT;
}

static bool settle_refusal(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    l7s_stats_row_t *row = l7s_stats_of(evaluation, trip->policy);
    bool own = trip->sanction.action == L7S_ACTION_CHALLENGE;
    l7s_episode_t *episode;
    bool acted;

    if (own && is_excused(evaluation, trip)) {
        return false;
    }
    episode = act(evaluation, trip);
    if (!own && trip->sanction.action == L7S_ACTION_CHALLENGE &&
        is_excused(evaluation, trip)) {
        return false;
    }
    acted = trip->mode == L7S_MODE_ENFORCE;
    if (acted) {
        note_acted(evaluation, trip->policy);
    }
    l7s_record_count(evaluation, episode, true, acted);
    l7s_record_link(evaluation, trip, episode);
    l7s_count_up(acted ? &row->acted : &row->would_act);
    fill_trip(evaluation, trip,
              acted ? refusal_of((l7s_action_t)trip->sanction.action)
                    : L7S_OUTCOME_OBSERVED,
              episode);
    return acted;
}

/* The request has passed: all that is left is to remember it and, for a ban, to refuse
 * the next one. */
static void settle_answered(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    l7s_stats_row_t *row = l7s_stats_of(evaluation, trip->policy);
    l7s_episode_t *episode = act(evaluation, trip);
    bool acted = trip->mode == L7S_MODE_ENFORCE;

    if (trip->sanction.action == L7S_ACTION_BAN) {
        if (acted) {
            note_acted(evaluation, trip->policy);
        }
        l7s_count_up(acted ? &row->acted : &row->would_act);
    }
    if (episode != NULL) {
        l7s_record_count(evaluation, episode, true, false);
        l7s_count_up(&episode->passed);
    }
    l7s_record_link(evaluation, trip, episode);
    fill_trip(evaluation, trip, L7S_OUTCOME_LOGGED, episode);
}

/* Nobody did anything wrong: neither an episode nor a ban. */
bool l7s_settle_unanswered(l7s_evaluation_t *evaluation, const l7s_trip_t *trip)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    bool acted = trip->mode == L7S_MODE_ENFORCE;
    l7s_stats_row_t *row = l7s_stats_of(evaluation, trip->policy);
    l7s_verdict_t *verdict;

    if (policy->action < L7S_ACTION_DENY) {
        return false; /* it would not have refused either */
    }
    l7s_count_up(acted ? &row->acted : &row->would_act);
    verdict = take_verdict(evaluation, acted ? L7S_OUTCOME_DENIED : L7S_OUTCOME_OBSERVED,
                           l7s_action_name(L7S_ACTION_DENY));
    if (verdict != NULL) {
        verdict->status = UNANSWERED_STATUS;
        verdict->retry_after_seconds = UNANSWERED_RETRY_S;
        L7S_COPY(verdict->policy, l7s_text_at(evaluation, policy->name));
        L7S_COPY(verdict->response, l7s_text_at(evaluation, policy->sanction.response));
        l7s_tuples_text(&evaluation->tuples, policy->spec, verdict->key);
    }
    return acted;
}

bool l7s_settle_trip(l7s_evaluation_t *evaluation, l7s_trip_t *trip)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    l7s_action_t action = (l7s_action_t)policy->action;

    trip->sanction = policy->sanction;
    if (action == L7S_ACTION_LOG) {
        settle_log(evaluation, trip);
        return false;
    }
    if (action != L7S_ACTION_ALLOW && evaluation->is_answered) {
        settle_answered(evaluation, trip);
        return false;
    }
    if (action != L7S_ACTION_ALLOW) {
        return settle_refusal(evaluation, trip);
    }
    /* Nothing is done to anybody: no episode. */
    l7s_count_up(&l7s_stats_of(evaluation, trip->policy)->logged);
    if (trip->mode != L7S_MODE_ENFORCE) {
        return false;
    }
    fill_trip(evaluation, trip, L7S_OUTCOME_ALLOW_LISTED, NULL);
    return true;
}
