/* SPDX-License-Identifier: Apache-2.0
 *
 * --event-log: every event as a line of JSON for a SIEM, in a file, on standard output or
 * in syslog. A thread of its own reads the event log and writes; how far it got is kept
 * in events.db, so that a full disk, a dead syslog or a restart loses no line: they come
 * later, and after a crash the last few twice (their ids tell).
 */
#ifndef ADMIN_EVENT_FILE_H
#define ADMIN_EVENT_FILE_H

#include "../daemon.h"

typedef struct admin_event_file admin_event_file_t;

/* *out is NULL when the options name no event log. */
L7S_MUST_USE l7s_status_t admin_event_file_start(admin_daemon_t *daemon,
                                                 admin_event_file_t **out);
void admin_event_file_stop(admin_event_file_t *file);
/* SIGHUP: the file was moved away. */
void admin_event_file_reopen(admin_event_file_t *file);

#endif
