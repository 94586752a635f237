/* SPDX-License-Identifier: Apache-2.0
 *
 * JSON Pointers: escaping ("~" is "~0", "/" is "~1") and the cut at the maximum.
 */
#include "json_pointer.h"
#include <stdio.h>
#include <string.h>

void l7s_pointer_begin(l7s_pointer_t *pointer)
{
    pointer->length = 0;
    pointer->text[0] = '\0';
}

/* Length of the escaped or plain character that begins at `key`, at least 1. */
static size_t character_size(const char *key)
{
    size_t size = 1;

    while (((unsigned char)key[size] & 0xc0) == 0x80) {
        size++;
    }
    return size;
}

static bool append(l7s_pointer_t *pointer, const char *bytes, size_t size)
{
    if (pointer->length + size >= sizeof pointer->text) {
        return false;
    }
    memcpy(pointer->text + pointer->length, bytes, size);
    pointer->length += size;
    pointer->text[pointer->length] = '\0';
    return true;
}

size_t l7s_pointer_push(l7s_pointer_t *pointer, const char *key)
{
    size_t mark = pointer->length;
    bool fits = append(pointer, "/", 1);

    while (fits && *key != '\0') {
        size_t size = character_size(key);

        if (*key == '~') {
            fits = append(pointer, "~0", 2);
        } else if (*key == '/') {
            fits = append(pointer, "~1", 2);
        } else {
            fits = append(pointer, key, size);
        }
        key += size;
    }
    return mark;
}

size_t l7s_pointer_push_index(l7s_pointer_t *pointer, size_t index)
{
    char text[24];

    snprintf(text, sizeof text, "%zu", index);
    return l7s_pointer_push(pointer, text);
}

void l7s_pointer_pop(l7s_pointer_t *pointer, size_t mark)
{
    pointer->length = mark;
    pointer->text[mark] = '\0';
}

static int hex_digit(char digit)
{
    if (digit >= '0' && digit <= '9') {
        return digit - '0';
    }
    digit |= 0x20;
    return digit >= 'a' && digit <= 'f' ? digit - 'a' + 10 : -1;
}

/* Reads one character of a token at *at; -1 when it is not a valid escape. */
static int decode_one(const char *text, size_t size, size_t *at)
{
    char first = text[(*at)++];

    if (first == '~') {
        if (*at == size || (text[*at] != '0' && text[*at] != '1')) {
            return -1;
        }
        return text[(*at)++] == '0' ? '~' : '/';
    }
    if (first == '%') {
        int high = *at + 1 < size ? hex_digit(text[*at]) : -1;
        int low = *at + 1 < size ? hex_digit(text[*at + 1]) : -1;

        *at += 2;
        return high < 0 || low < 0 ? -1 : high * 16 + low;
    }
    return (unsigned char)first;
}

bool l7s_pointer_decode(const char *text, size_t size, char *out, size_t capacity)
{
    size_t length = 0;

    for (size_t at = 0; at < size;) {
        int value = decode_one(text, size, &at);

        if (value <= 0 || length + 1 >= capacity) {
            return false;
        }
        out[length++] = (char)value;
    }
    out[length] = '\0';
    return true;
}
