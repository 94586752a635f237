/* SPDX-License-Identifier: Apache-2.0
 *
 * The newest events as frames, ready to be sent: one copy for all subscribers, so that an
 * event costs no query and no rendering per reader. Whoever is further behind reads the
 * event log. Bounded by count and by bytes. Locks nothing.
 */
#ifndef ADMIN_RING_H
#define ADMIN_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ADMIN_RING_FRAMES 1024
#define ADMIN_RING_BYTES ((size_t)4 << 20)

typedef struct {
    int64_t id;
    unsigned type; /* one bit, ADMIN_EVENT_ALL has them all */
    size_t size;
    char *text; /* owned by the ring */
} admin_frame_t;

typedef struct {
    int64_t base, head;  /* every event in base < id <= head is here */
    size_t first, count; /* of `frames`, which is used round and round */
    size_t bytes;
    admin_frame_t frames[ADMIN_RING_FRAMES];
} admin_ring_t;

/* Empty; the log goes on behind `head`. */
void admin_ring_begin(admin_ring_t *ring, int64_t head);
void admin_ring_clear(admin_ring_t *ring);
/* Steals frame->text; its id lies behind head. What it pushes out is gone for good. */
void admin_ring_add(admin_ring_t *ring, const admin_frame_t *frame);
/* The first frame of `types` behind `after` (>= base). NULL: there is none. */
const admin_frame_t *admin_ring_next(const admin_ring_t *ring, int64_t after,
                                     unsigned types);

#endif
