/* SPDX-License-Identifier: Apache-2.0
 *
 * The lines of a log, read and taken apart ahead of whoever replays them, by a thread of
 * its own: that is half of the work. Three batches of a fixed size go round; a line that
 * is too long is passed over as a whole.
 */
#ifndef ADMIN_FEED_H
#define ADMIN_FEED_H

#include "../../core/access_log/access_line.h"
#include "../../core/status.h"

#define ADMIN_BATCH 1024

typedef struct {
    size_t count;
    l7s_access_t accesses[ADMIN_BATCH];
    /* Of the whole log, up to here. */
    uint64_t bytes, lines, skipped[L7S_LINE_RESULTS];
} admin_batch_t;

typedef struct admin_feed admin_feed_t;

/* Reads from where `fd` stands to its end; it stays the caller's. L7S_NO_MEMORY. */
L7S_MUST_USE l7s_status_t admin_feed_start(int fd, l7s_access_format_t format,
                                           admin_feed_t **out);
/* At any time. */
void admin_feed_stop(admin_feed_t *feed);

/* The next batch, which may be empty; it is gone with the next call. *out NULL: that was
 * all. L7S_IO: the log cannot be read further (errno). */
L7S_MUST_USE l7s_status_t admin_feed_next(admin_feed_t *feed, const admin_batch_t **out);

#endif
