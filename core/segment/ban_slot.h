/* SPDX-License-Identifier: Apache-2.0
 *
 * One slot of the table of bans; for bans.c and nobody else. A slot is free, in force
 * (until_ms > now), or lifted (until_ms 0 and lifted_ms set: a tombstone).
 */
#ifndef L7S_BAN_SLOT_H
#define L7S_BAN_SLOT_H

#include "bans.h"

#define L7S_BAN_BODY_WORDS 40

/* All but sequence and watched are written under an odd sequence only. */
struct l7s_ban_slot {
    _Atomic uint64_t sequence; /* odd: being written */
    _Atomic uint64_t digest_lo, digest_hi;
    _Atomic uint64_t until_ms;
    _Atomic uint64_t lifted_ms;                /* when it was lifted, 0 = it was not */
    _Atomic uint64_t hold_ms;                  /* until when it stays lifted */
    _Atomic uint64_t counted;                  /* where in the head */
    _Atomic uint64_t watched;                  /* odd sequence that the last visit saw */
    _Atomic uint64_t body[L7S_BAN_BODY_WORDS]; /* l7s_ban_t */
};

_Static_assert(sizeof(l7s_ban_slot_t) == 384, "six cache lines");
_Static_assert(sizeof(l7s_ban_t) <= 8 * L7S_BAN_BODY_WORDS && sizeof(l7s_ban_t) % 8 == 0,
               "a ban fits into whole words of a slot");

/* False: its writer was preempted or killed in the middle. */
L7S_MUST_USE bool l7s_ban_slot_lock(l7s_ban_slot_t *slot);
void l7s_ban_slot_unlock(l7s_ban_slot_t *slot);

/* With the slot locked. Each keeps the counts of the head right. */
void l7s_ban_slot_write(l7s_bans_head_t *head, l7s_ban_slot_t *slot,
                        const l7s_ban_t *ban);
void l7s_ban_slot_lift(l7s_bans_head_t *head, l7s_ban_slot_t *slot, l7s_hash128_t digest,
                       uint64_t hold_until_ms, l7s_now_t now);
void l7s_ban_slot_clear(l7s_bans_head_t *head, l7s_ban_slot_t *slot);

l7s_hash128_t l7s_ban_slot_digest(const l7s_ban_slot_t *slot);
uint64_t l7s_ban_slot_until_ms(const l7s_ban_slot_t *slot);
bool l7s_ban_slot_holds(const l7s_ban_slot_t *slot, l7s_hash128_t digest);
bool l7s_ban_slot_in_force(const l7s_ban_slot_t *slot, l7s_now_t now);

/* Nothing in it is needed any more. */
bool l7s_ban_slot_is_spent(const l7s_ban_slot_t *slot, l7s_now_t now);

/* Does the lifting recorded in it stand against a ban made at `since_ms`? */
bool l7s_ban_slot_holds_off(const l7s_ban_slot_t *slot, uint64_t since_ms, l7s_now_t now);

/* Reads it as one piece into `out` (may be NULL). False: no ban of `digest` is in force
 * in it, or its writer did not finish in time. */
bool l7s_ban_slot_read(const l7s_ban_slot_t *slot, l7s_hash128_t digest, l7s_now_t now,
                       l7s_ban_t *out);

/* Sync process only: has its writer died? True at the second visit that finds it locked
 * by the same writer. */
bool l7s_ban_slot_is_abandoned(l7s_ban_slot_t *slot);

#endif
