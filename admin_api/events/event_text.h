/* SPDX-License-Identifier: Apache-2.0
 *
 * An event as text: a frame of server-sent events (HTML standard, 9.2), or a JSON
 * document of one line, which long polls, the event log's file and webhooks carry.
 */
#ifndef ADMIN_EVENT_TEXT_H
#define ADMIN_EVENT_TEXT_H

#include "../store/event_log.h"
#include "../store/privacy.h"

/* malloc'ed "id: …\nevent: …\ndata: {…}\n\n"; *size without the NUL. NULL: it
 * is damaged, or no memory; the log says so. */
char *admin_event_frame(const admin_event_t *event, const admin_privacy_t *privacy,
                        size_t *size);

/* {"id","type","at","data"}. New reference; NULL: no memory. */
json_t *admin_event_document(const admin_event_t *event, const admin_privacy_t *privacy);

#endif
