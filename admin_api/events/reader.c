/* SPDX-License-Identifier: Apache-2.0
 *
 * Frames on their way to one reader (reader.h).
 */
#include "reader.h"

#include "event_text.h"
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CATCH_UP_MAX 256

static void set_pending(admin_reader_t *reader, const char *text)
{
    reader->pending_size = strlen(text);
    memcpy(reader->pending, text, reader->pending_size);
}

/* The position is in the frame, so a client that reconnects goes on from here. */
void admin_reader_reset(admin_reader_t *reader, int64_t first, int64_t last)
{
    char text[ADMIN_PENDING_MAX];
    snprintf(text, sizeof(text),
             "id: %" PRId64 "\nevent: reset\ndata: {\"first_id\":%" PRId64
             ",\"last_id\":%" PRId64 "}\n\n",
             last, first, last);
    set_pending(reader, text);
    reader->after = last;
    reader->skip = 0;
}

bool admin_reader_pending(admin_reader_t *reader, admin_outlet_t *outlet)
{
    size_t size = reader->pending_size;
    if (size == 0 || size > outlet->size) {
        return false;
    }
    memcpy(outlet->out, reader->pending, size);
    outlet->used = size;
    reader->pending_size = 0;
    return true;
}

/* Without data it is no event to a client, but its Last-Event-ID moves on. */
void admin_reader_heartbeat(admin_reader_t *reader, admin_outlet_t *outlet)
{
    char text[ADMIN_PENDING_MAX];
    snprintf(text, sizeof(text), ":\nid: %" PRId64 "\n\n", reader->after);
    set_pending(reader, text);
    (void)admin_reader_pending(reader, outlet);
}

/* False: there is no room for (all of) it. A frame is cut only where it is larger than
 * the whole outlet. */
static bool put_frame(admin_reader_t *reader, const admin_frame_t *frame,
                      admin_outlet_t *outlet)
{
    size_t skip = reader->skip < frame->size ? reader->skip : frame->size;
    size_t rest = frame->size - skip, room = outlet->size - outlet->used;
    if (rest > room && outlet->used > 0) {
        return false;
    }
    size_t count = rest < room ? rest : room;
    memcpy(outlet->out + outlet->used, frame->text + skip, count);
    outlet->used += count;
    if (count < rest) {
        reader->skip = skip + count;
        return false;
    }
    reader->skip = 0;
    reader->after = frame->id;
    return true;
}

void admin_reader_follow(admin_reader_t *reader, const admin_ring_t *ring,
                         admin_outlet_t *outlet)
{
    const admin_frame_t *frame;
    do {
        frame = admin_ring_next(ring, reader->after, reader->types);
    } while (frame != NULL && put_frame(reader, frame, outlet));
    if (frame == NULL && reader->after < ring->head) {
        reader->after = ring->head;
    }
}

typedef struct {
    admin_reader_t *reader;
    const admin_privacy_t *privacy;
    admin_outlet_t *outlet;
} way_t;

static bool put_event(void *context, const admin_event_t *event)
{
    way_t *way = context;
    admin_frame_t frame = {.id = event->id};
    frame.text = admin_event_frame(event, way->privacy, &frame.size);
    bool put = frame.text == NULL || put_frame(way->reader, &frame, way->outlet);
    free(frame.text);
    return put;
}

l7s_status_t admin_reader_catch_up(admin_reader_t *reader, admin_store_t *store,
                                   const admin_privacy_t *privacy, admin_outlet_t *outlet)
{
    int64_t first, last, after = reader->after;
    bool more;
    way_t way = {reader, privacy, outlet};
    l7s_status_t status = admin_event_range(store, &first, &last);
    if (status == L7S_OK && after < first - 1) {
        admin_reader_reset(reader, first, last);
        return L7S_OK;
    }
    if (status == L7S_OK) {
        status = admin_event_each(store, reader->types, CATCH_UP_MAX, &after, &more,
                                  put_event, &way);
    }
    reader->after = status == L7S_OK ? after : reader->after;
    return status;
}
