/* SPDX-License-Identifier: Apache-2.0
 *
 * The examples of FIPS 180-4 that fit into one block, and the longest of all messages
 * that do, whose digests were computed with sha256sum.
 */
#include "../../core/sha256.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

static void test_sha256_short_messages_have_their_digests(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {"abc", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {"0123456789abcdef0123456789abcdef0123456789.1234567890",
         "c72ed6a7e4e66a795e9e3f267056d4ac9eaf7d77967a01b0e01059d4b8e5deb4"},
        {"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
         "9f4390f8d30c2dd92ec9f095b65e2b9ae9b0a925a5258e241c9f1e910f734318"},
    };

    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char text[65];
        uint32_t digest[8];
        l7s_sha256_short(cases[i][0], strlen(cases[i][0]), digest);
        for (unsigned k = 0; k < 8; k++) {
            snprintf(text + 8 * k, 9, "%08x", digest[k]);
        }
        assert_string_equal(text, cases[i][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_short_messages_have_their_digests),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
