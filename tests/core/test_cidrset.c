/* SPDX-License-Identifier: Apache-2.0
 *
 * The flat set agrees with asking every network in turn.
 */
#include "../../core/image/cidrset.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdlib.h>
#include <string.h>

static size_t build(const char *const *texts, size_t count, l7s_addr_range_t *out)
{
    l7s_cidr_t networks[16];
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(l7s_cidr_parse(texts[i], &networks[i]), L7S_OK);
    }
    return l7s_cidrset_build(networks, count, out);
}

static bool contains(const l7s_addr_range_t *ranges, size_t count, const char *text)
{
    l7s_addr_t addr;
    assert_true(l7s_addr_parse(text, &addr));
    return l7s_cidrset_contains(ranges, count, &addr);
}

static void test_cidrset_build_neighbours_and_overlaps_melt(void **state)
{
    (void)state;
    static const struct {
        const char *texts[4];
        size_t count, ranges;
    } cases[] = {
        {{"10.0.0.0/9", "10.128.0.0/9"}, 2, 1},
        {{"10.0.0.0/8", "10.1.0.0/16", "10.1.2.3"}, 3, 1},
        {{"10.1.2.3", "10.1.2.3"}, 2, 1},
        {{"10.0.0.0/24", "10.0.2.0/24"}, 2, 2},
        {{"::/0", "0.0.0.0/0"}, 2, 2}, /* families stay apart */
        {{"255.255.255.255", "::1:0:0:0"}, 2, 2},
        {{"ffff::/16", "8000::/1"}, 2, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_addr_range_t out[4];
        assert_int_equal(build(cases[i].texts, cases[i].count, out), cases[i].ranges);
    }
}

static void test_cidrset_contains_empty_set_has_nothing(void **state)
{
    (void)state;
    assert_int_equal(l7s_cidrset_build(NULL, 0, NULL), 0);
    assert_false(contains(NULL, 0, "10.0.0.1"));
}

static void test_cidrset_contains_edges(void **state)
{
    (void)state;
    static const char *const texts[] = {"10.0.0.0/8", "192.0.2.128/25", "::/0"};
    l7s_addr_range_t out[3];
    size_t count = build(texts, 3, out);
    assert_int_equal(count, 3);
    assert_true(contains(out, count, "10.0.0.0"));
    assert_true(contains(out, count, "10.255.255.255"));
    assert_false(contains(out, count, "11.0.0.0"));
    assert_false(contains(out, count, "9.255.255.255"));
    assert_false(contains(out, count, "192.0.2.127"));
    assert_true(contains(out, count, "192.0.2.255"));
    assert_true(contains(out, count, "::"));
    assert_true(contains(out, count, "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"));
    assert_false(contains(out, count, "192.0.3.0"));
}

/* Addresses and networks from a small world, so that they meet often. */
static l7s_addr_t small_world(uint64_t *seed)
{
    l7s_addr_t addr = {{0}};
    if (seeded_below(seed, 2)) {
        memset(addr.bytes + 10, 0xff, 2);
    } else {
        addr.bytes[0] = (uint8_t)(seeded_below(seed, 3) * 0x7f);
    }
    addr.bytes[12] = (uint8_t)seeded_below(seed, 3);
    addr.bytes[14] = (uint8_t)(seeded_below(seed, 4) * 0x55);
    addr.bytes[15] = (uint8_t)seeded_next(seed);
    return addr;
}

static void test_cidrset_contains_agrees_with_naive_search(void **state)
{
    (void)state;
    uint64_t seed = 4;
    for (int round = 0; round < 3000; round++) {
        l7s_cidr_t networks[40];
        l7s_addr_range_t ranges[40];
        size_t count = seeded_below(&seed, 41);
        for (size_t i = 0; i < count; i++) {
            l7s_addr_t base = small_world(&seed);
            unsigned prefix = 128 - (unsigned)seeded_below(&seed, i % 4 ? 16 : 129);
            if (l7s_addr_is_v4(&base) && prefix < 96) {
                prefix = 96;
            }
            networks[i] =
                (l7s_cidr_t){l7s_addr_mask(&base, (uint8_t)prefix), (uint8_t)prefix};
        }
        size_t made = l7s_cidrset_build(networks, count, ranges);
        assert_true(made <= count);
        for (int q = 0; q < 100; q++) {
            l7s_addr_t addr = small_world(&seed);
            bool naive = false;
            for (size_t i = 0; i < count; i++) {
                naive = naive || l7s_cidr_contains(&networks[i], &addr);
            }
            assert_int_equal(l7s_cidrset_contains(ranges, made, &addr), naive);
        }
    }
}

/* Both forms of a set say the same about every address near an edge. */
static void test_cidrset_contains4_agrees_with_contains(void **state)
{
    static const char *const texts[] = {
        "0.0.0.0/32",    "10.0.0.0/8",     "10.128.0.0/9",       "192.0.2.4/30",
        "192.0.2.12/30", "203.0.113.7/32", "255.255.255.255/32", "2001:db8::/32"};
    l7s_cidr_t networks[8];
    l7s_addr_range_t ranges[8];
    l7s_range4_t fours[8];
    (void)state;
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(l7s_cidr_parse(texts[i], &networks[i]), L7S_OK);
    }
    size_t count = l7s_cidrset_build(networks, 8, ranges);
    size_t four = l7s_cidrset_split4(ranges, count, fours);
    assert_int_equal(four, count - 1);
    for (size_t i = 0; i < four; i++) {
        for (int step = -1; step <= 1; step++) {
            const uint32_t edges[] = {fours[i].first, fours[i].last};
            for (size_t k = 0; k < 2; k++) {
                uint32_t number = edges[k] + (uint32_t)step;
                l7s_addr_t addr = {{[10] = 0xff, [11] = 0xff}};
                for (unsigned b = 0; b < 4; b++) {
                    addr.bytes[12 + b] = (uint8_t)(number >> (24 - 8 * b));
                }
                assert_int_equal(l7s_cidrset_contains4(fours, four, &addr),
                                 l7s_cidrset_contains(ranges, count, &addr));
            }
        }
    }
    static const char *const sixes[] = {
        "2001:db8::", "2001:db7:ffff:ffff:ffff:ffff:ffff:ffff",
        "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", "2001:db9::", "::"};
    for (size_t i = 0; i < 5; i++) {
        l7s_addr_t six;
        assert_true(l7s_addr_parse(sixes[i], &six));
        assert_int_equal(l7s_cidrset_contains6(ranges + four, 1, &six),
                         l7s_cidrset_contains(ranges, count, &six));
        assert_false(l7s_cidrset_contains6(ranges + four, 0, &six));
    }
    l7s_addr_t addr = {{[10] = 0xff, [11] = 0xff}};
    assert_false(l7s_cidrset_contains4(fours, 0, &addr));
    assert_int_equal(l7s_cidrset_split4(ranges + four, 1, fours), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_cidrset_contains4_agrees_with_contains),
        cmocka_unit_test(test_cidrset_build_neighbours_and_overlaps_melt),
        cmocka_unit_test(test_cidrset_contains_empty_set_has_nothing),
        cmocka_unit_test(test_cidrset_contains_edges),
        cmocka_unit_test(test_cidrset_contains_agrees_with_naive_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
