/* SPDX-License-Identifier: Apache-2.0
 *
 * Layout, attachment and the pinning of images. Creating, mapping and passing on the
 * memory file is the module's work; this file sees a block of bytes.
 *
 * The layout is a pure function of the size, so a process that attaches computes it again
 * and compares: nothing in the header is believed that could be checked.
 */
#include "segment.h"

#include <errno.h>
#include <signal.h>
#include <string.h>

#define PAGE 4096
#define BANS_MAX 16384
#define BANS_MIN 2048
#define PIN_TRIES 8
#define BUCKETS_MAX ((uint64_t)1 << 27) /* slot numbers have 32 bits */

_Static_assert(sizeof(l7s_segment_t) <= PAGE, "the header is one page");

static uint64_t align(uint64_t at, uint64_t unit)
{
    return (at + unit - 1) / unit * unit;
}

static uint64_t episodes_memory(void)
{
    return L7S_EPISODES * (sizeof(l7s_episode_t) + sizeof(uint32_t));
}

static uint64_t bits_memory(uint32_t buckets)
{
    return (uint64_t)buckets * L7S_BUCKET_SLOTS / 8;
}

/* Of the memory each arena gets an eighth; bans 16,384 from 64 MB on and proportionally
 * fewer below; the table gets what is left. */
static void lay_out(l7s_segment_t *header, uint64_t size)
{
    header->arena_size = size / 8 / PAGE * PAGE;
    header->ban_capacity = BANS_MIN;
    while (header->ban_capacity < BANS_MAX &&
           (uint64_t)header->ban_capacity * 2 * 4096 <= size) {
        header->ban_capacity *= 2;
    }
    header->pins_at = PAGE;
    header->stats_at = header->pins_at + L7S_PINS * sizeof(l7s_pin_t);
    header->guard_at =
        align(header->stats_at + L7S_STATS_ROWS * sizeof(l7s_stats_row_t), PAGE);
    header->bans_at = align(header->guard_at + l7s_guard_memory(), PAGE);
    header->episodes_at =
        align(header->bans_at + l7s_bans_memory(header->ban_capacity), PAGE);
    header->mailbox_at = align(header->episodes_at + episodes_memory(), PAGE);
    header->flights_at =
        align(header->mailbox_at + L7S_MAILBOX_CELLS * sizeof(l7s_mailbox_cell_t), PAGE);
    header->dirty_at =
        align(header->flights_at + L7S_FLIGHTS * sizeof(l7s_flight_t), PAGE);

    uint64_t end = size / PAGE * PAGE - 2 * header->arena_size;
    uint64_t bucket = L7S_BUCKET_SLOTS * sizeof(l7s_slot_t);
    uint64_t room = end - header->dirty_at - PAGE; /* a page for the alignment */
    uint64_t buckets = room / (bucket + bits_memory(1)) / 64 * 64;
    header->buckets = (uint32_t)(buckets < BUCKETS_MAX ? buckets : BUCKETS_MAX);
    header->table_at = align(header->dirty_at + bits_memory(header->buckets), PAGE);
    header->arena_at[0] = header->table_at + header->buckets * bucket;
    header->arena_at[1] = header->arena_at[0] + header->arena_size;
}

static bool init_lease(pthread_mutex_t *lease)
{
    pthread_mutexattr_t attributes;
    if (pthread_mutexattr_init(&attributes) != 0) {
        return false;
    }
    bool done = pthread_mutexattr_setpshared(&attributes, PTHREAD_PROCESS_SHARED) == 0 &&
                pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST) == 0 &&
                pthread_mutex_init(lease, &attributes) == 0;
    pthread_mutexattr_destroy(&attributes);
    return done;
}

l7s_status_t l7s_segment_format(void *memory, size_t size, const uint8_t random[48])
{
    if (size < L7S_SEGMENT_SIZE_MIN) {
        return L7S_INVALID;
    }
    l7s_segment_t *header = memory;
    lay_out(header, size);
    header->version = L7S_SEGMENT_VERSION;
    header->header_size = sizeof *header;
    header->size = size;
    memcpy(&header->place_key, random, sizeof header->place_key);
    memcpy(&header->mint_key, random + 16, sizeof header->mint_key);
    memcpy(&header->boot_count_key, random + 32, sizeof header->boot_count_key);
    atomic_store(&header->mode, L7S_MODE_ENFORCE);
    atomic_store(&header->live_nodes, 1);
    if (!init_lease(&header->sync_lease)) {
        return L7S_NO_MEMORY;
    }
    header->magic = L7S_SEGMENT_MAGIC; /* last: what has it is complete */
    return L7S_OK;
}

static bool same_layout(const l7s_segment_t *a, const l7s_segment_t *b)
{
    return a->pins_at == b->pins_at && a->stats_at == b->stats_at &&
           a->guard_at == b->guard_at && a->bans_at == b->bans_at &&
           a->episodes_at == b->episodes_at && a->mailbox_at == b->mailbox_at &&
           a->flights_at == b->flights_at && a->dirty_at == b->dirty_at &&
           a->table_at == b->table_at && a->arena_at[0] == b->arena_at[0] &&
           a->arena_at[1] == b->arena_at[1] && a->arena_size == b->arena_size &&
           a->buckets == b->buckets && a->ban_capacity == b->ban_capacity;
}

l7s_status_t l7s_segment_attach(void *memory, size_t size, l7s_shared_t *out)
{
    l7s_segment_t *header = memory;
    if (size < L7S_SEGMENT_SIZE_MIN || header->magic != L7S_SEGMENT_MAGIC ||
        header->version != L7S_SEGMENT_VERSION || header->header_size != sizeof *header ||
        header->size != size) {
        return L7S_INVALID;
    }
    l7s_segment_t expected = {.size = size};
    lay_out(&expected, size);
    if (!same_layout(header, &expected)) {
        return L7S_INVALID;
    }
    char *base = memory;
    size_t bans_head = l7s_bans_memory(0);
    *out = (l7s_shared_t){
        .header = header,
        .pins = (l7s_pin_t *)(base + header->pins_at),
        .stats = {.rows = (l7s_stats_row_t *)(base + header->stats_at)},
        .guard = {.head = (l7s_guard_head_t *)(base + header->guard_at),
                  .rows = (l7s_guard_row_t *)(base + header->guard_at +
                                              sizeof(l7s_guard_head_t)),
                  .key = header->place_key},
        .bans = {.head = (l7s_bans_head_t *)(base + header->bans_at),
                 .slots = (l7s_ban_slot_t *)(base + header->bans_at + bans_head),
                 .capacity = header->ban_capacity},
        .episodes = {.entries = (l7s_episode_t *)(base + header->episodes_at),
                     .dropped = &header->episodes_dropped,
                     .running =
                         (_Atomic uint32_t *)(base + header->episodes_at +
                                              L7S_EPISODES * sizeof(l7s_episode_t)),
                     .tickets = &header->episode_tickets,
                     .mint_key = header->mint_key},
        .mailbox = {.head = &header->mailbox,
                    .cells = (l7s_mailbox_cell_t *)(base + header->mailbox_at)},
        .flights = {.chunks = (l7s_flight_t *)(base + header->flights_at),
                    .tickets = &header->flight_tickets,
                    .overflowed = &header->flights_overflowed},
        .table = {.slots = (l7s_slot_t *)(base + header->table_at),
                  .dirty = (_Atomic uint64_t *)(base + header->dirty_at),
                  .stats = &header->table_stats,
                  .buckets = header->buckets,
                  .place_key = header->place_key},
    };
    return L7S_OK;
}

static l7s_pin_t *claim_pin(const l7s_shared_t *shared, int32_t pid)
{
    for (uint32_t i = 0; i < L7S_PINS; i++) {
        l7s_pin_t *pin = &shared->pins[i];
        int32_t nobody = 0;
        if (atomic_load_explicit(&pin->owner, memory_order_relaxed) == 0 &&
            atomic_compare_exchange_strong(&pin->owner, &nobody, pid)) {
            return pin;
        }
    }
    return NULL;
}

/* The pin is set first and the generation read again: either the sync process sees the
 * pin when it looks for readers of an arena, or this thread sees the newer generation. */
static const void *pin_image(const l7s_segment_t *header, l7s_pin_t *pin)
{
    uint64_t generation =
        atomic_load_explicit(&header->image_generation, memory_order_relaxed);
    for (unsigned i = 0; i < PIN_TRIES && generation != 0; i++) {
        atomic_store(&pin->generation, generation);
        uint64_t again = atomic_load(&header->image_generation);
        if (again == generation) {
            return (const char *)header + header->arena_at[generation % 2];
        }
        generation = again;
    }
    atomic_store_explicit(&pin->generation, 0, memory_order_release);
    return NULL;
}

const void *l7s_segment_pin(const l7s_shared_t *shared, l7s_pin_t **pin, int32_t pid)
{
    if (__builtin_expect(*pin == NULL, 0)) {
        *pin = claim_pin(shared, pid);
        if (*pin == NULL) {
            atomic_fetch_add_explicit(&shared->header->unpinned, 1, memory_order_relaxed);
            return NULL;
        }
    }
    return pin_image(shared->header, *pin);
}

void l7s_segment_unpin(l7s_pin_t *pin)
{
    atomic_store_explicit(&pin->generation, 0, memory_order_release);
}

void l7s_segment_drop_pin(l7s_pin_t *pin)
{
    atomic_store_explicit(&pin->generation, 0, memory_order_release);
    atomic_store_explicit(&pin->owner, 0, memory_order_release);
}

static bool is_dead(int32_t pid)
{
    return kill(pid, 0) != 0 && errno == ESRCH;
}

/* Frees a dead process' pin and tells whether a living one reads an image in the arena of
 * `next`. Threads of one process have neighbouring pins: `last` spares most of the system
 * calls. */
static bool is_read(l7s_pin_t *pin, uint64_t next, int32_t *last, bool *last_dead)
{
    int32_t owner = atomic_load_explicit(&pin->owner, memory_order_acquire);
    if (owner == 0) {
        return false;
    }
    if (owner != *last) {
        *last = owner;
        *last_dead = is_dead(owner);
    }
    if (*last_dead) {
        l7s_segment_drop_pin(pin);
        return false;
    }
    uint64_t generation = atomic_load(&pin->generation);
    return generation != 0 && generation % 2 == next % 2;
}

void l7s_segment_recover_pins(const l7s_shared_t *shared)
{
    int32_t last = 0;
    bool last_dead = false;
    for (uint32_t i = 0; i < L7S_PINS; i++) {
        (void)is_read(&shared->pins[i], 0, &last, &last_dead);
    }
}

void *l7s_segment_spare_arena(const l7s_shared_t *shared, size_t *capacity)
{
    l7s_segment_t *header = shared->header;
    uint64_t next = atomic_load(&header->image_generation) + 1;
    int32_t last = 0;
    bool last_dead = false, read = false;
    for (uint32_t i = 0; i < L7S_PINS; i++) {
        read |= is_read(&shared->pins[i], next, &last, &last_dead);
    }
    *capacity = header->arena_size;
    return read ? NULL : (char *)header + header->arena_at[next % 2];
}

void l7s_segment_publish(const l7s_shared_t *shared, size_t image_size,
                         uint64_t config_epoch, uint64_t revision)
{
    l7s_segment_t *header = shared->header;
    uint64_t next = atomic_load(&header->image_generation) + 1;
    atomic_store(&header->image_size[next % 2], image_size);
    atomic_store(&header->config_epoch, config_epoch);
    atomic_store(&header->revision, revision);
    atomic_store(&header->image_generation, next);
}
