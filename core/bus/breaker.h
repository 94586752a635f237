/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a server that failed is left alone: 100 ms, twice as long after each failure,
 * up to a maximum. Who asks it then asks once, and closes the breaker when it answers.
 */
#ifndef L7S_BREAKER_H
#define L7S_BREAKER_H

#include <stdbool.h>
#include <stdint.h>

#define L7S_BREAKER_MIN_MS 100

/* Zeroed: closed. */
typedef struct {
    uint32_t pause_ms; /* 0 while closed */
    uint64_t open_until_ms;
} l7s_breaker_t;

static inline void l7s_breaker_trip(l7s_breaker_t *breaker, uint64_t now_ms,
                                    uint32_t max_ms)
{
    uint32_t pause_ms = breaker->pause_ms * 2;

    pause_ms = pause_ms > L7S_BREAKER_MIN_MS ? pause_ms : L7S_BREAKER_MIN_MS;
    breaker->pause_ms = pause_ms < max_ms ? pause_ms : max_ms;
    breaker->open_until_ms = now_ms + breaker->pause_ms;
}

/* A clock that was set back must not keep it open for ever. */
static inline bool l7s_breaker_is_open(const l7s_breaker_t *breaker, uint64_t now_ms)
{
    return now_ms < breaker->open_until_ms &&
           breaker->open_until_ms - now_ms <= breaker->pause_ms;
}

static inline void l7s_breaker_close(l7s_breaker_t *breaker)
{
    *breaker = (l7s_breaker_t){.pause_ms = 0};
}

#endif
