/* SPDX-License-Identifier: Apache-2.0
 *
 * Incident reports on their way to the daemon: in memory and on disk until it
 * acknowledges them, on the bus as this node's incident log. Reports are cumulative, so
 * one that waits is replaced by a newer one of the same incident.
 *
 * Numbering starts at the wall clock's milliseconds with every process, so numbers are
 * never used twice, whatever was lost; the seat tells the daemon where the log begins.
 */
#ifndef SYNC_SPOOL_H
#define SYNC_SPOOL_H

#include "bus.h"
#include <jansson.h>

typedef struct sync_spool sync_spool_t;

/* Reads what an earlier process left. `state_dir` "" keeps nothing on disk. */
L7S_MUST_USE l7s_status_t sync_spool_create(sync_bus_t *bus,
                                            const sync_options_t *options, l7s_now_t now,
                                            sync_spool_t **out);
void sync_spool_free(sync_spool_t *spool);

/* Takes a report (borrowed). When there is no room the oldest one gives way, which is
 * said in the log. */
void sync_spool_add(sync_spool_t *spool, const json_t *report, l7s_now_t now);

/* Reads the acknowledgement, sends what waits, sends again what got no answer, writes the
 * file when it is time. */
void sync_spool_tick(sync_spool_t *spool, l7s_now_t now);
/* Writes the file now if it is out of date. */
void sync_spool_flush(sync_spool_t *spool, l7s_now_t now);

/* The incident log for the seat: the oldest number that is not acknowledged, and the next
 * one to be used. */
void sync_spool_range(const sync_spool_t *spool, uint64_t *first, uint64_t *next);

#endif
