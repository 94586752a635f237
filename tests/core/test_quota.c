/* SPDX-License-Identifier: Apache-2.0 */
#include "../../core/bus/quota.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

static unsigned take(l7s_quota_t *quota, const char *sender, unsigned tries, uint64_t ms)
{
    unsigned taken = 0;
    for (unsigned i = 0; i < tries; i++) {
        taken += l7s_quota_take(quota, sender, ms) ? 1 : 0;
    }
    return taken;
}

static void test_quota_take_burst_then_rate(void **state)
{
    (void)state;
    l7s_quota_t *quota = l7s_quota_create(L7S_QUOTA_WRITER);
    assert_int_equal(take(quota, "web-1", 5000, 1000), L7S_QUOTA_BURST);
    assert_int_equal(take(quota, "web-1", 10, 1000), 0);
    assert_int_equal(take(quota, "web-1", 5000, 2000), L7S_QUOTA_PER_SECOND);
    assert_int_equal(take(quota, "web-1", 5000, 500), 0); /* a clock set back */
    assert_int_equal(take(quota, "web-2", 5000, 2000), L7S_QUOTA_BURST);
    assert_int_equal(take(quota, "web-1", 5000, UINT64_MAX), L7S_QUOTA_BURST);
    l7s_quota_free(quota);
}

static void test_quota_take_reader_allows_what_a_writer_sends(void **state)
{
    (void)state;
    l7s_quota_t *writer = l7s_quota_create(L7S_QUOTA_WRITER);
    l7s_quota_t *reader = l7s_quota_create(L7S_QUOTA_READER);
    unsigned waiting = 0, refused = 0;
    for (uint64_t ms = 0; ms < 60000; ms += 100) {
        waiting += take(writer, "web-1", 100, ms);
        if (ms % 3000 == 0) { /* a reader that looks seldom */
            refused += waiting - take(reader, "web-1", waiting, ms + 50);
            waiting = 0;
        }
    }
    assert_int_equal(refused, 0);
    l7s_quota_free(writer);
    l7s_quota_free(reader);
}

static void test_quota_take_many_senders_share_a_limit(void **state)
{
    (void)state;
    l7s_quota_t *quota = l7s_quota_create(L7S_QUOTA_READER);
    unsigned taken = 0;
    for (unsigned i = 0; i < 1000; i++) {
        char name[32];
        snprintf(name, sizeof name, "evil-%u", i);
        taken += take(quota, name, 1000, 1);
    }
    assert_int_equal(taken, 16384);
    l7s_quota_free(quota);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quota_take_burst_then_rate),
        cmocka_unit_test(test_quota_take_reader_allows_what_a_writer_sends),
        cmocka_unit_test(test_quota_take_many_senders_share_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
