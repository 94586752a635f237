/* SPDX-License-Identifier: Apache-2.0
 *
 * See clock.h.
 */
#include "clock.h"
#include <time.h>

l7s_now_t sync_clock_now(void)
{
    struct timespec mono, wall;

    (void)clock_gettime(CLOCK_MONOTONIC, &mono);
    (void)clock_gettime(CLOCK_REALTIME, &wall);
    return (l7s_now_t){
        .mono_us = (uint64_t)mono.tv_sec * 1000000 + (uint64_t)mono.tv_nsec / 1000,
        .wall_ms = (uint64_t)wall.tv_sec * 1000 + (uint64_t)wall.tv_nsec / 1000000};
}

uint64_t sync_clock_wall_us(void)
{
    struct timespec wall;

    (void)clock_gettime(CLOCK_REALTIME, &wall);
    return (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000;
}
