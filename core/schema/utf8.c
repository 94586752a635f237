/* SPDX-License-Identifier: Apache-2.0
 *
 * UTF-8 by the table of RFC 3629, section 4: no overlong forms, no surrogates, nothing
 * above U+10FFFF.
 */
#include "utf8.h"
#include <stdint.h>
#include <stdio.h>
#include <string.h>

static size_t continuation(const uint8_t *bytes, size_t size)
{
    for (size_t i = 1; i < size; i++) {
        if ((bytes[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    return size;
}

size_t l7s_utf8_sequence(const char *text)
{
    const uint8_t *bytes = (const uint8_t *)text;

    if (bytes[0] < 0x80) {
        return bytes[0] != 0;
    }
    if (bytes[0] >= 0xc2 && bytes[0] <= 0xdf) {
        return continuation(bytes, 2);
    }
    if ((bytes[0] & 0xf0) == 0xe0) {
        if ((bytes[0] == 0xe0 && bytes[1] < 0xa0) ||
            (bytes[0] == 0xed && bytes[1] > 0x9f)) {
            return 0;
        }
        return continuation(bytes, 3);
    }
    if (bytes[0] >= 0xf0 && bytes[0] <= 0xf4) {
        if ((bytes[0] == 0xf0 && bytes[1] < 0x90) ||
            (bytes[0] == 0xf4 && bytes[1] > 0x8f)) {
            return 0;
        }
        return continuation(bytes, 4);
    }
    return 0;
}

size_t l7s_utf8_copy(char *out, size_t capacity, const char *text)
{
    size_t length = 0;

    while (*text != '\0') {
        size_t size = l7s_utf8_sequence(text);
        size_t written = size != 0 ? size : 4;

        if (length + written >= capacity) {
            break;
        }
        if (size != 0) {
            memcpy(out + length, text, size);
            text += size;
        } else {
            snprintf(out + length, 5, "\\x%02x", (unsigned)(uint8_t)*text++);
        }
        length += written;
    }
    out[length] = '\0';
    return length;
}

size_t l7s_utf8_characters(const char *text)
{
    size_t count = 0;

    for (; *text != '\0'; text++) {
        count += ((uint8_t)*text & 0xc0) != 0x80;
    }
    return count;
}
