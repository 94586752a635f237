/* SPDX-License-Identifier: Apache-2.0
 *
 * The ring of frames (ring.h).
 */
#include "ring.h"

#include <stdlib.h>

static const admin_frame_t *frame_at(const admin_ring_t *ring, size_t index)
{
    return &ring->frames[(ring->first + index) % ADMIN_RING_FRAMES];
}

static void drop_first(admin_ring_t *ring)
{
    admin_frame_t *frame = &ring->frames[ring->first];
    ring->base = frame->id;
    ring->bytes -= frame->size;
    free(frame->text);
    frame->text = NULL;
    ring->first = (ring->first + 1) % ADMIN_RING_FRAMES;
    ring->count--;
}

void admin_ring_clear(admin_ring_t *ring)
{
    while (ring->count > 0) {
        drop_first(ring);
    }
    ring->base = ring->head;
}

void admin_ring_begin(admin_ring_t *ring, int64_t head)
{
    admin_ring_clear(ring);
    ring->base = ring->head = head;
}

void admin_ring_add(admin_ring_t *ring, const admin_frame_t *frame)
{
    while (ring->count > 0 && (ring->count == ADMIN_RING_FRAMES ||
                               ring->bytes + frame->size > ADMIN_RING_BYTES)) {
        drop_first(ring);
    }
    ring->frames[(ring->first + ring->count) % ADMIN_RING_FRAMES] = *frame;
    ring->count++;
    ring->bytes += frame->size;
    ring->head = frame->id;
}

/* Index of the first frame behind `after`. */
static size_t find(const admin_ring_t *ring, int64_t after)
{
    size_t low = 0, high = ring->count;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (frame_at(ring, middle)->id <= after) {
            low = middle + 1;
        } else {
            high = middle;
        }
    }
    return low;
}

const admin_frame_t *admin_ring_next(const admin_ring_t *ring, int64_t after,
                                     unsigned types)
{
    for (size_t i = find(ring, after); i < ring->count; i++) {
        const admin_frame_t *frame = frame_at(ring, i);
        if ((frame->type & types) != 0) {
            return frame;
        }
    }
    return NULL;
}
