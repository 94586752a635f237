/* SPDX-License-Identifier: Apache-2.0
 *
 * Opening, counting and closing of episodes. An entry is looked for in a window of
 * sixteen from its key's home on; cell.h sees to it that a key opens one episode on a
 * node, so its refusals carry one incident id. What an episode means is the sync process'
 * business.
 */
#include "episode.h"

#include <stddef.h>
#include <string.h>
#include <unistd.h>

#define WINDOW 16
#define SECOND_BITS 24 /* of l7s_episode_t.second: requests in the running second */

_Static_assert((L7S_EPISODES & (L7S_EPISODES - 1)) == 0, "homes are taken by a mask");
_Static_assert(offsetof(l7s_episode_t, key_lo) == 0 &&
                   offsetof(l7s_episode_t, key_hi) == 8,
               "an entry begins with its cell");

static l7s_window_t window_of(const l7s_episodes_t *episodes, l7s_hash128_t key)
{
    return (l7s_window_t){
        .base = (char *)episodes->entries,
        .stride = sizeof(l7s_episode_t),
        .first = (uint32_t)(key.lo ^ key.lo >> 32),
        .mask = L7S_EPISODES - 1,
        .count = WINDOW,
    };
}

l7s_episode_t *l7s_episode_find(const l7s_episodes_t *episodes, l7s_hash128_t key)
{
    key = l7s_cell_storable(key);
    l7s_window_t window = window_of(episodes, key);
    return (l7s_episode_t *)l7s_window_find(&window, key);
}

static void prepare(const l7s_episodes_t *episodes, l7s_episode_t *episode,
                    const l7s_episode_facts_t *facts, l7s_now_t now)
{
    atomic_store_explicit(&episode->requests, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->acted, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->passed, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->units, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->last_ms, now.wall_ms, memory_order_relaxed);
    atomic_store_explicit(&episode->ban_until_ms, 0, memory_order_relaxed);
    for (unsigned i = 0; i < 4; i++) {
        atomic_store_explicit(&episode->clients[i], 0, memory_order_relaxed);
    }
    atomic_store_explicit(&episode->second, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->peak_per_second, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->active_keys, 0, memory_order_relaxed);
    atomic_store_explicit(&episode->escalated, 0, memory_order_relaxed);
    l7s_episode_signals_clear(episode);
    episode->facts = *facts;
    l7s_incident_mint(&episodes->mint_key, now, episode->facts.id);
}

static l7s_cell_t *free_cell(const l7s_window_t *window)
{
    for (uint32_t i = 0; i < window->count; i++) {
        l7s_cell_t *cell = l7s_window_cell(window, i);
        if (atomic_load_explicit(&cell->lo, memory_order_acquire) == 0) {
            return cell;
        }
    }
    return NULL;
}

/* The running episode of `key`, or a new one (*opened is true then), or NULL. */
static l7s_episode_t *find_or_create(const l7s_episodes_t *episodes, l7s_hash128_t key,
                                     const l7s_episode_facts_t *facts, l7s_now_t now,
                                     bool *opened)
{
    key = l7s_cell_storable(key);
    l7s_window_t window = window_of(episodes, key);
    *opened = false;
    for (unsigned attempt = 0; attempt < L7S_CELL_ATTEMPTS; attempt++) {
        l7s_cell_t *cell = l7s_window_find(&window, key);
        if (cell != NULL) {
            return (l7s_episode_t *)cell;
        }
        cell = free_cell(&window);
        if (cell == NULL) {
            break;
        }
        uint64_t ticket;
        if (l7s_cell_acquire(cell, 0, episodes->tickets, &ticket)) {
            prepare(episodes, (l7s_episode_t *)cell, facts, now);
            if (l7s_cell_publish(&window, cell, ticket, key, attempt)) {
                *opened = true;
                return (l7s_episode_t *)cell;
            }
        }
        l7s_cell_pause();
    }
    atomic_fetch_add_explicit(episodes->dropped, 1, memory_order_relaxed);
    return NULL;
}

/* The counter of a policy's running episodes. */
static _Atomic uint32_t *running_of(const l7s_episodes_t *episodes, const char *policy)
{
    uint64_t hash =
        l7s_siphash64(&episodes->mint_key, policy, strnlen(policy, L7S_POLICY_NAME_MAX));
    return &episodes->running[hash & (L7S_EPISODES - 1)];
}

static l7s_episode_t *open_campaign(const l7s_episodes_t *episodes,
                                    const l7s_episode_facts_t *facts, l7s_now_t now)
{
    l7s_hash128_t key = l7s_siphash128(&episodes->mint_key, facts->policy,
                                       strnlen(facts->policy, sizeof facts->policy));
    l7s_episode_t *campaign = l7s_episode_find(episodes, key);
    if (campaign != NULL) {
        return campaign;
    }
    l7s_episode_facts_t shared = *facts;
    shared.campaign = 1;
    bool opened;
    campaign = find_or_create(episodes, key, &shared, now, &opened);
    if (opened) {
        uint32_t running = atomic_load(running_of(episodes, facts->policy));
        atomic_store_explicit(&campaign->active_keys, running, memory_order_relaxed);
    }
    return campaign;
}

l7s_episode_t *l7s_episode_open(const l7s_episodes_t *episodes, l7s_hash128_t key,
                                const l7s_episode_facts_t *facts, l7s_now_t now)
{
    l7s_episode_t *episode = l7s_episode_find(episodes, key);
    if (episode != NULL) {
        return episode;
    }
    _Atomic uint32_t *running =
        episodes->running != NULL ? running_of(episodes, facts->policy) : NULL;
    if (running != NULL &&
        atomic_load_explicit(running, memory_order_relaxed) >= L7S_CAMPAIGN_KEYS) {
        return open_campaign(episodes, facts, now);
    }
    bool opened;
    episode = find_or_create(episodes, key, facts, now, &opened);
    if (opened && running != NULL) {
        atomic_fetch_add_explicit(running, 1, memory_order_relaxed);
    }
    return episode;
}

uint32_t l7s_episode_index(const l7s_episodes_t *episodes, const l7s_episode_t *episode)
{
    return episode == NULL ? 0 : (uint32_t)(episode - episodes->entries) + 1;
}

l7s_episode_t *l7s_episode_at(const l7s_episodes_t *episodes, uint32_t index,
                              l7s_hash128_t key)
{
    if (index == 0 || index > L7S_EPISODES) {
        return NULL;
    }
    l7s_episode_t *episode = &episodes->entries[index - 1];
    return l7s_cell_holds((l7s_cell_t *)episode, l7s_cell_storable(key)) ? episode : NULL;
}

/* Requests of the running second; the highest is kept. A request of a second that is over
 * (another thread's clock was ahead) counts in the running one. */
static void count_second(l7s_episode_t *episode, l7s_now_t now)
{
    uint64_t second = now.wall_ms / 1000;
    uint64_t seen = atomic_load_explicit(&episode->second, memory_order_relaxed);
    uint64_t requests, next;
    do {
        uint64_t running = seen >> SECOND_BITS;
        requests = running >= second ? (seen & ((1u << SECOND_BITS) - 1)) + 1 : 1;
        next = (running >= second ? running : second) << SECOND_BITS | requests;
        if (requests >> SECOND_BITS != 0) {
            return;
        }
    } while (!atomic_compare_exchange_weak_explicit(
        &episode->second, &seen, next, memory_order_relaxed, memory_order_relaxed));
    uint32_t peak = atomic_load_explicit(&episode->peak_per_second, memory_order_relaxed);
    while (requests > peak && !atomic_compare_exchange_weak_explicit(
                                  &episode->peak_per_second, &peak, (uint32_t)requests,
                                  memory_order_relaxed, memory_order_relaxed)) {
    }
}

static void raise_to(_Atomic uint64_t *word, uint64_t value)
{
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed);
    while (seen < value && !atomic_compare_exchange_weak_explicit(word, &seen, value,
                                                                  memory_order_relaxed,
                                                                  memory_order_relaxed)) {
    }
}

void l7s_episode_count(l7s_episode_t *episode, bool tripped, bool acted,
                       l7s_hash128_t client_digest, l7s_now_t now)
{
    atomic_fetch_add_explicit(&episode->requests, 1, memory_order_relaxed);
    if (acted) {
        atomic_fetch_add_explicit(&episode->acted, 1, memory_order_relaxed);
    } else if (!tripped) {
        atomic_fetch_add_explicit(&episode->passed, 1, memory_order_relaxed);
    }
    if (tripped) {
        raise_to(&episode->last_ms, now.wall_ms);
    }
    _Atomic uint64_t *word = &episode->clients[client_digest.lo / 64 % 4];
    uint64_t bit = (uint64_t)1 << (client_digest.lo % 64);
    if ((atomic_load_explicit(word, memory_order_relaxed) & bit) == 0) {
        atomic_fetch_or_explicit(word, bit, memory_order_relaxed);
    }
    count_second(episode, now);
}

static bool is_running(const l7s_episode_t *episode)
{
    return atomic_load_explicit(&episode->key_lo, memory_order_acquire) >=
           L7S_CELL_TICKETS;
}

/* Counted anew rather than decremented: an opener that was killed leaves no error behind,
 * and one that opens at this moment is off by one until the next close. */
static void recount(const l7s_episodes_t *episodes, _Atomic uint32_t *running)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        const l7s_episode_t *episode = &episodes->entries[i];
        if (is_running(episode) && !episode->facts.campaign &&
            running_of(episodes, episode->facts.policy) == running) {
            count++;
        }
    }
    atomic_store_explicit(running, count, memory_order_relaxed);
}

void l7s_episode_close(const l7s_episodes_t *episodes, l7s_episode_t *episode)
{
    if (!is_running(episode)) {
        return;
    }
    bool alone = !episode->facts.campaign && episodes->running != NULL;
    _Atomic uint32_t *running =
        alone ? running_of(episodes, episode->facts.policy) : NULL;
    atomic_store_explicit(&episode->key_lo, 0, memory_order_release);
    if (running != NULL) {
        recount(episodes, running);
    }
}

uint32_t l7s_episodes_recover(const l7s_episodes_t *episodes, l7s_cell_watch_t *watch)
{
    uint32_t freed = 0;
    for (uint32_t i = 0; i < L7S_EPISODES; i++) {
        freed += l7s_cell_recover(watch, i, (l7s_cell_t *)&episodes->entries[i]);
    }
    return freed;
}

/* The number of the call and the process make two ids of one microsecond differ. */
void l7s_incident_mint(const l7s_hashkey_t *key, l7s_now_t now,
                       char out[L7S_INCIDENT_ID_MAX])
{
    static const char alphabet[] = "0123456789ABCDEFGHJKMNPQRSTVWXYZ";
    static _Atomic uint64_t calls;
    uint64_t input[4] = {now.wall_ms, now.mono_us, (uint64_t)getpid(),
                         atomic_fetch_add_explicit(&calls, 1, memory_order_relaxed)};
    l7s_hash128_t random = l7s_siphash128(key, input, sizeof input);
    unsigned __int128 ulid = (unsigned __int128)(now.wall_ms & 0xffffffffffff) << 80 |
                             (unsigned __int128)(random.hi & 0xffff) << 64 | random.lo;
    memcpy(out, "inc_", 4);
    for (unsigned i = 0; i < 26; i++) {
        out[4 + i] = alphabet[(unsigned)(ulid >> (125 - 5 * i)) & 31];
    }
    out[30] = '\0';
}
