/* SPDX-License-Identifier: Apache-2.0
 *
 * One walk, linear in the text. A name is decoded where its value will stand: when nobody
 * asks for it, nothing is kept.
 */
#include "pairs.h"

#include <string.h>

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Writes one part with its NUL; it never grows. */
static void decode(const char *from, const char *end, char *out)
{
    while (from < end) {
        int high = *from == '%' && end - from > 2 ? digit_of(from[1]) : -1;
        int low = high >= 0 ? digit_of(from[2]) : -1;

        if (low >= 0 && (high | low) != 0) {
            *out++ = (char)(high << 4 | low);
            from += 3;
        } else {
            *out++ = (char)(*from == '+' ? ' ' : *from);
            from++;
        }
    }
    *out = '\0';
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* Writes one part without the blanks around it. */
static void trim(const char *from, const char *end, char *out)
{
    while (from < end && is_blank(*from)) {
        from++;
    }
    while (end > from && is_blank(end[-1])) {
        end--;
    }
    memcpy(out, from, (size_t)(end - from));
    out[end - from] = '\0';
}

typedef void (*write_fn)(const char *from, const char *end, char *out);

static void read_pair(l7s_pairs_t *pairs, const char *from, const char *end,
                      write_fn write, l7s_wanted_fn wanted, const void *context)
{
    const char *equals = memchr(from, '=', (size_t)(end - from));
    char *at = pairs->text + pairs->used;
    uint32_t name;

    write(from, equals != NULL ? equals : end, at);
    name = *at != '\0' ? wanted(context, at) : L7S_PAIRS_UNWANTED;
    if (name >= L7S_PAIRS_NAMES_MAX || pairs->count == L7S_PAIRS_MAX) {
        return;
    }
    write(equals != NULL ? equals + 1 : end, end, at);
    pairs->items[pairs->count].name = (uint16_t)name;
    pairs->items[pairs->count++].value = (uint16_t)pairs->used;
    pairs->used += (uint32_t)strlen(at) + 1;
}

static void read_all(l7s_pairs_t *pairs, const char *text, char separator, write_fn write,
                     l7s_wanted_fn wanted, const void *context)
{
    const char *end = text + strnlen(text, L7S_PAIRS_BYTES);

    while (text < end) {
        const char *next = memchr(text, separator, (size_t)(end - text));
        const char *stop = next != NULL ? next : end;
        read_pair(pairs, text, stop, write, wanted, context);
        text = stop + 1;
    }
}

void l7s_pairs_read_query(l7s_pairs_t *pairs, const char *query, l7s_wanted_fn wanted,
                          const void *context)
{
    pairs->count = pairs->used = 0;
    if (query != NULL) {
        read_all(pairs, query, '&', decode, wanted, context);
    }
}

void l7s_pairs_read_cookies(l7s_pairs_t *pairs, const char *header, l7s_wanted_fn wanted,
                            const void *context)
{
    pairs->count = pairs->used = 0;
    if (header != NULL) {
        read_all(pairs, header, ';', trim, wanted, context);
    }
}

const char *l7s_pairs_next(const l7s_pairs_t *pairs, uint32_t name, uint32_t *at)
{
    while (*at < pairs->count) {
        uint32_t i = (*at)++;
        if (pairs->items[i].name == name) {
            return pairs->text + pairs->items[i].value;
        }
    }
    return NULL;
}
