/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a worker waits for the store's verdict on a strict policy
 * (core/segment/mailbox.h): the one wait on the request path, bounded by the question's
 * deadline.
 */
#ifndef SHIELD_STRICT_WAIT_H
#define SHIELD_STRICT_WAIT_H

#include "../core/count/strict.h"

/* An l7s_request_t.strict. */
l7s_strict_verdict_t shield_strict_ask(void *context, l7s_strict_question_t *question);

#endif
