/* SPDX-License-Identifier: Apache-2.0
 *
 * See tally.h. All times are whole milliseconds of the same clock: one that threads read
 * a moment apart, so a window that has just begun may be met by somebody who is not there
 * yet. Such a one counts in it.
 */
#include "tally.h"

#define COUNT_BITS 26
#define NUMBER_BITS 12
#define NUMBERS (1u << NUMBER_BITS)
#define BEHIND 4 /* windows by which a clock may be, at most */

typedef struct {
    uint32_t number, before, running;
} windows_t;

static inline windows_t unpack(uint64_t word)
{
    return (windows_t){.number = (uint32_t)(word >> 2 * COUNT_BITS),
                       .before = (uint32_t)(word >> COUNT_BITS) & L7S_TALLY_MAX,
                       .running = (uint32_t)word & L7S_TALLY_MAX};
}

static inline uint64_t pack(windows_t windows)
{
    return (uint64_t)windows.number << 2 * COUNT_BITS |
           (uint64_t)windows.before << COUNT_BITS | windows.running;
}

/* The windows of `word` as they are by now; *into_ms: so much of the running one is over.
 */
static inline windows_t windows_at(uint32_t seconds, uint64_t word, uint64_t now_us,
                                   uint64_t *into_ms)
{
    uint64_t period_ms = seconds * 1000ULL, now_ms = now_us / 1000;
    uint32_t number = (uint32_t)(now_ms / period_ms) & (NUMBERS - 1);
    windows_t windows = unpack(word);
    uint32_t passed = (number - windows.number) & (NUMBERS - 1);

    *into_ms = now_ms % period_ms;
    if (passed >= NUMBERS - BEHIND && (windows.before | windows.running) != 0) {
        *into_ms = 0; /* it has not begun where this clock is read */
        return windows;
    }
    if (passed > 0) {
        windows.before = passed == 1 ? windows.running : 0;
        windows.running = 0;
        windows.number = number;
    }
    return windows;
}

void l7s_tally_add(uint32_t seconds, _Atomic uint64_t *word, uint64_t now_us,
                   uint64_t count)
{
    uint64_t seen = atomic_load_explicit(word, memory_order_relaxed), into_ms;
    windows_t windows;

    do {
        windows = windows_at(seconds, seen, now_us, &into_ms);
        windows.running = count < L7S_TALLY_MAX - windows.running
                              ? windows.running + (uint32_t)count
                              : L7S_TALLY_MAX;
    } while (!atomic_compare_exchange_weak_explicit(
        word, &seen, pack(windows), memory_order_relaxed, memory_order_relaxed));
}

uint64_t l7s_tally_weight(uint32_t seconds, uint64_t word, uint64_t now_us)
{
    uint64_t period_ms = seconds * 1000ULL, into_ms;
    windows_t windows = windows_at(seconds, word, now_us, &into_ms);

    return windows.running * period_ms + windows.before * (period_ms - into_ms);
}

uint32_t l7s_tally_count(uint32_t seconds, uint64_t word, uint64_t now_us)
{
    uint64_t period_ms = seconds * 1000ULL;

    return (uint32_t)((l7s_tally_weight(seconds, word, now_us) + period_ms - 1) /
                      period_ms);
}

bool l7s_tally_drained(uint32_t seconds, uint64_t word, uint64_t now_us)
{
    return l7s_tally_weight(seconds, word, now_us) == 0;
}

bool l7s_tally_is_full(uint64_t word)
{
    windows_t windows = unpack(word);

    return windows.running == L7S_TALLY_MAX || windows.before == L7S_TALLY_MAX;
}
