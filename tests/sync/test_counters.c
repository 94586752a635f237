/* SPDX-License-Identifier: Apache-2.0
 *
 * What travels and what comes back: one slot, a store in this file in memcached's place,
 * a fake clock. The rules themselves are tested with fleet.h; here it is their wiring.
 */
#include "../../core/bus/meta.h"
#include "../../core/decide/share.h"
#include "../../core/json/compile.h"
#include "../../mod_l7shield/sync/counters.h"
#include "../../mod_l7shield/sync/news.h"
#include "../core/seeded.h"
#include "unit.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SEGMENT_SIZE L7S_SEGMENT_SIZE_MIN
#define STORE 16

/* ---- the store ---- */

static struct {
    char key[L7S_COUNTER_NAME];
    uint64_t value;
} store[STORE];
static size_t store_count, operations;
static l7s_meta_status_t outcome;
static bool lost_answer; /* applied, and nobody hears of it */
static bool up;          /* what fails has just not been asked */

static uint64_t *number_of(const char *key)
{
    for (size_t i = 0; i < store_count; i++) {
        if (strcmp(store[i].key, key) == 0) {
            return &store[i].value;
        }
    }
    assert_true(store_count < STORE);
    strcpy(store[store_count].key, key);
    store[store_count].value = 0;
    return &store[store_count++].value;
}

void l7s_meta_run(l7s_meta_t *meta, l7s_meta_op_t *ops, size_t count, unsigned budget_ms,
                  uint64_t now_ms)
{
    (void)meta;
    (void)budget_ms;
    (void)now_ms;
    for (size_t i = 0; i < count; i++) {
        operations++;
        ops[i].status = outcome;
        if (outcome == L7S_META_OK || lost_answer) {
            uint64_t *number = number_of(ops[i].key);
            bool seeds = *number == 0 && ops[i].seed > ops[i].delta;
            *number += seeds ? ops[i].seed : ops[i].delta;
            ops[i].value = *number;
        }
    }
}

l7s_status_t l7s_meta_create(const char *const *servers, size_t count, l7s_meta_t **out)
{
    (void)servers;
    (void)count;
    *out = malloc(1);
    return L7S_OK;
}

void l7s_meta_free(l7s_meta_t *meta)
{
    free(meta);
}

bool l7s_meta_up(const l7s_meta_t *meta, size_t server)
{
    (void)meta;
    (void)server;
    return up;
}

const l7s_hashkey_t *sync_bus_name_key(const sync_bus_t *bus)
{
    static const l7s_hashkey_t key = {3, 4};
    (void)bus;
    return &key;
}

l7s_pool_t *sync_bus_pool(const sync_bus_t *bus)
{
    (void)bus;
    return NULL;
}

unsigned sync_bus_time_left_ms(const sync_bus_t *bus)
{
    (void)bus;
    return 50;
}

bool sync_bus_rests(const sync_bus_t *bus)
{
    (void)bus;
    return false;
}

size_t l7s_pool_route(const l7s_pool_t *pool, const char *name)
{
    (void)pool;
    (void)name;
    return 0;
}

/* ---- the news: what other nodes told, and what was told here ---- */

#define NEWS 16

static sync_news_item_t heard[NEWS], told[NEWS];
static size_t heard_count, told_count;

l7s_status_t sync_news_create(sync_bus_t *bus, sync_news_t **out)
{
    (void)bus;
    *out = malloc(1);
    heard_count = told_count = 0;
    return L7S_OK;
}

void sync_news_free(sync_news_t *news)
{
    free(news);
}

void sync_news_read(sync_news_t *news, l7s_now_t now, sync_news_fn hear, void *context)
{
    (void)news;
    (void)now;
    for (size_t i = 0; i < heard_count; i++) {
        hear(context, &heard[i]);
    }
    heard_count = 0;
}

bool sync_news_add(sync_news_t *news, const sync_news_item_t *item, uint32_t live_nodes,
                   l7s_now_t now)
{
    (void)news;
    (void)live_nodes;
    (void)now;
    if (told_count < NEWS) {
        told[told_count++] = *item;
    }
    return true;
}

void sync_news_tell(sync_news_t *news, l7s_now_t now)
{
    (void)news;
    (void)now;
}

/* ---- the bench ---- */

static const char policies[] =
    "{\"policies\":[{\"name\":\"shared\",\"detect\":{\"rate\":{\"requests\":100,"
    "\"per_seconds\":10}},\"action\":{\"throttle\":{}}},"
    "{\"name\":\"own\",\"scope\":\"node\",\"detect\":{\"rate\":{\"requests\":50,"
    "\"per_seconds\":10}},\"action\":{\"throttle\":{}}},"
    "{\"name\":\"wide\",\"count\":{\"by\":[\"network\"]},\"detect\":{\"rate\":{"
    "\"requests\":70,\"per_seconds\":10}},\"action\":{\"throttle\":{}}},"
    "{\"name\":\"share\",\"detect\":{\"ratio\":{\"percent\":80,\"min_requests\":40,"
    "\"per_seconds\":10}},\"action\":{\"throttle\":{}}}]}";

static const l7s_hashkey_t count_key = {1, 2};

typedef struct {
    void *memory, *image_memory;
    l7s_shared_t shared;
    const l7s_image_t *image;
    sync_counters_t *counters;
    l7s_now_t now;
    l7s_cidr_t client;
} bench_t;

static const l7s_image_t *compile(bench_t *bench)
{
    json_t *document = json_loads(policies, 0, NULL);
    l7s_config_t *config = NULL;
    size_t size = 0, capacity = 1 << 20;
    uint64_t next = 0;

    assert_int_equal(l7s_config_parse(document, NULL, &config), L7S_OK);
    bench->image_memory = aligned_alloc(4096, capacity);
    assert_int_equal(l7s_image_compile(config, &count_key, 1, 1, NULL,
                                       bench->image_memory, capacity, &size, &next),
                     L7S_OK);
    l7s_config_free(config);
    json_decref(document);
    return l7s_image_check(bench->image_memory, size);
}

static int set_up(void **state)
{
    static const uint8_t random[48] = {7};
    static sync_options_t options = {.server_count = 1};
    bench_t *bench = calloc(1, sizeof *bench);

    bench->memory = aligned_alloc(4096, SEGMENT_SIZE);
    memset(bench->memory, 0, SEGMENT_SIZE);
    if (l7s_segment_format(bench->memory, SEGMENT_SIZE, random) != L7S_OK ||
        l7s_segment_attach(bench->memory, SEGMENT_SIZE, &bench->shared) != L7S_OK) {
        return -1;
    }
    bench->image = compile(bench);
    /* 10 s into a bucket period of 20 s, wherever the key's stagger puts it. */
    bench->now = (l7s_now_t){.mono_us = 1000000000, .wall_ms = 1700000000000};
    l7s_addr_t address;
    l7s_addr_parse("192.0.2.1", &address);
    bench->client = l7s_addr_client(&address);
    atomic_store(&bench->shared.header->live_nodes, 2);
    memset(store, 0, sizeof store);
    store_count = operations = 0;
    outcome = L7S_META_OK;
    lost_answer = up = false;
    *state = bench;
    /* Any pointer will do: every function that gets it stands above. */
    return sync_counters_create(&bench->shared, (sync_bus_t *)bench, &options,
                                &bench->counters) == L7S_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_counters_free(bench->counters);
    free(bench->memory);
    free(bench->image_memory);
    free(bench);
    return 0;
}

/* The limit that gives back so many requests per period. */
static const l7s_image_limit_t *limit_of(const bench_t *bench, uint32_t requests)
{
    uint32_t count = 0;
    const l7s_image_limit_t *limits = l7s_image_limits(bench->image, &count);

    for (uint32_t i = 0; i < count; i++) {
        if (limits[i].rate.requests == requests) {
            return &limits[i];
        }
    }
    fail_msg("no such limit");
    return NULL;
}

static l7s_hash128_t key_of(const bench_t *bench, const l7s_image_limit_t *limit)
{
    l7s_cidr_t network = {l7s_addr_mask(&bench->client.base, 120), 120};

    return l7s_hash128_xor(
        l7s_key_digest_cidr(&count_key,
                            limit->by_network ? L7S_PART_NETWORK : L7S_PART_CLIENT,
                            limit->by_network ? &network : &bench->client),
        limit->identity);
}

/* What a worker does with `tokens` admitted requests. */
static l7s_slot_t *take(const bench_t *bench, uint32_t requests, uint32_t tokens)
{
    const l7s_image_limit_t *limit = limit_of(bench, requests);
    l7s_slot_t *slot = l7s_table_claim(&bench->shared.table, key_of(bench, limit),
                                       limit->id, &limit->rate, bench->now);

    assert_non_null(slot);
    for (uint32_t i = 0; i < tokens; i++) {
        assert_true(l7s_bucket_take(&limit->rate, &slot->tat, bench->now.mono_us, 1));
        l7s_table_mark(&bench->shared.table, slot, 1, bench->now);
    }
    return slot;
}

static void pass(bench_t *bench, uint64_t ms)
{
    bench->now.mono_us += ms * 1000;
    bench->now.wall_ms += ms;
}

static void tick(bench_t *bench)
{
    sync_counters_tick(bench->counters, bench->image, bench->now);
    pass(bench, 100);
}

static uint32_t headroom(const bench_t *bench, const l7s_slot_t *slot)
{
    const l7s_image_limit_t *limit = limit_of(bench, 100);

    return l7s_bucket_headroom(&limit->rate, atomic_load(&slot->tat), bench->now.mono_us);
}

static uint64_t stored(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < store_count; i++) {
        sum += store[i].value;
    }
    return sum;
}

/* ---- tests ---- */

static void test_counters_tell_and_hear_of_a_key_near_its_limit(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].what.total, 60);
    heard[0] = told[0];
    heard[0].what.total += 15; /* another node's part of it */
    heard_count = 1;
    uint32_t before = headroom(bench, slot);
    tick(bench);
    assert_in_range(headroom(bench, slot), before - 15, before - 13);
}

static void test_counters_light_source_never_travels(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 1);

    for (unsigned i = 0; i < 30; i++) {
        tick(bench);
    }
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 0);
}

static void test_counters_heavy_key_travels_and_pays_for_others(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    assert_int_equal(stored(), 60);
    assert_int_equal(atomic_load(&slot->pending), 0);
    uint32_t before = headroom(bench, slot);
    store[0].value += 25;
    take(bench, 100, 10);
    pass(bench, 1300); /* 14 tokens come back */
    tick(bench);
    assert_int_equal(stored(), 95);
    assert_in_range(headroom(bench, slot), before - 10 - 25 + 13, before - 10 - 25 + 15);
}

static void test_counters_what_could_not_leave_is_put_back(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    outcome = L7S_META_FAILED;
    for (unsigned i = 0; i < 3; i++) {
        tick(bench);
        assert_in_range(atomic_load(&slot->pending), 58, 60);
    }
    outcome = L7S_META_OK;
    tick(bench);
    assert_in_range(stored(), 58, 60); /* the others have drained */
    assert_int_equal(atomic_load(&slot->pending), 0);
}

static void test_counters_what_had_no_time_left_waits_without_a_charge(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    outcome = L7S_META_FAILED;
    up = true;
    uint32_t before = headroom(bench, slot);
    tick(bench);
    assert_int_equal(atomic_load(&slot->pending), 60);
    assert_in_range(headroom(bench, slot), before, before + 1);
    outcome = L7S_META_OK;
    tick(bench);
    assert_int_equal(stored(), 60);
}

static void test_counters_after_an_outage_only_what_is_in_use_travels(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    outcome = L7S_META_FAILED;
    tick(bench);
    uint32_t taken = 0;
    for (unsigned i = 0; i < 200; i++) { /* 20 s, asking all the time */
        while (headroom(bench, slot) > 0) {
            take(bench, 100, 1);
            taken++;
        }
        tick(bench);
    }
    assert_in_range(taken, 85, 105); /* half of 10 a second: the other node has half */
    assert_in_range(atomic_load(&slot->pending), 48, 53);
    outcome = L7S_META_OK;
    tick(bench);
    assert_in_range(stored(), 48, 53);
}

static void test_counters_of_a_killed_process_are_not_charged_again(void **state)
{
    bench_t *bench = *state;
    sync_options_t options = {.server_count = 1};
    l7s_slot_t *slot = take(bench, 100, 40);

    outcome = L7S_META_FAILED;
    tick(bench);
    tick(bench);
    uint32_t before = headroom(bench, slot);
    assert_in_range(before, 20, 22); /* twice 40 */
    for (unsigned i = 0; i < 3; i++) {
        sync_counters_free(bench->counters);
        assert_int_equal(sync_counters_create(&bench->shared, (sync_bus_t *)bench,
                                              &options, &bench->counters),
                         L7S_OK);
        tick(bench);
    }
    assert_in_range(headroom(bench, slot), before, before + 4);
    take(bench, 100, 10);
    tick(bench);
    assert_in_range(headroom(bench, slot), before - 20, before - 20 + 5);
}

static void test_counters_after_an_outage_others_are_paid_for_once(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 40);

    tick(bench);
    assert_int_equal(stored(), 40);
    outcome = L7S_META_FAILED;
    take(bench, 100, 20);
    tick(bench);
    uint32_t before = headroom(bench, slot);
    assert_in_range(before, 20, 22); /* 40, and twice 20 */
    outcome = L7S_META_OK;
    tick(bench);
    assert_in_range(stored(), 59, 60);
    store[0].value += 20; /* the other node used as many */
    take(bench, 100, 6);
    pass(bench, 1300);
    tick(bench);
    before = headroom(bench, slot);
    assert_in_range(before, 20 - 6 + 14, 22 - 6 + 17);
    store[0].value += 20; /* and more, afterwards */
    take(bench, 100, 6);
    pass(bench, 1300);
    tick(bench);
    assert_in_range(headroom(bench, slot), before - 26 + 13, before - 26 + 16);
}

static void test_counters_a_lost_number_begins_with_what_is_in_use(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    assert_int_equal(stored(), 60);
    store_count = 0; /* flushed */
    take(bench, 100, 10);
    uint32_t before = headroom(bench, slot);
    pass(bench, 1300);
    tick(bench);
    assert_in_range(stored(), 54, 60); /* 70 less what has drained */
    assert_in_range(headroom(bench, slot), before + 13, before + 15);
}

static void test_counters_unknown_outcome_is_not_sent_again(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 40);

    tick(bench);
    assert_int_equal(stored(), 40);
    take(bench, 100, 30);
    outcome = L7S_META_UNKNOWN;
    lost_answer = true;
    tick(bench);
    assert_int_equal(stored(), 70);
    assert_int_equal(atomic_load(&slot->pending), 0);
    uint32_t before = headroom(bench, slot);
    outcome = L7S_META_OK;
    take(bench, 100, 10);
    pass(bench, 1300);
    tick(bench);
    assert_int_equal(stored(), 80);
    assert_in_range(headroom(bench, slot), before - 10 + 13, before - 10 + 15);
}

static void test_counters_both_numbers_are_read_after_a_rollover(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 100, 60);

    tick(bench);
    uint32_t period = atomic_load(&slot->period);
    const l7s_image_limit_t *limit = limit_of(bench, 100);
    uint64_t began_ms;
    while (l7s_fleet_period(&limit->rate, l7s_slot_key(slot), bench->now.wall_ms,
                            &began_ms) == period) {
        pass(bench, 100);
        if (headroom(bench, slot) > 50) {
            take(bench, 100, 1);
        }
    }
    uint64_t own = 60 + atomic_load(&slot->pending);
    store[0].value += 20; /* others, to the old number, after our last look */
    uint32_t before = headroom(bench, slot);
    size_t asked = operations;
    tick(bench);
    assert_in_range(operations - asked, 2, 4); /* it may be read for its guard as well */
    assert_int_equal(atomic_load(&slot->period), period + 1);
    assert_true(headroom(bench, slot) <= before - 20 + 2);
    assert_true(stored() <= own + 20);
}

static void test_counters_of_the_node_stay_here(void **state)
{
    bench_t *bench = *state;
    l7s_slot_t *slot = take(bench, 50, 50);

    tick(bench);
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 0);
    slot = take(bench, 100, 50);
    sync_counters_tick(bench->counters, NULL, bench->now);
    assert_int_equal(operations, 0);
    assert_int_equal(atomic_load(&slot->pending), 0);
}

/* Two nodes look every four seconds each, the first time somewhere within four. */
static void test_counters_in_use_are_read_now_and_then_until_they_drain(void **state)
{
    bench_t *bench = *state;

    take(bench, 100, 60); /* drains within 6 s */
    for (unsigned i = 0; i < 55; i++) {
        tick(bench);
    }
    assert_in_range(operations, 2, 3);
    size_t before = operations;
    for (unsigned i = 0; i < 50; i++) {
        tick(bench);
    }
    assert_in_range(operations - before, 0, 1);
}

static void test_counters_near_the_limit_are_told_when_they_moved(void **state)
{
    bench_t *bench = *state;
    const l7s_image_limit_t *limit = limit_of(bench, 100);

    take(bench, 100, 60);
    tick(bench);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].key.lo, key_of(bench, limit).lo);
    assert_int_equal(told[0].key.hi, key_of(bench, limit).hi);
    assert_int_equal(told[0].limit, limit->id);
    assert_int_equal(told[0].what.total, 60);
    assert_int_equal(told[0].what.used, 60 * limit->rate.period_us);
    take(bench, 100, 7);
    tick(bench); /* too little yet */
    take(bench, 100, 8);
    tick(bench);
    assert_int_equal(told_count, 2);
    assert_in_range(told[1].what.total, 68, 75);
}

static sync_news_item_t news_of(const bench_t *bench, uint64_t total, uint64_t used)
{
    const l7s_image_limit_t *limit = limit_of(bench, 100);
    l7s_hash128_t key = key_of(bench, limit);
    uint64_t began_ms;

    return (sync_news_item_t){
        .key = key,
        .limit = limit->id,
        .what = {.total = total,
                 .used = used * limit->rate.period_us,
                 .period =
                     l7s_fleet_period(&limit->rate, key, bench->now.wall_ms, &began_ms)}};
}

static void test_counters_heard_of_are_made_and_charged(void **state)
{
    bench_t *bench = *state;
    const l7s_hash128_t key = key_of(bench, limit_of(bench, 100));

    assert_null(l7s_table_find(&bench->shared.table, key));
    heard[0] = news_of(bench, 900, 70);
    heard[1] = news_of(bench, 905, 75);
    heard_count = 2;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    l7s_slot_t *slot = l7s_table_find(&bench->shared.table, key);
    assert_non_null(slot);
    assert_int_equal(headroom(bench, slot), 25);
    heard[0] = news_of(bench, 905, 100); /* heard once more, by a detour */
    heard_count = 1;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    assert_int_equal(headroom(bench, slot), 25);
    assert_int_equal(told_count, 0); /* what was heard is not told on */
}

static void test_counters_news_that_mean_nothing_here_change_nothing(void **state)
{
    bench_t *bench = *state;

    heard[0] = heard[1] = heard[2] = heard[3] = news_of(bench, 900, 70);
    heard[0].limit ^= 1; /* unknown, or another one */
    heard[1].what.period += 2;
    heard[2].what.period -= 2;
    heard[3].what.used = 0; /* drained */
    heard_count = 4;
    tick(bench);
    assert_null(
        l7s_table_find(&bench->shared.table, key_of(bench, limit_of(bench, 100))));
    assert_int_equal(atomic_load(&bench->shared.table.stats->claimed), 0);
}

/* ---- shares of failing answers ---- */

static l7s_share_place_t share_place(const bench_t *bench)
{
    const l7s_image_limit_t *limit = limit_of(bench, 40);

    return (l7s_share_place_t){.table = &bench->shared.table,
                               .limits = limit,
                               .digest =
                                   l7s_hash128_xor(key_of(bench, limit), limit->identity),
                               .now = bench->now};
}

/* What a worker does with answers. */
static void answer(const bench_t *bench, uint32_t answered, uint32_t failed)
{
    l7s_share_place_t place = share_place(bench);

    for (uint32_t i = 0; i < answered; i++) {
        l7s_share_t one = {.answered = 1, .failed = i < failed};
        assert_non_null(l7s_share_add(&place, one));
        l7s_share_mark(&place, one);
    }
}

static void assert_used(const bench_t *bench, uint32_t answered, uint32_t failed)
{
    l7s_share_place_t place = share_place(bench);
    l7s_share_t used = l7s_share_used(&place);

    assert_int_equal(used.answered, answered);
    assert_int_equal(used.failed, failed);
}

static void assert_stored(uint32_t answered, uint32_t failed)
{
    assert_int_equal(store_count, 1);
    assert_int_equal(l7s_share_unpack(store[0].value).answered, answered);
    assert_int_equal(l7s_share_unpack(store[0].value).failed, failed);
}

static void others_answer(uint32_t answered, uint32_t failed)
{
    assert_int_equal(store_count, 1);
    store[0].value += l7s_share_pack((l7s_share_t){answered, failed});
}

static void test_counters_share_travels_as_one_number(void **state)
{
    bench_t *bench = *state;

    answer(bench, 30, 20);
    tick(bench);
    assert_stored(30, 20);
    others_answer(15, 14);
    answer(bench, 12, 1); /* a quarter more */
    tick(bench);
    assert_stored(57, 35);
    assert_used(bench, 57, 35);
    tick(bench);
    assert_used(bench, 57, 35);
}

static void test_counters_share_of_a_light_source_never_travels(void **state)
{
    bench_t *bench = *state;
    l7s_share_place_t place;

    answer(bench, 2, 2);
    for (unsigned i = 0; i < 30; i++) {
        tick(bench);
    }
    assert_int_equal(operations, 0);
    assert_used(bench, 2, 2);
    place = share_place(bench);
    assert_int_equal(l7s_share_sent(&place).failed, 2); /* nothing waits any more */
}

/* The last answers before a key is stopped come alone. */
static void test_counters_share_of_a_heavy_source_travels_to_the_last_answer(void **state)
{
    bench_t *bench = *state;

    answer(bench, 39, 39);
    tick(bench);
    assert_stored(39, 39);
    answer(bench, 1, 1);
    for (unsigned i = 0; i < 20; i++) {
        tick(bench);
    }
    assert_stored(40, 40);
}

static void test_counters_share_that_could_not_leave_is_put_back(void **state)
{
    bench_t *bench = *state;

    answer(bench, 30, 20);
    outcome = L7S_META_FAILED;
    for (unsigned i = 0; i < 5; i++) {
        tick(bench);
    }
    assert_used(bench, 30, 20); /* alone, but not charged for others */
    outcome = L7S_META_OK;
    for (unsigned i = 0; i < 20; i++) {
        tick(bench);
    }
    assert_stored(30, 20);
    assert_used(bench, 30, 20);
}

static void test_counters_share_of_an_outage_is_no_more_than_still_counts(void **state)
{
    bench_t *bench = *state;

    outcome = L7S_META_FAILED;
    for (unsigned i = 0; i < 50; i++) { /* 50 s, five periods */
        answer(bench, 10, 5);
        pass(bench, 900);
        tick(bench);
    }
    outcome = L7S_META_OK;
    tick(bench);
    tick(bench);
    uint32_t stored = l7s_share_unpack(store[store_count - 1].value).answered;
    assert_in_range(stored, 90, 115);
    assert_in_range(l7s_share_unpack(store[store_count - 1].value).failed, stored / 2 - 2,
                    stored / 2 + 2);
}

static void test_counters_share_is_told_while_half_too_much_fails(void **state)
{
    bench_t *bench = *state;
    const l7s_image_limit_t *limit = limit_of(bench, 40);

    answer(bench, 30, 11); /* 37 % */
    tick(bench);
    assert_int_equal(told_count, 0);
    answer(bench, 12, 10);
    tick(bench);
    assert_int_equal(told_count, 1);
    assert_int_equal(told[0].limit, limit->id);
    assert_int_equal(told[0].key.lo, key_of(bench, limit).lo);
    assert_int_equal(told[0].what.used, l7s_share_pack((l7s_share_t){42, 21}));
    assert_int_equal(told[0].what.total, l7s_share_pack((l7s_share_t){42, 21}));
}

static sync_news_item_t share_news(const bench_t *bench, uint32_t answered,
                                   uint32_t failed)
{
    const l7s_image_limit_t *limit = limit_of(bench, 40);
    l7s_hash128_t key = key_of(bench, limit);
    uint64_t began_ms, number = l7s_share_pack((l7s_share_t){answered, failed});

    return (sync_news_item_t){
        .key = key,
        .limit = limit->id,
        .what = {.total = number,
                 .used = number,
                 .period =
                     l7s_fleet_period(&limit->rate, key, bench->now.wall_ms, &began_ms)}};
}

static void others_are_in_store(const bench_t *bench, uint32_t answered, uint32_t failed)
{
    const l7s_image_limit_t *limit = limit_of(bench, 40);
    l7s_hash128_t key = key_of(bench, limit);
    char name[L7S_COUNTER_NAME];
    uint64_t began_ms;

    l7s_fleet_counter_name(
        sync_bus_name_key(NULL), key,
        l7s_fleet_period(&limit->rate, key, bench->now.wall_ms, &began_ms), name);
    *number_of(name) = l7s_share_pack((l7s_share_t){answered, failed});
}

static void test_counters_share_heard_of_is_taken_in_once(void **state)
{
    bench_t *bench = *state;

    heard[0] = share_news(bench, 50, 45);
    heard_count = 1;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    assert_used(bench, 50, 45);
    heard[0] = share_news(bench, 50, 45);
    heard[1] = share_news(bench, 60, 50);
    heard_count = 2;
    sync_counters_tick(bench->counters, bench->image, bench->now);
    assert_used(bench, 60, 50);
    /* Its own number is seen for the first time, and nothing new in it. */
    answer(bench, 20, 0);
    others_are_in_store(bench, 60, 50);
    tick(bench);
    assert_used(bench, 80, 50);
}

/* ---- two nodes ---- */

/* Whoever is well below the share is not stopped on any node, however numbers travel, and
 * who is above it is stopped on both soon. */
static void share_run(void **state, unsigned percent, bool *stopped)
{
    bench_t *nodes[2] = {*state, NULL};
    void *second = NULL;
    uint64_t seed = percent;

    assert_int_equal(set_up(&second), 0);
    nodes[1] = second;
    for (unsigned i = 0; i < 600; i++) { /* a minute: each sees seven answers a second */
        for (unsigned n = 0; n < 2; n++) {
            uint32_t answered = (uint32_t)seeded_below(&seed, 3), failed = 0;
            for (uint32_t k = 0; k < answered; k++) {
                failed += seeded_below(&seed, 100) < percent;
            }
            answer(nodes[n], answered, failed);
            tick(nodes[n]);
            l7s_share_place_t place = share_place(nodes[n]);
            l7s_share_t used = l7s_share_used(&place);
            stopped[n] |= used.answered >= 40 && used.failed * 100 >= used.answered * 80;
        }
    }
    tear_down(&second);
}

static void test_counters_share_of_two_nodes_is_that_of_both(void **state)
{
    bool stopped[2] = {false, false};

    share_run(state, 50, stopped);
    assert_false(stopped[0] || stopped[1]);
}

static void test_counters_share_of_two_nodes_stops_on_both(void **state)
{
    bool stopped[2] = {false, false};

    share_run(state, 95, stopped);
    assert_true(stopped[0] && stopped[1]);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_counters_tell_and_hear_of_a_key_near_its_limit),
        TEST(test_counters_light_source_never_travels),
        TEST(test_counters_heavy_key_travels_and_pays_for_others),
        TEST(test_counters_what_could_not_leave_is_put_back),
        TEST(test_counters_what_had_no_time_left_waits_without_a_charge),
        TEST(test_counters_after_an_outage_only_what_is_in_use_travels),
        TEST(test_counters_of_a_killed_process_are_not_charged_again),
        TEST(test_counters_after_an_outage_others_are_paid_for_once),
        TEST(test_counters_a_lost_number_begins_with_what_is_in_use),
        TEST(test_counters_unknown_outcome_is_not_sent_again),
        TEST(test_counters_both_numbers_are_read_after_a_rollover),
        TEST(test_counters_of_the_node_stay_here),
        TEST(test_counters_in_use_are_read_now_and_then_until_they_drain),
        TEST(test_counters_near_the_limit_are_told_when_they_moved),
        TEST(test_counters_heard_of_are_made_and_charged),
        TEST(test_counters_news_that_mean_nothing_here_change_nothing),
        TEST(test_counters_share_travels_as_one_number),
        TEST(test_counters_share_of_a_light_source_never_travels),
        TEST(test_counters_share_of_a_heavy_source_travels_to_the_last_answer),
        TEST(test_counters_share_that_could_not_leave_is_put_back),
        TEST(test_counters_share_of_an_outage_is_no_more_than_still_counts),
        TEST(test_counters_share_is_told_while_half_too_much_fails),
        TEST(test_counters_share_heard_of_is_taken_in_once),
        TEST(test_counters_share_of_two_nodes_is_that_of_both),
        TEST(test_counters_share_of_two_nodes_stops_on_both),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
