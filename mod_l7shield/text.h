/* SPDX-License-Identifier: Apache-2.0
 *
 * Text under construction in a buffer of the caller's. A part that does not fit is left
 * out: buffers are measured for everything that may come. Inline, since formatting
 * functions would cost more than all the rest of a refusal, and refusals come in floods.
 */
#ifndef SHIELD_TEXT_H
#define SHIELD_TEXT_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

typedef struct {
    char *at, *end;
} shield_text_t;

#define SHIELD_DECIMAL_MAX 11

static inline void shield_put_bytes(shield_text_t *text, const char *part, size_t length)
{
    if (length <= (size_t)(text->end - text->at)) {
        memcpy(text->at, part, length);
        text->at += length;
    }
}

static inline void shield_put(shield_text_t *text, const char *part)
{
    shield_put_bytes(text, part, strlen(part));
}

/* `value` in decimal, at the end of `out`. */
static inline const char *shield_decimal(uint32_t value, char out[SHIELD_DECIMAL_MAX])
{
    char *at = out + SHIELD_DECIMAL_MAX - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return at;
}

static inline void shield_put_decimal(shield_text_t *text, uint32_t value)
{
    char digits[SHIELD_DECIMAL_MAX];
    shield_put(text, shield_decimal(value, digits));
}

#endif
