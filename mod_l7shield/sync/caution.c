/* SPDX-License-Identifier: Apache-2.0
 *
 * See caution.h. A mark in the segment stands while the store may be spoken to: whoever
 * finds it at its start follows one that died there, or was killed there, which is rare
 * enough that the first time costs nothing.
 */
#include "caution.h"
#include "clock.h"
#include "log.h"

#define REST_MS 1000
#define DOUBLINGS 2 /* 1, 2, 4 seconds */
/* Ten seconds with the store, and what was is forgotten. */
#define CALM_MS 10000

static uint64_t rest_ms(uint32_t deaths)
{
    uint32_t doublings = deaths < 2 ? 0 : deaths - 2;

    return deaths < 2
               ? 0
               : (uint64_t)REST_MS << (doublings < DOUBLINGS ? doublings : DOUBLINGS);
}

void sync_caution_begin(sync_caution_t *caution, l7s_segment_t *header, l7s_now_t now)
{
    uint32_t deaths = atomic_load(&header->store_deaths);

    if (atomic_exchange(&header->in_store, 0) != 0) {
        atomic_store(&header->store_deaths, ++deaths);
    }
    uint64_t rest = rest_ms(deaths);
    *caution = (sync_caution_t){.header = header,
                                .rests_until_ms = sync_mono_ms(now) + rest,
                                .calm_at_ms = sync_mono_ms(now) + rest + CALM_MS};
    if (rest > 0) {
        sync_log(SYNC_WARN, "L7S2007",
                 "l7shield-sync ended %lu times in a row while it spoke to memcached; it "
                 "leaves memcached alone for %llu ms and counts within this node's share "
                 "of each limit: look at what answers on those ports",
                 (unsigned long)deaths, (unsigned long long)rest);
    }
}

bool sync_caution_enter(sync_caution_t *caution, l7s_now_t now)
{
    if (sync_mono_ms(now) < caution->rests_until_ms) {
        return false;
    }
    atomic_store(&caution->header->in_store, 1);
    return true;
}

void sync_caution_leave(sync_caution_t *caution, l7s_now_t now)
{
    atomic_store(&caution->header->in_store, 0);
    if (sync_mono_ms(now) >= caution->calm_at_ms) {
        atomic_store(&caution->header->store_deaths, 0);
    }
}
