/* SPDX-License-Identifier: Apache-2.0
 *
 * Both kinds of counters through one door.
 */
#include "../../core/decide/limit.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

#define S 1000000ULL

static const l7s_image_limit_t BUCKET = {.rate = {10, 5, 10 * S}};
static const l7s_image_limit_t TALLY = {.rate = {10, 10, 10 * S}, .tally = 1};

static void test_limit_of_a_bucket_gives_back_all_the_time(void **state)
{
    _Atomic uint64_t word = l7s_limit_fresh(&BUCKET, 100 * S);

    (void)state;
    assert_true(l7s_limit_drained(&BUCKET, word, 100 * S));
    l7s_bucket_debit(&BUCKET.rate, &word, 100 * S, 7);
    assert_int_equal(l7s_limit_used(&BUCKET, word, 100 * S), 7);
    assert_int_equal(l7s_limit_headroom(&BUCKET, word, 100 * S), 0);
    assert_int_equal(l7s_limit_used(&BUCKET, word, 104 * S), 3);
    assert_int_equal(l7s_limit_headroom(&BUCKET, word, 104 * S), 2);
    assert_true(l7s_limit_drained(&BUCKET, word, 107 * S));
}

static void test_limit_of_a_tally_keeps_what_it_counts(void **state)
{
    _Atomic uint64_t word = l7s_limit_fresh(&TALLY, 100 * S);

    (void)state;
    assert_true(l7s_limit_drained(&TALLY, word, 100 * S));
    l7s_tally_add(10, &word, 100 * S, 7);
    assert_int_equal(l7s_limit_used(&TALLY, word, 109 * S), 7);
    assert_int_equal(l7s_limit_headroom(&TALLY, word, 109 * S), 3);
    l7s_tally_add(10, &word, 109 * S, 7);
    assert_int_equal(l7s_limit_used(&TALLY, word, 109 * S), 14);
    assert_int_equal(l7s_limit_headroom(&TALLY, word, 109 * S), 3); /* a quarter more */
    assert_false(l7s_limit_drained(&TALLY, word, 119 * S));
    assert_true(l7s_limit_drained(&TALLY, word, 120 * S));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_of_a_bucket_gives_back_all_the_time),
        cmocka_unit_test(test_limit_of_a_tally_keeps_what_it_counts),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
