/* SPDX-License-Identifier: Apache-2.0
 *
 * SipHash-2-4 against the vectors of its reference implementation, both widths.
 */
#include "../../core/hash.h"
#include "siphash_vectors.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <string.h>

static const l7s_hashkey_t vector_key = {0x0706050403020100, 0x0f0e0d0c0b0a0908};

/* At every alignment: keys are read from the middle of requests. */
static void each_vector(void (*check)(const uint8_t *message, size_t size))
{
    for (size_t shift = 0; shift < 8; shift++) {
        uint8_t bytes[80];
        for (size_t size = 0; size < 64; size++) {
            memset(bytes, 0xa5, sizeof bytes);
            for (size_t i = 0; i < size; i++) {
                bytes[shift + i] = (uint8_t)i;
            }
            check(bytes + shift, size);
        }
    }
}

static void check64(const uint8_t *message, size_t size)
{
    assert_true(l7s_siphash64(&vector_key, message, size) == siphash64_vectors[size]);
}

static void check128(const uint8_t *message, size_t size)
{
    l7s_hash128_t hash = l7s_siphash128(&vector_key, message, size);
    assert_true(hash.lo == siphash128_vectors[size][0]);
    assert_true(hash.hi == siphash128_vectors[size][1]);
}

static void test_siphash64_reference_vectors_match(void **state)
{
    (void)state;
    each_vector(check64);
    /* The example of the paper, appendix A. */
    assert_true(siphash64_vectors[15] == 0xa129ca6149be45e5);
}

static void test_siphash128_reference_vectors_match(void **state)
{
    (void)state;
    each_vector(check128);
}

static void test_siphash_other_key_gives_other_hash(void **state)
{
    (void)state;
    l7s_hashkey_t other = vector_key;
    other.k1 ^= (uint64_t)1 << 63;
    assert_true(l7s_siphash64(&vector_key, "x", 1) != l7s_siphash64(&other, "x", 1));
    assert_true(l7s_siphash128(&vector_key, "x", 1).hi !=
                l7s_siphash128(&other, "x", 1).hi);
}

static void test_hash128_text_is_base64url_of_the_bytes(void **state)
{
    (void)state;
    static const struct {
        l7s_hash128_t hash;
        const char *text;
    } cases[] = {
        {{0, 0}, "AAAAAAAAAAAAAAAAAAAAAA"},
        {{UINT64_MAX, UINT64_MAX}, "_____________________w"},
        {{0x0706050403020100, 0x0f0e0d0c0b0a0908}, "AAECAwQFBgcICQoLDA0ODw"},
        {{0x00000000000000fb, 0xff00000000000000}, "-wAAAAAAAAAAAAAAAAAA_w"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char text[L7S_HASH128_TEXT];
        l7s_hash128_text(cases[i].hash, text);
        assert_string_equal(text, cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_siphash64_reference_vectors_match),
        cmocka_unit_test(test_siphash128_reference_vectors_match),
        cmocka_unit_test(test_siphash_other_key_gives_other_hash),
        cmocka_unit_test(test_hash128_text_is_base64url_of_the_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
