/* SPDX-License-Identifier: Apache-2.0
 *
 * See meta_reply.h. No byte is looked at twice and none beyond `size`; a reply is refused
 * at the first byte that cannot belong to one.
 */
#include "meta_reply.h"
#include <stdbool.h>
#include <string.h>

/* "<digits>" and perhaps blanks: memcached pads a number that became shorter. */
static bool parse_number(const char *at, size_t size, uint64_t *out)
{
    uint64_t value = 0;
    size_t i = 0;
    for (; i < size && at[i] >= '0' && at[i] <= '9'; i++) {
        unsigned digit = (unsigned)(at[i] - '0');
        if (value > (UINT64_MAX - digit) / 10) {
            return false;
        }
        value = value * 10 + digit;
    }
    if (i == 0) {
        return false;
    }
    for (; i < size; i++) {
        if (at[i] != ' ') {
            return false;
        }
    }
    *out = value;
    return true;
}

/* Reads 1…most digits. VALUE: read, and another byte follows. */
static inline sync_reply_t take_digits(const char *bytes, size_t size, size_t *at,
                                       size_t most, uint64_t *out)
{
    size_t first = *at;
    *out = 0;
    for (; *at < size && *at - first < most && bytes[*at] >= '0' && bytes[*at] <= '9';
         (*at)++) {
        *out = *out * 10 + (uint64_t)(bytes[*at] - '0');
    }
    if (*at == size) {
        return SYNC_REPLY_MORE;
    }
    return *at == first ? SYNC_REPLY_BAD : SYNC_REPLY_VALUE;
}

static inline sync_reply_t take_text(const char *bytes, size_t size, size_t *at,
                                     const char *text)
{
    for (; *text != '\0'; text++, (*at)++) {
        if (*at == size) {
            return SYNC_REPLY_MORE;
        }
        if (bytes[*at] != *text) {
            return SYNC_REPLY_BAD;
        }
    }
    return SYNC_REPLY_VALUE;
}

/* "VA 3 t59\r\n123\r\n", checked byte by byte as far as it has come. */
static sync_reply_t parse_value(const char *bytes, size_t size, size_t *used,
                                sync_value_t *value)
{
    size_t data = 3;
    uint64_t length = 0;
    sync_reply_t step = take_digits(bytes, size, &data, 2, &length);
    if (step == SYNC_REPLY_VALUE && (length == 0 || length > 20 || bytes[3] == '0')) {
        return SYNC_REPLY_BAD;
    }
    if (step == SYNC_REPLY_VALUE) {
        step = take_text(bytes, size, &data, " t");
    }
    if (step == SYNC_REPLY_VALUE) {
        step = take_digits(bytes, size, &data, 10, &value->left_s);
    }
    if (step == SYNC_REPLY_VALUE) {
        step = take_text(bytes, size, &data, "\r\n");
    }
    if (step != SYNC_REPLY_VALUE) {
        return step;
    }
    if (size < data + length + 2) {
        return SYNC_REPLY_MORE;
    }
    if (memcmp(bytes + data + length, "\r\n", 2) != 0 ||
        !parse_number(bytes + data, length, &value->number)) {
        return SYNC_REPLY_BAD;
    }
    *used = data + length + 2;
    return SYNC_REPLY_VALUE;
}

static bool begins(const char *bytes, size_t size, const char *text)
{
    size_t length = strlen(text);
    return memcmp(bytes, text, size < length ? size : length) == 0;
}

sync_reply_t sync_reply_parse(const char *bytes, size_t size, size_t *used,
                              sync_value_t *value)
{
    if (begins(bytes, size, "VA ")) {
        return size <= 3 ? SYNC_REPLY_MORE : parse_value(bytes, size, used, value);
    }
    bool miss = begins(bytes, size, "EN\r\n");
    if (!miss && !begins(bytes, size, "MN\r\n")) {
        return SYNC_REPLY_BAD;
    }
    if (size < 4) {
        return SYNC_REPLY_MORE;
    }
    *used = 4;
    return miss ? SYNC_REPLY_MISS : SYNC_REPLY_NOOP;
}
