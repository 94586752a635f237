/* SPDX-License-Identifier: Apache-2.0
 *
 * The listeners: HTTP or HTTPS on TCP with four threads, and a unix socket with one of
 * its own, so that an operator on the host is never locked out. A client of the network
 * gets a quarter of the connections at most. The only file that starts libmicrohttpd.
 */
#ifndef ADMIN_SERVER_H
#define ADMIN_SERVER_H

#include "../daemon.h"

typedef struct admin_server admin_server_t;

/* Listens as daemon->options say. `why` gets the sentence for the log. */
L7S_MUST_USE l7s_status_t admin_server_start(admin_daemon_t *daemon, char why[256],
                                             admin_server_t **out);
/* Lets running calls finish (daemon->stopping must be set), then closes everything. */
void admin_server_stop(admin_server_t *server);

#endif
