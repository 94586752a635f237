/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of bans. Each digest has two buckets of eight slots; a look-up compares the
 * tags of these sixteen (two half cache lines) and reads a slot only where a tag matches.
 *
 *   +------+----------------------------+------------------+
 *   | head | slots, 384 bytes each      | tags, 4 bytes    |
 *   +------+----------------------------+------------------+
 *
 * Two workers that ban the same key at once may fill two slots; that is harmless, since
 * any slot in force bans and a lift goes through all.
 */
#include "bans.h"

#include "../key.h"
#include "ban_slot.h"

#define BUCKET 8
#define CANDIDATES (2 * BUCKET)

size_t l7s_bans_memory(uint32_t capacity)
{
    size_t head = (sizeof(l7s_bans_head_t) + 63) & ~(size_t)63;
    return head + capacity * (sizeof(l7s_ban_slot_t) + sizeof(uint32_t));
}

static inline _Atomic uint32_t *tags_of(const l7s_bans_t *bans)
{
    return (_Atomic uint32_t *)(bans->slots + bans->capacity);
}

static inline uint32_t tag_of(l7s_hash128_t digest)
{
    uint32_t tag = (uint32_t)(digest.hi >> 32);
    return tag != 0 ? tag : 1;
}

static inline uint32_t first_of(const l7s_bans_t *bans, uint64_t half)
{
    return ((uint32_t)half & (bans->capacity - 1)) & ~(uint32_t)(BUCKET - 1);
}

/* Candidate 0…15 of a digest. */
static inline uint32_t candidate(const l7s_bans_t *bans, l7s_hash128_t digest, uint32_t i)
{
    uint64_t half = i < BUCKET ? digest.lo : digest.hi;
    return first_of(bans, half) + i % BUCKET;
}

static void set_tag(const l7s_bans_t *bans, const l7s_ban_slot_t *slot, uint32_t tag)
{
    atomic_store_explicit(&tags_of(bans)[slot - bans->slots], tag, memory_order_release);
}

static uint32_t get_tag(const l7s_bans_t *bans, const l7s_ban_slot_t *slot)
{
    return atomic_load_explicit(&tags_of(bans)[slot - bans->slots], memory_order_acquire);
}

static void free_slot(const l7s_bans_t *bans, l7s_ban_slot_t *slot)
{
    l7s_ban_slot_clear(bans->head, slot);
    set_tag(bans, slot, 0);
}

/* The next slot of `digest` from candidate *i on, or NULL. Moves *i behind it. */
static l7s_ban_slot_t *next_slot(const l7s_bans_t *bans, l7s_hash128_t digest,
                                 uint32_t *i)
{
    const _Atomic uint32_t *tags = tags_of(bans);
    uint32_t wanted = tag_of(digest);
    while (*i < CANDIDATES) {
        uint32_t index = candidate(bans, digest, (*i)++);
        if (atomic_load_explicit(&tags[index], memory_order_acquire) == wanted &&
            l7s_ban_slot_holds(&bans->slots[index], digest)) {
            return &bans->slots[index];
        }
    }
    return NULL;
}

/* A locked slot that is free or spent, from the emptier bucket, or NULL. */
static l7s_ban_slot_t *take_slot(const l7s_bans_t *bans, l7s_hash128_t digest,
                                 l7s_now_t now)
{
    l7s_ban_slot_t *open[CANDIDATES];
    uint32_t found[2] = {0, 0};
    for (uint32_t i = 0; i < CANDIDATES; i++) {
        l7s_ban_slot_t *slot = &bans->slots[candidate(bans, digest, i)];
        if (get_tag(bans, slot) == 0 || l7s_ban_slot_is_spent(slot, now)) {
            open[i / BUCKET * BUCKET + found[i / BUCKET]++] = slot;
        }
    }
    uint32_t better = found[1] > found[0] ? 1 : 0;
    for (uint32_t round = 0; round < 2; round++, better ^= 1) {
        for (uint32_t i = 0; i < found[better]; i++) {
            l7s_ban_slot_t *slot = open[better * BUCKET + i];
            if (!l7s_ban_slot_lock(slot)) {
                continue;
            }
            if (get_tag(bans, slot) == 0 || l7s_ban_slot_is_spent(slot, now)) {
                return slot;
            }
            l7s_ban_slot_unlock(slot);
        }
    }
    return NULL;
}

static bool is_held_off(const l7s_bans_t *bans, const l7s_ban_t *ban, l7s_now_t now)
{
    uint32_t i = 0;
    for (;;) {
        l7s_ban_slot_t *slot = next_slot(bans, ban->digest, &i);
        if (slot == NULL) {
            return false;
        }
        if (l7s_ban_slot_holds_off(slot, ban->since_ms, now)) {
            return true;
        }
    }
}

/* Writes the ban over a slot of its own digest unless that one ends later. False: the
 * slot belongs to another digest by now. */
static bool update_slot(const l7s_bans_t *bans, l7s_ban_slot_t *slot,
                        const l7s_ban_t *ban, l7s_now_t now, bool *began)
{
    if (l7s_ban_slot_in_force(slot, now) &&
        l7s_ban_slot_until_ms(slot) >= ban->until_ms) {
        return true;
    }
    if (!l7s_ban_slot_lock(slot)) {
        return false;
    }
    bool same = get_tag(bans, slot) != 0 && l7s_ban_slot_holds(slot, ban->digest);
    if (same && !l7s_ban_slot_holds_off(slot, ban->since_ms, now) &&
        l7s_ban_slot_until_ms(slot) < ban->until_ms) {
        *began = !l7s_ban_slot_in_force(slot, now);
        l7s_ban_slot_write(bans->head, slot, ban);
        atomic_fetch_add(&bans->head->changes, 1);
    }
    l7s_ban_slot_unlock(slot);
    return same;
}

/* Is a ban of the digest in force in another slot than this one? */
static bool stands_elsewhere(const l7s_bans_t *bans, const l7s_ban_slot_t *own,
                             l7s_hash128_t digest, l7s_now_t now)
{
    uint32_t i = 0;
    for (;;) {
        const l7s_ban_slot_t *slot = next_slot(bans, digest, &i);
        if (slot == NULL || (slot != own && l7s_ban_slot_in_force(slot, now))) {
            return slot != NULL;
        }
    }
}

/* A lift that ran while the ban was written may have missed it: after it stands, the
 * tombstones are read once more. One of both sees the other. So does one of two workers
 * that fill two slots; if both do, neither began. */
static l7s_status_t insert(const l7s_bans_t *bans, const l7s_ban_t *ban, l7s_now_t now,
                           bool *began)
{
    l7s_ban_slot_t *slot = take_slot(bans, ban->digest, now);
    if (slot == NULL) {
        atomic_fetch_add(&bans->head->dropped, 1);
        return L7S_TOO_BIG;
    }
    l7s_ban_slot_write(bans->head, slot, ban);
    set_tag(bans, slot, tag_of(ban->digest));
    l7s_ban_slot_unlock(slot);
    atomic_fetch_add(&bans->head->changes, 1);
    if (!is_held_off(bans, ban, now)) {
        *began = !stands_elsewhere(bans, slot, ban->digest, now);
        return L7S_OK;
    }
    if (l7s_ban_slot_lock(slot)) {
        if (l7s_ban_slot_holds(slot, ban->digest) &&
            l7s_ban_slot_until_ms(slot) == ban->until_ms) {
            free_slot(bans, slot);
        }
        l7s_ban_slot_unlock(slot);
    }
    return L7S_CONFLICT;
}

l7s_status_t l7s_bans_begin(const l7s_bans_t *bans, const l7s_ban_t *ban, l7s_now_t now,
                            bool *began)
{
    *began = false;
    if (is_held_off(bans, ban, now)) {
        return L7S_CONFLICT;
    }
    if (ban->until_ms <= now.wall_ms) {
        return L7S_OK;
    }
    /* A slot whose writer was preempted is passed over for one that stands beside it. */
    uint32_t i = 0;
    for (;;) {
        l7s_ban_slot_t *slot = next_slot(bans, ban->digest, &i);
        if (slot == NULL) {
            return insert(bans, ban, now, began);
        }
        if (update_slot(bans, slot, ban, now, began)) {
            return is_held_off(bans, ban, now) ? L7S_CONFLICT : L7S_OK;
        }
    }
}

l7s_status_t l7s_bans_put(const l7s_bans_t *bans, const l7s_ban_t *ban, l7s_now_t now)
{
    bool began;
    return l7s_bans_begin(bans, ban, now, &began);
}

/* A tag matched: read the slots. Apart, so that the common loop stays small. */
static __attribute__((noinline)) bool read_candidates(const l7s_bans_t *bans,
                                                      l7s_hash128_t digest, l7s_now_t now,
                                                      l7s_ban_t *out)
{
    uint32_t i = 0;
    for (;;) {
        const l7s_ban_slot_t *slot = next_slot(bans, digest, &i);
        if (slot == NULL || l7s_ban_slot_read(slot, digest, now, out)) {
            return slot != NULL;
        }
    }
}

static inline bool has_tag(const _Atomic uint32_t *tags, uint32_t wanted)
{
#pragma GCC unroll 8
    for (uint32_t i = 0; i < BUCKET; i++) {
        if (atomic_load_explicit(&tags[i], memory_order_acquire) == wanted) {
            return true;
        }
    }
    return false;
}

bool l7s_bans_find(const l7s_bans_t *bans, l7s_hash128_t digest, l7s_now_t now,
                   l7s_ban_t *out)
{
    if (!l7s_bans_any(bans)) {
        return false;
    }
    const _Atomic uint32_t *tags = tags_of(bans);
    uint32_t wanted = tag_of(digest);
    if (has_tag(tags + first_of(bans, digest.lo), wanted) ||
        has_tag(tags + first_of(bans, digest.hi), wanted)) {
        return read_candidates(bans, digest, now, out);
    }
    return false;
}

static bool find_network(const l7s_bans_t *bans, const l7s_hashkey_t *count_key,
                         const l7s_addr_t *addr, uint8_t prefix, l7s_now_t now,
                         l7s_ban_t *out)
{
    l7s_cidr_t network = {.base = l7s_addr_mask(addr, prefix), .prefix = prefix};
    return l7s_bans_find(bans, l7s_key_digest_cidr(count_key, L7S_PART_NETWORK, &network),
                         now, out);
}

bool l7s_bans_holds_free(const l7s_bans_t *bans, const l7s_hashkey_t *count_key,
                         const l7s_addr_t *addr, l7s_now_t now)
{
    l7s_cidr_t client = l7s_addr_client(addr);
    l7s_ban_t wanted = {.digest =
                            l7s_key_digest_cidr(count_key, L7S_PART_CLIENT, &client),
                        .since_ms = now.wall_ms};
    return is_held_off(bans, &wanted, now);
}

static __attribute__((noinline)) bool search_address(const l7s_bans_t *bans,
                                                     const l7s_hashkey_t *count_key,
                                                     const l7s_addr_t *addr,
                                                     l7s_now_t now, l7s_ban_t *out)
{
    uint64_t widths[3];
    for (unsigned i = 0; i < 3; i++) {
        widths[i] = atomic_load_explicit(&bans->head->widths[i], memory_order_relaxed);
    }
    if (widths[2] >> (L7S_BAN_WIDTH_CLIENT - 128) & 1) {
        l7s_cidr_t client = l7s_addr_client(addr);
        if (l7s_bans_find(bans, l7s_key_digest_cidr(count_key, L7S_PART_CLIENT, &client),
                          now, out)) {
            return true;
        }
    }
    if (l7s_addr_is_v4(addr)) { /* wider networks than the mapped block are IPv6's */
        widths[0] = 0;
        widths[1] &= ~(uint64_t)0 << 32;
    }
    widths[2] &= 1;
    for (unsigned word = 0; word < 3; word++) {
        for (uint64_t bits = widths[word]; bits != 0; bits &= bits - 1) {
            uint8_t prefix = (uint8_t)(64 * word + (unsigned)__builtin_ctzll(bits));
            if (find_network(bans, count_key, addr, prefix, now, out)) {
                return !l7s_bans_holds_free(bans, count_key, addr, now);
            }
        }
    }
    return false;
}

bool l7s_bans_find_address(const l7s_bans_t *bans, const l7s_hashkey_t *count_key,
                           const l7s_addr_t *addr, l7s_now_t now, l7s_ban_t *out)
{
    if (!l7s_bans_any(bans)) {
        return false;
    }
    return search_address(bans, count_key, addr, now, out);
}

/* Marks every slot of the digest as lifted; *was tells whether one was in force. Returns
 * whether there was a slot that now carries the lifting. */
static bool lift_slots(const l7s_bans_t *bans, l7s_hash128_t digest,
                       uint64_t hold_until_ms, l7s_now_t now, bool *was)
{
    bool carried = false;
    uint32_t i = 0;
    for (;;) {
        l7s_ban_slot_t *slot = next_slot(bans, digest, &i);
        if (slot == NULL) {
            return carried;
        }
        if (!l7s_ban_slot_lock(slot)) {
            continue;
        }
        if (l7s_ban_slot_holds(slot, digest)) {
            *was = *was || l7s_ban_slot_in_force(slot, now);
            l7s_ban_slot_lift(bans->head, slot, digest, hold_until_ms, now);
            carried = true;
        }
        l7s_ban_slot_unlock(slot);
    }
}

bool l7s_bans_lift(const l7s_bans_t *bans, l7s_hash128_t digest, uint64_t hold_until_ms,
                   l7s_now_t now)
{
    bool was = false;
    if (!lift_slots(bans, digest, hold_until_ms, now, &was)) {
        l7s_ban_slot_t *slot = take_slot(bans, digest, now);
        if (slot == NULL) {
            atomic_fetch_add(&bans->head->dropped, 1);
        } else {
            l7s_ban_slot_lift(bans->head, slot, digest, hold_until_ms, now);
            set_tag(bans, slot, tag_of(digest));
            l7s_ban_slot_unlock(slot);
        }
    }
    atomic_fetch_add(&bans->head->changes, 1);
    /* Once more for a ban that was written meanwhile and did not see the tombstone. */
    lift_slots(bans, digest, hold_until_ms, now, &was);
    return was;
}

static void visit_slot(const l7s_bans_t *bans, l7s_ban_slot_t *slot, l7s_now_t now,
                       l7s_bans_visit_fn visit, void *context)
{
    if (l7s_ban_slot_is_spent(slot, now)) {
        if (l7s_ban_slot_lock(slot)) {
            if (l7s_ban_slot_is_spent(slot, now)) {
                free_slot(bans, slot);
                atomic_fetch_add(&bans->head->changes, 1);
            }
            l7s_ban_slot_unlock(slot);
        }
        return;
    }
    l7s_hash128_t digest = l7s_ban_slot_digest(slot);
    l7s_ban_t ban;
    if (visit != NULL && l7s_ban_slot_read(slot, digest, now, &ban) &&
        ban.origin != L7S_ORIGIN_SHADOW) {
        visit(context, &ban);
    }
}

void l7s_bans_visit(const l7s_bans_t *bans, l7s_now_t now, l7s_bans_visit_fn visit,
                    void *context)
{
    for (uint32_t i = 0; i < bans->capacity; i++) {
        l7s_ban_slot_t *slot = &bans->slots[i];
        if (l7s_ban_slot_is_abandoned(slot)) {
            free_slot(bans, slot);
            l7s_ban_slot_unlock(slot);
        } else if (get_tag(bans, slot) != 0) {
            visit_slot(bans, slot, now, visit, context);
        }
    }
}

void l7s_bans_scan(const l7s_bans_t *bans, l7s_now_t now, l7s_bans_visit_fn visit,
                   void *context)
{
    for (uint32_t i = 0; i < bans->capacity; i++) {
        const l7s_ban_slot_t *slot = &bans->slots[i];
        if (get_tag(bans, slot) == 0) {
            continue;
        }
        l7s_hash128_t digest = l7s_ban_slot_digest(slot);
        l7s_ban_t ban;
        if (l7s_ban_slot_read(slot, digest, now, &ban) &&
            ban.origin != L7S_ORIGIN_SHADOW) {
            visit(context, &ban);
        }
    }
}
