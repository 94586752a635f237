/* SPDX-License-Identifier: Apache-2.0
 *
 * How far one reader of the event stream has come, and what goes out to it next: frames
 * of the ring or of the event log, whole or in pieces. Locks nothing.
 */
#ifndef ADMIN_READER_H
#define ADMIN_READER_H

#include "../store/event_log.h"
#include "../store/privacy.h"
#include "ring.h"

#define ADMIN_PENDING_MAX 192

typedef struct {
    unsigned types;
    int64_t after; /* the last event that was passed on or passed over */
    size_t skip;   /* bytes of the next frame that have been sent */
    char pending[ADMIN_PENDING_MAX]; /* goes out before anything else */
    size_t pending_size;
} admin_reader_t;

/* Where it goes: what has been written of `size` bytes. */
typedef struct {
    char *out;
    size_t size, used;
} admin_outlet_t;

/* The next that goes out is the event "reset", and the reader goes on behind `last`. */
void admin_reader_reset(admin_reader_t *reader, int64_t first, int64_t last);

/* Each writes to the outlet as much as fits: */
/* what is pending; false: nothing is, */
bool admin_reader_pending(admin_reader_t *reader, admin_outlet_t *outlet);
/* frames of the ring, whose base must not lie before the reader, */
void admin_reader_follow(admin_reader_t *reader, const admin_ring_t *ring,
                         admin_outlet_t *outlet);
/* the same from the event log; what is not there any more ends in a reset, */
L7S_MUST_USE l7s_status_t admin_reader_catch_up(admin_reader_t *reader,
                                                admin_store_t *store,
                                                const admin_privacy_t *privacy,
                                                admin_outlet_t *outlet);
/* no event, but the reader's position, so that a rare type does not make it too old. */
void admin_reader_heartbeat(admin_reader_t *reader, admin_outlet_t *outlet);

#endif
