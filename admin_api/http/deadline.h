/* SPDX-License-Identifier: Apache-2.0
 *
 * Deadlines of connections. libmicrohttpd's timeout is about inactivity only, so a client
 * that sends one byte now and then would stay for ever; here each step of a request has
 * an end, and a timer shuts down the connections that are late.
 */
#ifndef ADMIN_DEADLINE_H
#define ADMIN_DEADLINE_H

#include "../../core/status.h"

typedef struct admin_deadlines admin_deadlines_t;
typedef struct admin_deadline admin_deadline_t; /* of one connection */

/* Starts the timer's thread. */
L7S_MUST_USE l7s_status_t admin_deadlines_create(admin_deadlines_t **out);
/* After the last connection is gone. */
void admin_deadlines_free(admin_deadlines_t *deadlines);

/* A connection began; its request head is due in head_ms. NULL: no memory. */
admin_deadline_t *admin_deadline_begin(admin_deadlines_t *deadlines, int fd,
                                       unsigned head_ms);
/* The next step is due in `ms`; 0: no deadline. `deadline` may be NULL. */
void admin_deadline_set(admin_deadline_t *deadline, unsigned ms);
/* The connection is about to be closed; its descriptor is not touched any more. */
void admin_deadline_end(admin_deadline_t *deadline);

#endif
