/* SPDX-License-Identifier: Apache-2.0
 *
 * Where lines go: a file, a pipe, standard output or syslog's socket. Nothing here blocks
 * for longer than a quarter of a second, and a line is written whole or not at all (a
 * pipe whose reader goes away in the middle of one excepted).
 */
#ifndef ADMIN_SINK_H
#define ADMIN_SINK_H

#include "../../core/status.h"
#include <stdatomic.h>

typedef struct admin_sink admin_sink_t;

/* "-", "syslog", "syslog:/path/of/its/socket", or a file's path; copied. `stopping` ends
 * waits early. NULL: no memory. */
admin_sink_t *admin_sink_create(const char *target, const atomic_bool *stopping);
void admin_sink_free(admin_sink_t *sink);

/* Writes one line of `size` bytes, its newline included; opens what is not open. L7S_OK;
 * L7S_TIMEOUT: it is slow, the rest of the line goes first next time; L7S_TOO_BIG: it
 * will never take this line; L7S_IO: not now, `why` says why. */
L7S_MUST_USE l7s_status_t admin_sink_write(admin_sink_t *sink, const char *line,
                                           size_t size, char why[256]);
/* Opens the file anew at the next line: it was moved away. Any thread. */
void admin_sink_reopen(admin_sink_t *sink);

#endif
