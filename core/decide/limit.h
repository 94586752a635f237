/* SPDX-License-Identifier: Apache-2.0
 *
 * The counter of a limit, whatever it is: a bucket that gives back (bucket.h) or a tally
 * (tally.h). For those who deal with all limits alike; who decides about a request knows
 * which it is.
 */
#ifndef L7S_LIMIT_H
#define L7S_LIMIT_H

#include "../image/image.h"
#include "../segment/table.h"

/* The word of a counter in which nothing is in use. */
uint64_t l7s_limit_fresh(const l7s_image_limit_t *limit, uint64_t now_us);

/* Is nothing in use? Then the slot tells no more than an absent one. */
bool l7s_limit_drained(const l7s_image_limit_t *limit, uint64_t word, uint64_t now_us);

/* How many tokens are in use: up to two buckets, or what a tally counts. */
uint32_t l7s_limit_used(const l7s_image_limit_t *limit, uint64_t word, uint64_t now_us);

/* How many more until the bucket is empty; of a tally, until it says something new: until
 * there are enough, or a quarter more. */
uint32_t l7s_limit_headroom(const l7s_image_limit_t *limit, uint64_t word,
                            uint64_t now_us);

#endif
