/* SPDX-License-Identifier: Apache-2.0
 *
 * Strict questions on their way to memcached and back. All questions about one set of
 * limits form a flight: read the arrival times, take a token for each question in its
 * order, write the result with compare-and-swap, answer. Who comes while the flight
 * writes waits for its next round. Of one thread; never blocks but in sync_flights_wait.
 */
#ifndef SYNC_FLIGHTS_H
#define SYNC_FLIGHTS_H

#include "../../core/segment/mailbox.h"
#include "options.h"

typedef struct sync_flights sync_flights_t;

/* Answers go to `mailbox`. Connects by and by. L7S_INVALID: an address is not one. */
L7S_MUST_USE l7s_status_t sync_flights_create(const l7s_mailbox_t *mailbox,
                                              const sync_options_t *options,
                                              sync_flights_t **out);
void sync_flights_free(sync_flights_t *flights);

/* It is now `now_us` (mono), and counters are named by this key. NULL: nothing can be
 * named, everything is missed. Before all that follows. */
void sync_flights_begin(sync_flights_t *flights, const l7s_hashkey_t *name_key,
                        uint64_t now_us);

/* A question that was taken from the mailbox, or one of cost 0: forget this key. */
void sync_flights_take(sync_flights_t *flights, const l7s_mail_t *mail);

/* Gives up the questions whose time has passed. Returns the next deadline, or UINT64_MAX.
 */
uint64_t sync_flights_expire(sync_flights_t *flights);

/* Connects and sends what can be sent. */
void sync_flights_tend(sync_flights_t *flights);

/* Is something on the way? */
bool sync_flights_busy(const sync_flights_t *flights);

/* Waits for the servers, less than a second, and hears what they answer. */
void sync_flights_wait(sync_flights_t *flights, uint64_t most_us);

#endif
