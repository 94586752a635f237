/* SPDX-License-Identifier: Apache-2.0
 *
 * Answers that go on for longer than their handler: streams of events, and calls that
 * wait for an event. Between two events their connections are suspended and cost no
 * thread.
 */
#ifndef ADMIN_STREAM_H
#define ADMIN_STREAM_H

#include "request.h"

/* The body of a call that has a subscriber, which it takes over. NULL: no memory. */
struct MHD_Response *admin_stream_response(admin_request_t *request);

/* Suspends the call until its handler has to run again. False: it has to at once. */
bool admin_stream_wait(admin_request_t *request);

#endif
