/* SPDX-License-Identifier: Apache-2.0
 *
 * Parts of an access log's line: what httpd escaped, its times, a request line. For
 * access_line.c and access_json.c only.
 */
#ifndef L7S_ACCESS_TEXT_H
#define L7S_ACCESS_TEXT_H

#include "access_line.h"

/* Undoes httpd's escapes (and JSON's) up to the next plain quote or the end of the text;
 * `out` may be `from`. Ends `out` with a NUL and returns what is behind the quote; NULL:
 * there is none. "\x00" stays as it is. */
char *l7s_access_unescape(const char *from, char *out);

/* Digits, or "-" for 0; false: neither. Saturates. */
bool l7s_access_number(const char *text, uint64_t *out);

/* An address. */
bool l7s_access_client(const char *text, l7s_addr_t *out);

/* "[31/Jan/2026:23:59:59 +0100]" */
bool l7s_access_stamp(const char *text, uint64_t *time_us);

/* Takes "GET /a?b HTTP/1.1" apart as httpd would; "-": nothing came. The authority of an
 * absolute target becomes the host. */
void l7s_access_request(char *text, l7s_access_t *out);

/* Without its port and last dot, in lower case; changed in place. */
const char *l7s_access_host(const char *host);

/* access_json.c: a line that begins with "{". */
l7s_line_result_t l7s_access_json(char *line, l7s_access_t *out);

#endif
