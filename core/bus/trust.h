/* SPDX-License-Identifier: Apache-2.0
 *
 * Keys and signatures. What the daemon writes is signed with Ed25519 (nodes hold the
 * public key only); what nodes write is authenticated with HMAC-SHA-256 under a key of
 * the fleet's secret. GnuTLS does the cryptography.
 *
 * Files: the secret file holds lines "id:base64" (32 bytes; the first signs, all verify);
 * the trust file one line "l7shield-ed25519 BASE64" (public key); the signing key file
 * "l7shield-ed25519-seed BASE64". Secret and signing key are refused when group or others
 * may read them, the trust file when they may write it. A loaded trust never changes, so
 * threads may share it.
 *
 * Keys derived from a secret: HMAC-SHA-256(secret, label), labels "l7shield count" (16
 * bytes: K_count), "l7shield name" (names of items and counters), "l7shield node" (HMAC).
 */
#ifndef L7S_BUS_TRUST_H
#define L7S_BUS_TRUST_H

#include "../hash.h"
#include "../status.h"
#include <stdint.h>

#define L7S_SECRET_ID_MAX 32
#define L7S_SIGNATURE_SIZE 64
#define L7S_MAC_SIZE 32

typedef struct l7s_trust l7s_trust_t;

/* Reads the files. A node gives no signing key (NULL); the daemon needs no trust file.
 * `why` (may be NULL) gets the sentence for the log. */
L7S_MUST_USE l7s_status_t l7s_trust_load(const char *secret_file, const char *trust_file,
                                         const char *signing_file, char why[256],
                                         l7s_trust_t **out);
void l7s_trust_free(l7s_trust_t *trust);

/* Writes a new signing key, trust file and secret (0600, trust 0644) that must not exist.
 */
L7S_MUST_USE l7s_status_t l7s_trust_create(const char *secret_file,
                                           const char *trust_file,
                                           const char *signing_file, char why[256]);

/* The id of the secret that signs, and whether one is known. */
const char *l7s_trust_secret_id(const l7s_trust_t *trust);
bool l7s_trust_has_secret(const l7s_trust_t *trust, const char *secret_id);
size_t l7s_trust_secrets(const l7s_trust_t *trust);
const char *l7s_trust_secret_at(const l7s_trust_t *trust, size_t index);

/* Derived keys of one secret. L7S_NOT_FOUND: no such id. */
L7S_MUST_USE l7s_status_t l7s_trust_count_key(const l7s_trust_t *trust, const char *id,
                                              l7s_hashkey_t *out);
L7S_MUST_USE l7s_status_t l7s_trust_name_key(const l7s_trust_t *trust, const char *id,
                                             l7s_hashkey_t *out);

L7S_MUST_USE l7s_status_t l7s_trust_sign(const l7s_trust_t *trust, const void *data,
                                         size_t size, uint8_t out[L7S_SIGNATURE_SIZE]);
bool l7s_trust_verify(const l7s_trust_t *trust, const void *data, size_t size,
                      const uint8_t signature[L7S_SIGNATURE_SIZE]);
L7S_MUST_USE l7s_status_t l7s_trust_mac(const l7s_trust_t *trust, const char *id,
                                        const void *data, size_t size,
                                        uint8_t out[L7S_MAC_SIZE]);
/* Compares in constant time. False as well when `id` is not known. */
bool l7s_trust_mac_holds(const l7s_trust_t *trust, const char *id, const void *data,
                         size_t size, const uint8_t mac[L7S_MAC_SIZE]);

/* SHA-256 as 64 hex digits and a NUL: the content hash of a chunk. */
#define L7S_SHA256_TEXT 65
void l7s_sha256_text(const void *data, size_t size, char out[L7S_SHA256_TEXT]);
/* Cryptographic randomness. */
L7S_MUST_USE l7s_status_t l7s_random(void *out, size_t size);

#endif
