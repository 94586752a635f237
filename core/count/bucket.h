/* SPDX-License-Identifier: Apache-2.0
 *
 * One rate limit: GCRA in its virtual-scheduling form (ITU-T I.371, annex A). The state
 * is a single 64-bit word, the theoretical arrival time (TAT), so a decision is one
 * compare-and-swap.
 *
 * Exactness: TAT is kept in units of 1/requests microseconds. One request then costs
 * exactly period_us units and one microsecond gives back exactly `requests` units: no
 * division, no remainder to lose. The product now_us * requests wraps modulo 2^64 and
 * only differences are used (as signed numbers), which is sound while (requests + burst)
 * * period_us < 2^62 (l7s_rate_valid) and an idle slot is released long before 2^63 /
 * requests microseconds (106 days at a million requests) have passed.
 *
 * Nothing here reads a clock, locks or allocates.
 */
#ifndef L7S_BUCKET_H
#define L7S_BUCKET_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

typedef struct {
    uint32_t requests; /* tokens given back per period, at least 1 */
    uint32_t burst;    /* capacity of the bucket in tokens, at least 1 */
    uint64_t period_us;
} l7s_rate_t;

bool l7s_rate_valid(const l7s_rate_t *rate);

/* TAT of a bucket that is full (nothing used): the value of a new slot. */
uint64_t l7s_bucket_fresh(const l7s_rate_t *rate, uint64_t now_us);

/* Would `cost` tokens conform? Changes nothing. */
bool l7s_bucket_conforms(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us,
                         uint32_t cost);

/* Takes `cost` tokens if they conform. False: nothing was taken. */
bool l7s_bucket_take(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                     uint32_t cost);

/* Gives back what l7s_bucket_take took a moment ago. Never above a full bucket. */
void l7s_bucket_refund(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                       uint32_t cost);

/* Charges what is known only afterwards (bytes, other nodes' requests) without asking.
 * The bucket may go into debt; debt saturates at one period (`requests` tokens). */
void l7s_bucket_debit(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                      uint64_t tokens);

/* What is in use now, in units of 1/requests microseconds (period_us per token): 0 for a
 * full bucket, more than burst tokens for one in debt. */
uint64_t l7s_bucket_used(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us);

/* For how long nothing has been in use, in milliseconds; 0 when something is. */
uint64_t l7s_bucket_idle_ms(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us);

/* Whole tokens that would still be admitted now: 0…burst. */
uint32_t l7s_bucket_headroom(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us);

/* True when nothing is in use: the slot tells no more than an absent one. */
bool l7s_bucket_drained(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us);

/* Microseconds until `cost` tokens conform; 0 when they do now. */
uint64_t l7s_bucket_wait_us(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us,
                            uint32_t cost);

#endif
