/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of bans. Each digest has two buckets of eight slots; a look-up compares the
 * tags of these sixteen (two half cache lines) and reads a slot only where a tag matches.
 *
 *   +------+----------------------------+------------------+
 *   | head | slots, 384 bytes each      | tags, 4 bytes    |
 *   +------+----------------------------+------------------+
 *
 * A slot is read under its sequence number (odd: being written), so that readers take no
 * lock and never see half a ban. Two workers that ban the same key at once may fill two
 * slots; that is harmless, since any slot in force bans and a lift goes through all.
 */
#include "bans.h"

#include "key.h"

#include <string.h>

#define BUCKET 8
#define CANDIDATES (2 * BUCKET)
#define BODY_WORDS 40
#define TRIES 1000

/* How long a lift is remembered at least: longer than a ban travels on the bus. */
#define LIFT_MEMORY_MS 600000

/* Where a ban is counted in the head, so that the same is taken back with it. */
#define COUNTED_ACTIVE 1u
#define COUNTED_OTHER 2u
#define COUNTED_CLIENT 4u
#define COUNTED_WIDTH 8u
#define COUNTED_WIDTH_SHIFT 8

/* Free: tag 0. In force: until_ms > now. Lifted: until_ms 0 and lifted_ms set. All but
 * sequence and watched are written under an odd sequence only. */
struct l7s_ban_slot {
    _Atomic uint64_t sequence;
    _Atomic uint64_t digest_lo, digest_hi;
    _Atomic uint64_t until_ms;
    _Atomic uint64_t lifted_ms; /* when it was lifted, 0 = it was not */
    _Atomic uint64_t hold_ms;   /* until when it stays lifted */
    _Atomic uint64_t counted;
    _Atomic uint64_t watched;          /* odd sequence that the last visit saw */
    _Atomic uint64_t body[BODY_WORDS]; /* l7s_ban_t */
};

_Static_assert(sizeof(l7s_ban_slot_t) == 384, "six cache lines");
_Static_assert(sizeof(l7s_ban_t) <= 8 * BODY_WORDS && sizeof(l7s_ban_t) % 8 == 0,
               "a ban fits into whole words of a slot");

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

static inline uint64_t get(const _Atomic uint64_t *word)
{
    return atomic_load_explicit(word, memory_order_acquire);
}

/* Released, so that no write of a slot is seen before its sequence is odd. */
static inline void set(_Atomic uint64_t *word, uint64_t value)
{
    atomic_store_explicit(word, value, memory_order_release);
}

static bool lock_slot(l7s_ban_slot_t *slot)
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

static void unlock_slot(l7s_ban_slot_t *slot)
{
    set(&slot->sequence, get(&slot->sequence) + 1);
}

static bool has_digest(const l7s_ban_slot_t *slot, l7s_hash128_t digest)
{
    return get(&slot->digest_lo) == digest.lo && get(&slot->digest_hi) == digest.hi;
}

static bool in_force(const l7s_ban_slot_t *slot, l7s_now_t now)
{
    return get(&slot->until_ms) > now.wall_ms;
}

/* Nothing in it is needed any more. */
static bool is_spent(const l7s_ban_slot_t *slot, l7s_now_t now)
{
    uint64_t lifted = get(&slot->lifted_ms);
    return !in_force(slot, now) && get(&slot->hold_ms) <= now.wall_ms &&
           (lifted == 0 || now.wall_ms - lifted >= LIFT_MEMORY_MS);
}

/* Does the lifting recorded in `slot` stand against a ban made at `since_ms`? */
static bool holds_off(const l7s_ban_slot_t *slot, uint64_t since_ms, l7s_now_t now)
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

/* The functions from here to free_slot want the slot locked. */
static void write_ban(const l7s_bans_t *bans, l7s_ban_slot_t *slot, const l7s_ban_t *ban)
{
    count_out(bans->head, slot);
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
    count_in(bans->head, slot, how_counted(ban));
}

static void write_lift(const l7s_bans_t *bans, l7s_ban_slot_t *slot, l7s_hash128_t digest,
                       uint64_t hold_until_ms, l7s_now_t now)
{
    count_out(bans->head, slot);
    set(&slot->digest_lo, digest.lo);
    set(&slot->digest_hi, digest.hi);
    set(&slot->until_ms, 0);
    set(&slot->lifted_ms, now.wall_ms != 0 ? now.wall_ms : 1);
    set(&slot->hold_ms, hold_until_ms);
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
    count_out(bans->head, slot);
    set(&slot->until_ms, 0);
    set(&slot->lifted_ms, 0);
    set(&slot->hold_ms, 0);
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
            has_digest(&bans->slots[index], digest)) {
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
        if (get_tag(bans, slot) == 0 || is_spent(slot, now)) {
            open[i / BUCKET * BUCKET + found[i / BUCKET]++] = slot;
        }
    }
    uint32_t better = found[1] > found[0] ? 1 : 0;
    for (uint32_t round = 0; round < 2; round++, better ^= 1) {
        for (uint32_t i = 0; i < found[better]; i++) {
            l7s_ban_slot_t *slot = open[better * BUCKET + i];
            if (!lock_slot(slot)) {
                continue;
            }
            if (get_tag(bans, slot) == 0 || is_spent(slot, now)) {
                return slot;
            }
            unlock_slot(slot);
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
        if (holds_off(slot, ban->since_ms, now)) {
            return true;
        }
    }
}

/* Writes the ban over a slot of its own digest unless that one ends later. False: the
 * slot belongs to another digest by now. */
static bool update_slot(const l7s_bans_t *bans, l7s_ban_slot_t *slot,
                        const l7s_ban_t *ban, l7s_now_t now)
{
    if (in_force(slot, now) && get(&slot->until_ms) >= ban->until_ms) {
        return true;
    }
    if (!lock_slot(slot)) {
        return false;
    }
    bool same = get_tag(bans, slot) != 0 && has_digest(slot, ban->digest);
    if (same && !holds_off(slot, ban->since_ms, now) &&
        get(&slot->until_ms) < ban->until_ms) {
        write_ban(bans, slot, ban);
        atomic_fetch_add(&bans->head->changes, 1);
    }
    unlock_slot(slot);
    return same;
}

/* A lift that ran while the ban was written may have missed it: after it stands, the
 * tombstones are read once more. One of both sees the other. */
static l7s_status_t insert(const l7s_bans_t *bans, const l7s_ban_t *ban, l7s_now_t now)
{
    l7s_ban_slot_t *slot = take_slot(bans, ban->digest, now);
    if (slot == NULL) {
        atomic_fetch_add(&bans->head->dropped, 1);
        return L7S_TOO_BIG;
    }
    write_ban(bans, slot, ban);
    set_tag(bans, slot, tag_of(ban->digest));
    unlock_slot(slot);
    atomic_fetch_add(&bans->head->changes, 1);
    if (!is_held_off(bans, ban, now)) {
        return L7S_OK;
    }
    if (lock_slot(slot)) {
        if (has_digest(slot, ban->digest) && get(&slot->until_ms) == ban->until_ms) {
            free_slot(bans, slot);
        }
        unlock_slot(slot);
    }
    return L7S_CONFLICT;
}

l7s_status_t l7s_bans_put(const l7s_bans_t *bans, const l7s_ban_t *ban, l7s_now_t now)
{
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
            return insert(bans, ban, now);
        }
        if (update_slot(bans, slot, ban, now)) {
            return is_held_off(bans, ban, now) ? L7S_CONFLICT : L7S_OK;
        }
    }
}

static void read_body(const l7s_ban_slot_t *slot, l7s_ban_t *out)
{
    uint64_t words[sizeof(l7s_ban_t) / 8];
    for (size_t i = 0; i < sizeof words / 8; i++) {
        words[i] = get(&slot->body[i]);
    }
    memcpy(out, words, sizeof words);
}

/* Reads a slot as one piece. False: no ban of `digest` is in force in it, or its writer
 * did not finish in time. */
static bool read_slot(const l7s_ban_slot_t *slot, l7s_hash128_t digest, l7s_now_t now,
                      l7s_ban_t *out)
{
    for (unsigned i = 0; i < TRIES; i++) {
        uint64_t before = get(&slot->sequence);
        if (before % 2 != 0) {
            continue;
        }
        bool banned = has_digest(slot, digest) && in_force(slot, now);
        if (banned && out != NULL) {
            read_body(slot, out);
        }
        if (get(&slot->sequence) == before) {
            return banned;
        }
    }
    return false;
}

/* A tag matched: read the slots. Apart, so that the common loop stays small. */
static __attribute__((noinline)) bool read_candidates(const l7s_bans_t *bans,
                                                      l7s_hash128_t digest, l7s_now_t now,
                                                      l7s_ban_t *out)
{
    uint32_t i = 0;
    for (;;) {
        const l7s_ban_slot_t *slot = next_slot(bans, digest, &i);
        if (slot == NULL || read_slot(slot, digest, now, out)) {
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
    if (atomic_load_explicit(&bans->head->active, memory_order_relaxed) == 0) {
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
                return true;
            }
        }
    }
    return false;
}

bool l7s_bans_find_address(const l7s_bans_t *bans, const l7s_hashkey_t *count_key,
                           const l7s_addr_t *addr, l7s_now_t now, l7s_ban_t *out)
{
    if (atomic_load_explicit(&bans->head->active, memory_order_relaxed) == 0) {
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
        if (!lock_slot(slot)) {
            continue;
        }
        if (has_digest(slot, digest)) {
            *was = *was || in_force(slot, now);
            write_lift(bans, slot, digest, hold_until_ms, now);
            carried = true;
        }
        unlock_slot(slot);
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
            write_lift(bans, slot, digest, hold_until_ms, now);
            set_tag(bans, slot, tag_of(digest));
            unlock_slot(slot);
            lift_slots(bans, digest, hold_until_ms, now, &was);
        }
    }
    atomic_fetch_add(&bans->head->changes, 1);
    return was;
}

/* A slot whose sequence is odd at two visits in a row has lost its writer. */
static void recover(const l7s_bans_t *bans, l7s_ban_slot_t *slot, uint64_t sequence)
{
    if (get(&slot->watched) != sequence) {
        set(&slot->watched, sequence);
        return;
    }
    free_slot(bans, slot);
    unlock_slot(slot);
}

static void visit_slot(const l7s_bans_t *bans, l7s_ban_slot_t *slot, l7s_now_t now,
                       l7s_bans_visit_fn visit, void *context)
{
    if (is_spent(slot, now)) {
        if (lock_slot(slot)) {
            if (is_spent(slot, now)) {
                free_slot(bans, slot);
                atomic_fetch_add(&bans->head->changes, 1);
            }
            unlock_slot(slot);
        }
        return;
    }
    l7s_hash128_t digest = {get(&slot->digest_lo), get(&slot->digest_hi)};
    l7s_ban_t ban;
    if (visit != NULL && read_slot(slot, digest, now, &ban) &&
        ban.origin != L7S_ORIGIN_SHADOW) {
        visit(context, &ban);
    }
}

void l7s_bans_visit(const l7s_bans_t *bans, l7s_now_t now, l7s_bans_visit_fn visit,
                    void *context)
{
    for (uint32_t i = 0; i < bans->capacity; i++) {
        l7s_ban_slot_t *slot = &bans->slots[i];
        uint64_t sequence = get(&slot->sequence);
        if (sequence % 2 != 0) {
            recover(bans, slot, sequence);
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
        l7s_hash128_t digest = {get(&slot->digest_lo), get(&slot->digest_hi)};
        l7s_ban_t ban;
        if (read_slot(slot, digest, now, &ban) && ban.origin != L7S_ORIGIN_SHADOW) {
            visit(context, &ban);
        }
    }
}
