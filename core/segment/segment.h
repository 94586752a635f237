/* SPDX-License-Identifier: Apache-2.0
 *
 * The shared memory of one node: a memory file that httpd's parent creates, every child
 * inherits and l7shield-sync maps by descriptor. Offsets only; every process maps it
 * somewhere else.
 *
 *   +--------------------+ 0
 *   | header             | this struct, one page
 *   +--------------------+ pins       who reads which image (one line per thread)
 *   +--------------------+ stats      per-policy statistics
 *   +--------------------+ guard      who came, and on whom each policy acted
 *   +--------------------+ bans       head and slots
 *   +--------------------+ episodes
 *   +--------------------+ mailbox    where workers wait for the store
 *   +--------------------+ flights    requests in flight, by key
 *   +--------------------+ dirty      one bit per slot
 *   +--------------------+ table      64-byte slots in buckets
 *   +--------------------+ arena 0    image of even generations
 *   +--------------------+ arena 1    image of odd generations
 *   +--------------------+ size
 *
 * Version and size stand at the head; a process that finds others refuses to use it. It
 * outlives graceful restarts, so counters and bans do too.
 */
#ifndef L7S_SEGMENT_H
#define L7S_SEGMENT_H

#include "../geo.h"
#include "../mode.h"
#include "bans.h"
#include "episode.h"
#include "flight.h"
#include "guard.h"
#include "mailbox.h"
#include "stats.h"
#include "table.h"
#include <pthread.h>

#define L7S_SEGMENT_MAGIC 0x3164656968733774ULL
#define L7S_SEGMENT_VERSION 10
#define L7S_SEGMENT_SIZE_MIN ((size_t)16 << 20)
#define L7S_PINS 4096

/* One reader of an image. A thread claims a pin once and keeps it; `generation` is zero
 * between requests. The sync process frees pins of processes that died. */
typedef struct {
    _Atomic uint64_t generation;
    _Atomic int32_t owner; /* pid, 0 = free */
    uint8_t padding[52];
} l7s_pin_t;

_Static_assert(sizeof(l7s_pin_t) == 64, "one pin is one cache line");

typedef struct {
    uint64_t magic;
    uint32_t version;
    uint32_t header_size;
    uint64_t size;
    uint64_t pins_at, stats_at, guard_at, bans_at, episodes_at, mailbox_at, flights_at,
        dirty_at, table_at;
    uint64_t arena_at[2];
    uint64_t arena_size;
    uint32_t buckets, ban_capacity;
    l7s_hashkey_t place_key;      /* secret of this boot: where a key lives */
    l7s_hashkey_t mint_key;       /* secret of this boot: incident ids */
    l7s_hashkey_t boot_count_key; /* K_count of a node without a fleet */

    /* httpd -> sync */
    _Alignas(64) _Atomic uint64_t
        config_generation; /* of httpd; an older sync process retires */
    _Atomic uint32_t workers_busy, workers_total;
    _Atomic uint32_t geo_files; /* that the workers look clients up in */

    /* sync -> workers. The arena of an image is its generation modulo 2. */
    _Alignas(64) _Atomic uint64_t
        image_generation; /* 0 = no image yet: everything is admitted */
    _Atomic uint64_t image_size[2];
    _Atomic uint32_t mode;                   /* l7s_mode_t of the node */
    _Atomic uint32_t because;                /* l7s_because_t */
    _Atomic uint64_t config_epoch, revision; /* of the image in force */

    /* sync -> everybody */
    _Alignas(64) _Atomic int32_t sync_pid;
    _Atomic uint64_t sync_beat_ms; /* wall clock of the last tick */
    _Atomic uint32_t sync_ready;   /* the first image stands, or there is none to come */
    _Atomic uint32_t live_nodes;   /* at least 1 */
    _Atomic uint32_t store_up;     /* servers that answered in the last tick */
    _Atomic uint32_t store_servers;
    _Atomic uint32_t in_store;     /* between it and memcached, see sync/caution.h */
    _Atomic uint32_t store_deaths; /* in a row that left `in_store` behind */
    pthread_mutex_t sync_lease; /* process-shared, robust: one sync process at a time */

    /* counters */
    _Alignas(64) l7s_table_stats_t table_stats;
    _Atomic uint64_t episodes_dropped;
    _Atomic uint64_t unpinned; /* requests admitted because no pin was free (alarm) */
    _Atomic uint64_t episode_tickets;
    _Atomic uint64_t flight_tickets, flights_overflowed;
    _Alignas(64) _Atomic uint64_t verdicts[16]; /* by l7s_outcome_t */
    l7s_mailbox_head_t mailbox;
} l7s_segment_t;

/* One process' view of it. */
typedef struct {
    l7s_segment_t *header;
    l7s_pin_t *pins;
    l7s_stats_t stats;
    l7s_guard_t guard;
    l7s_bans_t bans;
    l7s_episodes_t episodes;
    l7s_mailbox_t mailbox;
    l7s_flights_t flights;
    l7s_table_t table;
    const l7s_geo_t
        *geo; /* this process' own; NULL: nobody knows where clients come from */
} l7s_shared_t;

/* Lays out a zeroed memory of `size` bytes. `random` gives 48 bytes of entropy. */
L7S_MUST_USE l7s_status_t l7s_segment_format(void *memory, size_t size,
                                             const uint8_t random[48]);

/* Checks magic, version and size and fills `out`. L7S_INVALID: another layout. */
L7S_MUST_USE l7s_status_t l7s_segment_attach(void *memory, size_t size,
                                             l7s_shared_t *out);

/* Pins the image in force for the calling thread. `pin` is the thread's (NULL: claims one
 * for `pid` and stores it there). Returns the image or NULL (none yet, or no pin free).
 */
const void *l7s_segment_pin(const l7s_shared_t *shared, l7s_pin_t **pin, int32_t pid);
void l7s_segment_unpin(l7s_pin_t *pin);
void l7s_segment_drop_pin(l7s_pin_t *pin); /* the thread ends */

/* Sync process only, now and then: frees the pins of dead processes, or a server whose
 * children come and go would run out of them and admit everything. */
void l7s_segment_recover_pins(const l7s_shared_t *shared);

/* Sync process only. The arena that the next image may be written to, or NULL while a
 * living reader still holds it (try again next tick); frees the pins of dead processes.
 */
void *l7s_segment_spare_arena(const l7s_shared_t *shared, size_t *capacity);
/* Makes what was written there the image in force. */
void l7s_segment_publish(const l7s_shared_t *shared, size_t image_size,
                         uint64_t config_epoch, uint64_t revision);

#endif
