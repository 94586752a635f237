/* SPDX-License-Identifier: Apache-2.0
 *
 * The one place where this process reads clocks. Everything else gets the time of its
 * tick as a parameter; only deadlines of network work look again.
 */
#ifndef SYNC_CLOCK_H
#define SYNC_CLOCK_H

#include "../../core/clock.h"

l7s_now_t sync_clock_now(void);

/* CLOCK_REALTIME in microseconds: what all nodes have in common. */
uint64_t sync_clock_wall_us(void);

/* CLOCK_MONOTONIC in milliseconds. */
static inline uint64_t sync_mono_ms(l7s_now_t now)
{
    return now.mono_us / 1000;
}

#endif
