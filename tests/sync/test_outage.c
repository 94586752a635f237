/* SPDX-License-Identifier: Apache-2.0
 *
 * When a server's silence becomes an incident, how often it is said, and how it ends.
 */
#include "../../core/json/incident.h"
#include "../../mod_l7shield/sync/outage.h"
#include "unit.h"
#include <stdlib.h>
#include <string.h>

#define SEGMENT_SIZE L7S_SEGMENT_SIZE_MIN

/* ---- the pool, the bus and the spool ---- */

typedef enum { UNASKED, UP, DOWN } health_t;

static health_t health[2];
static bool trusted;
static json_t *reports;

size_t l7s_pool_servers(const l7s_pool_t *pool)
{
    (void)pool;
    return 2;
}

const char *l7s_pool_server(const l7s_pool_t *pool, size_t index)
{
    (void)pool;
    return index == 0 ? "192.0.2.1:11211" : "192.0.2.2:11211";
}

bool l7s_pool_up(const l7s_pool_t *pool, size_t index)
{
    (void)pool;
    return health[index] == UP;
}

bool l7s_pool_down(const l7s_pool_t *pool, size_t index)
{
    (void)pool;
    return health[index] == DOWN;
}

l7s_pool_t *sync_bus_pool(const sync_bus_t *bus)
{
    (void)bus;
    return NULL;
}

const l7s_trust_t *sync_bus_trust(const sync_bus_t *bus)
{
    static const char any;

    (void)bus;
    return trusted ? (const l7s_trust_t *)&any : NULL;
}

void sync_spool_add(sync_spool_t *spool, const json_t *report, l7s_now_t now)
{
    (void)spool;
    (void)now;
    assert_int_equal(l7s_incident_report_check(report), L7S_OK);
    json_array_append(reports, (json_t *)report);
}

/* ---- the bench ---- */

typedef struct {
    void *memory;
    l7s_shared_t shared;
    sync_outage_t *outage;
    l7s_now_t now;
} bench_t;

static int set_up(void **state)
{
    static const uint8_t random[48] = {7};
    bench_t *bench = calloc(1, sizeof *bench);

    bench->memory = aligned_alloc(4096, SEGMENT_SIZE);
    memset(bench->memory, 0, SEGMENT_SIZE);
    assert_int_equal(l7s_segment_format(bench->memory, SEGMENT_SIZE, random), L7S_OK);
    assert_int_equal(l7s_segment_attach(bench->memory, SEGMENT_SIZE, &bench->shared),
                     L7S_OK);
    bench->now = (l7s_now_t){.mono_us = 5000000, .wall_ms = 1700000000000};
    health[0] = health[1] = UP;
    trusted = true;
    reports = json_array();
    *state = bench;
    return sync_outage_create(&bench->shared, NULL, NULL, "web-1", &bench->outage) !=
           L7S_OK;
}

static int tear_down(void **state)
{
    bench_t *bench = *state;

    sync_outage_free(bench->outage);
    json_decref(reports);
    free(bench->memory);
    free(bench);
    return 0;
}

/* Ticks of 100 ms for so long. */
static void run(bench_t *bench, unsigned ms)
{
    for (unsigned passed = 0; passed < ms; passed += 100) {
        sync_outage_tick(bench->outage, bench->now);
        bench->now.mono_us += 100000;
        bench->now.wall_ms += 100;
    }
}

static const char *text_of(size_t report, const char *name)
{
    return json_string_value(json_object_get(json_array_get(reports, report), name));
}

static json_int_t count_of(size_t report, const char *name)
{
    return json_integer_value(json_object_get(json_array_get(reports, report), name));
}

/* ---- tests ---- */

static void test_outage_of_a_moment_is_none(void **state)
{
    bench_t *bench = *state;

    for (unsigned i = 0; i < 5; i++) {
        health[0] = DOWN;
        run(bench, 900);
        health[0] = UP;
        run(bench, 100);
    }
    assert_int_equal(json_array_size(reports), 0);
}

static void test_outage_of_a_server_never_asked_is_none(void **state)
{
    bench_t *bench = *state;

    health[0] = UNASKED;
    run(bench, 5000);
    assert_int_equal(json_array_size(reports), 0);
    trusted = false; /* and without keys nothing is asked of anybody */
    health[0] = DOWN;
    run(bench, 5000);
    assert_int_equal(json_array_size(reports), 0);
}

static void test_outage_is_one_incident_from_its_start_to_its_end(void **state)
{
    bench_t *bench = *state;
    uint64_t began_ms = bench->now.wall_ms;

    health[1] = DOWN;
    run(bench, 25000);
    health[1] = UP;
    uint64_t back_ms = bench->now.wall_ms;
    run(bench, 5000);
    size_t count = json_array_size(reports);
    assert_int_equal(count, 4); /* after one second, each ten seconds, and the end */
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(text_of(i, "id"), text_of(0, "id"));
        assert_string_equal(text_of(i, "detector"), "store_degraded");
        assert_string_equal(text_of(i, "state"), i + 1 == count ? "ended" : "active");
        assert_int_equal(count_of(i, "started_ms"), began_ms);
        assert_string_equal(
            json_string_value(json_object_get(
                json_object_get(json_array_get(reports, i), "key"), "server")),
            "192.0.2.2:11211");
    }
    assert_int_equal(count_of(count - 1, "last_ms"), back_ms);
}

static void test_outage_again_is_another_incident(void **state)
{
    bench_t *bench = *state;

    for (unsigned i = 0; i < 2; i++) {
        health[0] = DOWN;
        run(bench, 2000);
        health[0] = UP;
        run(bench, 100);
    }
    assert_int_equal(json_array_size(reports), 4);
    assert_string_equal(text_of(0, "id"), text_of(1, "id"));
    assert_string_not_equal(text_of(1, "id"), text_of(2, "id"));
}

static void test_outage_of_two_servers_is_two_incidents(void **state)
{
    bench_t *bench = *state;

    health[0] = health[1] = DOWN;
    run(bench, 2000);
    assert_int_equal(json_array_size(reports), 2);
    assert_string_not_equal(text_of(0, "id"), text_of(1, "id"));
    health[0] = UP;
    run(bench, 1000);
    assert_int_equal(json_array_size(reports), 3);
    assert_string_equal(text_of(2, "id"), text_of(0, "id"));
    assert_string_equal(text_of(2, "state"), "ended");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(test_outage_of_a_moment_is_none),
        TEST(test_outage_of_a_server_never_asked_is_none),
        TEST(test_outage_is_one_incident_from_its_start_to_its_end),
        TEST(test_outage_again_is_another_incident),
        TEST(test_outage_of_two_servers_is_two_incidents),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
