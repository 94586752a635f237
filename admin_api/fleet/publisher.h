/* SPDX-License-Identifier: Apache-2.0
 *
 * Store to bus: one thread that writes head, mode, chunks and manifest after every commit
 * and again within a second when memcached lost them (under a new bus epoch then), and
 * appends the daemon's own bans and lifts to the ban log. A failing memcached never fails
 * an API call.
 */
#ifndef ADMIN_PUBLISHER_H
#define ADMIN_PUBLISHER_H

#include "../daemon.h"

L7S_MUST_USE l7s_status_t admin_publisher_start(admin_daemon_t *daemon,
                                                admin_publisher_t **out);
void admin_publisher_stop(admin_publisher_t *publisher);
/* After a commit: publish now. Returns at once. */
void admin_publisher_kick(admin_publisher_t *publisher);
/* An operator has just set the mode, perhaps to what the settings said before: this ends
 * an emergency (kill_switch.h). */
void admin_publisher_mode_spoken(admin_publisher_t *publisher);
/* After the bans changed in the store: publishes them within 200 ms, many changes at
 * once. Returns at once. */
void admin_publisher_bans_changed(admin_publisher_t *publisher);
/* The same, and appends these to the ban log as the daemon: an array of entries in the
 * form of ban_json.h. Steals it; what it holds must be nobody else's. */
void admin_publisher_bans(admin_publisher_t *publisher, json_t *entries);
/* The collector found that the ban log has lost entries. */
void admin_publisher_log_lost(admin_publisher_t *publisher);
/* Did at least one memcached server (the server `index` of the options) answer lately? */
bool admin_publisher_up(const admin_publisher_t *publisher);
bool admin_publisher_server_up(const admin_publisher_t *publisher, size_t index);

#endif
