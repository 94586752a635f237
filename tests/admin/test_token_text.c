/* SPDX-License-Identifier: Apache-2.0
 *
 * Tokens as text: form, checksum, and that no single typo passes.
 */
#include "../../admin_api/http/token_text.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static void test_token_mint_has_form_and_reads_back(void **state)
{
    (void)state;
    char text[ADMIN_TOKEN_TEXT], id[ADMIN_TOKEN_ID], other_id[ADMIN_TOKEN_ID];
    uint8_t hash[32], other_hash[32];
    assert_int_equal(admin_token_mint(text, id, hash), L7S_OK);
    assert_int_equal(strlen(text), 63);
    assert_memory_equal(text, "shld_", 5);
    assert_memory_equal(text + 5, id, 8);
    assert_int_equal(text[13], '_');
    assert_true(admin_token_read(text, other_id, other_hash));
    assert_string_equal(id, other_id);
    assert_memory_equal(hash, other_hash, 32);
}

static void test_token_mint_twice_differs(void **state)
{
    (void)state;
    char a[ADMIN_TOKEN_TEXT], b[ADMIN_TOKEN_TEXT], id[ADMIN_TOKEN_ID];
    uint8_t hash[32];
    assert_int_equal(admin_token_mint(a, id, hash), L7S_OK);
    assert_int_equal(admin_token_mint(b, id, hash), L7S_OK);
    assert_string_not_equal(a, b);
}

static void test_token_read_any_changed_character_is_refused(void **state)
{
    (void)state;
    char text[ADMIN_TOKEN_TEXT], id[ADMIN_TOKEN_ID];
    uint8_t hash[32];
    assert_int_equal(admin_token_mint(text, id, hash), L7S_OK);
    for (size_t i = 0; i < strlen(text); i++) {
        char kept = text[i];
        text[i] = kept == 'x' ? 'y' : 'x';
        assert_false(admin_token_read(text, id, hash));
        text[i] = kept;
    }
    assert_true(admin_token_read(text, id, hash));
}

static void test_token_read_other_text_is_refused(void **state)
{
    (void)state;
    static const char *const cases[] = {
        "",
        "shld_",
        "shld_AAAAAAAA_",
        "ghp_AAAAAAAA_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        "shld_00000000_0000000000000000000000000000000000000000000000000",
        "shld_00000000_000000000000000000000000000000000000000000000000000"};
    char id[ADMIN_TOKEN_ID];
    uint8_t hash[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_false(admin_token_read(cases[i], id, hash));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_token_mint_has_form_and_reads_back),
        cmocka_unit_test(test_token_mint_twice_differs),
        cmocka_unit_test(test_token_read_any_changed_character_is_refused),
        cmocka_unit_test(test_token_read_other_text_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
