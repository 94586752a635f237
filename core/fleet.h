/* SPDX-License-Identifier: Apache-2.0
 *
 * How counters of many nodes become one limit: which local tokens to push, and what a
 * total read from the store means. Pure rules over numbers; the sync process and the
 * fleet simulation call the same functions.
 *
 * The store holds one cumulative number per (counter, bucket period). A bucket period is
 * two rate periods long and its boundary is staggered per key, so a number never needs a
 * reset. What others used since the last look is debited from the local bucket.
 */
#ifndef L7S_FLEET_H
#define L7S_FLEET_H

#include "bucket.h"
#include "hash.h"

/* The number of the bucket period that `wall_ms` lies in (never 0), and when it began. */
uint32_t l7s_fleet_period(const l7s_rate_t *rate, l7s_hash128_t key, uint64_t wall_ms,
                          uint64_t *began_ms);

/* Time to live of a period's number in the store, in seconds. */
uint32_t l7s_fleet_ttl_seconds(const l7s_rate_t *rate);

/* Must these pending tokens travel now? When they exceed a fair share of what is left
 * (headroom / (2 * nodes)), or are older than an eighth of the period. */
bool l7s_fleet_must_push(const l7s_rate_t *rate, uint32_t pending,
                         uint64_t pending_age_ms, uint32_t headroom, uint32_t live_nodes);

/* Tokens that wait although their age wants them to travel, because they have drained
 * here: may they be forgotten? Only when this node brings less than its share of the
 * rate: ten nodes at an eighth of a limit each are over it, though each bucket is always
 * full. */
bool l7s_fleet_is_light(const l7s_rate_t *rate, uint32_t pending, uint64_t pending_age_ms,
                        uint32_t live_nodes);

/* What a total means. `pushed`: our own tokens inside it since the last look. Returns the
 * tokens that others used and that must be debited here, at most one bucket.
 * `elapsed_ms`: since the number was begun (l7s_fleet_elapsed_ms); what drained in it is
 * forgiven at first sight. A total below the one last seen (eviction, restart) debits
 * nothing; neither does one of the period before the one in view. */
typedef struct {
    uint64_t total;  /* last seen */
    uint32_t period; /* in which; 0 = never */
} l7s_fleet_view_t;
uint64_t l7s_fleet_learn(const l7s_rate_t *rate, l7s_fleet_view_t *view, uint32_t period,
                         uint64_t total, uint32_t pushed, uint64_t elapsed_ms);

/* For how long the number of a period has been counting: since the period began, or, when
 * it was created later, since then. The store tells by the seconds that it has left to
 * live. Without this the first look at a flood that began in the middle of a period would
 * forgive what never was there. */
uint64_t l7s_fleet_elapsed_ms(const l7s_rate_t *rate, uint64_t since_period_ms,
                              uint64_t left_s);

/* Name of the number in memcached: 'c' and 22 characters; keyed, so that nobody without
 * the secret can find or aim at a counter. */
#define L7S_COUNTER_NAME 24
void l7s_fleet_counter_name(const l7s_hashkey_t *name_key, l7s_hash128_t key,
                            uint32_t period, char out[L7S_COUNTER_NAME]);

#endif
