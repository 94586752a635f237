/* SPDX-License-Identifier: Apache-2.0
 *
 * A node's counters with nobody around them: a store and the other nodes' news are arrays
 * here, in memcached's and the bus' place, and the clock is a number. Links to the real
 * counters and everything that they consist of.
 */
#ifndef TEST_SYNC_COUNTERS_FIXTURE_H
#define TEST_SYNC_COUNTERS_FIXTURE_H

#include "../../core/bus/meta.h"
#include "../../mod_l7shield/sync/counters.h"
#include "../../mod_l7shield/sync/news.h"
#include "unit.h"

/* ---- the store ---- */

#define FIXTURE_STORE 16

typedef struct {
    char key[L7S_COUNTER_NAME];
    uint64_t value;
} fixture_number_t;

extern fixture_number_t store[FIXTURE_STORE];
extern size_t store_count, operations;
extern l7s_meta_status_t outcome; /* of every operation */
extern bool lost_answer;          /* applied, and nobody hears of it */
extern bool up;                   /* what fails has just not been asked */
extern bool keyless;              /* the bus is not known yet */

/* The number of this name, made if need be. */
uint64_t *number_of(const char *key);
/* The sum of all. */
uint64_t stored(void);

/* ---- the news: what other nodes told, and what was told here ---- */

#define FIXTURE_NEWS 16

extern sync_news_item_t heard[FIXTURE_NEWS], told[FIXTURE_NEWS];
extern size_t heard_count, told_count;

/* ---- the bench ---- */

typedef struct {
    void *memory, *image_memory;
    l7s_shared_t shared;
    const l7s_image_t *image;
    sync_counters_t *counters;
    l7s_now_t now;
    l7s_cidr_t client;
} bench_t;

/* Two live nodes. Limits of 100 requests in 10 s ("shared"), 50 ("own": of the node), 70
 * ("wide": by network), and a share of 80 % of at least 40 answers. */
int set_up(void **state);
int tear_down(void **state);
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

/* The limit that gives back so many requests per period. */
const l7s_image_limit_t *limit_of(const bench_t *bench, uint32_t requests);
l7s_hash128_t key_of(const bench_t *bench, const l7s_image_limit_t *limit);

/* What a worker does with `tokens` admitted requests. */
l7s_slot_t *take(const bench_t *bench, uint32_t requests, uint32_t tokens);
/* Of the limit of 100. */
uint32_t headroom(const bench_t *bench, const l7s_slot_t *slot);

void pass(bench_t *bench, uint64_t ms);
/* One tick, and the time until the next. */
void tick(bench_t *bench);

#endif
