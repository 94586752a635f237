/* SPDX-License-Identifier: Apache-2.0
 *
 * The three key files, what is refused and with which sentence, and the cryptography
 * against published vectors.
 */
#include "../../core/bus/trust.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* RFC 8032, 7.1, test 2: seed, public key, message 0x72. */
#define RFC_SEED "TM0Imyj/ltqdtsNG7BFOD1uKMZ81q6Yk2oz27U+4pvs="
#define RFC_PUBLIC "PUAXw+hDiVqStwqnTRt+vJyYLM8uxJaMwM1V8Sr0Zgw="
static const uint8_t rfc_signature[L7S_SIGNATURE_SIZE] = {
    0x92, 0xa0, 0x09, 0xa9, 0xf0, 0xd4, 0xca, 0xb8, 0x72, 0x0e, 0x82, 0x0b, 0x5f,
    0x64, 0x25, 0x40, 0xa2, 0xb2, 0x7b, 0x54, 0x16, 0x50, 0x3f, 0x8f, 0xb3, 0x76,
    0x22, 0x23, 0xeb, 0xdb, 0x69, 0xda, 0x08, 0x5a, 0xc1, 0xe4, 0x3e, 0x15, 0x99,
    0x6e, 0x45, 0x8f, 0x36, 0x13, 0xd0, 0xf1, 0x1d, 0x8c, 0x38, 0x7b, 0x2e, 0xae,
    0xb4, 0x30, 0x2a, 0xee, 0xb0, 0x0d, 0x29, 0x16, 0x12, 0xbb, 0x0c, 0x00};

#define ZERO_SECRET "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="
#define ONES_SECRET "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="

typedef struct {
    char folder[32];
    char secret[64], trust[64], signing[64], other[64];
} files_t;

static int set_up(void **state)
{
    files_t *files = calloc(1, sizeof *files);
    snprintf(files->folder, sizeof files->folder, "/tmp/l7s_trust_XXXXXX");
    if (!mkdtemp(files->folder)) {
        return -1;
    }
    snprintf(files->secret, sizeof files->secret, "%s/secret", files->folder);
    snprintf(files->trust, sizeof files->trust, "%s/trust", files->folder);
    snprintf(files->signing, sizeof files->signing, "%s/signing", files->folder);
    snprintf(files->other, sizeof files->other, "%s/other", files->folder);
    *state = files;
    return 0;
}

static int tear_down(void **state)
{
    files_t *files = *state;
    unlink(files->secret);
    unlink(files->trust);
    unlink(files->signing);
    unlink(files->other);
    rmdir(files->folder);
    free(files);
    return 0;
}

static void put(const char *path, mode_t mode, const char *text)
{
    unlink(path);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    fputs(text, file);
    fclose(file);
    assert_int_equal(chmod(path, mode), 0);
}

static void test_trust_create_files_load_and_hold(void **state)
{
    files_t *files = *state;
    char why[256] = "";
    mode_t old = umask(077); /* the trust file must become readable all the same */
    assert_int_equal(l7s_trust_create(files->secret, files->trust, files->signing, why),
                     L7S_OK);
    umask(old);
    struct stat info;
    stat(files->secret, &info);
    assert_int_equal(info.st_mode & 07777, 0600);
    stat(files->signing, &info);
    assert_int_equal(info.st_mode & 07777, 0600);
    stat(files->trust, &info);
    assert_int_equal(info.st_mode & 07777, 0644);

    l7s_trust_t *daemon = NULL, *node = NULL;
    assert_int_equal(l7s_trust_load(files->secret, NULL, files->signing, why, &daemon),
                     L7S_OK);
    assert_int_equal(l7s_trust_load(files->secret, files->trust, NULL, why, &node),
                     L7S_OK);
    uint8_t signature[L7S_SIGNATURE_SIZE];
    assert_int_equal(l7s_trust_sign(daemon, "policy", 6, signature), L7S_OK);
    assert_true(l7s_trust_verify(node, "policy", 6, signature));
    assert_true(l7s_trust_verify(daemon, "policy", 6, signature));
    assert_false(l7s_trust_verify(node, "Policy", 6, signature));
    signature[10] ^= 1;
    assert_false(l7s_trust_verify(node, "policy", 6, signature));
    assert_int_equal(l7s_trust_sign(node, "policy", 6, signature), L7S_UNTRUSTED);
    l7s_trust_free(daemon);
    l7s_trust_free(node);
    l7s_trust_free(NULL);
}

static void test_trust_create_existing_file_is_kept(void **state)
{
    files_t *files = *state;
    const char *each[] = {files->secret, files->trust, files->signing};
    for (size_t i = 0; i < 3; i++) {
        char why[256] = "";
        put(each[i], 0600, "precious");
        assert_int_equal(
            l7s_trust_create(files->secret, files->trust, files->signing, why),
            L7S_CONFLICT);
        assert_non_null(strstr(why, each[i]));
        for (size_t j = 0; j < 3; j++) { /* and nothing half-made is left */
            assert_int_equal(access(each[j], F_OK) == 0, i == j);
        }
        unlink(each[i]);
    }
}

static void test_trust_load_open_files_are_refused_with_the_cure(void **state)
{
    files_t *files = *state;
    char why[256], want[256];
    put(files->trust, 0644, "l7shield-ed25519 " RFC_PUBLIC "\n");
    put(files->signing, 0600, "l7shield-ed25519-seed " RFC_SEED "\n");
    static const mode_t open_modes[] = {0640, 0604, 0644, 0660, 0610};
    l7s_trust_t *trust = NULL;
    for (size_t i = 0; i < sizeof open_modes / sizeof open_modes[0]; i++) {
        put(files->secret, open_modes[i], "k1:" ZERO_SECRET "\n");
        assert_int_equal(l7s_trust_load(files->secret, files->trust, NULL, why, &trust),
                         L7S_UNTRUSTED);
        assert_null(trust);
        snprintf(
            want, sizeof want,
            "secret file %s has mode %04o: group or others may access it; run: chmod "
            "600 %s",
            files->secret, (unsigned)open_modes[i], files->secret);
        assert_string_equal(why, want);
    }
    put(files->secret, 0400, "k1:" ZERO_SECRET "\n");
    assert_int_equal(chmod(files->signing, 0640), 0);
    assert_int_equal(l7s_trust_load(files->secret, NULL, files->signing, why, &trust),
                     L7S_UNTRUSTED);
    assert_non_null(strstr(why, "signing key file"));
    assert_int_equal(chmod(files->trust, 0664), 0);
    assert_int_equal(l7s_trust_load(files->secret, files->trust, NULL, why, &trust),
                     L7S_UNTRUSTED);
    assert_non_null(strstr(why, "group or others may change it; run: chmod go-w"));
    assert_int_equal(chmod(files->trust, 0444), 0);
    assert_int_equal(l7s_trust_load(files->secret, files->trust, NULL, NULL, &trust),
                     L7S_OK);
    l7s_trust_free(trust);
}

static void test_trust_load_bad_content_is_refused(void **state)
{
    files_t *files = *state;
    static const struct {
        const char *secret, *trust, *signing; /* NULL: a good one, or none */
        const char *says;
    } cases[] = {
        {"", NULL, NULL, "holds no secret"},
        {"# only a comment\n\n", NULL, NULL, "holds no secret"},
        {"k1\n", NULL, NULL, "line 1"},
        {"k1:" ZERO_SECRET "\n\nk1:" ONES_SECRET "\n", NULL, NULL, "line 3"},
        {":" ZERO_SECRET "\n", NULL, NULL, "line 1"},
        {"a b:" ZERO_SECRET "\n", NULL, NULL, "line 1"},
        {"k1:AAAA\n", NULL, NULL, "32 bytes"},
        {"k1:!!!!\n", NULL, NULL, "32 bytes"},
        {"k1:\n", NULL, NULL, "32 bytes"},
        {"0123456789012345678901234567890x:" ZERO_SECRET "\n", NULL, NULL, "line 1"},
        {NULL, "", NULL, "l7shield-ed25519 BASE64"},
        {NULL, "l7shield-ed25519-seed " RFC_SEED "\n", NULL, "l7shield-ed25519 BASE64"},
        {NULL, "l7shield-ed25519 AAAA\n", NULL, "32 bytes"},
        {NULL, NULL, "l7shield-ed25519 " RFC_PUBLIC "\n", "l7shield-ed25519-seed BASE64"},
        {NULL, NULL, "l7shield-ed25519-seed " ZERO_SECRET "\n", "does not belong"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        put(files->secret, 0600,
            cases[i].secret ? cases[i].secret : "k1:" ZERO_SECRET "\n");
        put(files->trust, 0644,
            cases[i].trust ? cases[i].trust : "l7shield-ed25519 " RFC_PUBLIC "\n");
        put(files->signing, 0600,
            cases[i].signing ? cases[i].signing : "l7shield-ed25519-seed " RFC_SEED "\n");
        char why[256] = "";
        l7s_trust_t *trust = NULL;
        assert_int_equal(
            l7s_trust_load(files->secret, files->trust, files->signing, why, &trust),
            L7S_INVALID);
        assert_non_null(strstr(why, cases[i].says));
        assert_null(trust);
    }
}

static void test_trust_load_strange_files_do_not_hang(void **state)
{
    files_t *files = *state;
    char why[256] = "";
    l7s_trust_t *trust = NULL;
    assert_int_equal(l7s_trust_load(NULL, NULL, NULL, why, &trust), L7S_INVALID);
    assert_int_equal(l7s_trust_load(files->secret, NULL, NULL, why, &trust), L7S_IO);
    assert_non_null(strstr(why, "No such file"));
    assert_int_equal(mkfifo(files->secret, 0600), 0);
    assert_int_equal(l7s_trust_load(files->secret, NULL, NULL, why, &trust), L7S_IO);
    assert_non_null(strstr(why, "not a regular file"));
    char *big = malloc(100001);
    memset(big, 'a', 100000);
    big[100000] = '\0';
    put(files->secret, 0600, big);
    free(big);
    assert_int_equal(l7s_trust_load(files->secret, NULL, NULL, why, &trust), L7S_INVALID);
}

static void test_trust_secrets_first_signs_all_verify(void **state)
{
    files_t *files = *state;
    put(files->secret, 0600, "# rotation\nnew:" ONES_SECRET "\r\nold:" ZERO_SECRET "\n");
    put(files->other, 0600, "old:" ZERO_SECRET);
    l7s_trust_t *trust = NULL, *behind = NULL;
    assert_int_equal(l7s_trust_load(files->secret, NULL, NULL, NULL, &trust), L7S_OK);
    assert_int_equal(l7s_trust_load(files->other, NULL, NULL, NULL, &behind), L7S_OK);
    assert_int_equal(l7s_trust_secrets(trust), 2);
    assert_string_equal(l7s_trust_secret_id(trust), "new");
    assert_string_equal(l7s_trust_secret_at(trust, 1), "old");
    assert_null(l7s_trust_secret_at(trust, 2));
    assert_true(l7s_trust_has_secret(trust, "old"));
    assert_false(l7s_trust_has_secret(behind, "new"));

    uint8_t mac[L7S_MAC_SIZE];
    assert_int_equal(l7s_trust_mac(behind, "old", "seat", 4, mac), L7S_OK);
    assert_true(l7s_trust_mac_holds(trust, "old", "seat", 4, mac));
    assert_false(l7s_trust_mac_holds(trust, "new", "seat", 4, mac));
    assert_false(l7s_trust_mac_holds(trust, "none", "seat", 4, mac));
    assert_false(l7s_trust_mac_holds(trust, "old", "Seat", 4, mac));
    assert_int_equal(l7s_trust_mac(trust, "none", "seat", 4, mac), L7S_NOT_FOUND);
    l7s_trust_free(trust);
    l7s_trust_free(behind);
}

/* Computed with Python's hmac: every node and the daemon must derive the same. */
static void test_trust_derived_keys_match_vectors(void **state)
{
    files_t *files = *state;
    put(files->secret, 0600, "k1:" ZERO_SECRET "\n");
    l7s_trust_t *trust = NULL;
    assert_int_equal(l7s_trust_load(files->secret, NULL, NULL, NULL, &trust), L7S_OK);
    l7s_hashkey_t key;
    assert_int_equal(l7s_trust_count_key(trust, "k1", &key), L7S_OK);
    assert_int_equal(key.k0, 0x28518ee0d1157afbULL);
    assert_int_equal(key.k1, 0xcf0a8355885f152eULL);
    assert_int_equal(l7s_trust_name_key(trust, "k1", &key), L7S_OK);
    assert_int_equal(key.k0, 0xf5e2125eeb37aa5eULL);
    assert_int_equal(key.k1, 0x178a109e01b098ffULL);
    static const uint8_t want[L7S_MAC_SIZE] = {
        0x5a, 0xcb, 0xce, 0x50, 0x43, 0xb2, 0x7e, 0x21, 0x86, 0x63, 0xe6,
        0xe8, 0x1e, 0x70, 0x95, 0x6f, 0x9e, 0xdb, 0xb3, 0x71, 0x6a, 0xb3,
        0x9a, 0xd5, 0xc1, 0xea, 0xfc, 0x4c, 0x9e, 0xcd, 0x5e, 0xa8};
    uint8_t mac[L7S_MAC_SIZE];
    assert_int_equal(l7s_trust_mac(trust, "k1", "seat", 4, mac), L7S_OK);
    assert_memory_equal(mac, want, sizeof mac);
    assert_int_equal(l7s_trust_count_key(trust, "k2", &key), L7S_NOT_FOUND);
    assert_int_equal(l7s_trust_name_key(trust, "k2", &key), L7S_NOT_FOUND);
    l7s_trust_free(trust);
}

static void test_trust_sign_matches_rfc_8032(void **state)
{
    files_t *files = *state;
    put(files->secret, 0600, "k1:" ZERO_SECRET "\n");
    put(files->trust, 0644, "l7shield-ed25519 " RFC_PUBLIC "\n");
    put(files->signing, 0600, "l7shield-ed25519-seed " RFC_SEED "\n");
    l7s_trust_t *trust = NULL;
    assert_int_equal(
        l7s_trust_load(files->secret, files->trust, files->signing, NULL, &trust),
        L7S_OK);
    uint8_t signature[L7S_SIGNATURE_SIZE];
    assert_int_equal(l7s_trust_sign(trust, "\x72", 1, signature), L7S_OK);
    assert_memory_equal(signature, rfc_signature, sizeof signature);
    assert_true(l7s_trust_verify(trust, "\x72", 1, rfc_signature));
    l7s_trust_free(trust);
    assert_int_equal(l7s_trust_load(files->secret, NULL, NULL, NULL, &trust), L7S_OK);
    assert_false(
        l7s_trust_verify(trust, "\x72", 1, rfc_signature)); /* no key, no trust */
    l7s_trust_free(trust);
}

static void test_sha256_text_and_random(void **state)
{
    (void)state;
    char text[L7S_SHA256_TEXT];
    l7s_sha256_text("abc", 3, text);
    assert_string_equal(
        text, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    uint8_t a[32] = {0}, b[32] = {0};
    assert_int_equal(l7s_random(a, sizeof a), L7S_OK);
    assert_int_equal(l7s_random(b, sizeof b), L7S_OK);
    assert_memory_not_equal(a, b, sizeof a);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_trust_create_files_load_and_hold, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_trust_create_existing_file_is_kept, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(
            test_trust_load_open_files_are_refused_with_the_cure, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_trust_load_bad_content_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_trust_load_strange_files_do_not_hang, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_trust_secrets_first_signs_all_verify, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_trust_derived_keys_match_vectors, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_trust_sign_matches_rfc_8032, set_up,
                                        tear_down),
        cmocka_unit_test(test_sha256_text_and_random),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
