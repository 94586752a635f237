/* SPDX-License-Identifier: Apache-2.0
 *
 * Samples of keys: exact while all of them fit, an unbiased estimate afterwards.
 */
#include "../../admin_api/backtest/sample.h"

#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

/* Keys as a keyed hash makes them (splitmix64). */
static uint64_t key_of(uint64_t number)
{
    uint64_t z = number * 0x9e3779b97f4a7c15ULL + 0x9e3779b97f4a7c15ULL;
    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
    return z ^ z >> 31;
}

static void test_sample_at_finds_what_it_made(void **state)
{
    (void)state;
    admin_sample_t *sample = admin_sample_create(1 << 16);

    for (uint64_t i = 0; i < 10000; i++) {
        admin_sample_at(sample, key_of(i))->client.touched = i;
    }
    for (uint64_t i = 0; i < 10000; i++) {
        assert_int_equal(admin_sample_at(sample, key_of(i))->client.touched, i);
    }
    assert_int_equal(admin_sample_keys(sample), 10000);
    assert_int_equal(admin_sample_weight(sample), 1);
    admin_sample_free(sample);
}

static void test_sample_key_zero_is_a_key(void **state)
{
    (void)state;
    admin_sample_t *sample = admin_sample_create(1024);

    assert_non_null(admin_sample_at(sample, 0));
    assert_ptr_equal(admin_sample_at(sample, 0), admin_sample_at(sample, 0));
    assert_int_equal(admin_sample_keys(sample), 1);
    admin_sample_free(sample);
}

/* A hundred times as many keys as fit: the number of keys and the share of those with a
 * property are right within four standard errors. */
static void test_sample_beyond_its_size_estimates(void **state)
{
    (void)state;
    const uint64_t keys = 400000;
    admin_sample_t *sample = admin_sample_create(4096);

    for (uint64_t i = 0; i < 2 * keys; i++) { /* each of them twice */
        admin_sampled_t *entry = admin_sample_at(sample, key_of(i % keys));
        if (entry != NULL) {
            entry->client.outcomes |= i % keys % 10 == 0;
        }
    }
    uint32_t entries = admin_sample_entries(sample);
    assert_true(entries >= 1024 && entries <= 3072);
    double error = 1 / sqrt(entries);
    assert_true(fabs((double)admin_sample_keys(sample) / (double)keys - 1) < 4 * error);
    admin_sample_free(sample);
}

static void count_marked(void *context, const admin_sampled_t *entry)
{
    *(uint32_t *)context += entry->client.outcomes != 0;
}

static void test_sample_each_visits_all(void **state)
{
    (void)state;
    admin_sample_t *sample = admin_sample_create(4096);
    uint32_t marked = 0;

    for (uint64_t i = 0; i < 1000; i++) {
        admin_sample_at(sample, key_of(i))->client.outcomes = i % 4 == 0;
    }
    admin_sample_each(sample, count_marked, &marked);
    assert_int_equal(marked, 250);
    admin_sample_free(sample);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sample_at_finds_what_it_made),
        cmocka_unit_test(test_sample_key_zero_is_a_key),
        cmocka_unit_test(test_sample_beyond_its_size_estimates),
        cmocka_unit_test(test_sample_each_visits_all),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
