/* SPDX-License-Identifier: Apache-2.0
 *
 * Threads for calls that write or wait: the connection is suspended while the handler
 * runs in a thread of its own, so that a slow commit or a rollout that somebody waits for
 * never holds up the others.
 */
#ifndef ADMIN_CALL_THREADS_H
#define ADMIN_CALL_THREADS_H

#include "request.h"

typedef struct admin_call_threads admin_call_threads_t;

L7S_MUST_USE l7s_status_t admin_call_threads_create(admin_call_threads_t **out);

/* Runs the handler, or that of the next part of an answer with `more`, in a thread; the
 * connection is suspended until request->done. False: no thread is to be had, and nothing
 * is suspended. */
bool admin_call_threads_start(admin_request_t *request);
/* When the request has ended, whether or not a thread ran for it. */
void admin_call_threads_answered(admin_request_t *request);

/* Starts no more, waits until no handler runs, and a little for the last answers. */
void admin_call_threads_drain(admin_call_threads_t *threads);
void admin_call_threads_free(admin_call_threads_t *threads);

#endif
