/* SPDX-License-Identifier: Apache-2.0
 *
 * The sealed envelope around what travels over the bus, the names under which it travels
 * and the text of the mode item. It moves nothing and judges no payload.
 *
 * What is signed is the item's name (padded to its maximum) followed by the envelope, so
 * the same buffer serves for both: the name in front, the item behind it.
 */
#include "item.h"
#include "../mode.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "L7B1"
#define HEAD_SIZE 116
#define SENDER_SIZE 64
#define NAME_PART_MAX 200 /* of bus epoch and detail; longer ones are cut */
#define SEAL_ED25519 1
#define SEAL_HMAC 2
#define SEALED_BEFORE L7S_ITEM_NAME_MAX /* the name, in front of the envelope */

enum { AT_KIND = 4, AT_SEAL = 5, AT_RESERVED = 6, AT_TIME = 8, AT_SIZE = 16 };
enum { AT_SENDER = 20, AT_SECRET = AT_SENDER + SENDER_SIZE };

_Static_assert(AT_SECRET + L7S_SECRET_ID_MAX == HEAD_SIZE, "the envelope is packed");

static void put_le(uint8_t *at, uint64_t value, unsigned bytes)
{
    for (unsigned i = 0; i < bytes; i++) {
        at[i] = (uint8_t)(value >> (8 * i));
    }
}

static uint64_t get_le(const uint8_t *at, unsigned bytes)
{
    uint64_t value = 0;
    for (unsigned i = bytes; i-- > 0;) {
        value = value << 8 | at[i];
    }
    return value;
}

/* ---- names ---- */

/* A length in front of each part: "a" + "bc" and "ab" + "c" are different names. */
static size_t put_part(uint8_t *at, const char *text)
{
    size_t size = strnlen(text, NAME_PART_MAX);
    at[0] = (uint8_t)size;
    memcpy(at + 1, text, size);
    return size + 1;
}

void l7s_item_name(const l7s_hashkey_t *name_key, const char *bus_epoch,
                   l7s_item_kind_t kind, const char *detail, uint64_t index,
                   char out[L7S_ITEM_NAME_MAX])
{
    uint8_t input[2 * (NAME_PART_MAX + 1) + 16];
    size_t size = 0;
    memcpy(input, "item", 4);
    input[4] = (uint8_t)kind;
    size = 5;
    size += put_part(input + size, bus_epoch);
    size += put_part(input + size, detail);
    put_le(input + size, index, 8);
    size += 8;
    memcpy(out, "l7s1", 4);
    l7s_hash128_text(l7s_siphash128(name_key, input, size), out + 4);
}

/* ---- who may seal what ---- */

static bool daemon_only(l7s_item_kind_t kind)
{
    return kind == L7S_ITEM_HEAD || kind == L7S_ITEM_MODE || kind == L7S_ITEM_MANIFEST ||
           kind == L7S_ITEM_ACK;
}

static bool node_only(l7s_item_kind_t kind)
{
    return kind == L7S_ITEM_SEAT || kind == L7S_ITEM_INCIDENT || kind == L7S_ITEM_NEWS;
}

/* Ordered by (epoch, revision): an old one is refused by its number, not by its age. */
static bool ordered(l7s_item_kind_t kind)
{
    return kind == L7S_ITEM_HEAD || kind == L7S_ITEM_MODE || kind == L7S_ITEM_MANIFEST;
}

static size_t seal_size(unsigned seal)
{
    return seal == SEAL_ED25519 ? L7S_SIGNATURE_SIZE : L7S_MAC_SIZE;
}

/* ---- seal ---- */

static void write_head(uint8_t *item, l7s_item_kind_t kind, unsigned seal,
                       const char *sender, const char *secret_id, size_t size,
                       uint64_t now_ms)
{
    memcpy(item, MAGIC, 4);
    item[AT_KIND] = (uint8_t)kind;
    item[AT_SEAL] = (uint8_t)seal;
    put_le(item + AT_TIME, now_ms, 8);
    put_le(item + AT_SIZE, size, 4);
    memcpy(item + AT_SENDER, sender, strlen(sender));
    memcpy(item + AT_SECRET, secret_id, strlen(secret_id));
}

l7s_status_t l7s_item_seal(const l7s_trust_t *trust, l7s_item_kind_t kind,
                           const char *name, const char *sender, bool as_daemon,
                           const void *payload, size_t size, uint64_t now_ms, void **out,
                           size_t *out_size)
{
    *out = NULL;
    *out_size = 0;
    bool sealed_by_daemon = daemon_only(kind) || (kind == L7S_ITEM_BAN && as_daemon);
    if (!sealed_by_daemon && !node_only(kind) && kind != L7S_ITEM_BAN) {
        return L7S_INVALID;
    }
    if (strlen(sender) >= SENDER_SIZE || strlen(name) >= L7S_ITEM_NAME_MAX) {
        return L7S_INVALID;
    }
    unsigned seal = sealed_by_daemon ? SEAL_ED25519 : SEAL_HMAC;
    if (size > L7S_ITEM_SIZE_MAX - HEAD_SIZE - seal_size(seal)) {
        return L7S_TOO_BIG;
    }
    uint8_t *buffer = calloc(1, SEALED_BEFORE + HEAD_SIZE + size + L7S_SIGNATURE_SIZE);
    if (!buffer) {
        return L7S_NO_MEMORY;
    }
    const char *secret_id = sealed_by_daemon ? "" : l7s_trust_secret_id(trust);
    uint8_t *item = buffer + SEALED_BEFORE;
    memcpy(buffer, name, strlen(name));
    write_head(item, kind, seal, sender, secret_id, size, now_ms);
    if (size > 0) {
        memcpy(item + HEAD_SIZE, payload, size);
    }
    size_t covered = SEALED_BEFORE + HEAD_SIZE + size;
    l7s_status_t status =
        sealed_by_daemon
            ? l7s_trust_sign(trust, buffer, covered, buffer + covered)
            : l7s_trust_mac(trust, secret_id, buffer, covered, buffer + covered);
    if (status != L7S_OK) {
        free(buffer);
        return status;
    }
    *out_size = HEAD_SIZE + size + seal_size(seal);
    memmove(buffer, item, *out_size);
    *out = buffer;
    return L7S_OK;
}

/* ---- open ---- */

/* NUL-padded to its end, so that one text has one encoding. */
static bool padded(const uint8_t *at, size_t capacity)
{
    size_t size = strnlen((const char *)at, capacity);
    if (size == capacity) {
        return false;
    }
    for (size_t i = size; i < capacity; i++) {
        if (at[i] != 0) {
            return false;
        }
    }
    return true;
}

static bool well_formed(const uint8_t *item, size_t size, l7s_item_kind_t kind)
{
    if (size < HEAD_SIZE || size > L7S_ITEM_SIZE_MAX || memcmp(item, MAGIC, 4) != 0) {
        return false;
    }
    unsigned seal = item[AT_SEAL];
    return item[AT_KIND] == (uint8_t)kind &&
           (seal == SEAL_ED25519 || seal == SEAL_HMAC) &&
           get_le(item + AT_RESERVED, 2) == 0 &&
           get_le(item + AT_SIZE, 4) + HEAD_SIZE + seal_size(seal) == size &&
           padded(item + AT_SENDER, SENDER_SIZE) &&
           padded(item + AT_SECRET, L7S_SECRET_ID_MAX);
}

static bool seal_holds(const l7s_trust_t *trust, const char *name, const uint8_t *item,
                       size_t covered)
{
    uint8_t *buffer = calloc(1, SEALED_BEFORE + covered);
    if (!buffer) {
        return false;
    }
    memcpy(buffer, name, strlen(name));
    memcpy(buffer + SEALED_BEFORE, item, covered);
    const char *secret_id = (const char *)item + AT_SECRET;
    const uint8_t *seal = item + covered;
    bool holds = item[AT_SEAL] == SEAL_ED25519
                     ? l7s_trust_verify(trust, buffer, SEALED_BEFORE + covered, seal)
                     : l7s_trust_mac_holds(trust, secret_id, buffer,
                                           SEALED_BEFORE + covered, seal);
    free(buffer);
    return holds;
}

static bool within_skew(uint64_t sealed_at_ms, uint64_t now_ms)
{
    uint64_t skew = sealed_at_ms > now_ms ? sealed_at_ms - now_ms : now_ms - sealed_at_ms;
    return skew <= L7S_ITEM_SKEW_MS;
}

l7s_status_t l7s_item_open(const l7s_trust_t *trust, l7s_item_kind_t kind,
                           const char *name, const void *data, size_t size,
                           uint64_t now_ms, l7s_item_t *out)
{
    memset(out, 0, sizeof *out);
    const uint8_t *item = data;
    if (strlen(name) >= L7S_ITEM_NAME_MAX || !well_formed(item, size, kind)) {
        return L7S_INVALID;
    }
    bool by_daemon = item[AT_SEAL] == SEAL_ED25519;
    if ((daemon_only(kind) && !by_daemon) || (node_only(kind) && by_daemon) ||
        (!daemon_only(kind) && !node_only(kind) && kind != L7S_ITEM_BAN)) {
        return L7S_UNTRUSTED;
    }
    size_t covered = size - seal_size(item[AT_SEAL]);
    if (!seal_holds(trust, name, item, covered)) {
        return L7S_UNTRUSTED;
    }
    out->by_daemon = by_daemon;
    out->sealed_at_ms = get_le(item + AT_TIME, 8);
    memcpy(out->sender, item + AT_SENDER, SENDER_SIZE);
    out->payload = (const char *)item + HEAD_SIZE;
    out->size = covered - HEAD_SIZE;
    return ordered(kind) || within_skew(out->sealed_at_ms, now_ms) ? L7S_OK : L7S_STALE;
}

size_t l7s_item_extent(const void *data, size_t size)
{
    const uint8_t *item = data;
    if (size < HEAD_SIZE || memcmp(item, MAGIC, 4) != 0) {
        return 0;
    }
    size_t extent = HEAD_SIZE + get_le(item + AT_SIZE, 4) + seal_size(item[AT_SEAL]);
    return extent <= size ? extent : 0;
}

/* ---- the mode item ---- */

size_t l7s_mode_item_write(const l7s_mode_item_t *item, char *out, size_t capacity)
{
    int size = snprintf(out, capacity, "%s %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
                        l7s_mode_name((l7s_mode_t)item->mode), item->config_epoch,
                        item->number, item->until_ms);
    return size > 0 && (size_t)size < capacity ? (size_t)size : 0;
}

/* Reads decimal digits up to `end`, which must follow. */
static bool read_number(const char **at, char end, uint64_t *out)
{
    const char *p = *at;
    uint64_t value = 0;
    if (*p < '0' || *p > '9') {
        return false;
    }
    for (; *p >= '0' && *p <= '9'; p++) {
        unsigned digit = (unsigned)(*p - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    *out = value;
    *at = p + 1;
    return *p == end;
}

bool l7s_mode_item_read(const char *payload, size_t size, l7s_mode_item_t *out)
{
    char text[128];
    memset(out, 0, sizeof *out);
    if (size >= sizeof text || memchr(payload, '\0', size)) {
        return false;
    }
    memcpy(text, payload, size);
    text[size] = '\0';
    char *space = strchr(text, ' ');
    if (!space) {
        return false;
    }
    *space = '\0';
    l7s_mode_t mode;
    l7s_mode_item_t item = {0};
    const char *at = space + 1;
    if (!l7s_mode_parse(text, &mode) || !read_number(&at, ' ', &item.config_epoch) ||
        !read_number(&at, ' ', &item.number) || !read_number(&at, '\n', &item.until_ms) ||
        at != text + size) {
        return false;
    }
    item.mode = mode;
    *out = item;
    return true;
}
