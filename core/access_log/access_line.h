/* SPDX-License-Identifier: Apache-2.0
 *
 * One line of an access log as httpd writes it: combined, with or without the virtual
 * host in front (vhost_combined), or the JSON of conf/backtest-log.conf. Clients write
 * most of what stands there; httpd escapes it ("\"", "\\", "\xhh"), in JSON as well, so a
 * JSON parser would not do. A line is read where it lies, in time linear to its length;
 * one that is not in the format says why and harms nobody.
 */
#ifndef L7S_ACCESS_LINE_H
#define L7S_ACCESS_LINE_H

#include "../addr.h"
#include <stdint.h>

/* Longer than whatever httpd's defaults let into a line: request line, Referer and
 * User-Agent of 8,190 bytes each, of which \xhh makes four times as many. */
#define L7S_ACCESS_LINE_MAX ((size_t)128 << 10)

typedef enum {
    L7S_ACCESS_ANY, /* what each line looks like */
    L7S_ACCESS_COMBINED,
    L7S_ACCESS_VHOST,
    L7S_ACCESS_JSON,
    L7S_ACCESS_FORMATS
} l7s_access_format_t;

/* "auto", "combined", …; L7S_ACCESS_FORMATS: it is none of them. */
l7s_access_format_t l7s_access_format(const char *name);

typedef enum {
    L7S_LINE_GOOD,
    L7S_LINE_FORM,   /* not a line of this format */
    L7S_LINE_TIME,   /* its time is none */
    L7S_LINE_CLIENT, /* its client is no address: a name, or a unix socket */
    L7S_LINE_LONG,   /* told by who cuts the lines */
    L7S_LINE_RESULTS
} l7s_line_result_t;

/* "form", "time", …: never NULL. */
const char *l7s_line_result_name(l7s_line_result_t result);

/* Of a request, as it came. Texts are borrowed from the line, without escapes, "" where
 * there is nothing. */
typedef struct {
    uint64_t time_us; /* since 1970 */
    l7s_addr_t client;
    const char *host; /* lower case, without its port */
    const char *user, *method, *referer, *user_agent;
    const char *target;           /* path and query; "/" of what has none */
    const char *action, *signals; /* L7SHIELD_ACTION, L7SHIELD_SIGNAL */
    uint16_t status;              /* 0: not there */
    uint64_t bytes_in, bytes_out, duration_us;
    bool came;      /* false: a connection on which nothing came */
    bool full;      /* JSON: sizes, times and what the shield did are told */
    bool malformed; /* its first line was no request line, so httpd refused it */
} l7s_access_t;

/* Kept from line to line: mostly the second is the same. Zeroed before its first use. */
typedef struct {
    char text[28];
    uint64_t time_us;
} l7s_access_memo_t;

/* Changes the line, which ends with a NUL at `size` (no newline). */
l7s_line_result_t l7s_access_read(l7s_access_format_t format, char *line, size_t size,
                                  l7s_access_memo_t *memo, l7s_access_t *out);

#endif
