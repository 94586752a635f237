/* SPDX-License-Identifier: Apache-2.0
 *
 * What is learned of a request while it is being answered: the size of its body, what a
 * back end says of it in response headers, which it takes away, and when the worker was
 * done with it.
 */
#ifndef SHIELD_ANSWER_FILTER_H
#define SHIELD_ANSWER_FILTER_H

#include "judged.h"

void shield_answer_register(void);
/* When all modules are loaded and have registered their filters. */
void shield_answer_start(void);

/* An insert_filter and insert_error_filter hook. */
void shield_answer_filters(request_rec *r);

/* The request has been judged: counts its body, if a policy waits for that. */
void shield_answer_watch_body(request_rec *r);

/* Takes the shield's headers out of the answer, as far as it has been put together, into
 * `judged` (NULL: nobody wants to know). */
void shield_answer_take_headers(request_rec *r, shield_judged_t *judged);

#endif
