/* SPDX-License-Identifier: Apache-2.0
 *
 * Lines for httpd's error log, which is this process' stderr: one write per line, so
 * lines of several processes never mix, and nothing that a client wrote can forge a line.
 * The format is httpd's own, "[TIME] [l7shield:LEVEL] [pid N] L7S2001: sentence". Where
 * httpd logs to the syslog, its stderr leads nowhere, and they go there, too. Never
 * blocks the tick for long: what may repeat stands behind a gate that counts what it held
 * back.
 */
#ifndef SYNC_LOG_H
#define SYNC_LOG_H

#include "../../core/status.h"
#include <stdint.h>

typedef enum {
    SYNC_ERROR, /* an operator must act */
    SYNC_WARN,  /* something is degraded and mends itself */
    SYNC_INFO   /* a decision */
} sync_level_t;

void sync_log(sync_level_t level, const char *tag, const char *format, ...)
    L7S_PRINTF(3, 4);

/* From now on, lines go to the syslog that listens at `path`; `where` is httpd's
 * "FACILITY:TAG", either of which may be missing. */
void sync_log_to_syslog(const char *path, const char *where);

/* One sentence per problem of a document, each once per call: "WHAT: POINTER: message".
 */
void sync_log_problems(const char *tag, const char *what, const l7s_problems_t *problems);

/* Lets one line pass per interval. Zero-initialised it is open. */
typedef struct {
    uint64_t closed_until_ms;
    uint64_t held_back;
} sync_log_gate_t;

/* True when the line may be written; *held_back (may be NULL) is then the number of lines
 * that were not since the last one. Without the right to write, counts this one. */
bool sync_log_gate(sync_log_gate_t *gate, uint64_t now_ms, uint64_t interval_ms,
                   uint64_t *held_back);

#endif
