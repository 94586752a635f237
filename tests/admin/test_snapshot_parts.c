/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of a snapshot: what is the same is neither cut nor sent again, and a chunk is
 * retired only when nothing uses it and no node can be reading it.
 */
#include "../../admin_api/fleet/snapshot_parts.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static void add(admin_parts_t *parts, const admin_parts_t *old, const char *name,
                int value)
{
    assert_int_equal(admin_parts_add(parts, old, name, json_pack("{s:i}", "v", value)),
                     L7S_OK);
}

static const char *hash_of(const admin_parts_t *parts, size_t index)
{
    return admin_parts_chunk(parts, index)->hash;
}

/* Counts; with `left` 0 memcached does not answer any more. */
typedef struct {
    unsigned calls, left;
} memcached_t;

static l7s_status_t store(void *context, const l7s_chunk_t *chunk)
{
    memcached_t *memcached = context;
    assert_true(chunk->size > 0);
    memcached->calls++;
    return memcached->left-- == 0 ? L7S_IO : L7S_OK;
}

static unsigned stored_of(admin_parts_t *parts)
{
    memcached_t memcached = {.left = 100};
    assert_int_equal(admin_parts_store(parts, store, &memcached), L7S_OK);
    return memcached.calls;
}

static void test_parts_share_what_has_the_same_text(void **state)
{
    (void)state;
    admin_parts_t none = {0}, first = {0}, second = {0};
    add(&first, &none, "policies", 1);
    add(&first, &none, "list/a", 2);
    assert_int_equal(stored_of(&first), 2);
    add(&second, &first, "policies", 3);
    add(&second, &first, "list/a", 2);
    assert_string_equal(hash_of(&first, 1), hash_of(&second, 1));
    assert_int_equal(stored_of(&second), 1);
    admin_parts_clear(&first);
    assert_true(admin_parts_use(&second, hash_of(&second, 1)));
    assert_int_equal(stored_of(&second), 0);
    admin_parts_lost(&second);
    assert_int_equal(stored_of(&second), 2);
    admin_parts_clear(&second);
}

static void test_parts_store_goes_on_where_it_failed(void **state)
{
    (void)state;
    admin_parts_t none = {0}, parts = {0};
    memcached_t memcached = {.left = 1};
    add(&parts, &none, "policies", 1);
    add(&parts, &none, "list/a", 2);
    add(&parts, &none, "list/b", 3);
    assert_int_equal(admin_parts_store(&parts, store, &memcached), L7S_IO);
    assert_int_equal(memcached.calls, 2);
    assert_int_equal(stored_of(&parts), 2);
    admin_parts_clear(&parts);
}

static void test_parts_chunk_by_its_number(void **state)
{
    (void)state;
    admin_parts_t none = {0}, parts = {0};
    assert_null(admin_parts_chunk(&parts, 0));
    add(&parts, &none, "policies", 1);
    add(&parts, &none, "list/a", 2);
    assert_int_equal(admin_parts_chunks(&parts), 2);
    assert_string_not_equal(hash_of(&parts, 0), hash_of(&parts, 1));
    assert_null(admin_parts_chunk(&parts, 2));
    admin_parts_clear(&parts);
}

static void test_retired_are_those_that_nobody_shares_when_their_time_has_come(void **s)
{
    (void)s;
    static admin_retired_t retired;
    admin_parts_t none = {0}, old = {0}, new = {0};
    char hash[L7S_SHA256_TEXT], gone[L7S_SHA256_TEXT];
    retired = (admin_retired_t){0};
    add(&old, &none, "policies", 1);
    add(&old, &none, "list/a", 2);
    add(&new, &old, "list/a", 2);
    memcpy(gone, hash_of(&old, 0), sizeof gone);
    admin_retired_add(&retired, &old, 1000);
    admin_parts_clear(&old);
    assert_false(admin_retired_next(&retired, 1000 + ADMIN_RETIRED_MS - 1, hash));
    assert_true(admin_retired_next(&retired, 1000 + ADMIN_RETIRED_MS, hash));
    assert_string_equal(hash, gone);
    assert_false(admin_parts_use(&new, hash));
    assert_false(admin_retired_next(&retired, UINT64_MAX, hash));
    admin_parts_clear(&new);
}

static void test_retired_are_bounded(void **state)
{
    (void)state;
    static admin_retired_t retired;
    char hash[L7S_SHA256_TEXT];
    unsigned taken = 0;
    retired = (admin_retired_t){.first = ADMIN_RETIRED_MAX - 1};
    for (int i = 0; i < ADMIN_RETIRED_MAX + 5; i++) {
        admin_parts_t none = {0}, parts = {0};
        add(&parts, &none, "policies", i);
        admin_retired_add(&retired, &parts, 1);
        admin_parts_clear(&parts);
    }
    while (admin_retired_next(&retired, UINT64_MAX, hash)) {
        taken++;
    }
    assert_int_equal(taken, ADMIN_RETIRED_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_parts_share_what_has_the_same_text),
        cmocka_unit_test(test_parts_store_goes_on_where_it_failed),
        cmocka_unit_test(test_parts_chunk_by_its_number),
        cmocka_unit_test(
            test_retired_are_those_that_nobody_shares_when_their_time_has_come),
        cmocka_unit_test(test_retired_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
