/* SPDX-License-Identifier: Apache-2.0
 *
 * What follows when somebody objects to a request, for policy_reference.h: the verdict,
 * bans, episodes, escalation.
 */
#include "policy_reference_run.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- verdict --- */

static int strength(l7s_outcome_t outcome)
{
    static const l7s_outcome_t order[] = {L7S_OUTCOME_ADMITTED, L7S_OUTCOME_LOGGED,
                                          L7S_OUTCOME_ALLOW_LISTED, L7S_OUTCOME_OBSERVED};

    for (int i = 0; i < 4; i++) {
        if (order[i] == outcome) {
            return i;
        }
    }
    return 4;
}

void reference_say(reference_run_t *run, l7s_outcome_t outcome, const char *policy,
                   uint16_t status, uint64_t retry_us)
{
    if (strength(outcome) > strength(run->verdict->outcome)) {
        run->verdict->outcome = outcome;
        snprintf(run->verdict->policy, sizeof run->verdict->policy, "%s", policy);
        run->verdict->status = status;
        run->verdict->retry_after_seconds = (uint32_t)((retry_us + 999999) / 1000000);
    }
}

/* --- episodes --- */

static reference_episode_t *find_episode(reference_run_t *run, size_t policy,
                                         const char *tuple)
{
    for (size_t i = 0; i < run->all->episode_count; i++) {
        reference_episode_t *episode = &run->all->episodes[i];
        if (episode->policy == policy && strcmp(episode->tuple, tuple) == 0) {
            return episode;
        }
    }
    return NULL;
}

static reference_episode_t *open_episode(reference_run_t *run, size_t policy,
                                         const char *tuple)
{
    reference_episode_t *episode = find_episode(run, policy, tuple);

    if (episode == NULL) {
        if (run->all->episode_count == REFERENCE_MAX) {
            abort();
        }
        episode = &run->all->episodes[run->all->episode_count++];
        episode->policy = policy;
        snprintf(episode->tuple, sizeof episode->tuple, "%s", tuple);
    }
    return episode;
}

static void count_in(reference_run_t *run, reference_episode_t *episode)
{
    episode->requests++;
    episode->units += run->units;
}

static void link(reference_run_t *run, const reference_trip_t *trip,
                 reference_episode_t *episode)
{
    if (reference_has_counter(run, trip->policy, trip->tuple->text)) {
        episode->linked = true;
    }
}

void reference_passed(reference_run_t *run, size_t policy, const char *tuple)
{
    reference_episode_t *episode = find_episode(run, policy, tuple);

    if (episode != NULL && episode->linked) {
        count_in(run, episode);
        episode->passed++;
    }
}

/* --- bans --- */

static reference_ban_t *find_ban(reference_run_t *run, const char *key)
{
    for (size_t i = 0; i < run->all->ban_count; i++) {
        reference_ban_t *ban = &run->all->bans[i];
        if (strcmp(ban->key, key) == 0 && ban->until_ms > run->now.wall_ms) {
            return ban;
        }
    }
    return NULL;
}

const reference_ban_t *reference_find_ban(reference_run_t *run, const char *key)
{
    return find_ban(run, key);
}

/* True: there was none. */
static bool put_ban(reference_run_t *run, const char *key, const l7s_policy_t *policy,
                    const l7s_sanction_t *sanction)
{
    uint64_t until = run->now.wall_ms + sanction->seconds * 1000ULL;
    reference_ban_t *ban = find_ban(run, key), *before = ban;

    if (ban != NULL && ban->until_ms >= until) {
        return false;
    }
    if (ban == NULL) {
        if (run->all->ban_count == REFERENCE_MAX) {
            abort();
        }
        ban = &run->all->bans[run->all->ban_count++];
    }
    snprintf(ban->key, sizeof ban->key, "%s", key);
    snprintf(ban->policy, sizeof ban->policy, "%s", policy->name);
    ban->until_ms = until;
    ban->status = sanction->status;
    return before == NULL;
}

void reference_ban(reference_t *reference, const char *key, uint64_t until_ms)
{
    reference_ban_t *ban = &reference->bans[reference->ban_count++];

    snprintf(ban->key, sizeof ban->key, "%s", key);
    ban->policy[0] = '\0';
    ban->until_ms = until_ms;
    ban->status = 403;
}

const reference_ban_t *reference_find_address_ban(reference_run_t *run)
{
    const l7s_addr_t *client = &run->request->client;
    l7s_cidr_t cidr = l7s_addr_client(client);
    char text[L7S_CIDR_TEXT], key[80];
    reference_ban_t *ban;

    l7s_cidr_text(&cidr, text);
    snprintf(key, sizeof key, "client=%s;", text);
    ban = find_ban(run, key);
    for (unsigned prefix = l7s_addr_is_v4(client) ? 96 : 0; prefix < 128 && ban == NULL;
         prefix++) {
        cidr.prefix = (uint8_t)prefix;
        cidr.base = l7s_addr_mask(client, cidr.prefix);
        l7s_cidr_text(&cidr, text);
        snprintf(key, sizeof key, "network=%s;", text);
        ban = find_ban(run, key);
    }
    return ban;
}

static size_t policy_index(const reference_run_t *run, const char *name)
{
    for (size_t i = 0; i < run->all->config->policy_count; i++) {
        if (strcmp(run->all->config->policies[i].name, name) == 0) {
            return i;
        }
    }
    return SIZE_MAX;
}

bool reference_ban_speaks(reference_run_t *run, const reference_ban_t *ban,
                          l7s_mode_t mode, const char *key)
{
    size_t policy = policy_index(run, ban->policy);
    bool acted = mode == L7S_MODE_ENFORCE;
    reference_tuple_t tuple;

    if (policy != SIZE_MAX) {
        reference_episode_t *episode;
        if (key == NULL) {
            reference_make_tuple(run, &run->all->config->policies[policy], &tuple);
            key = tuple.text;
        }
        episode = open_episode(run, policy, key);
        count_in(run, episode);
        episode->acted += acted;
        run->all->stats[policy].acted += acted;
        run->all->stats[policy].would_act += !acted;
    }
    reference_say(run, acted ? L7S_OUTCOME_BANNED : L7S_OUTCOME_OBSERVED, ban->policy,
                  ban->status, (ban->until_ms - run->now.wall_ms) * 1000);
    snprintf(run->spoken, sizeof run->spoken, "%s", ban->policy);
    return acted;
}

/* --- acting --- */

static bool may_ban(const l7s_policy_t *policy)
{
    bool may = policy->action == L7S_ACTION_BAN;

    for (size_t i = 0; i < policy->step_count; i++) {
        may = may || policy->steps[i].sanction.action == L7S_ACTION_BAN;
    }
    return may;
}

static void shadow_key(const l7s_policy_t *policy, const reference_tuple_t *tuple,
                       char key[REFERENCE_KEY + 100])
{
    snprintf(key, REFERENCE_KEY + 100, "shadow of %s: %s", policy->name, tuple->text);
}

bool reference_is_simulated(reference_run_t *run, size_t index,
                            const reference_tuple_t *tuple, l7s_mode_t mode)
{
    const l7s_policy_t *policy = &run->all->config->policies[index];
    char key[REFERENCE_KEY + 100];

    shadow_key(policy, tuple, key);
    return may_ban(policy) && mode != L7S_MODE_ENFORCE && find_ban(run, key) != NULL;
}

/* A network of one address is banned as a client. */
static void real_key(const reference_run_t *run, const l7s_policy_t *policy,
                     const reference_tuple_t *tuple, char key[REFERENCE_KEY + 100])
{
    bool one = reference_is_address(run, policy) &&
               policy->by[0].part == L7S_PART_NETWORK && policy->ipv4_prefix == 32 &&
               l7s_addr_is_v4(&run->request->client);

    if (one) {
        snprintf(key, REFERENCE_KEY + 100, "client=%s", tuple->text + strlen("network="));
    } else {
        snprintf(key, REFERENCE_KEY + 100, "%s", tuple->text);
    }
}

static void start_ban(reference_run_t *run, const reference_trip_t *trip,
                      l7s_sanction_t *sanction)
{
    const l7s_policy_t *policy = &run->all->config->policies[trip->policy];
    char real[REFERENCE_KEY + 100], key[REFERENCE_KEY + 100];
    size_t reached = 0;

    real_key(run, policy, trip->tuple, real);
    if (trip->mode == L7S_MODE_ENFORCE) {
        memcpy(key, real, sizeof key);
    } else {
        shadow_key(policy, trip->tuple, key);
    }
    if (put_ban(run, key, policy, sanction) && policy->action == L7S_ACTION_BAN) {
        reached = reference_climb(run, trip->policy, real);
    }
    if (reached > 0) {
        *sanction = policy->steps[reached - 1].sanction;
        put_ban(run, key, policy, sanction);
    }
}

/* Each episode climbs once, when it begins; that holds until it ends. */
static void climb(reference_run_t *run, const reference_trip_t *trip,
                  reference_episode_t *episode, l7s_sanction_t *sanction)
{
    if (!episode->has_climbed) {
        episode->has_climbed = true;
        episode->reached = reference_climb(run, trip->policy, trip->tuple->text);
    }
    if (episode->reached > 0) {
        *sanction =
            run->all->config->policies[trip->policy].steps[episode->reached - 1].sanction;
    }
}

static reference_episode_t *act(reference_run_t *run, const reference_trip_t *trip,
                                l7s_sanction_t *sanction)
{
    reference_episode_t *episode = open_episode(run, trip->policy, trip->tuple->text);

    if (trip->simulated) {
        sanction->action = L7S_ACTION_BAN;
        return episode;
    }
    if (run->all->config->policies[trip->policy].action != L7S_ACTION_BAN) {
        climb(run, trip, episode, sanction);
    }
    if (sanction->action == L7S_ACTION_BAN) {
        start_ban(run, trip, sanction);
    }
    return episode;
}

static uint64_t retry_us(const reference_trip_t *trip, const l7s_sanction_t *sanction)
{
    return sanction->action == L7S_ACTION_BAN ? sanction->seconds * 1000000ULL
                                              : trip->wait_us;
}

static reference_said_t logs(reference_run_t *run, const reference_trip_t *trip,
                             uint16_t status)
{
    reference_episode_t *episode = open_episode(run, trip->policy, trip->tuple->text);

    count_in(run, episode);
    link(run, trip, episode);
    run->all->stats[trip->policy].logged++;
    reference_say(run, L7S_OUTCOME_LOGGED, run->all->config->policies[trip->policy].name,
                  status, trip->wait_us);
    return REFERENCE_GOES_ON;
}

static reference_said_t allows(reference_run_t *run, const reference_trip_t *trip)
{
    run->all->stats[trip->policy].logged++;
    if (trip->mode != L7S_MODE_ENFORCE) {
        return REFERENCE_GOES_ON;
    }
    reference_say(run, L7S_OUTCOME_ALLOW_LISTED,
                  run->all->config->policies[trip->policy].name, 0, trip->wait_us);
    return REFERENCE_ENDS;
}

/* Nobody here has a pass: a client goes on if no page can be shown to it, unless the
 * policy refuses such clients. */
static bool is_exempt(const reference_run_t *run, const l7s_sanction_t *sanction)
{
    const l7s_request_t *request = run->request;
    const char *accept = request->header(request->context, "accept");
    bool reads =
        strcmp(request->method, "GET") == 0 || strcmp(request->method, "HEAD") == 0;
    bool html = accept != NULL && strcmp(accept, "text/html") == 0;

    return sanction->action == L7S_ACTION_CHALLENGE && !(reads && html) &&
           !sanction->refuses;
}

static reference_said_t refuses(reference_run_t *run, const reference_trip_t *trip,
                                l7s_sanction_t sanction)
{
    static const l7s_outcome_t outcomes[] = {
        [L7S_ACTION_DENY] = L7S_OUTCOME_DENIED,
        [L7S_ACTION_THROTTLE] = L7S_OUTCOME_THROTTLED,
        [L7S_ACTION_BAN] = L7S_OUTCOME_BANNED,
        [L7S_ACTION_DROP] = L7S_OUTCOME_DROPPED,
        [L7S_ACTION_CHALLENGE] = L7S_OUTCOME_CHALLENGED,
    };
    bool acted = trip->mode == L7S_MODE_ENFORCE, own = is_exempt(run, &sanction);
    reference_episode_t *episode = own ? NULL : act(run, trip, &sanction);

    if (own || is_exempt(run, &sanction)) {
        return logs(run, trip, sanction.status);
    }
    count_in(run, episode);
    episode->acted += acted;
    link(run, trip, episode);
    run->all->stats[trip->policy].acted += acted;
    run->all->stats[trip->policy].would_act += !acted;
    reference_say(run, acted ? outcomes[sanction.action] : L7S_OUTCOME_OBSERVED,
                  run->all->config->policies[trip->policy].name, sanction.status,
                  retry_us(trip, &sanction));
    return acted ? REFERENCE_ENDS : REFERENCE_GOES_ON;
}

/* It has passed: a ban holds from the next one on. */
static reference_said_t too_late(reference_run_t *run, const reference_trip_t *trip,
                                 l7s_sanction_t sanction)
{
    reference_episode_t *episode = act(run, trip, &sanction);
    reference_stats_t *stats = &run->all->stats[trip->policy];

    if (sanction.action == L7S_ACTION_BAN) {
        stats->acted += trip->mode == L7S_MODE_ENFORCE;
        stats->would_act += trip->mode != L7S_MODE_ENFORCE;
    }
    count_in(run, episode);
    episode->passed++;
    link(run, trip, episode);
    reference_say(run, L7S_OUTCOME_LOGGED, run->all->config->policies[trip->policy].name,
                  sanction.status, retry_us(trip, &sanction));
    return REFERENCE_GOES_ON;
}

reference_said_t reference_trips(reference_run_t *run, const reference_trip_t *trip)
{
    const l7s_policy_t *policy = &run->all->config->policies[trip->policy];
    l7s_sanction_t own = {.action = policy->action,
                          .status = policy->status,
                          .seconds = policy->ban_seconds,
                          .refuses = policy->refuses};

    if (policy->action == L7S_ACTION_ALLOW) {
        return allows(run, trip);
    }
    if (policy->action == L7S_ACTION_LOG) {
        return logs(run, trip, 0);
    }
    return run->answer != NULL ? too_late(run, trip, own) : refuses(run, trip, own);
}
