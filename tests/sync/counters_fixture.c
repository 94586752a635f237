/* SPDX-License-Identifier: Apache-2.0
 *
 * See counters_fixture.h.
 */
#include "counters_fixture.h"
#include "../../core/compile/compile.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_SIZE L7S_SEGMENT_SIZE_MIN

/* ---- the store ---- */

fixture_number_t store[FIXTURE_STORE];
size_t store_count, operations;
l7s_meta_status_t outcome;
bool lost_answer, up, keyless;

uint64_t *number_of(const char *key)
{
    for (size_t i = 0; i < store_count; i++) {
        if (strcmp(store[i].key, key) == 0) {
            return &store[i].value;
        }
    }
    assert_true(store_count < FIXTURE_STORE);
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
    return keyless ? NULL : &key;
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

sync_news_item_t heard[FIXTURE_NEWS], told[FIXTURE_NEWS];
size_t heard_count, told_count;

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
    if (told_count < FIXTURE_NEWS) {
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

int set_up(void **state)
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
    lost_answer = up = keyless = false;
    *state = bench;
    /* Any pointer will do: every function that gets it stands above. */
    return sync_counters_create(&bench->shared, (sync_bus_t *)bench, &options,
                                &bench->counters) == L7S_OK
               ? 0
               : -1;
}

int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_counters_free(bench->counters);
    free(bench->memory);
    free(bench->image_memory);
    free(bench);
    return 0;
}

/* The limit that gives back so many requests per period. */
const l7s_image_limit_t *limit_of(const bench_t *bench, uint32_t requests)
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

l7s_hash128_t key_of(const bench_t *bench, const l7s_image_limit_t *limit)
{
    l7s_cidr_t network = {l7s_addr_mask(&bench->client.base, 120), 120};

    return l7s_hash128_xor(
        l7s_key_digest_cidr(&count_key,
                            limit->by_network ? L7S_PART_NETWORK : L7S_PART_CLIENT,
                            limit->by_network ? &network : &bench->client),
        limit->identity);
}

/* What a worker does with `tokens` admitted requests. */
l7s_slot_t *take(const bench_t *bench, uint32_t requests, uint32_t tokens)
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

void pass(bench_t *bench, uint64_t ms)
{
    bench->now.mono_us += ms * 1000;
    bench->now.wall_ms += ms;
}

void tick(bench_t *bench)
{
    sync_counters_tick(bench->counters, bench->image, bench->now);
    pass(bench, 100);
}

uint32_t headroom(const bench_t *bench, const l7s_slot_t *slot)
{
    const l7s_image_limit_t *limit = limit_of(bench, 100);

    return l7s_bucket_headroom(&limit->rate, atomic_load(&slot->tat), bench->now.mono_us);
}

uint64_t stored(void)
{
    uint64_t sum = 0;

    for (size_t i = 0; i < store_count; i++) {
        sum += store[i].value;
    }
    return sum;
}
