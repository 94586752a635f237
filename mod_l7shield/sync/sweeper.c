/* SPDX-License-Identifier: Apache-2.0
 *
 * See sweeper.h. One round over the table takes ten seconds; the table does not depend
 * on it, since a full bucket of slots evicts drained ones by itself.
 */
#include "sweeper.h"
#include "../../core/decide/limit.h"
#include "clock.h"
#include "log.h"
#include <stdlib.h>

#define ROUND_MS 10000
/* A limit that no policy has any more: its counters stay a while, an edit may be undone.
 */
#define ORPHAN_IDLE_S 600
#define IDLE_MIN_S 3
#define IDLE_MAX_S 3600
#define ALARM_INTERVAL_MS 60000

/* A number that only grows when something could not be kept, and its sentence. */
typedef struct {
    _Atomic uint64_t *counter;
    uint64_t last;
    const char *tag, *sentence;
    sync_log_gate_t gate;
} alarm_t;

#define ALARMS 6
#define FLIGHTS_MS 1000 /* between two looks for requests of dead processes */

struct sync_sweeper {
    const l7s_shared_t *shared;
    const l7s_image_t *image;
    l7s_now_t now;
    bool fleet;
    uint32_t position, step;
    l7s_cell_watch_t watch, flights_watch;
    uint64_t flights_due_ms; /* mono */
    alarm_t alarms[ALARMS];
};

static void set_alarms(sync_sweeper_t *sweeper)
{
    l7s_segment_t *header = sweeper->shared->header;
    const alarm_t alarms[ALARMS] = {
        {.counter = &header->table_stats.evicted_live,
         .tag = "L7S2073",
         .sentence = "counters in use were evicted: the table is too small for this many "
                     "clients (raise L7ShieldMemory and restart httpd)"},
        {.counter = &header->table_stats.overflowed,
         .tag = "L7S2074",
         .sentence = "requests went uncounted because their part of the table is full"},
        {.counter = &header->episodes_dropped,
         .tag = "L7S2104",
         .sentence = "incidents were not recorded because too many run at once"},
        {.counter = &header->unpinned,
         .tag = "L7S2075",
         .sentence = "requests were admitted unjudged because more threads than expected "
                     "evaluate policies"},
        {.counter = &header->flights_overflowed,
         .tag = "L7S2077",
         .sentence =
             "requests were not counted while they were in flight because too many "
             "keys had some"},
        {.counter = &sweeper->shared->bans.head->dropped,
         .tag = "L7S2064",
         .sentence = "bans were not recorded because the table of bans is full"}};

    for (size_t i = 0; i < ALARMS; i++) {
        sweeper->alarms[i] = alarms[i];
        sweeper->alarms[i].last = atomic_load(alarms[i].counter);
    }
}

l7s_status_t sync_sweeper_create(const l7s_shared_t *shared, uint32_t tick_ms, bool fleet,
                                 sync_sweeper_t **out)
{
    sync_sweeper_t *sweeper = calloc(1, sizeof *sweeper);

    if (sweeper == NULL) {
        return L7S_NO_MEMORY;
    }
    sweeper->shared = shared;
    sweeper->fleet = fleet;
    sweeper->step =
        (uint32_t)((uint64_t)l7s_table_size(&shared->table) * tick_ms / ROUND_MS) + 1;
    set_alarms(sweeper);
    *out = sweeper;
    return L7S_OK;
}

void sync_sweeper_free(sync_sweeper_t *sweeper)
{
    free(sweeper);
}

/* A slot of a fleet's limit also holds the total seen last, without which the next look
 * at the store would take the whole period's number for news. */
static uint32_t idle_needed_s(const sync_sweeper_t *sweeper,
                              const l7s_image_limit_t *limit)
{
    uint64_t seconds = 2 * (limit->rate.period_us / 1000000);

    if (!sweeper->fleet || !limit->fleet || seconds < IDLE_MIN_S) {
        return IDLE_MIN_S;
    }
    return seconds > IDLE_MAX_S ? IDLE_MAX_S : (uint32_t)seconds;
}

static bool release_if_drained(void *context, uint32_t index, l7s_slot_t *slot)
{
    sync_sweeper_t *sweeper = context;
    l7s_hash128_t key = l7s_slot_key(slot);
    uint32_t now_s = (uint32_t)(sweeper->now.mono_us / 1000000);
    uint32_t idle_s = now_s - atomic_load(&slot->touched_s);
    const l7s_image_limit_t *limit =
        sweeper->image == NULL
            ? NULL
            : l7s_image_limit(sweeper->image, atomic_load(&slot->limit));
    bool done;

    (void)index;
    if (key.lo == 0 || idle_s > UINT32_MAX / 2) {
        return false;
    }
    if (limit == NULL) {
        done = idle_s > ORPHAN_IDLE_S;
    } else {
        done = idle_s > idle_needed_s(sweeper, limit) &&
               atomic_load(&slot->pending) == 0 &&
               l7s_limit_drained(limit, atomic_load(&slot->tat), sweeper->now.mono_us);
    }
    if (done) {
        (void)l7s_table_release(&sweeper->shared->table, slot, key);
    }
    return false;
}

static void raise_alarm(alarm_t *alarm, uint64_t now_ms)
{
    uint64_t value = atomic_load(alarm->counter);

    if (value > alarm->last &&
        sync_log_gate(&alarm->gate, now_ms, ALARM_INTERVAL_MS, NULL)) {
        sync_log(SYNC_ERROR, alarm->tag, "%llu %s",
                 (unsigned long long)(value - alarm->last), alarm->sentence);
        alarm->last = value;
    }
}

void sync_sweeper_tick(sync_sweeper_t *sweeper, const l7s_image_t *image, l7s_now_t now)
{
    const l7s_table_t *table = &sweeper->shared->table;
    uint32_t size = l7s_table_size(table);
    uint32_t step = sweeper->step;

    sweeper->image = image;
    sweeper->now = now;
    if (sweeper->position + step > size) {
        step = size - sweeper->position;
    }
    (void)l7s_table_sweep(table, sweeper->position, step, &sweeper->watch,
                          release_if_drained, sweeper);
    sweeper->position = (sweeper->position + step) % size;
    if (sweeper->position == 0) {
        l7s_segment_recover_pins(sweeper->shared);
    }
    if (sync_mono_ms(now) >= sweeper->flights_due_ms) {
        sweeper->flights_due_ms = sync_mono_ms(now) + FLIGHTS_MS;
        (void)l7s_flights_recover(&sweeper->shared->flights, &sweeper->flights_watch);
    }
    for (size_t i = 0; i < ALARMS; i++) {
        raise_alarm(&sweeper->alarms[i], sync_mono_ms(now));
    }
}
