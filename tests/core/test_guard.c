/* SPDX-License-Identifier: Apache-2.0
 *
 * Estimates of the guard's sketches stay near the truth from one client to a million.
 */
#include "../../core/segment/guard.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>

static int create(void **state)
{
    l7s_guard_t *guard = calloc(1, sizeof *guard);
    char *memory = calloc(1, l7s_guard_memory());
    guard->head = (l7s_guard_head_t *)(void *)memory;
    guard->rows = (l7s_guard_row_t *)(void *)(memory + sizeof(l7s_guard_head_t));
    guard->key = (l7s_hashkey_t){0x0123456789abcdefULL, 0xfedcba9876543210ULL};
    *state = guard;
    return 0;
}

static int destroy(void **state)
{
    l7s_guard_t *guard = *state;
    free(guard->head);
    free(guard);
    return 0;
}

static l7s_addr_t client(uint32_t number, bool v4)
{
    l7s_addr_t out = {{0x20, 0x01, 0x0d, 0xb8}};
    if (v4) {
        out = (l7s_addr_t){{0}};
        out.bytes[10] = out.bytes[11] = 0xff;
    }
    for (int i = 0; i < 4; i++) {
        out.bytes[(v4 ? 15 : 7) - i] = (uint8_t)(number >> (8 * i));
    }
    return out;
}

static void test_guard_clients_are_near_the_truth(void **state)
{
    static const uint32_t counts[] = {1, 10, 50, 300, 2000, 3000, 20000, 1000000};
    const l7s_guard_t *guard = *state;
    for (unsigned v4 = 0; v4 < 2; v4++) {
        for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++) {
            l7s_guard_turn(guard, true);
            l7s_guard_turn(guard, true);
            for (uint32_t n = 0; n < counts[i]; n++) {
                l7s_addr_t address = client(n, v4 != 0);
                l7s_guard_see(guard, &address);
                l7s_guard_see(guard, &address);
                l7s_guard_acted(guard, 7, &address);
            }
            uint64_t all = l7s_guard_clients(guard);
            uint64_t acted = l7s_guard_clients_acted(guard, 7);
            assert_in_range(all * 100, counts[i] * 88ULL, counts[i] * 112ULL);
            assert_in_range(acted * 100, counts[i] * 75ULL, counts[i] * 125ULL);
            assert_int_equal(l7s_guard_clients_acted(guard, 8), 0);
        }
    }
}

static void test_guard_turn_forgets_after_two(void **state)
{
    const l7s_guard_t *guard = *state;
    l7s_addr_t one = client(1, true), two = client(2, true);
    l7s_guard_see(guard, &one);
    assert_int_equal(l7s_guard_clients(guard), 0); /* it was off */
    l7s_guard_turn(guard, true);
    l7s_guard_see(guard, &one);
    l7s_guard_turn(guard, true);
    l7s_guard_see(guard, &two);
    assert_int_equal(l7s_guard_clients(guard), 2);
    l7s_guard_turn(guard, true);
    assert_int_equal(l7s_guard_clients(guard), 1);
    l7s_guard_turn(guard, true);
    assert_int_equal(l7s_guard_clients(guard), 0);
}

static void test_guard_addresses_of_one_network_are_one_client(void **state)
{
    const l7s_guard_t *guard = *state;
    l7s_guard_turn(guard, true);
    for (uint8_t i = 0; i < 100; i++) {
        l7s_addr_t address = client(1, false);
        address.bytes[15] = i;
        l7s_guard_see(guard, &address);
    }
    assert_int_equal(l7s_guard_clients(guard), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_guard_clients_are_near_the_truth, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(test_guard_turn_forgets_after_two, create,
                                        destroy),
        cmocka_unit_test_setup_teardown(
            test_guard_addresses_of_one_network_are_one_client, create, destroy),
    };
    return cmocka_run_group_tests_name("guard", tests, NULL, NULL);
}
