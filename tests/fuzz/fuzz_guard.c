/* SPDX-License-Identifier: Apache-2.0
 *
 * A request's head, as libmicrohttpd would hand it on: the first line is its target, the
 * others are headers "name: value". Whatever the guard lets through can be read in one
 * way only. libmicrohttpd's part, the list of headers, is played here.
 */
#include "../../admin_api/http/guard.h"
#include "input.h"
#include <ctype.h>
#include <strings.h>

#define HEADERS_MAX 32

/* libmicrohttpd's type, ours to define in this program. */
struct MHD_Connection {
    size_t count;
    char *names[HEADERS_MAX], *values[HEADERS_MAX];
};

int MHD_get_connection_values_n(struct MHD_Connection *connection,
                                enum MHD_ValueKind kind, MHD_KeyValueIteratorN iterator,
                                void *context)
{
    size_t i = 0;
    while (i < connection->count &&
           iterator(context, kind, connection->names[i], strlen(connection->names[i]),
                    connection->values[i], strlen(connection->values[i])) == MHD_YES) {
        i++;
    }
    return (int)i;
}

const char *MHD_lookup_connection_value(struct MHD_Connection *connection,
                                        enum MHD_ValueKind kind, const char *name)
{
    (void)kind;
    for (size_t i = 0; i < connection->count; i++) {
        if (strcasecmp(connection->names[i], name) == 0) {
            return connection->values[i];
        }
    }
    return NULL;
}

static size_t count_of(const struct MHD_Connection *connection, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < connection->count; i++) {
        count += strcasecmp(connection->names[i], name) == 0 ? 1 : 0;
    }
    return count;
}

/* One decoding of the path is all there is, and it has the segments that are seen. */
static void check_target(const char *target)
{
    fuzz_must(target[0] == '/' && target[1] != '/', "a path of this server");
    for (const char *at = target; *at != '\0'; at++) {
        fuzz_must((unsigned char)*at > 0x20 && *at != 0x7f && *at != '#', "no control");
        if (*at == '%') {
            fuzz_must(isxdigit((unsigned char)at[1]) && isxdigit((unsigned char)at[2]),
                      "whole escapes");
            char digits[3] = {at[1], at[2], '\0'};
            long value = strtol(digits, NULL, 16);
            bool query = memchr(target, '?', (size_t)(at - target)) != NULL;
            fuzz_must(value >= 0x20 && value != 0x7f && value != '\\' &&
                          (query || value != '/'),
                      "no escape that changes the path");
        }
    }
}

static void check_headers(struct MHD_Connection *connection, const char *version)
{
    static const char *const once[] = {
        "Host",          "Content-Length", "Cookie",           "Content-Type",
        "Authorization", "Origin",         "Transfer-Encoding"};
    for (size_t i = 0; i < sizeof once / sizeof once[0]; i++) {
        fuzz_must(count_of(connection, once[i]) <= 1, "once");
    }
    const char *length =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Content-Length");
    const char *coding =
        MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Transfer-Encoding");
    fuzz_must(length == NULL || coding == NULL, "one framing");
    fuzz_must(length == NULL ||
                  (*length != '\0' && strspn(length, "0123456789") == strlen(length)),
              "a length of digits");
    fuzz_must(coding == NULL || (strcasecmp(coding, "chunked") == 0 &&
                                 strcmp(version, "HTTP/1.1") == 0),
              "chunked alone");
    for (size_t i = 0; i < connection->count; i++) {
        fuzz_must(strpbrk(connection->names[i], " \t:\r\n") == NULL, "a header's name");
    }
}

/* The host's name, whatever its port. */
static bool ends_with(const char *host, const char *name)
{
    size_t size = strcspn(host, ":"), tail = strlen(name);
    return size >= tail && strncasecmp(host + size - tail, name, tail) == 0;
}

static void check_host(struct MHD_Connection *connection, const char *why)
{
    static const char *const allowed[] = {"shield.example"};
    char again[ADMIN_GUARD_TEXT];
    const char *host = MHD_lookup_connection_value(connection, MHD_HEADER_KIND, "Host");
    if (host == NULL || !admin_guard_host(connection, false, allowed, 1, again)) {
        return;
    }
    fuzz_must(why[0] == '\0' && strpbrk(host, "/@?#, \\") == NULL, "a bare host");
    /* evil.example.localhost is the loopback all the same (RFC 6761). */
    fuzz_must(!ends_with(host, "evil.example"), "a name that is ours");
    fuzz_must(admin_guard_host(connection, true, NULL, 0, again), "any name is wider");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    fuzz_input_t input = {data, size};
    struct MHD_Connection connection = {0};
    char why[ADMIN_GUARD_TEXT] = "";
    const char *version = fuzz_number(&input, 1) % 4 == 0 ? "HTTP/1.0" : "HTTP/1.1";
    char *target = fuzz_line(&input);
    while (input.left > 0 && connection.count < HEADERS_MAX) {
        char *line = fuzz_line(&input), *colon = strstr(line, ": ");
        if (colon != NULL) {
            *colon = '\0';
            connection.names[connection.count] = fuzz_copy(line, strlen(line) + 1);
            connection.values[connection.count++] =
                fuzz_copy(colon + 2, strlen(colon + 2) + 1);
        }
        free(line);
    }
    const char *verdict = admin_guard_target(target);
    fuzz_must(admin_guard_is_verdict(verdict), "a verdict is known again");
    if (verdict[0] == '\0') {
        check_target(target);
    }
    if (admin_guard_headers(&connection, version, why)) {
        check_headers(&connection, version);
        check_host(&connection, why);
        (void)admin_guard_origin(&connection, true);
    } else {
        fuzz_must(why[0] != '\0', "a reason");
    }
    for (size_t i = 0; i < connection.count; i++) {
        free(connection.names[i]);
        free(connection.values[i]);
    }
    free(target);
    return 0;
}
