/* SPDX-License-Identifier: Apache-2.0
 *
 * Who waits for events, and the thread that wakes them. It also tells what other files
 * cannot tell in their own transactions: revisions, and modes whose time is over.
 *
 * A subscriber is a position and a filter, never a queue: it takes what it needs from the
 * ring that all share, or from the event log when it is further behind. One that reads
 * slowly or never costs nobody anything but its place, of which there is a fixed number.
 */
#ifndef ADMIN_HUB_H
#define ADMIN_HUB_H

#include "../daemon.h"

#define ADMIN_SUBSCRIBERS_MAX 256

typedef struct admin_subscriber admin_subscriber_t;

/* How a connection is put to sleep and woken (libmicrohttpd's, given by stream.c). Both
 * are called with the hub's lock held, so that no wake-up is lost. */
typedef struct {
    void (*suspend)(void *connection);
    void (*resume)(void *connection);
} admin_sleep_t;

L7S_MUST_USE l7s_status_t admin_hub_start(admin_daemon_t *daemon, admin_hub_t **out);
/* Ends all streams and waits until they are closed, at most two seconds; afterwards
 * nobody sleeps and nobody may join. */
void admin_hub_close(admin_hub_t *hub);
void admin_hub_stop(admin_hub_t *hub);

/* A new subscriber of `types` behind `after`, awake. NULL: there are
 * ADMIN_SUBSCRIBERS_MAX, or the hub is closed. */
admin_subscriber_t *admin_hub_join(admin_hub_t *hub, unsigned types, int64_t after);
void admin_hub_leave(admin_subscriber_t *subscriber);
/* The position from which a subscriber has to go on that lost its own. */
void admin_hub_reset(admin_subscriber_t *subscriber, int64_t first, int64_t last);

/* Where it stands; and moves it on to `after`. Awake only. */
int64_t admin_hub_position(const admin_subscriber_t *subscriber);
void admin_hub_move(admin_subscriber_t *subscriber, int64_t after);

/* Puts `connection` to sleep until there may be an event for it, `until_ms` of the
 * monotonic clock has come, or the hub closes. False: it is so already. */
bool admin_hub_sleep(admin_subscriber_t *subscriber, const admin_sleep_t *sleep,
                     void *connection, uint64_t until_ms);

#define ADMIN_HUB_END ((int64_t)-1)
/* The next bytes of the stream, at least one and at most `size`. 0: nothing yet, and
 * `connection` was put to sleep. ADMIN_HUB_END: the hub closes. */
int64_t admin_hub_read(admin_subscriber_t *subscriber, const admin_sleep_t *sleep,
                       void *connection, char *out, size_t size);

#endif
