/* SPDX-License-Identifier: Apache-2.0
 *
 * How long a server rests after how many failures.
 */
#include "../../core/bus/breaker.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static void test_breaker_rests_twice_as_long_up_to_its_maximum(void **state)
{
    static const uint32_t pauses[] = {100, 200, 400, 500, 500};
    l7s_breaker_t breaker = {0};
    uint64_t now_ms = 1000;

    (void)state;
    assert_false(l7s_breaker_is_open(&breaker, now_ms));
    for (size_t i = 0; i < sizeof pauses / sizeof pauses[0]; i++) {
        l7s_breaker_trip(&breaker, now_ms, 500);
        assert_int_equal(breaker.pause_ms, pauses[i]);
        assert_true(l7s_breaker_is_open(&breaker, now_ms));
        assert_true(l7s_breaker_is_open(&breaker, now_ms + pauses[i] - 1));
        now_ms += pauses[i];
        assert_false(l7s_breaker_is_open(&breaker, now_ms));
    }
    l7s_breaker_close(&breaker);
    l7s_breaker_trip(&breaker, now_ms, 500);
    assert_int_equal(breaker.pause_ms, 100);
}

static void test_breaker_of_a_clock_set_back_does_not_stay_open(void **state)
{
    l7s_breaker_t breaker = {0};

    (void)state;
    l7s_breaker_trip(&breaker, 1000000, 500);
    assert_false(l7s_breaker_is_open(&breaker, 5000));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_breaker_rests_twice_as_long_up_to_its_maximum),
        cmocka_unit_test(test_breaker_of_a_clock_set_back_does_not_stay_open),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
