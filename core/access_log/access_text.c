/* SPDX-License-Identifier: Apache-2.0
 *
 * See access_text.h.
 */
#include "access_text.h"

#include "../clock.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

/* --- escapes --- */

static int digit_of(char c)
{
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    c = (char)(c | 0x20);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The number of `digits` hexadecimal digits; 0: they are none, or it is 0. */
static unsigned hex(const char *text, unsigned digits)
{
    unsigned number = 0;

    for (unsigned i = 0; i < digits; i++) {
        int digit = digit_of(text[i]);
        if (digit < 0) {
            return 0;
        }
        number = number << 4 | (unsigned)digit;
    }
    return number;
}

/* "\uhhhh" as UTF-8: at most three bytes for six. Halves of a pair stay for themselves:
 * nothing that is matched has such characters. */
static char *put_character(unsigned character, char *out)
{
    if (character < 0x80) {
        *out++ = (char)character;
    } else if (character < 0x800) {
        *out++ = (char)(0xc0 | character >> 6);
        *out++ = (char)(0x80 | (character & 0x3f));
    } else {
        *out++ = (char)(0xe0 | character >> 12);
        *out++ = (char)(0x80 | (character >> 6 & 0x3f));
        *out++ = (char)(0x80 | (character & 0x3f));
    }
    return out;
}

/* What stands for the character behind a backslash; 0: it stands for itself. */
static char plain_of(char c)
{
    static const char *const pairs[] = {"n\n", "r\r", "t\t", "b\b", "f\f", "v\v"};

    for (size_t i = 0; i < sizeof pairs / sizeof *pairs; i++) {
        if (pairs[i][0] == c) {
            return pairs[i][1];
        }
    }
    return 0;
}

/* *from stands at a backslash; it moves behind what belongs to it. */
static char *undo(const char **from, char *out)
{
    char c = (*from)[1];
    unsigned character = c == 'x' ? hex(*from + 2, 2) : c == 'u' ? hex(*from + 2, 4) : 0;

    if (character != 0) {
        *from += c == 'x' ? 4 : 6;
        if (c == 'u') {
            return put_character(character, out);
        }
        *out++ = (char)character;
    } else if (c == '"' || c == '\\' || c == '/' || plain_of(c) != 0) {
        *out++ = plain_of(c) != 0 ? plain_of(c) : c;
        *from += 2;
    } else {
        *out++ = *(*from)++; /* a backslash like any other character */
    }
    return out;
}

char *l7s_access_unescape(const char *from, char *out)
{
    for (;;) {
        size_t run = strcspn(from, "\"\\");
        if (out != from) {
            memmove(out, from, run);
        }
        from += run;
        out += run;
        if (*from != '\\') {
            break;
        }
        out = undo(&from, out);
    }
    bool ended = *from == '"';
    const char *behind = from + ended;
    *out = '\0';
    return ended ? (char *)behind : NULL;
}

/* --- numbers and times --- */

bool l7s_access_number(const char *text, uint64_t *out)
{
    uint64_t number = 0;

    if (text[0] == '-' && text[1] == '\0') {
        *out = 0;
        return true;
    }
    for (const char *at = text; *at != '\0'; at++) {
        if (*at < '0' || *at > '9') {
            return false;
        }
        number = number > UINT64_MAX / 16 ? number : number * 10 + (uint64_t)(*at - '0');
    }
    *out = number;
    return *text != '\0';
}

bool l7s_access_stamp(const char *text, uint64_t *time_us)
{
    static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
    static const char shape[] = "[dd/Mmm/dddd:dd:dd:dd +dddd]";
    char month[4] = {text[4], text[5], text[6], '\0'};
    const char *found = strstr(months, month);
    char iso[48];
    uint64_t time_ms;

    for (size_t i = 0; i < sizeof shape - 1; i++) {
        bool good = shape[i] == 'd'   ? isdigit((unsigned char)text[i])
                    : shape[i] == '+' ? text[i] == '+' || text[i] == '-'
                    : i >= 4 && i < 7 ? isalpha((unsigned char)text[i])
                                      : text[i] == shape[i];
        if (!good) {
            return false;
        }
    }
    if (found == NULL || (found - months) % 3 != 0) {
        return false;
    }
    snprintf(iso, sizeof iso, "%.4s-%02d-%.2sT%.8s%.3s:%.2s", text + 8,
             (int)((found - months) / 3 % 12) + 1, text + 1, text + 13, text + 22,
             text + 25);
    if (!l7s_time_parse(iso, &time_ms)) {
        return false;
    }
    *time_us = time_ms * 1000;
    return true;
}

/* Four numbers of up to three digits, as httpd writes them: most addresses of a log, a
 * few times faster than for those who may write anything. */
static bool read_v4(const char *text, l7s_addr_t *out)
{
    static const l7s_addr_t mapped = {.bytes = {[10] = 0xff, [11] = 0xff}};

    *out = mapped;
    for (unsigned i = 0; i < 4; i++) {
        unsigned number = 0, digits = 0;
        for (; *text >= '0' && *text <= '9' && digits < 4; digits++) {
            number = number * 10 + (unsigned)(*text++ - '0');
        }
        if (digits == 0 || number > 255 || *text++ != (i < 3 ? '.' : '\0')) {
            return false;
        }
        out->bytes[12 + i] = (uint8_t)number;
    }
    return true;
}

bool l7s_access_client(const char *text, l7s_addr_t *out)
{
    return read_v4(text, out) || l7s_addr_parse(text, out);
}

/* --- the request line --- */

/* Path and query: origin form as it is, absolute form from behind the authority, which is
 * the host; "*" and CONNECT's authority as "/". */
static void read_target(char *target, l7s_access_t *out)
{
    if (target[0] == '/') {
        out->target = target;
        return;
    }
    char *authority = strstr(target, "://");
    if (authority == NULL) {
        return;
    }
    authority += 3;
    char *path = authority + strcspn(authority, "/?#");
    if (*path != '/') {
        *path = '\0'; /* "/", whatever it asks */
        out->host = authority;
        return;
    }
    /* One byte to the left is a slash of "://": room for the host's end. */
    memmove(authority - 1, authority, (size_t)(path - authority));
    path[-1] = '\0';
    out->host = authority - 1;
    out->target = path;
}

static bool is_method(const char *text)
{
    const char *at = text;

    while ((*at >= 'A' && *at <= 'Z') || (*at >= 'a' && *at <= 'z') || *at == '-' ||
           *at == '_') {
        at++;
    }
    return at > text && *at == '\0';
}

void l7s_access_request(char *text, l7s_access_t *out)
{
    char *target, *protocol;

    if (text[0] == '\0' || strcmp(text, "-") == 0) {
        out->came = false;
        return;
    }
    target = strchr(text, ' ');
    if (target == NULL) {
        out->malformed = true;
        return;
    }
    *target++ = '\0';
    protocol = strrchr(target, ' ');
    if (!is_method(text) || *target == '\0' || protocol == target ||
        (protocol != NULL && strncmp(protocol, " HTTP/", 6) != 0)) {
        out->malformed = true;
        return;
    }
    if (protocol != NULL) {
        *protocol = '\0';
    }
    out->method = text;
    read_target(target, out);
}

const char *l7s_access_host(const char *host)
{
    if (*host == '\0') {
        return host;
    }
    char *own = (char *)host; /* in the line, which is ours to change */
    char *bracket = strchr(own, ']');
    char *colon = strchr(bracket != NULL ? bracket : own, ':');

    if (colon != NULL) {
        *colon = '\0';
    }
    for (char *at = own; *at != '\0'; at++) {
        *at = (char)tolower((unsigned char)*at);
        if (*at == '.' && at[1] == '\0') {
            *at = '\0';
            break;
        }
    }
    return host;
}
