/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters that forget, and those that do not.
 */
#include "../../core/compile/compile.h"
#include "../../mod_l7shield/sync/forgive.h"
#include "unit.h"
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define SEGMENT_SIZE L7S_SEGMENT_SIZE_MIN
#define IMAGE_SIZE ((size_t)1 << 20)

static const char policies[] =
    "{\"policies\":[{\"name\":\"client\",\"detect\":{\"rate\":{\"requests\":100,"
    "\"per_seconds\":10}},\"action\":{\"throttle\":{}}},"
    "{\"name\":\"own\",\"scope\":\"node\",\"detect\":{\"rate\":{\"requests\":50,"
    "\"per_seconds\":10}},\"action\":{\"throttle\":{}}},"
    "{\"name\":\"wide\",\"count\":{\"by\":[\"network\"]},\"detect\":{\"rate\":{"
    "\"requests\":70,\"per_seconds\":10}},\"action\":{\"throttle\":{}}}]}";

static const l7s_hashkey_t count_key = {1, 2};
static const l7s_now_t now = {.mono_us = 1000000000, .wall_ms = 1700000000000};

typedef struct {
    void *memory, *image_memory;
    l7s_shared_t shared;
    const l7s_image_t *image;
    l7s_cidr_t client;
} bench_t;

static int set_up(void **state)
{
    static const uint8_t random[48] = {7};
    bench_t *bench = calloc(1, sizeof *bench);
    json_t *document = json_loads(policies, 0, NULL);
    l7s_config_t *config = NULL;
    size_t size = 0;
    uint64_t next = 0;
    l7s_addr_t address;

    bench->memory = aligned_alloc(4096, SEGMENT_SIZE);
    bench->image_memory = aligned_alloc(4096, IMAGE_SIZE);
    memset(bench->memory, 0, SEGMENT_SIZE);
    assert_int_equal(l7s_segment_format(bench->memory, SEGMENT_SIZE, random), L7S_OK);
    assert_int_equal(l7s_segment_attach(bench->memory, SEGMENT_SIZE, &bench->shared),
                     L7S_OK);
    assert_int_equal(l7s_config_parse(document, NULL, &config), L7S_OK);
    assert_int_equal(l7s_image_compile(config, &count_key, 1, 1, NULL,
                                       bench->image_memory, IMAGE_SIZE, &size, &next),
                     L7S_OK);
    l7s_config_free(config);
    json_decref(document);
    bench->image = l7s_image_check(bench->image_memory, size);
    l7s_addr_parse("192.0.2.1", &address);
    bench->client = l7s_addr_client(&address);
    *state = bench;
    return bench->image == NULL;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    free(bench->memory);
    free(bench->image_memory);
    free(bench);
    return 0;
}

/* The whole burst of the limit that gives back so many requests per period. */
static l7s_slot_t *use_up(const bench_t *bench, uint32_t requests,
                          const l7s_image_limit_t **out)
{
    uint32_t count = 0;
    const l7s_image_limit_t *limit = l7s_image_limits(bench->image, &count);
    l7s_cidr_t network = {l7s_addr_mask(&bench->client.base, 120), 120};

    while (limit->rate.requests != requests) {
        limit++;
        assert_true(--count > 0);
    }
    l7s_hash128_t digest =
        limit->by_network
            ? l7s_key_digest_cidr(&count_key, L7S_PART_NETWORK, &network)
            : l7s_key_digest_cidr(&count_key, L7S_PART_CLIENT, &bench->client);
    l7s_slot_t *slot =
        l7s_table_claim(&bench->shared.table, l7s_hash128_xor(digest, limit->identity),
                        limit->id, &limit->rate, now);
    assert_non_null(slot);
    for (uint32_t i = 0; i < limit->rate.burst; i++) {
        assert_true(l7s_bucket_take(&limit->rate, &slot->tat, now.mono_us, 1));
        l7s_table_mark(&bench->shared.table, slot, 1, now);
    }
    *out = limit;
    return slot;
}

static unsigned forgive(const bench_t *bench, const l7s_cidr_t *network)
{
    return sync_forgive_network(&bench->shared, bench->image, network, now);
}

static void test_forgive_of_a_client_resets_it_and_its_network(void **state)
{
    static const uint32_t requests[] = {100, 50, 70};
    const bench_t *bench = *state;
    const l7s_image_limit_t *limits[3];
    const l7s_slot_t *slots[3];

    for (unsigned i = 0; i < 3; i++) {
        slots[i] = use_up(bench, requests[i], &limits[i]);
    }
    assert_int_equal(forgive(bench, &bench->client), 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(l7s_bucket_drained(&limits[i]->rate, atomic_load(&slots[i]->tat),
                                       now.mono_us));
        assert_int_equal(atomic_load(&slots[i]->pending), 0);
    }
}

static void
test_forgive_of_a_network_resets_no_wider_and_no_narrower_counter(void **state)
{
    const bench_t *bench = *state;
    const l7s_image_limit_t *limit;
    l7s_cidr_t network = {l7s_addr_mask(&bench->client.base, 120), 120};

    (void)use_up(bench, 70, &limit);
    (void)use_up(bench, 50, &limit);
    assert_int_equal(forgive(bench, &network), 1);
    network = (l7s_cidr_t){l7s_addr_mask(&bench->client.base, 112), 112};
    assert_int_equal(forgive(bench, &network), 0);
}

static void test_forgive_of_an_unknown_client_resets_nothing(void **state)
{
    const bench_t *bench = *state;

    assert_int_equal(forgive(bench, &bench->client), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_forgive_of_a_client_resets_it_and_its_network),
        TEST(test_forgive_of_a_network_resets_no_wider_and_no_narrower_counter),
        TEST(test_forgive_of_an_unknown_client_resets_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
