/* SPDX-License-Identifier: Apache-2.0
 *
 * Making and reading the text of tokens (token_text.h). 256 random bits need no slow
 * hash: SHA-256 of the whole text is what the store keeps.
 */
#include "token_text.h"
#include "../../core/bus/trust.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <string.h>

#define PREFIX "shld_"
#define ID_AT 5
#define SECRET_AT 14
#define SECRET_DIGITS 43
#define SUM_AT (SECRET_AT + SECRET_DIGITS)
#define SUM_DIGITS 6

static const char digits[] =
    "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";

/* Big-endian `bytes`, divided in place, as `count` base62 digits. */
static void base62(uint8_t *bytes, size_t size, char *out, size_t count)
{
    while (count-- > 0) {
        unsigned remainder = 0;
        for (size_t i = 0; i < size; i++) {
            unsigned value = remainder << 8 | bytes[i];
            bytes[i] = (uint8_t)(value / 62);
            remainder = value % 62;
        }
        out[count] = digits[remainder];
    }
}

/* CRC-32 (IEEE 802.3), bit by bit: tokens are short. */
static void checksum(const char *text, size_t size, char out[SUM_DIGITS])
{
    uint32_t crc = 0xffffffffu;
    for (size_t i = 0; i < size; i++) {
        crc ^= (uint8_t)text[i];
        for (int bit = 0; bit < 8; bit++) {
            crc = crc >> 1 ^ (0xedb88320u & (0u - (crc & 1u)));
        }
    }
    crc = ~crc;
    uint8_t bytes[4] = {(uint8_t)(crc >> 24), (uint8_t)(crc >> 16), (uint8_t)(crc >> 8),
                        (uint8_t)crc};
    base62(bytes, sizeof bytes, out, SUM_DIGITS);
}

static bool hash_text(const char *text, uint8_t hash[32])
{
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, ADMIN_TOKEN_TEXT - 1, hash) == 0;
}

l7s_status_t admin_token_mint(char text[ADMIN_TOKEN_TEXT], char id[ADMIN_TOKEN_ID],
                              uint8_t hash[32])
{
    uint8_t random[32], name[8];
    if (l7s_random(random, sizeof random) != L7S_OK ||
        l7s_random(name, sizeof name) != L7S_OK) {
        return L7S_IO;
    }
    memcpy(text, PREFIX, ID_AT);
    base62(name, sizeof name, text + ID_AT, 8);
    text[SECRET_AT - 1] = '_';
    base62(random, sizeof random, text + SECRET_AT, SECRET_DIGITS);
    checksum(text, SUM_AT, text + SUM_AT);
    text[ADMIN_TOKEN_TEXT - 1] = '\0';
    memcpy(id, text + ID_AT, 8);
    id[8] = '\0';
    return hash_text(text, hash) ? L7S_OK : L7S_IO;
}

bool admin_token_read(const char *text, char id[ADMIN_TOKEN_ID], uint8_t hash[32])
{
    char sum[SUM_DIGITS];
    if (strlen(text) != ADMIN_TOKEN_TEXT - 1 || strncmp(text, PREFIX, ID_AT) != 0 ||
        text[SECRET_AT - 1] != '_') {
        return false;
    }
    checksum(text, SUM_AT, sum);
    if (memcmp(sum, text + SUM_AT, SUM_DIGITS) != 0) {
        return false;
    }
    memcpy(id, text + ID_AT, 8);
    id[8] = '\0';
    return hash_text(text, hash);
}
