/* SPDX-License-Identifier: Apache-2.0
 *
 * See episodes.h. What was reported is remembered per place of the segment's table, so
 * this needs no memory that could grow.
 */
#include "episodes.h"
#include "../../core/json/incident.h"
#include "log.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define REPORT_MS 1000
#define RECOVER_MS 1000
/* An opener counts its request a moment after it made the entry visible. */
#define FIRST_COUNT_MS 200
/* Closing recounts the episodes of a policy: so many per tick. */
#define CLOSE_MAX 32
#define LINES_MAX 20 /* per second */

typedef struct {
    uint64_t key_lo, key_hi; /* 0: nothing known of this place */
    uint64_t requests, acted, passed, last_ms, ban_until_ms;
    uint64_t seen_ms, reported_ms; /* mono; reported 0: not yet */
} told_t;

struct sync_episodes {
    const l7s_shared_t *shared;
    const char *node;
    sync_spool_t *spool;
    uint64_t told_until_ms; /* wall */
    uint64_t recover_at_ms, lines_second_ms;
    unsigned lines, closed;
    uint64_t lines_held_back;
    l7s_cell_watch_t watch;
    told_t told[L7S_EPISODES];
};

l7s_status_t sync_episodes_create(const l7s_shared_t *shared, const char *node,
                                  sync_spool_t *spool, uint64_t told_until_ms,
                                  sync_episodes_t **out)
{
    sync_episodes_t *episodes = calloc(1, sizeof *episodes);

    if (episodes == NULL) {
        return L7S_NO_MEMORY;
    }
    episodes->shared = shared;
    episodes->node = node;
    episodes->spool = spool;
    episodes->told_until_ms = told_until_ms;
    *out = episodes;
    return L7S_OK;
}

void sync_episodes_free(sync_episodes_t *episodes)
{
    free(episodes);
}

/* ---- lines ---- */

/* A flood of episodes must not become a flood of lines: what is held back is counted and
 * said with the next second's. */
static bool may_write(sync_episodes_t *episodes, l7s_now_t now)
{
    uint64_t now_ms = sync_mono_ms(now);

    if (now_ms - episodes->lines_second_ms >= 1000) {
        if (episodes->lines_held_back > 0) {
            sync_log(SYNC_INFO, "L7S2103",
                     "%llu more incidents began or ended than this log shows",
                     (unsigned long long)episodes->lines_held_back);
        }
        episodes->lines_second_ms = now_ms;
        episodes->lines = 0;
        episodes->lines_held_back = 0;
    }
    if (episodes->lines == LINES_MAX) {
        episodes->lines_held_back++;
        return false;
    }
    episodes->lines++;
    return true;
}

/* {"client":"203.0.113.7","path":"/login"} as client=203.0.113.7,path=/login */
static void key_text(const l7s_episode_facts_t *facts, char *out, size_t capacity)
{
    json_t *key = json_loads(facts->key, 0, NULL);
    const char *name;
    json_t *value;
    size_t used = 0;

    out[0] = '\0';
    json_object_foreach(key, name, value)
    {
        const char *text = json_is_string(value) ? json_string_value(value) : "";
        int length =
            snprintf(out + used, capacity - used, "%s%s%s%s", used == 0 ? "" : ",", name,
                     text[0] == '\0' ? "" : "=", text);
        if (length < 0 || (size_t)length >= capacity - used) {
            break;
        }
        used += (size_t)length;
    }
    json_decref(key);
    if (out[0] == '\0') {
        (void)snprintf(out, capacity, "everybody");
    }
}

static void log_opened(const l7s_episode_facts_t *facts)
{
    char key[256];

    key_text(facts, key, sizeof key);
    sync_log(SYNC_INFO, "L7S2101", "policy %s %s on %s%s (%s), incident %s",
             facts->policy, facts->mode == L7S_MODE_ENFORCE ? "acts" : "would act",
             facts->campaign ? "many keys, the first is " : "", key, facts->action,
             facts->id);
}

static void log_ended(const l7s_episode_t *episode)
{
    const l7s_episode_facts_t *facts = &episode->facts;
    uint64_t last_ms = atomic_load(&episode->last_ms);
    char key[256];

    key_text(facts, key, sizeof key);
    sync_log(
        SYNC_INFO, "L7S2102",
        "policy %s is done with %s, incident %s: %llu requests, %llu refused, %llu s",
        facts->policy, key, facts->id,
        (unsigned long long)atomic_load(&episode->requests),
        (unsigned long long)atomic_load(&episode->acted),
        (unsigned long long)(last_ms > facts->started_ms
                                 ? (last_ms - facts->started_ms + 999) / 1000
                                 : 0));
}

/* ---- reports ---- */

static bool changed(const told_t *told, const l7s_episode_t *episode)
{
    return told->requests != atomic_load(&episode->requests) ||
           told->acted != atomic_load(&episode->acted) ||
           told->passed != atomic_load(&episode->passed) ||
           told->last_ms != atomic_load(&episode->last_ms) ||
           told->ban_until_ms != atomic_load(&episode->ban_until_ms);
}

static void report(sync_episodes_t *episodes, told_t *told, const l7s_episode_t *episode,
                   bool ended, l7s_now_t now)
{
    told->requests = atomic_load(&episode->requests);
    told->acted = atomic_load(&episode->acted);
    told->passed = atomic_load(&episode->passed);
    told->last_ms = atomic_load(&episode->last_ms);
    told->ban_until_ms = atomic_load(&episode->ban_until_ms);
    told->reported_ms = sync_mono_ms(now);
    if (episodes->spool == NULL) {
        return;
    }
    json_t *json = l7s_incident_report(episodes->node, episode, ended);
    if (json != NULL) {
        sync_spool_add(episodes->spool, json, now);
    }
    json_decref(json);
}

static bool is_quiet(const l7s_episode_t *episode, l7s_now_t now)
{
    uint64_t last_ms = atomic_load(&episode->last_ms);

    last_ms = last_ms > episode->facts.started_ms ? last_ms : episode->facts.started_ms;
    return now.wall_ms >= last_ms && now.wall_ms - last_ms >= L7S_EPISODE_QUIET_MS;
}

/* The first sight of an episode, unless its first request is not counted yet. */
static void open_one(sync_episodes_t *episodes, told_t *told,
                     const l7s_episode_t *episode, l7s_now_t now)
{
    bool waited = sync_mono_ms(now) - told->seen_ms >= FIRST_COUNT_MS;

    if (atomic_load(&episode->requests) == 0 && !waited) {
        return;
    }
    if (episode->facts.started_ms > episodes->told_until_ms && may_write(episodes, now)) {
        log_opened(&episode->facts);
    }
    report(episodes, told, episode, false, now);
}

static void look(sync_episodes_t *episodes, uint32_t index, l7s_now_t now)
{
    l7s_episode_t *episode = &episodes->shared->episodes.entries[index];
    told_t *told = &episodes->told[index];
    l7s_hash128_t key = l7s_cell_key((l7s_cell_t *)(void *)episode);

    if (key.lo == 0) {
        told->key_lo = 0;
        return;
    }
    if (told->key_lo != key.lo || told->key_hi != key.hi) {
        *told =
            (told_t){.key_lo = key.lo, .key_hi = key.hi, .seen_ms = sync_mono_ms(now)};
    }
    if (told->reported_ms == 0) {
        open_one(episodes, told, episode, now);
        return;
    }
    if (is_quiet(episode, now) && episodes->closed < CLOSE_MAX) {
        report(episodes, told, episode, true, now);
        if (may_write(episodes, now)) {
            log_ended(episode);
        }
        l7s_episode_close(&episodes->shared->episodes, episode);
        told->key_lo = 0;
        episodes->closed++;
        return;
    }
    if (sync_mono_ms(now) - told->reported_ms >= REPORT_MS && changed(told, episode)) {
        report(episodes, told, episode, false, now);
    }
}

void sync_episodes_tick(sync_episodes_t *episodes, l7s_now_t now)
{
    uint64_t now_ms = sync_mono_ms(now);

    if (now_ms >= episodes->recover_at_ms) {
        episodes->recover_at_ms = now_ms + RECOVER_MS;
        (void)l7s_episodes_recover(&episodes->shared->episodes, &episodes->watch);
    }
    episodes->closed = 0;
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        look(episodes, i, now);
    }
}
