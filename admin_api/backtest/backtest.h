/* SPDX-License-Identifier: Apache-2.0
 *
 * An access log through the engine, by the log's own clock: what would have been stopped.
 * The file is read once, from where it stands to its end, in bounded memory: the node's
 * (as much as ADMIN_BACKTEST_MEMORY) and the tally's.
 */
#ifndef ADMIN_BACKTEST_H
#define ADMIN_BACKTEST_H

#include "../../core/access_log/access_line.h"
#include "../../core/status.h"
#include <jansson.h>

#define ADMIN_BACKTEST_MEMORY ((size_t)128 << 20)

typedef struct {
    uint64_t bytes, lines;
} admin_progress_t;

typedef struct {
    const json_t *document; /* the configuration */
    int fd;
    l7s_access_format_t format;
    const char *host; /* of lines that tell none; NULL: there is none */
    /* About five times a second. False: give up. */
    bool (*progress)(void *context, const admin_progress_t *progress);
    void *context;
} admin_backtest_t;

/* The result, as the schema BacktestResult has it; new reference. NULL: *status tells;
 * L7S_INVALID: `problems` say what is wrong with the document, L7S_IO: the file cannot be
 * read (errno), L7S_STALE: `progress` gave up. */
json_t *admin_backtest_run(const admin_backtest_t *backtest, l7s_problems_t *problems,
                           l7s_status_t *status);

#endif
