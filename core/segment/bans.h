/* SPDX-License-Identifier: Apache-2.0
 *
 * The bans in force on this node: a table in shared memory, keyed by the digest of the
 * banned tuple (key.h). Workers add their own bans, the sync process adds the fleet's and
 * applies lifts. Address bans are checked on every request: one look-up for the client
 * and one per network width that is in use at all (`widths`), mostly none.
 *
 * A lift leaves a tombstone: it keeps the key from being banned again until its hold
 * time (of a client also as part of a network), and bans that are older than the lift for
 * ever (ten minutes: longer than they travel).
 */
#ifndef L7S_BANS_H
#define L7S_BANS_H

#include "../addr.h"
#include "../clock.h"
#include "../hash.h"
#include <stdatomic.h>

#define L7S_BAN_ID_MAX 64
#define L7S_POLICY_NAME_MAX 64 /* 63 characters and a NUL */
#define L7S_INCIDENT_ID_MAX 32 /* "inc_", 26 characters, NUL */

typedef enum {
    L7S_ORIGIN_NODE = 0,
    L7S_ORIGIN_DAEMON = 1,
    L7S_ORIGIN_SHADOW = 2 /* of an observing policy: refuses nobody, is never visited */
} l7s_origin_t;

/* Who is banned, by what, until when: what travels between workers, sync and bus. */
typedef struct {
    l7s_hash128_t digest;    /* of the tuple */
    char id[L7S_BAN_ID_MAX]; /* "ip:203.0.113.7", "net:203.0.113.0_24", "header:h-…" */
    l7s_cidr_t network;      /* address bans: whom it covers */
    bool is_address;
    uint64_t since_ms;
    uint64_t until_ms; /* UINT64_MAX: until lifted */
    uint16_t status;   /* of the refusal, 403 unless the policy says otherwise */
    l7s_origin_t origin;
    char policy[L7S_POLICY_NAME_MAX];   /* "" for a ban made by hand */
    char incident[L7S_INCIDENT_ID_MAX]; /* "" for a ban made by hand */
    char response[L7S_POLICY_NAME_MAX]; /* name of the refusal body, "" = default */
} l7s_ban_t;

typedef struct l7s_ban_slot l7s_ban_slot_t; /* in bans.c; 384 bytes */

#define L7S_BAN_WIDTH_CLIENT 129 /* stands for the bans of single clients */
#define L7S_BAN_WIDTHS 130

typedef struct {
    _Atomic uint64_t widths[3]; /* bit n: bans of prefix n (128-bit form) exist */
    _Atomic uint32_t active;    /* at least this many are or were in force */
    _Atomic uint32_t other;     /* bans that are not addresses */
    _Atomic uint64_t changes;   /* grows with every change: the sync process watches it */
    _Atomic uint64_t dropped;   /* table full: a ban was not recorded (alarm) */
    _Atomic uint32_t width_counts[L7S_BAN_WIDTHS]; /* how many bans stand behind a bit */
} l7s_bans_head_t;

typedef struct {
    l7s_bans_head_t *head;
    l7s_ban_slot_t *slots;
    uint32_t capacity; /* a power of two */
} l7s_bans_t;

size_t l7s_bans_memory(uint32_t capacity);

/* Records a ban; the later end wins over an earlier one. L7S_CONFLICT: a tombstone holds
 * it off, or the ban is older than its lifting. L7S_TOO_BIG: table full. Safe from any
 * worker. */
L7S_MUST_USE l7s_status_t l7s_bans_put(const l7s_bans_t *bans, const l7s_ban_t *ban,
                                       l7s_now_t now);

/* The same; *began tells whether nothing of this digest was in force before. Of callers
 * at the same moment one hears so at most. */
L7S_MUST_USE l7s_status_t l7s_bans_begin(const l7s_bans_t *bans, const l7s_ban_t *ban,
                                         l7s_now_t now, bool *began);

/* False: nothing is banned, and nothing need be looked for. */
static inline bool l7s_bans_any(const l7s_bans_t *bans)
{
    return atomic_load_explicit(&bans->head->active, memory_order_relaxed) != 0;
}

/* Is this digest banned now? Fills `out` (may be NULL). */
bool l7s_bans_find(const l7s_bans_t *bans, l7s_hash128_t digest, l7s_now_t now,
                   l7s_ban_t *out);

/* Is this address banned, alone or within a network, and not held free? One compare when
 * there is none. */
bool l7s_bans_find_address(const l7s_bans_t *bans, const l7s_hashkey_t *count_key,
                           const l7s_addr_t *addr, l7s_now_t now, l7s_ban_t *out);

/* Does a lift of this client's ban still hold? Then it is free: neither bans of networks
 * around it nor deny lists are meant for it. */
bool l7s_bans_holds_free(const l7s_bans_t *bans, const l7s_hashkey_t *count_key,
                         const l7s_addr_t *addr, l7s_now_t now);

/* Lifts a ban and keeps it lifted until hold_until_ms. True when it was in force. */
bool l7s_bans_lift(const l7s_bans_t *bans, l7s_hash128_t digest, uint64_t hold_until_ms,
                   l7s_now_t now);

/* Sync process only, at most once a second or so: copies every ban in force to `visit`,
 * frees the expired ones and those whose writer died. */
typedef void (*l7s_bans_visit_fn)(void *context, const l7s_ban_t *ban);
void l7s_bans_visit(const l7s_bans_t *bans, l7s_now_t now, l7s_bans_visit_fn visit,
                    void *context);
/* The same without freeing anything: as often as one likes. */
void l7s_bans_scan(const l7s_bans_t *bans, l7s_now_t now, l7s_bans_visit_fn visit,
                   void *context);

#endif
