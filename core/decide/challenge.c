/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and checking of tokens. A token is checked by writing it again from its fields
 * and comparing: one encoding, and every byte counts.
 */
#include "challenge.h"

#include "../sha256.h"

#include <string.h>

/* Between the clocks of two nodes. */
#define SKEW_S 60
/* A client with many cookies of our name: only so many are looked at. */
#define TRIES 4

typedef enum { SEED = 'S', PASS = 'P' } purpose_t;

typedef struct {
    uint32_t issued, expires, bits;
} fields_t;

l7s_hashkey_t l7s_challenge_key(const l7s_hashkey_t *count_key)
{
    static const char label[] = "l7shield challenge";
    l7s_hash128_t key = l7s_siphash128(count_key, label, sizeof label - 1);

    return (l7s_hashkey_t){key.lo, key.hi};
}

/* --- writing --- */

static void put_hex(char *out, uint32_t value, unsigned digits)
{
    for (unsigned i = 0; i < digits; i++) {
        out[i] = "0123456789abcdef"[value >> 4 * (digits - 1 - i) & 15];
    }
}

static l7s_cidr_t network_of(const l7s_addr_t *client)
{
    uint8_t prefix = l7s_addr_is_v4(client) ? 96 + 24 : 64;

    return (l7s_cidr_t){.base = l7s_addr_mask(client, prefix), .prefix = prefix};
}

static l7s_hash128_t mac_of(const l7s_bond_t *bond, purpose_t purpose,
                            const fields_t *fields)
{
    struct {
        uint8_t purpose, kind, prefix, reserved;
        uint32_t issued, expires, bits;
        uint8_t network[16];
        l7s_hash128_t agent;
        char policy[64];
    } input;
    const char *agent = bond->agent != NULL ? bond->agent : "";
    l7s_cidr_t network = network_of(&bond->client);

    memset(&input, 0, sizeof input);
    input.purpose = (uint8_t)purpose;
    input.kind = (uint8_t)bond->kind;
    input.prefix = network.prefix;
    input.issued = fields->issued;
    input.expires = fields->expires;
    input.bits = fields->bits;
    memcpy(input.network, network.base.bytes, sizeof input.network);
    input.agent = l7s_siphash128(&bond->key, agent, strlen(agent));
    memcpy(input.policy, bond->policy, strnlen(bond->policy, sizeof input.policy - 1));
    return l7s_siphash128(&bond->key, &input, sizeof input);
}

static void write_token(const l7s_bond_t *bond, purpose_t purpose, const fields_t *fields,
                        char out[L7S_TOKEN_MAX])
{
    put_hex(out, fields->issued, 8);
    put_hex(out + 8, fields->expires, 8);
    put_hex(out + 16, fields->bits, 2);
    l7s_hash128_text(mac_of(bond, purpose, fields), out + 18);
}

void l7s_pass_write(const l7s_bond_t *bond, uint64_t now_s, uint32_t seconds,
                    char out[L7S_TOKEN_MAX])
{
    fields_t fields = {(uint32_t)now_s, (uint32_t)now_s + seconds, 0};

    write_token(bond, PASS, &fields, out);
}

void l7s_seed_write(const l7s_bond_t *bond, uint64_t now_s, unsigned bits,
                    char out[L7S_TOKEN_MAX])
{
    fields_t fields = {(uint32_t)now_s, (uint32_t)now_s + L7S_SEED_SECONDS, bits};

    write_token(bond, SEED, &fields, out);
}

/* --- checking --- */

static bool get_hex(const char *text, unsigned digits, uint32_t *out)
{
    *out = 0;
    for (unsigned i = 0; i < digits; i++) {
        char c = text[i];
        bool decimal = c >= '0' && c <= '9';
        if (!decimal && (c < 'a' || c > 'f')) {
            return false;
        }
        *out = *out << 4 | (uint32_t)(decimal ? c - '0' : c - 'a' + 10);
    }
    return true;
}

/* In a time that does not tell where they differ. */
static bool is_same(const char *a, const char *b, size_t size)
{
    unsigned difference = 0;

    for (size_t i = 0; i < size; i++) {
        difference |= (unsigned)(a[i] ^ b[i]);
    }
    return difference == 0;
}

/* `text` has L7S_TOKEN_SIZE bytes. */
static bool holds(const l7s_bond_t *bond, purpose_t purpose, uint64_t now_s,
                  const char *text, fields_t *fields)
{
    char expected[L7S_TOKEN_MAX];

    if (!get_hex(text, 8, &fields->issued) || !get_hex(text + 8, 8, &fields->expires) ||
        !get_hex(text + 16, 2, &fields->bits) || fields->issued > now_s + SKEW_S ||
        fields->expires <= now_s) {
        return false;
    }
    write_token(bond, purpose, fields, expected);
    return is_same(text, expected, L7S_TOKEN_SIZE);
}

/* Is this cookie of the policy's name? Its value, or NULL. */
static const char *value_of(const char *cookie, const char *policy)
{
    size_t length = strlen(policy);

    if (strncmp(cookie, L7S_PASS_COOKIE, sizeof L7S_PASS_COOKIE - 1) != 0) {
        return NULL;
    }
    cookie += sizeof L7S_PASS_COOKIE - 1;
    return strncmp(cookie, policy, length) == 0 && cookie[length] == '='
               ? cookie + length + 1
               : NULL;
}

bool l7s_pass_in_cookies(const l7s_bond_t *bond, uint64_t now_s, const char *cookies)
{
    fields_t fields;
    unsigned tries = 0;

    while (cookies != NULL && tries < TRIES) {
        const char *value;
        cookies += strspn(cookies, " \t");
        value = value_of(cookies, bond->policy);
        if (value != NULL) {
            tries++;
            if (strcspn(value, "; \t,") == L7S_TOKEN_SIZE &&
                holds(bond, PASS, now_s, value, &fields)) {
                return true;
            }
        }
        cookies = strchr(cookies, ';');
        if (cookies != NULL) {
            cookies++;
        }
    }
    return false;
}

static bool is_nonce(const char *text)
{
    size_t digits = strspn(text, "0123456789");

    return digits > 0 && digits <= L7S_NONCE_MAX && text[digits] == '\0';
}

static bool begins_with_zeros(const uint32_t digest[8], unsigned bits)
{
    return bits == 0 || (bits <= 32 && digest[0] >> (32 - bits) == 0);
}

bool l7s_seed_is_solved(const l7s_bond_t *bond, uint64_t now_s, unsigned bits,
                        const char *seed, const char *nonce)
{
    char message[L7S_TOKEN_SIZE + 1 + L7S_NONCE_MAX];
    uint32_t digest[8];
    fields_t fields;
    size_t digits;

    if (strnlen(seed, L7S_TOKEN_MAX) != L7S_TOKEN_SIZE || !is_nonce(nonce) ||
        !holds(bond, SEED, now_s, seed, &fields) || fields.bits < bits) {
        return false;
    }
    digits = strlen(nonce);
    memcpy(message, seed, L7S_TOKEN_SIZE);
    message[L7S_TOKEN_SIZE] = '.';
    memcpy(message + L7S_TOKEN_SIZE + 1, nonce, digits);
    l7s_sha256_short(message, L7S_TOKEN_SIZE + 1 + digits, digest);
    return begins_with_zeros(digest, fields.bits);
}

/* Browsers take a backslash for a slash, and two slashes for another host. */
bool l7s_challenge_target(const char *target)
{
    if (target[0] != '/' || target[1] == '/') {
        return false;
    }
    for (; *target != '\0'; target++) {
        if (*target <= ' ' || *target > '~' || strchr("\\\"<>", *target) != NULL) {
            return false;
        }
    }
    return true;
}
