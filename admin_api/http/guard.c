/* SPDX-License-Identifier: Apache-2.0
 *
 * Checks of a request as HTTP (guard.h). Anything ambiguous is refused: this daemon has
 * few clients and all of them can speak plain HTTP/1.1.
 */
#include "guard.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

enum { GOOD, ABSOLUTE, ENCODED, CONTROL, LONG };

static const char verdicts[][ADMIN_GUARD_TEXT] = {
    [GOOD] = "",
    [ABSOLUTE] = "The request target must begin with a single \"/\".",
    [ENCODED] = "The path holds an encoded NUL, slash or backslash, or a broken escape.",
    [CONTROL] = "The request target holds a control character, a space or \"#\".",
    [LONG] = "The request target is longer than 4096 bytes.",
};

static bool bad_escape(const char *at)
{
    if (!isxdigit((unsigned char)at[1]) || !isxdigit((unsigned char)at[2])) {
        return true;
    }
    char digits[3] = {at[1], at[2], '\0'};
    unsigned long value = strtoul(digits, NULL, 16);
    return value < 0x20 || value == '/' || value == '\\' || value == 0x7f;
}

const char *admin_guard_target(const char *target)
{
    if (target[0] != '/' || target[1] == '/') {
        return verdicts[ABSOLUTE];
    }
    bool in_query = false;
    size_t size = 0;
    for (; target[size] != '\0'; size++) {
        unsigned char c = (unsigned char)target[size];
        in_query = in_query || c == '?';
        if (c <= 0x20 || c == 0x7f || c == '#' || c == '\\') {
            return verdicts[CONTROL];
        }
        /* A query value may hold an encoded slash (a network, a path). */
        if (c == '%' && bad_escape(target + size) &&
            !(in_query && strncasecmp(target + size, "%2f", 3) == 0)) {
            return verdicts[ENCODED];
        }
    }
    return size > 4096 ? verdicts[LONG] : verdicts[GOOD];
}

bool admin_guard_is_verdict(const void *pointer)
{
    const char *at = pointer, *first = (const char *)verdicts;
    return at >= first && at < first + sizeof verdicts;
}

/* Headers that two readers could resolve differently when they come twice. */
static const char *const single[] = {
    "Host",       "Content-Length", "Transfer-Encoding", "Content-Type", "Authorization",
    "If-Match",   "Origin",         "If-None-Match",     "Expect",       "Cookie",
    "Shield-CSRF"};

#define SINGLES (sizeof single / sizeof single[0])

typedef struct {
    unsigned seen[SINGLES];
    bool bad_chunking, bad_length;
    char *why;
} walk_t;

static bool token_char(unsigned char c)
{
    return isalnum(c) || (c != '\0' && strchr("!#$%&'*+-.^_`|~", c) != NULL);
}

static bool clean_header(const char *key, size_t key_size, const char *value,
                         size_t value_size)
{
    for (size_t i = 0; i < key_size; i++) {
        if (!token_char((unsigned char)key[i])) {
            return false;
        }
    }
    for (size_t i = 0; i < value_size; i++) {
        unsigned char c = (unsigned char)value[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f) {
            return false;
        }
    }
    return key_size > 0;
}

static enum MHD_Result walk_header(void *context, enum MHD_ValueKind kind,
                                   const char *key, size_t key_size, const char *value,
                                   size_t value_size)
{
    (void)kind;
    walk_t *walk = context;
    if (!clean_header(key, key_size, value, value_size)) {
        snprintf(walk->why, ADMIN_GUARD_TEXT, "A header has an invalid name or value.");
        return MHD_NO;
    }
    for (size_t i = 0; i < SINGLES; i++) {
        if (strcasecmp(key, single[i]) == 0 && walk->seen[i]++ > 0) {
            snprintf(walk->why, ADMIN_GUARD_TEXT, "The header %s came twice.", single[i]);
            return MHD_NO;
        }
    }
    if (strcasecmp(key, "Transfer-Encoding") == 0) {
        walk->bad_chunking = strcasecmp(value, "chunked") != 0;
    } else if (strcasecmp(key, "Content-Length") == 0) {
        walk->bad_length = value_size == 0 || strspn(value, "0123456789") != value_size;
    }
    return MHD_YES;
}

bool admin_guard_headers(struct MHD_Connection *connection, const char *version,
                         char why[ADMIN_GUARD_TEXT])
{
    walk_t walk = {.why = why};
    why[0] = '\0';
    MHD_get_connection_values_n(connection, MHD_HEADER_KIND, walk_header, &walk);
    if (why[0] != '\0') {
        return false;
    }
    bool length = walk.seen[1] > 0, chunked = walk.seen[2] > 0;
    if (length && chunked) {
        snprintf(why, ADMIN_GUARD_TEXT,
                 "Content-Length and Transfer-Encoding exclude each other.");
    } else if (chunked && (walk.bad_chunking || strcmp(version, "HTTP/1.1") != 0)) {
        snprintf(why, ADMIN_GUARD_TEXT,
                 "The only transfer coding is \"chunked\", with HTTP/1.1.");
    } else if (length && walk.bad_length) {
        snprintf(why, ADMIN_GUARD_TEXT, "Content-Length is a decimal number.");
    } else if (walk.seen[0] == 0 && strcmp(version, "HTTP/1.0") != 0) {
        snprintf(why, ADMIN_GUARD_TEXT, "The Host header is missing.");
    }
    return why[0] == '\0';
}

static bool literal_address(const char *name)
{
    struct in6_addr v6;
    struct in_addr v4;
    size_t size = strlen(name);
    if (name[0] == '[' && size > 2) {
        char inner[256];
        snprintf(inner, sizeof inner, "%.*s", (int)(size - 2), name + 1);
        return inet_pton(AF_INET6, inner, &v6) == 1;
    }
    return inet_pton(AF_INET, name, &v4) == 1;
}

/* "name", "name:port", "[address]:port": the name, or false. */
static bool split_host(const char *host, char name[256])
{
    size_t size = host[0] == '[' ? strcspn(host, "]") + 1 : strcspn(host, ":");
    if (size == 0 || size > strlen(host) || size >= 256) {
        return false;
    }
    const char *port = host + size;
    if (*port != '\0' &&
        (*port != ':' || strspn(port + 1, "0123456789") != strlen(port + 1))) {
        return false;
    }
    memcpy(name, host, size);
    name[size] = '\0';
    if (name[0] == '[') {
        return literal_address(name);
    }
    return strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUV"
                        "WXYZ0123456789-._") == size;
}

static bool own_name(const char *name)
{
    char host[256];
    size_t size = strlen(name);
    if (strcasecmp(name, "localhost") == 0 ||
        (size > 10 && strcasecmp(name + size - 10, ".localhost") == 0)) {
        return true;
    }
    return gethostname(host, sizeof host) == 0 && strcasecmp(name, host) == 0;
}

static bool is_one_of(const char *name, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (strcasecmp(name, names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool admin_guard_host(struct MHD_Connection *connection, bool any_name,
                      const char *const *allowed, size_t count,
                      char why[ADMIN_GUARD_TEXT])
{
    char name[256];
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (host == NULL) {
        return true; /* HTTP/1.0 */
    }
    if (!split_host(host, name)) {
        snprintf(why, ADMIN_GUARD_TEXT, "The Host header is not a host with a port.");
        return false;
    }
    if (!any_name && !literal_address(name) && !own_name(name) &&
        !is_one_of(name, allowed, count)) {
        snprintf(why, ADMIN_GUARD_TEXT,
                 "This server is localhost, its address or its own name; allowed_hosts"
                 " names others.");
        return false;
    }
    return true;
}

bool admin_guard_origin(struct MHD_Connection *connection, bool tls)
{
    const char *origin =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Origin");
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (origin == NULL) {
        return true;
    }
    const char *scheme = tls ? "https://" : "http://";
    return host != NULL && strncasecmp(origin, scheme, strlen(scheme)) == 0 &&
           strcasecmp(origin + strlen(scheme), host) == 0;
}
