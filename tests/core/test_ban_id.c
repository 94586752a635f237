/* SPDX-License-Identifier: Apache-2.0 */
#include "../../core/segment/ban_id.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static void test_ban_id_of_a_network_reads_back(void **state)
{
    static const struct {
        const char *network, *id;
    } cases[] = {
        {"203.0.113.7", "ip:203.0.113.7"}, {"203.0.113.0/24", "net:203.0.113.0_24"},
        {"0.0.0.0/0", "net:0.0.0.0_0"},    {"2001:db8::/64", "net:2001:db8::_64"},
        {"2001:db8::1", "ip:2001:db8::1"}, {"::/0", "net:::_0"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char id[L7S_BAN_ID_MAX];
        l7s_cidr_t network, back;
        assert_int_equal(l7s_cidr_parse(cases[i].network, &network), L7S_OK);
        l7s_ban_id(&network, id);
        assert_string_equal(id, cases[i].id);
        assert_int_equal(l7s_ban_id_parse(id, &back), L7S_OK);
        assert_int_equal(back.prefix, network.prefix);
        assert_memory_equal(&back.base, &network.base, sizeof back.base);
    }
}

static void test_ban_id_parse_refuses_other_spellings(void **state)
{
    static const char *const ids[] = {
        "",
        "ip:",
        "203.0.113.7",
        "ip:203.0.113.0/24",
        "ip:203.0.113.7_32",
        "net:203.0.113.7",
        "net:203.0.113.7_32",
        "net:203.0.113.7_24",
        "net:203.0.113.0/24",
        "net:203.0.113.0_",
        "net:203.0.113.0_024",
        "ip:2001:DB8::1",
        "ip:2001:db8:0::1",
        "header:h-AAAAAAAAAAAAAAAAAAAAAA",
        "ip:203.0.113.7 ",
        "net:1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc:dddd_64",
    };
    l7s_cidr_t network;

    (void)state;
    for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
        assert_int_equal(l7s_ban_id_parse(ids[i], &network), L7S_INVALID);
    }
}

static void test_ban_id_hash_names_part_and_digest(void **state)
{
    char one[L7S_BAN_ID_MAX], other[L7S_BAN_ID_MAX];

    (void)state;
    l7s_ban_id_hash(L7S_PART_HEADER, (l7s_hash128_t){1, 2}, one);
    l7s_ban_id_hash(L7S_PART_HEADER, (l7s_hash128_t){1, 3}, other);
    assert_memory_equal(one, "header:h-", 9);
    assert_int_equal(strlen(one), 9 + 22);
    assert_string_not_equal(one, other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ban_id_of_a_network_reads_back),
        cmocka_unit_test(test_ban_id_parse_refuses_other_spellings),
        cmocka_unit_test(test_ban_id_hash_names_part_and_digest),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
