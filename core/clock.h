/* SPDX-License-Identifier: Apache-2.0
 *
 * The two times that core needs, always a parameter: core never reads a clock.
 * mono_us drives buckets (it never jumps and is the same in every process of a host);
 * wall_ms stands in records, bans and bus items (it is the same on every host).
 */
#ifndef L7S_CLOCK_H
#define L7S_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint64_t mono_us; /* CLOCK_MONOTONIC */
    uint64_t wall_ms; /* CLOCK_REALTIME since 1970 */
} l7s_now_t;

static inline uint32_t l7s_now_s(l7s_now_t now)
{
    return (uint32_t)(now.mono_us / 1000000);
}

/* RFC 3339, UTC, milliseconds: "2026-01-31T23:59:59.123Z" and a NUL. */
#define L7S_TIME_TEXT 25
#define L7S_TIME_LAST_MS ((uint64_t)253402300799999) /* 9999-12-31T23:59:59.999Z */
void l7s_time_text(uint64_t wall_ms, char out[L7S_TIME_TEXT]);

/* Reads RFC 3339 with any offset and fraction. Returns false when it is not one. */
bool l7s_time_parse(const char *text, uint64_t *wall_ms);

#endif
