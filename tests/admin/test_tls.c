/* SPDX-License-Identifier: Apache-2.0
 *
 * When the TLS files are read again, and what happens when they cannot be used.
 */
#include "../../admin_api/http/tls.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define NOW_MS 1700000000000u
#define FIRST_END 1900000000
#define SECOND_END 2000000000

typedef struct {
    char folder[64], certificate[96], key[96], other_key[96];
    admin_options_t options;
} world_t;

static void write_text(const char *path, const gnutls_datum_t *text)
{
    FILE *file = fopen(path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(text->data, 1, text->size, file), text->size);
    assert_int_equal(fclose(file), 0);
}

static gnutls_x509_privkey_t write_key(const char *path)
{
    gnutls_x509_privkey_t key;
    gnutls_datum_t text;
    assert_int_equal(gnutls_x509_privkey_init(&key), 0);
    assert_int_equal(
        gnutls_x509_privkey_generate(key, GNUTLS_PK_ECDSA,
                                     GNUTLS_CURVE_TO_BITS(GNUTLS_ECC_CURVE_SECP256R1), 0),
        0);
    assert_int_equal(gnutls_x509_privkey_export2(key, GNUTLS_X509_FMT_PEM, &text), 0);
    write_text(path, &text);
    gnutls_free(text.data);
    return key;
}

/* A certificate of its own that ends then, and its key. */
static void write_pair(const world_t *world, time_t end)
{
    gnutls_x509_privkey_t key = write_key(world->key);
    gnutls_x509_crt_t certificate;
    gnutls_datum_t text;
    assert_int_equal(gnutls_x509_crt_init(&certificate), 0);
    assert_int_equal(gnutls_x509_crt_set_version(certificate, 3), 0);
    assert_int_equal(gnutls_x509_crt_set_serial(certificate, "\1", 1), 0);
    assert_int_equal(gnutls_x509_crt_set_activation_time(certificate, 1600000000), 0);
    assert_int_equal(gnutls_x509_crt_set_expiration_time(certificate, end), 0);
    assert_int_equal(gnutls_x509_crt_set_dn(certificate, "CN=localhost", NULL), 0);
    assert_int_equal(gnutls_x509_crt_set_key(certificate, key), 0);
    assert_int_equal(
        gnutls_x509_crt_sign2(certificate, certificate, key, GNUTLS_DIG_SHA256, 0), 0);
    assert_int_equal(gnutls_x509_crt_export2(certificate, GNUTLS_X509_FMT_PEM, &text), 0);
    write_text(world->certificate, &text);
    gnutls_free(text.data);
    gnutls_x509_crt_deinit(certificate);
    gnutls_x509_privkey_deinit(key);
}

static int setup(void **state)
{
    world_t *world = calloc(1, sizeof *world);
    snprintf(world->folder, sizeof world->folder, "/tmp/l7shield-tls-XXXXXX");
    if (mkdtemp(world->folder) == NULL) {
        return -1;
    }
    snprintf(world->certificate, sizeof world->certificate, "%s/crt", world->folder);
    snprintf(world->key, sizeof world->key, "%s/key", world->folder);
    snprintf(world->other_key, sizeof world->other_key, "%s/other", world->folder);
    world->options =
        (admin_options_t){.tls_cert = world->certificate, .tls_key = world->key};
    write_pair(world, FIRST_END);
    *state = world;
    return 0;
}

static int teardown(void **state)
{
    world_t *world = *state;
    unlink(world->certificate);
    unlink(world->key);
    unlink(world->other_key);
    int gone = rmdir(world->folder);
    free(world);
    return gone;
}

static admin_tls_t *open_tls(const world_t *world)
{
    char why[256] = "";
    admin_tls_t *tls = NULL;
    assert_int_equal(admin_tls_open(&world->options, why, &tls), L7S_OK);
    assert_non_null(tls);
    return tls;
}

static void test_tls_open_without_a_certificate_is_nothing(void **state)
{
    (void)state;
    char why[256] = "";
    admin_options_t options = {0};
    admin_tls_t *tls = NULL;
    assert_int_equal(admin_tls_open(&options, why, &tls), L7S_OK);
    assert_null(tls);
    assert_int_equal(admin_tls_not_after(tls), 0);
    admin_tls_refresh(tls, true, NOW_MS);
    admin_tls_close(tls);
}

static void test_tls_open_files_that_do_not_fit_are_named(void **state)
{
    world_t *world = *state;
    char why[256] = "";
    admin_tls_t *tls = NULL;
    gnutls_x509_privkey_deinit(write_key(world->other_key));
    world->options.tls_key = world->other_key;
    assert_int_equal(admin_tls_open(&world->options, why, &tls), L7S_INVALID);
    assert_non_null(strstr(why, world->other_key));
    world->options.tls_key = "/nowhere";
    assert_int_equal(admin_tls_open(&world->options, why, &tls), L7S_INVALID);
    assert_non_null(strstr(why, "/nowhere"));
    world->options.tls_key = world->key;
    world->options.tls_client_ca = world->key; /* no certificate in it */
    assert_int_equal(admin_tls_open(&world->options, why, &tls), L7S_INVALID);
    assert_null(tls);
}

static void test_tls_refresh_waits_until_the_files_are_settled(void **state)
{
    world_t *world = *state;
    admin_tls_t *tls = open_tls(world);
    assert_int_equal(admin_tls_not_after(tls), FIRST_END);
    write_pair(world, SECOND_END);
    admin_tls_refresh(tls, false, NOW_MS);
    assert_int_equal(admin_tls_not_after(tls), FIRST_END);
    admin_tls_refresh(tls, false, NOW_MS + 1000);
    assert_int_equal(admin_tls_not_after(tls), SECOND_END);
    admin_tls_close(tls);
}

static void test_tls_refresh_asked_reads_at_once(void **state)
{
    world_t *world = *state;
    admin_tls_t *tls = open_tls(world);
    write_pair(world, SECOND_END);
    admin_tls_refresh(tls, true, NOW_MS);
    assert_int_equal(admin_tls_not_after(tls), SECOND_END);
    admin_tls_close(tls);
}

static void test_tls_refresh_bad_files_change_nothing(void **state)
{
    world_t *world = *state;
    admin_tls_t *tls = open_tls(world);
    gnutls_datum_t nonsense = {(unsigned char *)(uintptr_t) "nonsense", 8};
    write_text(world->certificate, &nonsense);
    admin_tls_refresh(tls, true, NOW_MS);
    assert_int_equal(admin_tls_not_after(tls), FIRST_END);
    write_pair(world, SECOND_END);
    admin_tls_refresh(tls, true, NOW_MS);
    assert_int_equal(admin_tls_not_after(tls), SECOND_END);
    admin_tls_close(tls);
}

/* What a handshake was given stays valid while it may last, though it was replaced. */
static void test_tls_retrieve_what_was_given_outlives_its_replacement(void **state)
{
    world_t *world = *state;
    admin_tls_t *tls = open_tls(world);
    gnutls_pcert_st *given, *present;
    unsigned count;
    gnutls_privkey_t key;
    assert_int_equal(admin_tls_retrieve(NULL, NULL, 0, NULL, 0, &given, &count, &key), 0);
    assert_int_equal(count, 1);
    write_pair(world, SECOND_END);
    admin_tls_refresh(tls, true, NOW_MS);
    admin_tls_refresh(tls, false, NOW_MS + 59000);
    assert_true(given->cert.size > 100 && given->cert.data[0] == 0x30);
    assert_int_equal(admin_tls_retrieve(NULL, NULL, 0, NULL, 0, &present, &count, &key),
                     0);
    assert_ptr_not_equal(given, present);
    admin_tls_refresh(tls, false, NOW_MS + 61000);
    admin_tls_close(tls);
}

#define tls_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tls_open_without_a_certificate_is_nothing),
        tls_test(test_tls_open_files_that_do_not_fit_are_named),
        tls_test(test_tls_refresh_waits_until_the_files_are_settled),
        tls_test(test_tls_refresh_asked_reads_at_once),
        tls_test(test_tls_refresh_bad_files_change_nothing),
        tls_test(test_tls_retrieve_what_was_given_outlives_its_replacement),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
