/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses and networks in their one 16-byte form. libc reads and writes the text
 * (inet_pton accepts neither octal nor short forms); this file does the masks.
 *
 * A network wider than the mapped block (::/0 … ::/95) means IPv6 only: it never contains
 * an IPv4 address, although that lies inside it as a number.
 */
#include "addr.h"

#include <arpa/inet.h>
#include <string.h>

#define V4_PREFIX 96 /* of ::ffff:0:0/96 */

static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

bool l7s_addr_is_v4(const l7s_addr_t *addr)
{
    return memcmp(addr->bytes, mapped, sizeof mapped) == 0;
}

bool l7s_addr_parse(const char *text, l7s_addr_t *out)
{
    l7s_addr_t addr;
    if (strchr(text, ':') != NULL) {
        if (inet_pton(AF_INET6, text, addr.bytes) != 1) {
            return false;
        }
    } else {
        memcpy(addr.bytes, mapped, sizeof mapped);
        if (inet_pton(AF_INET, text, addr.bytes + sizeof mapped) != 1) {
            return false;
        }
    }
    *out = addr;
    return true;
}

/* 0…255 in decimal; returns the end. */
static char *write_byte(char *out, unsigned byte)
{
    if (byte >= 100) {
        *out++ = (char)('0' + byte / 100);
    }
    if (byte >= 10) {
        *out++ = (char)('0' + byte / 10 % 10);
    }
    *out++ = (char)('0' + byte % 10);
    return out;
}

/* Every refusal names its client: libc's way costs more than the decision. */
static void write_v4(const uint8_t bytes[4], char *out)
{
    for (unsigned i = 0; i < 4; i++) {
        out = write_byte(out, bytes[i]);
        *out++ = i < 3 ? '.' : '\0';
    }
}

void l7s_addr_text(const l7s_addr_t *addr, char out[L7S_ADDR_TEXT])
{
    if (l7s_addr_is_v4(addr)) {
        write_v4(addr->bytes + sizeof mapped, out);
    } else {
        inet_ntop(AF_INET6, addr->bytes, out, L7S_ADDR_TEXT);
    }
}

l7s_addr_t l7s_addr_mask(const l7s_addr_t *addr, uint8_t prefix)
{
    l7s_addr_t masked = *addr;
    if (prefix >= 128) {
        return masked;
    }
    unsigned whole = prefix / 8;
    masked.bytes[whole] &= (uint8_t)(0xff00 >> (prefix % 8));
    memset(masked.bytes + whole + 1, 0, sizeof masked.bytes - whole - 1);
    return masked;
}

l7s_cidr_t l7s_addr_client(const l7s_addr_t *addr)
{
    l7s_cidr_t client = {.base = *addr, .prefix = 128};
    if (!l7s_addr_is_v4(addr)) {
        memset(client.base.bytes + 8, 0, 8);
        client.prefix = 64;
    }
    return client;
}

/* Reads a prefix length without sign, blank or leading zero. */
static bool read_prefix(const char *text, unsigned most, unsigned *out)
{
    if (text[0] == '0' && text[1] != '\0') {
        return false;
    }
    unsigned value = 0;
    size_t digits = 0;
    for (; text[digits] >= '0' && text[digits] <= '9' && digits < 4; digits++) {
        value = value * 10 + (unsigned)(text[digits] - '0');
    }
    *out = value;
    return digits > 0 && text[digits] == '\0' && value <= most;
}

l7s_status_t l7s_cidr_parse(const char *text, l7s_cidr_t *out)
{
    char base[L7S_ADDR_TEXT];
    size_t size = strcspn(text, "/");
    if (size >= sizeof base) {
        return L7S_INVALID;
    }
    memcpy(base, text, size);
    base[size] = '\0';
    l7s_addr_t addr;
    if (!l7s_addr_parse(base, &addr)) {
        return L7S_INVALID;
    }
    bool dotted = strchr(base, ':') == NULL;
    unsigned prefix = dotted ? 32 : 128;
    if (text[size] == '/' && !read_prefix(text + size + 1, prefix, &prefix)) {
        return L7S_INVALID;
    }
    out->prefix = (uint8_t)(dotted ? prefix + V4_PREFIX : prefix);
    out->base = l7s_addr_mask(&addr, out->prefix);
    bool same = memcmp(&out->base, &addr, sizeof addr) == 0;
    return same ? L7S_OK : L7S_CONFLICT;
}

void l7s_cidr_text(const l7s_cidr_t *cidr, char out[L7S_CIDR_TEXT])
{
    bool dotted = l7s_addr_is_v4(&cidr->base) && cidr->prefix >= V4_PREFIX;
    unsigned prefix = dotted ? cidr->prefix - V4_PREFIX : cidr->prefix;
    l7s_addr_text(&cidr->base, out);
    if (prefix != (dotted ? 32 : 128)) {
        char *end = out + strlen(out);
        *end++ = '/';
        *write_byte(end, prefix) = '\0';
    }
}

bool l7s_cidr_contains(const l7s_cidr_t *cidr, const l7s_addr_t *addr)
{
    if (cidr->prefix < V4_PREFIX && l7s_addr_is_v4(addr)) {
        return false;
    }
    l7s_addr_t masked = l7s_addr_mask(addr, cidr->prefix);
    return memcmp(&masked, &cidr->base, sizeof masked) == 0;
}
