/* SPDX-License-Identifier: Apache-2.0
 *
 * Running episodes of this node: one entry per (policy, tuple) on which a policy acted or
 * would have acted, from its first such request until 60 s without one. Workers open an
 * entry (and mint the incident's id, which the refusal carries) and count in it; the sync
 * process reads, reports and closes. One incident is one episode, never one request.
 *
 * Bounded: the table has a fixed size, and above 32 running episodes of one policy
 * further keys count in that policy's campaign entry.
 */
#ifndef L7S_EPISODE_H
#define L7S_EPISODE_H

#include "../mode.h"
#include "../signals.h"
#include "bans.h"
#include "cell.h"

#define L7S_EPISODES 4096
#define L7S_EPISODE_QUIET_MS 60000
#define L7S_CAMPAIGN_KEYS 32

/* One of the signals that it consists of. */
#define L7S_EPISODE_SIGNALS 6
#define L7S_EPISODE_SIGNAL_MAX 48 /* of "name;detail" */
typedef struct {
    _Atomic uint32_t state, count;
    char text[L7S_EPISODE_SIGNAL_MAX];
} l7s_episode_signal_t;

/* What the opener writes once, before the entry becomes visible. */
typedef struct {
    char id[L7S_INCIDENT_ID_MAX];
    char policy[L7S_POLICY_NAME_MAX];
    char action[12];   /* "throttle", "ban", … what was or would have been done */
    char detector[12]; /* "rate", "ratio", "always", … */
    char key[160];     /* JSON text of source.key, e.g. {"client":"203.0.113.7"} */
    char ban_id[L7S_BAN_ID_MAX]; /* of a ban action */
    char app[L7S_POLICY_NAME_MAX];
    char host[64];
    char path[160];
    char query[160]; /* as it was sent; "": none, or the settings leave it out */
    char method[12];
    char user_agent[120];
    l7s_addr_t client;
    uint64_t revision; /* of the image that decided */
    uint64_t started_ms;
    l7s_mode_t mode;             /* the effective one: observe means nothing was done */
    uint32_t limit, per_seconds; /* 0 when the detector has none */
    uint32_t observed;           /* when it opened, where a share is; 0: not known */
    char unit[16];               /* of `limit`: "requests", "bytes", … */
    uint8_t campaign;            /* 1: many keys, `key` is that of the first */
    char country[3];             /* "": not known */
    uint32_t asn;                /* 0: not known */
} l7s_episode_facts_t;

typedef struct {
    _Atomic uint64_t key_lo, key_hi; /* (policy, tuple); in key_lo 0 = free, below 2^32 =
                                        being opened (cell.h): not to be read */
    _Atomic uint64_t requests;       /* acted + passed + would have acted */
    _Atomic uint64_t acted;          /* refused; stays 0 in observe */
    _Atomic uint64_t passed;         /* admitted while it ran */
    _Atomic uint64_t units;   /* charged while it ran, where they are not requests */
    _Atomic uint64_t last_ms; /* last request that tripped */
    _Atomic uint64_t ban_until_ms;
    _Atomic uint64_t clients[4]; /* linear-counting bitmap of client hashes, campaigns */
    _Atomic uint64_t second;     /* running second and its count, packed: s << 24 | n */
    _Atomic uint32_t peak_per_second;
    _Atomic uint32_t active_keys; /* campaign: running episodes of the policy beside it */
    /* 0: not counted towards an escalation; else 1 + the steps taken, and the action of
       the last one in the second byte. */
    _Atomic uint32_t escalated;
    uint32_t reserved;
    l7s_episode_signal_t signals[L7S_EPISODE_SIGNALS];
    l7s_episode_facts_t facts;
} l7s_episode_t;

typedef struct {
    l7s_episode_t *entries; /* L7S_EPISODES of them */
    _Atomic uint64_t *dropped;
    /* Running episodes by policy, L7S_EPISODES counters placed by a hash of its name; two
     * policies that share one only fold into campaigns earlier. NULL: no campaigns. */
    _Atomic uint32_t *running;
    _Atomic uint64_t *tickets; /* numbers the claims, see cell.h */
    l7s_hashkey_t mint_key;    /* for ids: secret of this boot */
} l7s_episodes_t;

/* Finds the running episode of `key` or opens one with `facts` (its id is minted here).
 * NULL: table full (dropped has grown); the request is still decided. */
l7s_episode_t *l7s_episode_open(const l7s_episodes_t *episodes, l7s_hash128_t key,
                                const l7s_episode_facts_t *facts, l7s_now_t now);
l7s_episode_t *l7s_episode_find(const l7s_episodes_t *episodes, l7s_hash128_t key);

/* 1 + index for l7s_slot_t.episode, and back; NULL when it has been closed since. */
uint32_t l7s_episode_index(const l7s_episodes_t *episodes, const l7s_episode_t *episode);
l7s_episode_t *l7s_episode_at(const l7s_episodes_t *episodes, uint32_t index,
                              l7s_hash128_t key);

/* Counts one request. `tripped`: it did not conform; `acted`: it was refused. */
void l7s_episode_count(l7s_episode_t *episode, bool tripped, bool acted,
                       l7s_hash128_t client_digest, l7s_now_t now);

/* --- episode_signal.c --- */

/* Counts signals of one request, as far as there is room for different ones. */
void l7s_episode_signals(l7s_episode_t *episode, const l7s_signals_t *signals);
/* Its opener's, before it becomes visible. */
void l7s_episode_signals_clear(l7s_episode_t *episode);
/* "name;detail*count,…", in the order of their first appearance; "": none. */
#define L7S_EPISODE_SIGNALS_TEXT 384
void l7s_episode_signals_text(const l7s_episode_t *episode,
                              char out[L7S_EPISODE_SIGNALS_TEXT]);

/* Sync process only: frees the entry. */
void l7s_episode_close(const l7s_episodes_t *episodes, l7s_episode_t *episode);

/* Sync process only, at most once a second: frees entries whose opener died. */
uint32_t l7s_episodes_recover(const l7s_episodes_t *episodes, l7s_cell_watch_t *watch);

/* "inc_" and a ULID (48 bits of time, 80 pseudorandom under `key`, unique per call). */
void l7s_incident_mint(const l7s_hashkey_t *key, l7s_now_t now,
                       char out[L7S_INCIDENT_ID_MAX]);

#endif
