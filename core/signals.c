/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading signals. At most TEXT_MAX bytes are looked at, in one pass.
 */
#include "signals.h"

#include <string.h>

#define TEXT_MAX 2048
#define NAME_BYTES "abcdefghijklmnopqrstuvwxyz0123456789-"
#define TOKEN_BYTES                                                                      \
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789!#$%&'*+.^_`|~-:/"
#define DETAIL "detail="

static bool is_known(const l7s_signals_t *signals, const l7s_signal_t *signal)
{
    for (size_t i = 0; i < signals->count; i++) {
        if (strcmp(signals->items[i].name, signal->name) == 0 &&
            strcmp(signals->items[i].detail, signal->detail) == 0) {
            return true;
        }
    }
    return false;
}

/* Copies the token at `text` and returns what is behind it. A token that is empty or too
 * long leaves "". */
static const char *read_token(const char *text, const char *bytes, char *out,
                              size_t capacity)
{
    size_t length = strspn(text, bytes);
    size_t kept = length < capacity ? length : 0;

    memcpy(out, text, kept);
    out[kept] = '\0';
    return text + length;
}

static const char *skip_spaces(const char *text)
{
    return text + strspn(text, " \t");
}

/* One element of the list. False: it is no signal. Unknown parameters are passed over. */
static bool read_one(const char *text, const char *end, l7s_signal_t *out)
{
    out->detail[0] = '\0';
    text = skip_spaces(read_token(text, NAME_BYTES, out->name, sizeof out->name));
    if (out->name[0] == '\0' || (text < end && *text != ';')) {
        return false;
    }
    while (text < end && *text == ';') {
        text = skip_spaces(text + 1);
        if (strncmp(text, DETAIL, sizeof DETAIL - 1) == 0) {
            (void)read_token(text + sizeof DETAIL - 1, TOKEN_BYTES, out->detail,
                             sizeof out->detail);
        }
        text += strcspn(text, ";,");
    }
    return true;
}

void l7s_signals_read(l7s_signals_t *signals, const char *text)
{
    const char *last = text == NULL ? NULL : text + strnlen(text, TEXT_MAX);
    l7s_signal_t signal;

    while (text != NULL && text < last && signals->count < L7S_SIGNALS_MAX) {
        const char *end;
        text = skip_spaces(text);
        end = text + strcspn(text, ",");
        if (read_one(text, end, &signal) && !is_known(signals, &signal)) {
            signals->items[signals->count++] = signal;
        }
        text = *end == ',' ? end + 1 : end;
    }
}
