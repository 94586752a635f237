/* SPDX-License-Identifier: Apache-2.0
 *
 * Which addresses a webhook may be at.
 */
#include "../../admin_api/events/public_address.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on

static bool is_public(const char *text)
{
    l7s_addr_t address;
    assert_true(l7s_addr_parse(text, &address));
    return admin_address_is_public(&address);
}

static void test_address_is_public_only_outside_of_special_blocks(void **state)
{
    static const char *const private[] = {
        "0.0.0.0",
        "10.1.2.3",
        "100.64.0.1",
        "127.0.0.1",
        "127.255.255.255",
        "169.254.169.254",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.0.1",
        "198.18.0.1",
        "224.0.0.1",
        "255.255.255.255",
        "::",
        "::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
        "fc00::1",
        "fdff::1",
        "fe80::1",
        "ff02::1",
        "2001:db8::1",
        "::7f00:1",
    };
    static const char *const public[] = {
        "1.1.1.1",    "8.8.8.8",         "172.15.255.255",
        "172.32.0.0", "192.167.0.1",     "::ffff:8.8.8.8",
        "11.0.0.1",   "2606:4700::1111", "2a00:1450:4001::200e",
    };
    (void)state;
    for (size_t i = 0; i < sizeof private / sizeof private[0]; i++) {
        assert_false(is_public(private[i]));
    }
    for (size_t i = 0; i < sizeof public / sizeof public[0]; i++) {
        assert_true(is_public(public[i]));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_address_is_public_only_outside_of_special_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
