/* SPDX-License-Identifier: Apache-2.0
 *
 * The rules of `consistency: strict`: one theoretical arrival time per limit and tuple
 * for the whole fleet, kept in the store and moved by compare-and-swap. Pure arithmetic
 * over numbers and the words of the question that a worker puts to whoever talks to the
 * store; no store, no clock, no waiting.
 *
 * The store's TAT stands on the wall clock (microseconds since 1970 times `requests`,
 * modulo 2^64), a slot's on the node's monotonic clock; what passes between the two is
 * how far it lies ahead of now, in the units of bucket.h. Nodes whose clocks differ share
 * one TAT that only moves forward, so together they admit no more than one limiter would
 * on the fastest of their clocks (at most skew times rate more, once per idle key).
 */
#ifndef L7S_STRICT_H
#define L7S_STRICT_H

#include "../hash.h"
#include "bucket.h"

#define L7S_STRICT_LIMITS 4
/* How long a request may wait for its verdicts, all of them together. */
#define L7S_STRICT_WAIT_US 5000

typedef struct {
    l7s_hash128_t key;
    l7s_rate_t rate;
    /* In: units in use as far as this node knows, for a store that lost its data. Out,
     * with a verdict: units in use in the fleet. */
    uint64_t used;
} l7s_strict_limit_t;

/* All limits of one policy: the request must conform to each of them. */
typedef struct {
    uint64_t deadline_us; /* monotonic, absolute */
    uint32_t cost;        /* tokens of each limit */
    uint32_t count;       /* of limits */
    l7s_strict_limit_t limits[L7S_STRICT_LIMITS];
} l7s_strict_question_t;

typedef enum {
    L7S_STRICT_MISSED = 0, /* no verdict in time: when_store_down decides */
    L7S_STRICT_ADMITTED,   /* charged in the store */
    L7S_STRICT_REFUSED,
    L7S_STRICT_ALONE /* a node without a store: its own counters are exact */
} l7s_strict_verdict_t;

/* Units of `tat` ahead of now, at least 0 and at most the debt limit. */
uint64_t l7s_strict_used(const l7s_rate_t *rate, uint64_t tat, uint64_t now_us);

/* Moves a slot's TAT forward to at least `used` units ahead of now. */
void l7s_strict_learn(const l7s_rate_t *rate, _Atomic uint64_t *tat, uint64_t now_us,
                      uint64_t used);

/* A TAT of the store at one moment of the wall clock. */
typedef struct {
    uint64_t tat;
    bool damaged; /* it lay further ahead than any node's clock explains */
} l7s_strict_tat_t;

/* What the store says; a TAT beyond the plausible becomes that of an empty bucket. */
l7s_strict_tat_t l7s_strict_found(const l7s_rate_t *rate, uint64_t stored,
                                  uint64_t wall_us);
/* The store has nothing under this name. */
l7s_strict_tat_t l7s_strict_absent(const l7s_rate_t *rate, uint64_t used,
                                   uint64_t wall_us);
/* Takes `cost` tokens; false: they do not conform, nothing changed. */
bool l7s_strict_take(const l7s_rate_t *rate, l7s_strict_tat_t *state, uint64_t wall_us,
                     uint32_t cost);

/* Time to live of a TAT in the store, as memcached wants it: seconds, or from 30 days on
 * a date. It outlives its own drain, whatever the clocks. */
uint64_t l7s_strict_ttl(const l7s_rate_t *rate, uint64_t tat, uint64_t wall_us);

/* Name of the TAT in memcached: 's' and 22 characters, keyed like the counters'. */
#define L7S_STRICT_NAME 24
void l7s_strict_name(const l7s_hashkey_t *name_key, l7s_hash128_t key,
                     char out[L7S_STRICT_NAME]);

#endif
