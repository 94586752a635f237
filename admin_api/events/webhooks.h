/* SPDX-License-Identifier: Apache-2.0
 *
 * Delivering events to webhooks. One thread for all of them, one delivery at a time for
 * each: up to 100 events in one POST, in order, from the event log at the webhook's own
 * position. What fails is sent again, at first after a second and then ever more rarely
 * (five minutes), until it is taken or retention has it. A receiver gets each event at
 * least once and knows it by its id. None of them holds up another, or the daemon.
 */
#ifndef ADMIN_WEBHOOKS_H
#define ADMIN_WEBHOOKS_H

#include "../daemon.h"
#include "../store/store_webhooks.h"
#include "webhook_send.h"

typedef struct admin_webhooks admin_webhooks_t;

L7S_MUST_USE l7s_status_t admin_webhooks_start(admin_daemon_t *daemon,
                                               admin_webhooks_t **out);
void admin_webhooks_stop(admin_webhooks_t *webhooks);

/* Sends an event of type "webhook.test" at once and waits for the answer, ten seconds at
 * most. *took_ms tells how long. */
void admin_webhook_test(const admin_daemon_t *daemon, const admin_webhook_t *webhook,
                        admin_delivery_result_t *out, uint64_t *took_ms);

/* Does the document say that it is on? */
bool admin_webhook_is_on(const json_t *spec);

#endif
