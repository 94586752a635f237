/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict_reply.h. No byte beyond `size` is looked at; a reply is refused at the first
 * byte that cannot belong to one.
 */
#include "strict_reply.h"
#include <stdbool.h>
#include <string.h>

#define CODE_SIZE 4 /* "HD\r\n" */
#define DIGITS_MAX 20

/* Where the parser stands. Once it has run out of bytes or met a wrong one it stays so.
 */
typedef struct {
    const char *bytes;
    size_t size, at;
    bool more, bad;
} scan_t;

static void take_text(scan_t *scan, const char *text)
{
    for (; *text != '\0' && !scan->more && !scan->bad; text++) {
        if (scan->at == scan->size) {
            scan->more = true;
        } else if (scan->bytes[scan->at] != *text) {
            scan->bad = true;
        } else {
            scan->at++;
        }
    }
}

/* Decimal digits of a 64-bit number, as many as there are. */
static uint64_t take_number(scan_t *scan)
{
    size_t first = scan->at;
    uint64_t value = 0;

    for (; !scan->bad && scan->at < scan->size; scan->at++) {
        unsigned digit = (unsigned)(scan->bytes[scan->at] - '0');
        if (digit > 9) {
            scan->bad = scan->at == first;
            return value;
        }
        scan->bad = scan->at - first == DIGITS_MAX || value > (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    scan->more = true;
    return value;
}

static size_t parse_value(const char *bytes, size_t size, sync_strict_reply_t *out)
{
    scan_t scan = {.bytes = bytes, .size = size};
    uint64_t length = 0;
    size_t data = 0;

    take_text(&scan, "VA ");
    length = scan.more || scan.bad ? 0 : take_number(&scan);
    take_text(&scan, " c");
    out->cas = scan.more || scan.bad ? 0 : take_number(&scan);
    take_text(&scan, "\r\n");
    data = scan.at;
    out->tat = scan.more || scan.bad ? 0 : take_number(&scan);
    /* memcached never sends less than it announced: digits up to there and no more. */
    scan.bad |= scan.at - data > length || (!scan.more && scan.at - data != length);
    take_text(&scan, "\r\n");
    /* However the bytes are cut: what is refused in part is refused whole. */
    scan.bad |= scan.at > SYNC_STRICT_REPLY_MAX;
    if (scan.bad || (scan.more && size >= SYNC_STRICT_REPLY_MAX)) {
        out->kind = SYNC_STRICT_BAD;
        return 0;
    }
    out->kind = scan.more ? SYNC_STRICT_MORE : SYNC_STRICT_VALUE;
    return scan.more ? 0 : scan.at;
}

size_t sync_strict_reply_parse(const char *bytes, size_t size, sync_strict_reply_t *out)
{
    static const struct {
        char text[CODE_SIZE + 1];
        sync_strict_kind_t kind;
    } codes[] = {{"HD\r\n", SYNC_STRICT_DONE},  {"EN\r\n", SYNC_STRICT_ABSENT},
                 {"EX\r\n", SYNC_STRICT_RACED}, {"NF\r\n", SYNC_STRICT_ABSENT},
                 {"NS\r\n", SYNC_STRICT_RACED}, {"MN\r\n", SYNC_STRICT_NOOP}};
    size_t known = size < CODE_SIZE ? size : CODE_SIZE;

    *out = (sync_strict_reply_t){.kind = SYNC_STRICT_MORE};
    if (size == 0) {
        return 0;
    }
    if (bytes[0] == 'V') {
        return parse_value(bytes, size, out);
    }
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        if (memcmp(bytes, codes[i].text, known) == 0) {
            out->kind = size < CODE_SIZE ? SYNC_STRICT_MORE : codes[i].kind;
            return size < CODE_SIZE ? 0 : CODE_SIZE;
        }
    }
    out->kind = SYNC_STRICT_BAD;
    return 0;
}
