/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and signatures with GnuTLS: what the lines of the three files mean, deriving keys,
 * signing and checking. It does not know what the bytes mean that it signs.
 *
 * Only raw key bytes are kept and GnuTLS' objects live for one call: a trust is immutable
 * after loading, so threads may share it without a lock. Importing 32 bytes is nothing
 * beside the curve arithmetic that follows.
 */
#include "trust.h"
#include "key_file.h"
#include <gnutls/abstract.h>
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SECRETS_MAX 16
#define PUBLIC_WORD "l7shield-ed25519"
#define SEED_WORD "l7shield-ed25519-seed"
#define FIRST_SECRET_ID "k1"

typedef struct {
    char id[L7S_SECRET_ID_MAX];
    uint8_t secret[L7S_KEY_SIZE];
    uint8_t node_key[L7S_KEY_SIZE]; /* derived once: every seat and incident needs it */
} secret_t;

struct l7s_trust {
    size_t count;
    secret_t secrets[SECRETS_MAX];
    bool can_verify, can_sign;
    uint8_t public_key[L7S_KEY_SIZE];
    uint8_t seed[L7S_KEY_SIZE];
};

/* ---- files ---- */

static bool valid_id(const char *id)
{
    size_t size = strlen(id);
    return size > 0 && size < L7S_SECRET_ID_MAX &&
           strspn(id,
                  "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
               size;
}

static bool derive(const uint8_t secret[L7S_KEY_SIZE], const char *label,
                   uint8_t out[L7S_KEY_SIZE])
{
    return gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret, L7S_KEY_SIZE, label, strlen(label),
                            out) == 0;
}

static const secret_t *find_secret(const l7s_trust_t *trust, const char *id)
{
    for (size_t i = 0; i < trust->count; i++) {
        if (strcmp(trust->secrets[i].id, id) == 0) {
            return &trust->secrets[i];
        }
    }
    return NULL;
}

/* One line "id:base64" of the secret file. */
static bool parse_secret(l7s_trust_t *trust, char *line)
{
    char *colon = strchr(line, ':');
    if (!colon || trust->count == SECRETS_MAX) {
        return false;
    }
    *colon = '\0';
    if (!valid_id(line) || find_secret(trust, line)) {
        return false;
    }
    secret_t *secret = &trust->secrets[trust->count];
    if (!l7s_key_decode(colon + 1, secret->secret) ||
        !derive(secret->secret, "l7shield node", secret->node_key)) {
        return false;
    }
    snprintf(secret->id, sizeof secret->id, "%s", line);
    trust->count++;
    return true;
}

static l7s_status_t load_secrets(l7s_trust_t *trust, const char *path, char why[256])
{
    char text[L7S_KEY_FILE_MAX + 1];
    l7s_status_t status =
        l7s_key_file_read("secret file", path, L7S_KEY_SECRET, text, why);
    if (status != L7S_OK) {
        return status;
    }
    char *rest = text;
    unsigned number = 0;
    for (char *line = strsep(&rest, "\n"); line; line = strsep(&rest, "\n")) {
        number++;
        line[strcspn(line, "\r")] = '\0';
        if (line[0] == '\0' || line[0] == '#') {
            continue;
        }
        if (!parse_secret(trust, line)) {
            status = l7s_key_explain(
                why, L7S_INVALID,
                "secret file %s line %u: want ID:BASE64 with 32 bytes, each id "
                "once, at most %d of them",
                path, number, SECRETS_MAX);
            goto out;
        }
    }
    if (trust->count == 0) {
        status =
            l7s_key_explain(why, L7S_INVALID, "secret file %s holds no secret", path);
    }
out:
    gnutls_memset(text, 0, sizeof text);
    return status;
}

/* A file of one line "WORD BASE64". */
static l7s_status_t load_key(const char *what, const char *path, l7s_key_file_t kind,
                             const char *word, uint8_t out[L7S_KEY_SIZE], char why[256])
{
    char text[L7S_KEY_FILE_MAX + 1];
    l7s_status_t status = l7s_key_file_read(what, path, kind, text, why);
    if (status != L7S_OK) {
        return status;
    }
    size_t length = strlen(word);
    text[strcspn(text, "\r\n")] = '\0';
    if (strncmp(text, word, length) != 0 || text[length] != ' ' ||
        !l7s_key_decode(text + length + 1, out)) {
        status = l7s_key_explain(why, L7S_INVALID,
                                 "%s %s: want one line \"%s BASE64\" with 32 bytes", what,
                                 path, word);
    }
    gnutls_memset(text, 0, sizeof text);
    return status;
}

/* ---- Ed25519 ---- */

/* The public key of a seed. GnuTLS derives it when it reads a private key in PKCS #8
 * (RFC 8410): a constant head and the seed. */
static bool public_of_seed(const uint8_t seed[L7S_KEY_SIZE], uint8_t out[L7S_KEY_SIZE])
{
    uint8_t der[16 + L7S_KEY_SIZE] = {0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06,
                                      0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04, 0x20};
    memcpy(der + 16, seed, L7S_KEY_SIZE);
    gnutls_datum_t data = {der, sizeof der};
    gnutls_datum_t x = {NULL, 0}, y = {NULL, 0}, k = {NULL, 0};
    gnutls_x509_privkey_t key = NULL;
    gnutls_ecc_curve_t curve;
    bool done = gnutls_x509_privkey_init(&key) == 0 &&
                gnutls_x509_privkey_import_pkcs8(key, &data, GNUTLS_X509_FMT_DER, NULL,
                                                 GNUTLS_PKCS_PLAIN) == 0 &&
                gnutls_x509_privkey_export_ecc_raw(key, &curve, &x, &y, &k) == 0 &&
                curve == GNUTLS_ECC_CURVE_ED25519 && x.size == L7S_KEY_SIZE;
    if (done) {
        memcpy(out, x.data, L7S_KEY_SIZE);
    }
    gnutls_free(x.data);
    gnutls_free(y.data);
    if (k.data) {
        gnutls_memset(k.data, 0, k.size);
        gnutls_free(k.data);
    }
    gnutls_x509_privkey_deinit(key);
    gnutls_memset(der, 0, sizeof der);
    return done;
}

static l7s_status_t load_signing(l7s_trust_t *trust, const char *path, char why[256])
{
    l7s_status_t status =
        load_key("signing key file", path, L7S_KEY_SECRET, SEED_WORD, trust->seed, why);
    if (status != L7S_OK) {
        return status;
    }
    uint8_t public_key[L7S_KEY_SIZE];
    if (!public_of_seed(trust->seed, public_key)) {
        return l7s_key_explain(why, L7S_INVALID,
                               "signing key file %s holds no usable key", path);
    }
    if (trust->can_verify && memcmp(public_key, trust->public_key, L7S_KEY_SIZE) != 0) {
        return l7s_key_explain(why, L7S_INVALID,
                               "signing key file %s does not belong to the trust file",
                               path);
    }
    memcpy(trust->public_key, public_key, L7S_KEY_SIZE);
    trust->can_sign = trust->can_verify = true;
    return L7S_OK;
}

/* ---- life cycle ---- */

l7s_status_t l7s_trust_load(const char *secret_file, const char *trust_file,
                            const char *signing_file, char why[256], l7s_trust_t **out)
{
    *out = NULL;
    if (!secret_file) {
        return l7s_key_explain(why, L7S_INVALID, "no secret file is named");
    }
    l7s_trust_t *trust = calloc(1, sizeof *trust);
    if (!trust) {
        return l7s_key_explain(why, L7S_NO_MEMORY, "out of memory");
    }
    l7s_status_t status = load_secrets(trust, secret_file, why);
    if (status == L7S_OK && trust_file) {
        /* The public key is no secret, but whoever may change it may forge policy. */
        status = load_key("trust file", trust_file, L7S_KEY_PUBLIC, PUBLIC_WORD,
                          trust->public_key, why);
        trust->can_verify = status == L7S_OK;
    }
    if (status == L7S_OK && signing_file) {
        status = load_signing(trust, signing_file, why);
    }
    if (status != L7S_OK) {
        l7s_trust_free(trust);
        return status;
    }
    *out = trust;
    return L7S_OK;
}

void l7s_trust_free(l7s_trust_t *trust)
{
    if (trust) {
        gnutls_memset(trust, 0, sizeof *trust);
        free(trust);
    }
}

l7s_status_t l7s_trust_create(const char *secret_file, const char *trust_file,
                              const char *signing_file, char why[256])
{
    uint8_t secret[L7S_KEY_SIZE], seed[L7S_KEY_SIZE], public_key[L7S_KEY_SIZE];
    if (l7s_random(secret, sizeof secret) != L7S_OK ||
        l7s_random(seed, sizeof seed) != L7S_OK || !public_of_seed(seed, public_key)) {
        return l7s_key_explain(why, L7S_IO, "cannot generate keys");
    }
    l7s_status_t status =
        l7s_key_file_write(signing_file, L7S_KEY_SECRET, SEED_WORD " ", seed, why);
    if (status != L7S_OK) {
        goto out;
    }
    status =
        l7s_key_file_write(trust_file, L7S_KEY_PUBLIC, PUBLIC_WORD " ", public_key, why);
    if (status != L7S_OK) {
        unlink(signing_file);
        goto out;
    }
    status =
        l7s_key_file_write(secret_file, L7S_KEY_SECRET, FIRST_SECRET_ID ":", secret, why);
    if (status != L7S_OK) {
        unlink(signing_file);
        unlink(trust_file);
    }
out:
    gnutls_memset(secret, 0, sizeof secret);
    gnutls_memset(seed, 0, sizeof seed);
    return status;
}

/* ---- secrets ---- */

const char *l7s_trust_secret_id(const l7s_trust_t *trust)
{
    return trust->secrets[0].id;
}

bool l7s_trust_has_secret(const l7s_trust_t *trust, const char *secret_id)
{
    return find_secret(trust, secret_id) != NULL;
}

size_t l7s_trust_secrets(const l7s_trust_t *trust)
{
    return trust->count;
}

const char *l7s_trust_secret_at(const l7s_trust_t *trust, size_t index)
{
    return index < trust->count ? trust->secrets[index].id : NULL;
}

static uint64_t little_endian(const uint8_t bytes[8])
{
    uint64_t value = 0;
    for (unsigned i = 8; i-- > 0;) {
        value = value << 8 | bytes[i];
    }
    return value;
}

static l7s_status_t derive_hashkey(const l7s_trust_t *trust, const char *id,
                                   const char *label, l7s_hashkey_t *out)
{
    const secret_t *secret = find_secret(trust, id);
    if (!secret) {
        return L7S_NOT_FOUND;
    }
    uint8_t key[L7S_KEY_SIZE];
    if (!derive(secret->secret, label, key)) {
        return L7S_IO;
    }
    *out = (l7s_hashkey_t){little_endian(key), little_endian(key + 8)};
    gnutls_memset(key, 0, sizeof key);
    return L7S_OK;
}

l7s_status_t l7s_trust_count_key(const l7s_trust_t *trust, const char *id,
                                 l7s_hashkey_t *out)
{
    return derive_hashkey(trust, id, "l7shield count", out);
}

l7s_status_t l7s_trust_name_key(const l7s_trust_t *trust, const char *id,
                                l7s_hashkey_t *out)
{
    return derive_hashkey(trust, id, "l7shield name", out);
}

/* ---- signatures and codes ---- */

static gnutls_datum_t datum(const void *data, size_t size)
{
    return (gnutls_datum_t){(unsigned char *)(uintptr_t)data, (unsigned)size};
}

l7s_status_t l7s_trust_sign(const l7s_trust_t *trust, const void *data, size_t size,
                            uint8_t out[L7S_SIGNATURE_SIZE])
{
    if (!trust->can_sign) {
        return L7S_UNTRUSTED;
    }
    gnutls_datum_t x = datum(trust->public_key, L7S_KEY_SIZE),
                   k = datum(trust->seed, L7S_KEY_SIZE);
    gnutls_datum_t input = datum(data, size), signature = {NULL, 0};
    gnutls_privkey_t key = NULL;
    bool done =
        gnutls_privkey_init(&key) == 0 &&
        gnutls_privkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL, &k) == 0 &&
        gnutls_privkey_sign_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &input,
                                  &signature) == 0 &&
        signature.size == L7S_SIGNATURE_SIZE;
    if (done) {
        memcpy(out, signature.data, L7S_SIGNATURE_SIZE);
    }
    gnutls_free(signature.data);
    gnutls_privkey_deinit(key);
    return done ? L7S_OK : L7S_IO;
}

bool l7s_trust_verify(const l7s_trust_t *trust, const void *data, size_t size,
                      const uint8_t signature[L7S_SIGNATURE_SIZE])
{
    if (!trust->can_verify) {
        return false;
    }
    gnutls_datum_t x = datum(trust->public_key, L7S_KEY_SIZE);
    gnutls_datum_t input = datum(data, size),
                   given = datum(signature, L7S_SIGNATURE_SIZE);
    gnutls_pubkey_t key = NULL;
    bool holds =
        gnutls_pubkey_init(&key) == 0 &&
        gnutls_pubkey_import_ecc_raw(key, GNUTLS_ECC_CURVE_ED25519, &x, NULL) == 0 &&
        gnutls_pubkey_verify_data2(key, GNUTLS_SIGN_EDDSA_ED25519, 0, &input, &given) >=
            0;
    gnutls_pubkey_deinit(key);
    return holds;
}

l7s_status_t l7s_trust_mac(const l7s_trust_t *trust, const char *id, const void *data,
                           size_t size, uint8_t out[L7S_MAC_SIZE])
{
    const secret_t *secret = find_secret(trust, id);
    if (!secret) {
        return L7S_NOT_FOUND;
    }
    int result = gnutls_hmac_fast(GNUTLS_MAC_SHA256, secret->node_key, L7S_KEY_SIZE, data,
                                  size, out);
    return result == 0 ? L7S_OK : L7S_IO;
}

bool l7s_trust_mac_holds(const l7s_trust_t *trust, const char *id, const void *data,
                         size_t size, const uint8_t mac[L7S_MAC_SIZE])
{
    uint8_t expected[L7S_MAC_SIZE];
    return l7s_trust_mac(trust, id, data, size, expected) == L7S_OK &&
           gnutls_memcmp(expected, mac, L7S_MAC_SIZE) == 0;
}

void l7s_sha256_text(const void *data, size_t size, char out[L7S_SHA256_TEXT])
{
    static const char digits[] = "0123456789abcdef";
    uint8_t hash[32] = {0};
    /* Fails only where the library itself is broken; the zero hash then names nothing. */
    if (gnutls_hash_fast(GNUTLS_DIG_SHA256, data, size, hash) != 0) {
        memset(hash, 0, sizeof hash);
    }
    for (size_t i = 0; i < sizeof hash; i++) {
        out[2 * i] = digits[hash[i] >> 4];
        out[2 * i + 1] = digits[hash[i] & 15];
    }
    out[64] = '\0';
}

l7s_status_t l7s_random(void *out, size_t size)
{
    return gnutls_rnd(GNUTLS_RND_KEY, out, size) == 0 ? L7S_OK : L7S_IO;
}
