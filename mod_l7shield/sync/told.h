/* SPDX-License-Identifier: Apache-2.0
 *
 * What was last told to other nodes, or heard from them, about the number of each place
 * of the table, and when the number was last seen. A slot that changes hands leaves its
 * predecessor's here, which costs at most one needless or missing piece of news. Times
 * are the low 32 bits of monotonic milliseconds.
 */
#ifndef SYNC_TOLD_H
#define SYNC_TOLD_H

#include "../../core/status.h"
#include <stddef.h>
#include <stdint.h>

typedef struct sync_told sync_told_t;

L7S_MUST_USE l7s_status_t sync_told_create(size_t slots, sync_told_t **out);
void sync_told_free(sync_told_t *told);

/* The number is seen now. Returns the time since it was seen before. */
uint32_t sync_told_seen(sync_told_t *told, uint32_t index, uint32_t now_ms);

/* All nodes know this total of this period now, or a later one. */
void sync_told_note(sync_told_t *told, uint32_t index, uint64_t total, uint32_t period,
                    uint32_t now_ms);

/* By how much `total` is ahead of what all know; of another period: `otherwise`. */
uint64_t sync_told_moved(const sync_told_t *told, uint32_t index, uint64_t total,
                         uint32_t period, uint64_t otherwise);
/* For how long nothing was told. */
uint32_t sync_told_silent_ms(const sync_told_t *told, uint32_t index, uint32_t now_ms);

#endif
