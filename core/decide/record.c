/* SPDX-License-Identifier: Apache-2.0
 *
 * What the episode of a key keeps of its requests. Under attack most requests come here:
 * an episode's facts are put together only when it opens.
 */
#include "evaluation.h"

#include <string.h>

/* "" where the settings leave it out, or there is none. */
static const char *query_to_record(const l7s_evaluation_t *evaluation)
{
    const char *target = evaluation->request->target;
    const char *mark = NULL;

    if (evaluation->image->records_query != 0 && target != NULL) {
        mark = strchr(target, '?');
    }
    return mark != NULL ? mark + 1 : "";
}

static void describe_request(const l7s_evaluation_t *evaluation,
                             l7s_episode_facts_t *facts)
{
    const l7s_geo_place_t *origin = l7s_matcher_origin(evaluation->tuples.matcher);
    const l7s_request_t *request = evaluation->request;
    const char *agent = NULL;

    if (request->header != NULL) {
        agent = request->header(request->context, "user-agent");
    }
    L7S_COPY(facts->app, evaluation->matcher.app != NULL ? evaluation->matcher.app : "");
    L7S_COPY(facts->host, request->host);
    L7S_COPY(facts->path, request->path);
    L7S_COPY(facts->query, query_to_record(evaluation));
    L7S_COPY(facts->method, request->method);
    L7S_COPY(facts->user_agent, agent != NULL ? agent : "");
    facts->client = request->client;
    facts->asn = origin->asn;
    L7S_COPY(facts->country, origin->country);
}

/* The limit that was exceeded, or the first one, if there is one. */
static void describe_policy(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                            l7s_episode_facts_t *facts)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, trip->policy);
    bool has_ratio = policy->ratio.percent > 0;
    bool has_rate = trip->limits.count > 0 && !has_ratio;

    L7S_COPY(facts->policy, l7s_text_at(evaluation, policy->name));
    L7S_COPY(facts->action, l7s_action_name(policy->action));
    L7S_COPY(facts->detector, policy->signals.count > 0 ? "signal"
                              : has_rate                ? "rate"
                              : has_ratio               ? "ratio"
                              : policy->concurrency > 0 ? "concurrency"
                                                        : "always");
    l7s_tuples_json(&evaluation->tuples, policy->spec, facts->key);
    facts->limit = has_ratio ? policy->ratio.percent : policy->concurrency;
    facts->per_seconds = policy->ratio.seconds;
    facts->observed = trip->observed;
    L7S_COPY(facts->unit, has_ratio ? "percent" : "");
    if (has_rate) {
        uint32_t limit = trip->limit != L7S_NONE ? trip->limit : trip->limits.first;
        const l7s_rate_t *rate = &l7s_limit_at(evaluation, limit)->rate;
        facts->limit = rate->requests;
        facts->per_seconds = l7s_whole_seconds(rate->period_us);
        L7S_COPY(facts->unit, l7s_cost_unit((l7s_cost_t)policy->cost));
    }
}

static __attribute__((noinline)) l7s_episode_t *
open_episode(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
             const char *ban_id)
{
    l7s_episode_facts_t facts;

    memset(&facts, 0, sizeof facts);
    describe_request(evaluation, &facts);
    describe_policy(evaluation, trip, &facts);
    L7S_COPY(facts.ban_id, ban_id);
    facts.revision = evaluation->image->revision;
    facts.started_ms = evaluation->now.wall_ms;
    facts.mode = trip->mode;
    return l7s_episode_open(&evaluation->shared->episodes, trip->key, &facts,
                            evaluation->now);
}

l7s_episode_t *l7s_record_episode(const l7s_evaluation_t *evaluation,
                                  const l7s_trip_t *trip, const char *ban_id)
{
    l7s_episode_t *episode = l7s_episode_find(&evaluation->shared->episodes, trip->key);

    return episode != NULL ? episode : open_episode(evaluation, trip, ban_id);
}

void l7s_record_count(l7s_evaluation_t *evaluation, l7s_episode_t *episode, bool tripped,
                      bool acted)
{
    if (episode == NULL) {
        return;
    }
    l7s_episode_count(episode, tripped, acted, l7s_tuples_client(&evaluation->tuples),
                      evaluation->now);
    if (evaluation->signals != NULL) {
        l7s_episode_signals(episode, evaluation->signals);
    }
    if (evaluation->units > 0) {
        atomic_fetch_add_explicit(&episode->units, evaluation->units,
                                  memory_order_relaxed);
    }
}

static void link_slot(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                      uint32_t place, uint32_t index)
{
    l7s_hash128_t identity =
        l7s_limit_at(evaluation, trip->limits.first + place)->identity;
    l7s_slot_t *slot = l7s_table_find(&evaluation->shared->table,
                                      l7s_hash128_xor(trip->digest, identity));

    if (slot != NULL &&
        atomic_load_explicit(&slot->episode, memory_order_relaxed) != index) {
        atomic_store_explicit(&slot->episode, index, memory_order_relaxed);
    }
}

void l7s_record_link(const l7s_evaluation_t *evaluation, const l7s_trip_t *trip,
                     const l7s_episode_t *episode)
{
    uint32_t index = l7s_episode_index(&evaluation->shared->episodes, episode);

    if (trip->limits.count > 0) {
        link_slot(evaluation, trip, 0, index);
    }
    if (l7s_image_policy(evaluation->image, trip->policy)->ratio.percent > 0) {
        link_slot(evaluation, trip, L7S_RATIO_FAILED, index); /* neither may go alone */
    }
}

/* A key beyond the campaign's first ones points to the campaign, which has a key of its
 * own: there the policy's name tells. */
static l7s_episode_t *episode_of_slot(const l7s_evaluation_t *evaluation, uint32_t index,
                                      l7s_hash128_t key, const char *policy)
{
    const l7s_episodes_t *episodes = &evaluation->shared->episodes;
    l7s_episode_t *episode = l7s_episode_at(episodes, index, key);

    if (episode != NULL || index == 0 || index > L7S_EPISODES) {
        return episode;
    }
    episode = &episodes->entries[index - 1];
    return atomic_load_explicit(&episode->key_lo, memory_order_acquire) >=
                       L7S_CELL_TICKETS &&
                   episode->facts.campaign && strcmp(episode->facts.policy, policy) == 0
               ? episode
               : NULL;
}

void l7s_record_passed(l7s_evaluation_t *evaluation, uint32_t index, l7s_slot_t *slot)
{
    const l7s_image_policy_t *policy = l7s_image_policy(evaluation->image, index);
    const l7s_hash128_t *digest = l7s_tuples_digest(&evaluation->tuples, policy->spec);
    uint32_t place = atomic_load_explicit(&slot->episode, memory_order_relaxed);
    l7s_episode_t *episode;

    if (digest == NULL) {
        return;
    }
    episode =
        episode_of_slot(evaluation, place, l7s_hash128_xor(*digest, policy->identity),
                        l7s_text_at(evaluation, policy->name));
    if (episode == NULL) { /* it is over */
        atomic_store_explicit(&slot->episode, 0, memory_order_relaxed);
    }
    l7s_record_count(evaluation, episode, false, false);
}
