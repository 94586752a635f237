/* SPDX-License-Identifier: Apache-2.0
 *
 * A fleet on a fake clock: one key on up to 1,000 nodes with 100 ms ticks, a store and
 * the news between them, beside one exact limiter that sees every request. It calls
 * core's own bucket and fleet rules; the other rules it knows are there to be compared.
 * Deterministic: the same seed gives the same figures. Unit test and benchmark share it.
 *
 * Left out: the time that an exchange takes (well under a tick), lost messages, the
 * number of keys: every piece of news is counted as if it travelled alone.
 */
#ifndef FLEET_MODEL_H
#define FLEET_MODEL_H

#include "../../core/count/fleet.h"

#define FLEET_NODES_MAX 1000

typedef struct {
    const char *name;
    bool alone;        /* every node counts for itself */
    bool lean;         /* core's rules on age and looks; else as they were before */
    bool news;         /* near its limit a key is told to all */
    bool parcels;      /* tokens travel in parcels */
    bool poll;         /* near its limit a key is read at each tick */
    bool verdict;      /* a share below one token waits for the store */
    bool proportional; /* drop in proportion to the fleet's demand */
} fleet_rule_t;

extern const fleet_rule_t fleet_rules[];
extern const size_t fleet_rules_count;
extern const fleet_rule_t *const fleet_rule_product; /* what l7shield-sync does */

/* A source of Poisson arrivals, each at a random node: `load` times the limit; with
 * `on_s` > 0 only in bursts of that mean length, three times as long apart. */
typedef struct {
    const fleet_rule_t *rule;
    l7s_rate_t rate;
    unsigned nodes;
    double load, on_s, seconds;
} fleet_source_t;

typedef struct {
    uint64_t requests, exact, fleet; /* asked, and admitted by either */
    uint64_t over, under;            /* admitted too many, too few; summed per source */
    uint64_t operations, news;
    uint64_t bytes;         /* commands and answers, news to every node included */
    uint64_t light;         /* requests of sources that stay below half the limit */
    uint64_t light_refused; /* of these, refused */
} fleet_figures_t;

typedef struct fleet_model fleet_model_t;

fleet_model_t *fleet_model_create(uint64_t seed); /* NULL: no memory */
void fleet_model_free(fleet_model_t *model);

/* Adds what the source met to `figures`. */
void fleet_model_run(fleet_model_t *model, const fleet_source_t *source,
                     fleet_figures_t *figures);

/* A log-normal population of `sources` (median 0.2 times the limit), half of them bursty,
 * for two minutes each. */
void fleet_model_population(fleet_model_t *model, const fleet_rule_t *rule,
                            const l7s_rate_t *rate, unsigned nodes, unsigned sources,
                            fleet_figures_t *figures);

#endif
