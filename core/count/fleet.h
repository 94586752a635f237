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

#include "../hash.h"
#include "bucket.h"

/* The number of the bucket period that `wall_ms` lies in (never 0), and when it began. */
uint32_t l7s_fleet_period(const l7s_rate_t *rate, l7s_hash128_t key, uint64_t wall_ms,
                          uint64_t *began_ms);

/* Time to live of a period's number in the store, in seconds. */
uint32_t l7s_fleet_ttl_seconds(const l7s_rate_t *rate);

/* Is a key that may still use `headroom` tokens near its limit: has it used more than an
 * eighth of its bucket? Near it, numbers are exact and fresh; far from it, cheap. */
bool l7s_fleet_is_near(const l7s_rate_t *rate, uint32_t headroom);

/* Must these pending tokens travel now? When they exceed a fair share of what is left
 * (headroom / (2 * nodes)), or are older than an eighth of the period (a fifth far from
 * the limit). */
bool l7s_fleet_must_push(const l7s_rate_t *rate, uint32_t pending,
                         uint64_t pending_age_ms, uint32_t headroom, uint32_t live_nodes);

/* How many tokens travel for `pending` ones: whole parcels, rounded up or down by `dice`
 * (any 64 random bits) so that on the average it is `pending`. A large fleet sees few
 * requests of a key at each node; parcels let most of them go without a word and keep the
 * sum right. 0: nothing travels and the tokens are forgotten. */
uint32_t l7s_fleet_parcel(const l7s_rate_t *rate, uint32_t pending, uint32_t headroom,
                          uint32_t live_nodes, uint64_t dice);

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
    /* Costs that are known afterwards: buckets may be in debt, here as where they were
     * charged. Such a look debits at most one bucket and one period. */
    bool may_owe;
} l7s_fleet_view_t;
uint64_t l7s_fleet_learn(const l7s_rate_t *rate, l7s_fleet_view_t *view, uint32_t period,
                         uint64_t total, uint32_t pushed, uint64_t elapsed_ms);

/* News: what one node tells all others about a key near its limit, so that they need not
 * ask, and know it before its first request reaches them. */
typedef struct {
    uint64_t total;  /* of the number, seen by the teller */
    uint64_t used;   /* of the teller's bucket then, see l7s_bucket_used */
    uint64_t age_ms; /* since it was told */
    uint32_t period;
} l7s_fleet_news_t;

/* Is it worth telling? When the total has moved by a twelfth of the bucket since this key
 * was last told or heard of here, or when that was two seconds ago. */
bool l7s_fleet_must_tell(const l7s_rate_t *rate, uint32_t headroom, uint64_t moved,
                         uint64_t silent_ms);

/* What news mean for a bucket with `used` in use and `pending` tokens not yet pushed:
 * returns the tokens to debit, at most one bucket. Older news than the view say nothing.
 * A node that had not seen the number before takes over what the teller's bucket says. */
uint64_t l7s_fleet_hear(const l7s_rate_t *rate, l7s_fleet_view_t *view,
                        const l7s_fleet_news_t *news, uint32_t pending, uint64_t used);

/* How long a node lets pass between two looks at a key that it did not push: together the
 * nodes look about every two seconds, which spares the number from memcached's eviction.
 */
uint64_t l7s_fleet_look_interval_ms(uint32_t live_nodes);

/* What is left to debit of the tokens that others used since the last look, when that was
 * long ago: our bucket gave back for `idle_ms` of that time what they cannot have kept.
 * After a short time nothing is forgiven, since they may have used it a moment ago. */
uint64_t l7s_fleet_undrained(const l7s_rate_t *rate, uint64_t others, uint64_t idle_ms);

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
