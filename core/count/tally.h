/* SPDX-License-Identifier: Apache-2.0
 *
 * How often something happened within the last period: two windows of a period each, the
 * running one and the one before, of which the share still counts that the period reaches
 * back into. A bucket gives back all the time and so makes few look like none; a tally
 * loses nothing before a period has passed, and holds nothing after two.
 *
 * The state is a single 64-bit word, so counting is one compare-and-swap:
 *
 *   | number of the running window: 12 bits | before it: 26 bits | in it: 26 bits |
 *
 * Windows are told apart modulo 4,096, which hardly a slot lives through idle. A window
 * holds 67 million; more are not counted, and l7s_tally_is_full says so.
 *
 * Nothing here reads a clock, locks or allocates.
 */
#ifndef L7S_TALLY_H
#define L7S_TALLY_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#define L7S_TALLY_MAX ((1u << 26) - 1) /* in one window */
#define L7S_TALLY_SECONDS_MAX 3600     /* of a period */

/* The word of a tally in which nothing has been counted. */
#define L7S_TALLY_FRESH 0

void l7s_tally_add(uint32_t seconds, _Atomic uint64_t *word, uint64_t now_us,
                   uint64_t count);

/* What counts now, times the period in milliseconds: so it is exact. Below 2^49. */
uint64_t l7s_tally_weight(uint32_t seconds, uint64_t word, uint64_t now_us);

/* The same as a whole number, rounded up: 0 only when nothing counts. */
uint32_t l7s_tally_count(uint32_t seconds, uint64_t word, uint64_t now_us);

/* Nothing counts any more. */
bool l7s_tally_drained(uint32_t seconds, uint64_t word, uint64_t now_us);

/* Something was not counted for want of room. */
bool l7s_tally_is_full(uint64_t word);

#endif
