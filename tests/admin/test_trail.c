/* SPDX-License-Identifier: Apache-2.0
 *
 * What a call leaves in the audit, and how little a flood of refused ones does.
 */
#include "../../admin_api/http/trail.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include "../../admin_api/store/store_audit.h"
#include "stored.h"
#include <string.h>

#define NOW_MS 1700000000000u

typedef struct {
    stored_t *stored;
    admin_daemon_t daemon;
} world_t;

static int setup(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    void *stored = NULL;
    int result = stored_setup(&stored);
    world->stored = stored;
    world->daemon.store = world->stored->store;
    *state = world;
    return result != 0 ||
           admin_trail_create(world->stored->store, &world->daemon.trail) != L7S_OK;
}

static int teardown(void **state)
{
    world_t *world = *state;
    void *stored = world->stored;
    admin_trail_free(world->daemon.trail, NOW_MS);
    free(world);
    return stored_teardown(&stored);
}

static admin_call_t call_of(world_t *world, unsigned status)
{
    return (admin_call_t){.daemon = &world->daemon,
                          .method = "PUT",
                          .route = "/v1/policies/{name}",
                          .target = "/v1/policies/a",
                          .principal = "token:ci",
                          .now_ms = NOW_MS,
                          .status = status,
                          .code = status < 400 ? NULL : "forbidden",
                          .changed = status < 400 ? 1 : -1,
                          .revision = -1};
}

typedef struct {
    size_t rows;
    uint64_t times;
    char outcome[16], code[24];
} sum_t;

static bool add(void *context, const admin_audit_t *row)
{
    sum_t *sum = context;
    sum->rows++;
    sum->times += row->count;
    snprintf(sum->outcome, sizeof sum->outcome, "%s", row->outcome);
    snprintf(sum->code, sizeof sum->code, "%s", row->code);
    return true;
}

static sum_t sum_of(world_t *world)
{
    sum_t sum = {0};
    admin_audit_filter_t all = {0};
    assert_int_equal(admin_audit_each(world->daemon.store, &all, add, &sum), L7S_OK);
    return sum;
}

static void test_trail_end_done_is_there_at_once(void **state)
{
    world_t *world = *state;
    admin_call_t call = call_of(world, 200);
    admin_trail_end(&call);
    assert_int_equal(sum_of(world).rows, 1);
    assert_string_equal(sum_of(world).outcome, "done");
}

static void test_trail_end_nothing_done_leaves_nothing(void **state)
{
    world_t *world = *state;
    admin_call_t unchanged = call_of(world, 200), dry = call_of(world, 200),
                 dry_invalid = call_of(world, 422), written = call_of(world, 200);
    unchanged.changed = 0;
    dry.dry_run = dry_invalid.dry_run = true;
    written.audited = true;
    admin_trail_end(&unchanged);
    admin_trail_end(&dry);
    admin_trail_end(&dry_invalid);
    admin_trail_end(&written);
    admin_trail_flush(world->daemon.trail, NOW_MS);
    assert_int_equal(sum_of(world).rows, 0);
}

static void test_trail_write_goes_with_its_transaction(void **state)
{
    world_t *world = *state;
    admin_call_t call = call_of(world, 0);
    assert_int_equal(admin_store_begin(world->daemon.store, ADMIN_CONFIG_DB), L7S_OK);
    assert_int_equal(admin_trail_write(&call), L7S_OK);
    admin_store_rollback(world->daemon.store, ADMIN_CONFIG_DB);
    assert_int_equal(sum_of(world).rows, 0);
    /* The commit failed after all: what is told is the failure. */
    call.status = 503;
    call.code = "storage_unavailable";
    admin_trail_end(&call);
    admin_trail_flush(world->daemon.trail, NOW_MS);
    assert_string_equal(sum_of(world).outcome, "failed");
}

static void test_trail_flush_same_refusals_are_one_row_a_minute(void **state)
{
    world_t *world = *state;
    for (uint64_t i = 0; i < 1000; i++) {
        admin_call_t call = call_of(world, 403);
        call.now_ms = NOW_MS + i * 10;
        admin_trail_end(&call);
        if (i % 100 == 0) {
            admin_trail_flush(world->daemon.trail, call.now_ms);
        }
    }
    admin_trail_flush(world->daemon.trail, NOW_MS + 10000);
    assert_int_equal(sum_of(world).rows, 1);
    assert_int_equal(sum_of(world).times, 1000);
    admin_trail_flush(world->daemon.trail, NOW_MS + 60000);
    admin_call_t call = call_of(world, 403);
    admin_trail_end(&call);
    admin_trail_flush(world->daemon.trail, NOW_MS + 61000);
    assert_int_equal(sum_of(world).rows, 2);
}

static void test_trail_flush_a_flood_of_kinds_is_bounded_and_counted(void **state)
{
    world_t *world = *state;
    for (unsigned i = 0; i < 5000; i++) {
        uint8_t peer[16] = {0x20, 1, 0xd, 0xb8, 0, 0, (uint8_t)(i >> 8), (uint8_t)i};
        admin_call_t call = call_of(world, 401);
        call.peer = peer;
        admin_trail_end(&call);
    }
    admin_trail_flush(world->daemon.trail, NOW_MS);
    assert_int_equal(sum_of(world).rows, 256);
    assert_int_equal(sum_of(world).times, 5000);
}

static void test_trail_end_one_subscriber_is_one_kind(void **state)
{
    world_t *world = *state;
    for (unsigned i = 0; i < 100; i++) {
        uint8_t peer[16] = {0x20, 1, 0xd, 0xb8, [15] = (uint8_t)i};
        admin_call_t call = call_of(world, 401);
        call.peer = peer;
        admin_trail_end(&call);
    }
    admin_trail_flush(world->daemon.trail, NOW_MS);
    assert_int_equal(sum_of(world).rows, 1);
}

#define trail_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        trail_test(test_trail_end_done_is_there_at_once),
        trail_test(test_trail_end_nothing_done_leaves_nothing),
        trail_test(test_trail_write_goes_with_its_transaction),
        trail_test(test_trail_flush_same_refusals_are_one_row_a_minute),
        trail_test(test_trail_flush_a_flood_of_kinds_is_bounded_and_counted),
        trail_test(test_trail_end_one_subscriber_is_one_kind),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
