/* SPDX-License-Identifier: Apache-2.0
 *
 * One slot of the table of bans: its lock, its states, its writing and reading, and where
 * it is counted in the head. Which slot a ban gets is bans.c's business.
 *
 * A slot is written under an odd sequence number and read under an even one that did not
 * change, so readers take no lock and never see half a ban. Loads are acquiring and
 * stores releasing throughout: free on x86, and what the order of a sequence lock needs.
 */
#include "ban_slot.h"

#include <string.h>

#define TRIES 1000

/* How long a lift is remembered at least: longer than a ban travels on the bus. */
#define LIFT_MEMORY_MS 600000

/* Where a ban is counted in the head, so that the same is taken back with it. */
#define COUNTED_ACTIVE 1u
#define COUNTED_OTHER 2u
#define COUNTED_CLIENT 4u
#define COUNTED_WIDTH 8u
#define COUNTED_WIDTH_SHIFT 8

static inline uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Released, so that no write of a slot is seen before its sequence is odd. */
static inline void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

bool l7s_ban_slot_lock(l7s_ban_slot_t *slot)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t seen = get(&slot->sequence);
        if (seen % 2 == 0 &&
            atomic_compare_exchange_weak(&slot->sequence, &seen, seen + 1)) {
            return true;
        }
    }
    return false; /* its writer was preempted or killed; visit frees it */
}

void l7s_ban_slot_unlock(l7s_ban_slot_t *slot)
{
    set(&slot->sequence, get(&slot->sequence) + 1);
}

l7s_hash128_t l7s_ban_slot_digest(const l7s_ban_slot_t *slot)
{
    return (l7s_hash128_t){get(&slot->digest_lo), get(&slot->digest_hi)};
}

uint64_t l7s_ban_slot_until_ms(const l7s_ban_slot_t *slot)
{
    return get(&slot->until_ms);
}

bool l7s_ban_slot_holds(const l7s_ban_slot_t *slot, l7s_hash128_t digest)
{
    return get(&slot->digest_lo) == digest.lo && get(&slot->digest_hi) == digest.hi;
}

bool l7s_ban_slot_in_force(const l7s_ban_slot_t *slot, l7s_now_t now)
{
    return get(&slot->until_ms) > now.wall_ms;
}

bool l7s_ban_slot_is_spent(const l7s_ban_slot_t *slot, l7s_now_t now)
{
    uint64_t lifted = get(&slot->lifted_ms);
    return !l7s_ban_slot_in_force(slot, now) && get(&slot->hold_ms) <= now.wall_ms &&
           (lifted == 0 || now.wall_ms - lifted >= LIFT_MEMORY_MS);
}

bool l7s_ban_slot_holds_off(const l7s_ban_slot_t *slot, uint64_t since_ms, l7s_now_t now)
{
    uint64_t lifted = get(&slot->lifted_ms);
    return lifted != 0 && (now.wall_ms < get(&slot->hold_ms) || since_ms <= lifted);
}

/* Counts before bits, and after clearing a bit a second look at its count: a ban that
 * comes at the same moment sets the bit again or is seen here. */
static void count_width(l7s_bans_head_t *head, uint32_t width, bool more)
{
    _Atomic uint64_t *word = &head->widths[width / 64];
    uint64_t bit = (uint64_t)1 << (width % 64);
    if (more) {
        atomic_fetch_add(&head->width_counts[width], 1);
        atomic_fetch_or(word, bit);
        return;
    }
    if (atomic_fetch_sub(&head->width_counts[width], 1) == 1) {
        atomic_fetch_and(word, ~bit);
        if (atomic_load(&head->width_counts[width]) != 0) {
            atomic_fetch_or(word, bit);
        }
    }
}

static uint64_t how_counted(const l7s_ban_t *ban)
{
    if (!ban->is_address) {
        return COUNTED_ACTIVE | COUNTED_OTHER;
    }
    /* The id of an IPv6 client is written "net:…_64", like that of the network. */
    bool network = strncmp(ban->id, "ip:", 3) != 0;
    bool client = strncmp(ban->id, "net:", 4) != 0 ||
                  (ban->network.prefix == 64 && !l7s_addr_is_v4(&ban->network.base));
    return COUNTED_ACTIVE | (client ? COUNTED_CLIENT : 0) |
           (network ? COUNTED_WIDTH : 0) |
           (uint64_t)ban->network.prefix << COUNTED_WIDTH_SHIFT;
}

static void count_in(l7s_bans_head_t *head, l7s_ban_slot_t *slot, uint64_t counted)
{
    if (counted & COUNTED_CLIENT) {
        count_width(head, L7S_BAN_WIDTH_CLIENT, true);
    }
    if (counted & COUNTED_WIDTH) {
        count_width(head, (uint32_t)(counted >> COUNTED_WIDTH_SHIFT), true);
    }
    if (counted & COUNTED_OTHER) {
        atomic_fetch_add(&head->other, 1);
    }
    atomic_fetch_add(&head->active, 1);
    set(&slot->counted, counted);
}

static void count_out(l7s_bans_head_t *head, l7s_ban_slot_t *slot)
{
    uint64_t counted = get(&slot->counted);
    set(&slot->counted, 0);
    if (counted & COUNTED_CLIENT) {
        count_width(head, L7S_BAN_WIDTH_CLIENT, false);
    }
    if (counted & COUNTED_WIDTH) {
        count_width(head, (uint32_t)(counted >> COUNTED_WIDTH_SHIFT), false);
    }
    if (counted & COUNTED_OTHER) {
        atomic_fetch_sub(&head->other, 1);
    }
    if (counted & COUNTED_ACTIVE) {
        atomic_fetch_sub(&head->active, 1);
    }
}

void l7s_ban_slot_write(l7s_bans_head_t *head, l7s_ban_slot_t *slot, const l7s_ban_t *ban)
{
    count_out(head, slot);
    uint64_t words[sizeof(l7s_ban_t) / 8];
    memcpy(words, ban, sizeof words);
    for (size_t i = 0; i < sizeof words / 8; i++) {
        set(&slot->body[i], words[i]);
    }
    set(&slot->digest_lo, ban->digest.lo);
    set(&slot->digest_hi, ban->digest.hi);
    set(&slot->lifted_ms, 0);
    set(&slot->hold_ms, 0);
    set(&slot->until_ms, ban->until_ms);
    count_in(head, slot, how_counted(ban));
}

void l7s_ban_slot_lift(l7s_bans_head_t *head, l7s_ban_slot_t *slot, l7s_hash128_t digest,
                       uint64_t hold_until_ms, l7s_now_t now)
{
    count_out(head, slot);
    set(&slot->digest_lo, digest.lo);
    set(&slot->digest_hi, digest.hi);
    set(&slot->until_ms, 0);
    set(&slot->lifted_ms, now.wall_ms != 0 ? now.wall_ms : 1);
    set(&slot->hold_ms, hold_until_ms);
}

void l7s_ban_slot_clear(l7s_bans_head_t *head, l7s_ban_slot_t *slot)
{
    count_out(head, slot);
    set(&slot->until_ms, 0);
    set(&slot->lifted_ms, 0);
    set(&slot->hold_ms, 0);
}

static void read_body(const l7s_ban_slot_t *slot, l7s_ban_t *out)
{
    uint64_t words[sizeof(l7s_ban_t) / 8];
    for (size_t i = 0; i < sizeof words / 8; i++) {
        words[i] = get(&slot->body[i]);
    }
    memcpy(out, words, sizeof words);
}

bool l7s_ban_slot_read(const l7s_ban_slot_t *slot, l7s_hash128_t digest, l7s_now_t now,
                       l7s_ban_t *out)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t before = get(&slot->sequence);
        if (before % 2 != 0) {
            continue;
        }
        bool banned =
            l7s_ban_slot_holds(slot, digest) && l7s_ban_slot_in_force(slot, now);
        if (banned && out != NULL) {
            read_body(slot, out);
        }
        if (get(&slot->sequence) == before) {
            return banned;
        }
    }
    return false;
}

bool l7s_ban_slot_is_abandoned(l7s_ban_slot_t *slot)
{
    uint64_t sequence = get(&slot->sequence);
    if (sequence % 2 == 0) {
        return false;
    }
    bool abandoned = get(&slot->watched) == sequence;
    set(&slot->watched, sequence);
    return abandoned;
}
