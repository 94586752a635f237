/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and networks: texts there and back, masks, and random text that must never be
 * more than refused.
 */
#include "../../core/addr.h"
#include "seeded.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static l7s_addr_t addr(const char *text)
{
    l7s_addr_t parsed;
    assert_true(l7s_addr_parse(text, &parsed));
    return parsed;
}

static l7s_cidr_t cidr(const char *text)
{
    l7s_cidr_t parsed;
    assert_int_equal(l7s_cidr_parse(text, &parsed), L7S_OK);
    return parsed;
}

static void test_addr_parse_good_text_comes_back_canonical(void **state)
{
    (void)state;
    static const struct {
        const char *text, *canonical;
        bool v4;
    } cases[] = {
        {"0.0.0.0", "0.0.0.0", true},
        {"203.0.113.7", "203.0.113.7", true},
        {"255.255.255.255", "255.255.255.255", true},
        {"::ffff:203.0.113.7", "203.0.113.7", true},
        {"::ffff:cb00:7107", "203.0.113.7", true},
        {"::", "::", false},
        {"::1", "::1", false},
        {"2001:DB8:0:0:0:0:0:1", "2001:db8::1", false},
        {"2001:db8::1:0:0:1", "2001:db8::1:0:0:1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_addr_t parsed = addr(cases[i].text);
        char text[L7S_ADDR_TEXT];
        l7s_addr_text(&parsed, text);
        assert_string_equal(text, cases[i].canonical);
        assert_int_equal(l7s_addr_is_v4(&parsed), cases[i].v4);
    }
}

static void test_addr_parse_bad_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",          " ",          "1.2.3",    "1.2.3.4.5",         "1.2.3.256",
        "1.2.3.04",  "0x1.2.3.4",  "1.2.3.4 ", " 1.2.3.4",          "1.2.3.4/32",
        "localhost", ":",          ":::",      "2001:db8:::",       "2001:db8::g",
        "1::2::3",   "fe80::1%1",  "[::1]",    "1:2:3:4:5:6:7:8:9", "::1.2.3",
        "-1.2.3.4",  "1.2.3.4:80",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        l7s_addr_t out;
        memset(&out, 0x5a, sizeof out);
        l7s_addr_t before = out;
        assert_false(l7s_addr_parse(texts[i], &out));
        assert_memory_equal(&out, &before, sizeof out);
    }
}

static void test_addr_mask_clears_exactly_the_bits_behind(void **state)
{
    (void)state;
    l7s_addr_t ones;
    memset(&ones, 0xff, sizeof ones);
    for (unsigned prefix = 0; prefix <= 128; prefix++) {
        l7s_addr_t masked = l7s_addr_mask(&ones, (uint8_t)prefix);
        for (unsigned bit = 0; bit < 128; bit++) {
            unsigned set = masked.bytes[bit / 8] >> (7 - bit % 8) & 1;
            assert_int_equal(set, bit < prefix);
        }
    }
}

static void test_addr_client_is_the_address_or_its_64(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"203.0.113.7", "203.0.113.7"},
        {"2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"},
        {"::1", "::/64"},
    };
    for (size_t i = 0; i < 3; i++) {
        l7s_addr_t peer = addr(cases[i][0]);
        l7s_cidr_t client = l7s_addr_client(&peer);
        char text[L7S_CIDR_TEXT];
        l7s_cidr_text(&client, text);
        assert_string_equal(text, cases[i][1]);
        assert_true(l7s_cidr_contains(&client, &peer));
    }
}

static void test_cidr_parse_host_bits_give_the_corrected_network(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        l7s_status_t status;
        const char *canonical;
        unsigned prefix;
    } cases[] = {
        {"192.0.2.0/24", L7S_OK, "192.0.2.0/24", 120},
        {"192.0.2.1", L7S_OK, "192.0.2.1", 128},
        {"192.0.2.1/32", L7S_OK, "192.0.2.1", 128},
        {"0.0.0.0/0", L7S_OK, "0.0.0.0/0", 96},
        {"10.0.0.0/8", L7S_OK, "10.0.0.0/8", 104},
        {"2001:db8::/32", L7S_OK, "2001:db8::/32", 32},
        {"::/0", L7S_OK, "::/0", 0},
        {"::1", L7S_OK, "::1", 128},
        {"::ffff:10.0.0.0/104", L7S_OK, "10.0.0.0/8", 104},
        {"192.0.2.1/24", L7S_CONFLICT, "192.0.2.0/24", 120},
        {"2001:db8::1/64", L7S_CONFLICT, "2001:db8::/64", 64},
        {"255.255.255.255/0", L7S_CONFLICT, "0.0.0.0/0", 96},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_cidr_t network;
        assert_int_equal(l7s_cidr_parse(cases[i].text, &network), cases[i].status);
        char text[L7S_CIDR_TEXT];
        l7s_cidr_text(&network, text);
        assert_string_equal(text, cases[i].canonical);
        assert_int_equal(network.prefix, cases[i].prefix);
    }
}

static void test_cidr_parse_bad_text_is_refused(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "",
        "/",
        "/24",
        "10.0.0.0/",
        "10.0.0.0/33",
        "10.0.0.0/08",
        "10.0.0.0/-1",
        "10.0.0.0/+8",
        "10.0.0.0/8 ",
        "10.0.0.0/8/8",
        "10/8",
        "::/129",
        "::/0128",
        "2001:db8::/1x",
        "10.0.0.0/255.0.0.0",
        "10.0.0.0/4294967304",
        "1111:2222:3333:4444:5555:6666:255.255.255.2555/1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        l7s_cidr_t network;
        assert_int_equal(l7s_cidr_parse(texts[i], &network), L7S_INVALID);
    }
}

static void test_cidr_contains_edges(void **state)
{
    (void)state;
    static const struct {
        const char *network, *address;
        bool inside;
    } cases[] = {
        {"192.0.2.0/24", "192.0.2.0", true},
        {"192.0.2.0/24", "192.0.2.255", true},
        {"192.0.2.0/24", "192.0.3.0", false},
        {"192.0.2.0/24", "192.0.1.255", false},
        {"192.0.2.0/24", "::ffff:192.0.2.9", true},
        {"192.0.2.9", "192.0.2.9", true},
        {"192.0.2.9", "192.0.2.8", false},
        {"0.0.0.0/0", "255.1.2.3", true},
        {"0.0.0.0/0", "2001:db8::1", false},
        {"::/0", "2001:db8::1", true},
        {"::/0", "192.0.2.1", false}, /* all of IPv6 is not all */
        {"2001:db8::/33", "2001:db8:7fff::", true},
        {"2001:db8::/33", "2001:db8:8000::", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_cidr_t network = cidr(cases[i].network);
        l7s_addr_t address = addr(cases[i].address);
        assert_int_equal(l7s_cidr_contains(&network, &address), cases[i].inside);
    }
}

static void test_cidr_text_random_networks_come_back(void **state)
{
    (void)state;
    uint64_t seed = 2;
    for (int i = 0; i < 50000; i++) {
        l7s_addr_t base;
        for (unsigned b = 0; b < 16; b++) {
            base.bytes[b] = (uint8_t)(seeded_below(&seed, 3) ? seeded_next(&seed) : 0);
        }
        unsigned prefix = (unsigned)seeded_below(&seed, 129);
        if (i % 2 == 0) {
            memset(base.bytes, 0, 10);
            memset(base.bytes + 10, 0xff, 2);
            prefix = 96 + prefix % 33;
        }
        l7s_cidr_t network = {l7s_addr_mask(&base, (uint8_t)prefix), (uint8_t)prefix};
        char text[L7S_CIDR_TEXT];
        l7s_cidr_text(&network, text);
        l7s_cidr_t back = cidr(text);
        assert_memory_equal(&back.base, &network.base, sizeof network.base);
        assert_int_equal(back.prefix, network.prefix);
    }
}

static void test_parse_random_text_is_canonical_or_refused(void **state)
{
    (void)state;
    static const char alphabet[] = "0123456789abcdefF:::...../1";
    uint64_t seed = 3;
    unsigned accepted = 0;
    for (int i = 0; i < 300000; i++) {
        char raw[64], text[L7S_CIDR_TEXT];
        size_t size = seeded_below(&seed, i % 3 ? 12 : sizeof raw);
        for (size_t c = 0; c < size; c++) {
            raw[c] = alphabet[seeded_below(&seed, sizeof alphabet - 1)];
        }
        raw[size] = '\0';
        l7s_cidr_t network, again;
        l7s_status_t status = l7s_cidr_parse(raw, &network);
        if (status == L7S_INVALID) {
            continue;
        }
        accepted++;
        l7s_cidr_text(&network, text);
        assert_int_equal(l7s_cidr_parse(text, &again), L7S_OK);
        assert_memory_equal(&again.base, &network.base, sizeof network.base);
    }
    assert_true(accepted > 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_addr_parse_good_text_comes_back_canonical),
        cmocka_unit_test(test_addr_parse_bad_text_is_refused),
        cmocka_unit_test(test_addr_mask_clears_exactly_the_bits_behind),
        cmocka_unit_test(test_addr_client_is_the_address_or_its_64),
        cmocka_unit_test(test_cidr_parse_host_bits_give_the_corrected_network),
        cmocka_unit_test(test_cidr_parse_bad_text_is_refused),
        cmocka_unit_test(test_cidr_contains_edges),
        cmocka_unit_test(test_cidr_text_random_networks_come_back),
        cmocka_unit_test(test_parse_random_text_is_canonical_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
