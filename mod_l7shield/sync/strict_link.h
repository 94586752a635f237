/* SPDX-License-Identifier: Apache-2.0
 *
 * One connection to one memcached server for strict limits: questions go out as they
 * come, answers come back in their order, nothing ever blocks. The caller polls. It knows
 * neither mailbox nor limits.
 *
 * A server that let three questions in a row pass their time, or whose connection broke,
 * rests (100 ms doubling to 2 s). Then the link itself connects and sends a no-op: no
 * request is ever the probe. Unlike meta.h, which runs a batch to its end within a tick.
 */
#ifndef SYNC_STRICT_LINK_H
#define SYNC_STRICT_LINK_H

#include "../../core/status.h"
#include "strict_reply.h"
#include <poll.h>

typedef struct sync_link sync_link_t;

#define SYNC_LINK_ASKED 1024        /* questions on the way, at most */
#define SYNC_LINK_NOBODY UINT32_MAX /* tag of a question whose answer nobody needs */

/* The answer to the question that was asked with `tag`. NULL: it is lost, and nobody
 * knows whether it was heard. May ask again. */
typedef void (*sync_link_answer_fn)(void *context, uint32_t tag,
                                    const sync_strict_reply_t *reply);

/* `server` is "address:port" with a literal address (L7S_INVALID otherwise). */
L7S_MUST_USE l7s_status_t sync_link_create(const char *server, sync_link_answer_fn answer,
                                           void *context, sync_link_t **out);
void sync_link_free(sync_link_t *link);

/* Puts a command into the outgoing buffer. False: the server rests, or has too much to do
 * already; it was not asked. */
bool sync_link_ask(sync_link_t *link, uint32_t tag, const char *command, size_t size,
                   uint64_t now_us);

/* A question of this link was not answered in time. */
void sync_link_late(sync_link_t *link, uint64_t now_us);

/* Connects when it is time to, gives up a connection that does not come about, notices
 * one that the server has closed; sends what waits. */
void sync_link_tend(sync_link_t *link, uint64_t now_us);

/* What to poll for; fd is -1 while there is no socket. */
struct pollfd sync_link_pollfd(const sync_link_t *link);
void sync_link_advance(sync_link_t *link, short events, uint64_t now_us);

/* Is something on the way, be it a connection? */
bool sync_link_busy(const sync_link_t *link);

#endif
