/* SPDX-License-Identifier: Apache-2.0
 *
 * The listening sockets of the API, opened here and handed to libmicrohttpd. Addresses
 * are literal: a name that resolves differently tomorrow must not decide what is exposed.
 */
#ifndef ADMIN_LISTEN_H
#define ADMIN_LISTEN_H

#include <stdbool.h>

/* "127.0.0.1:9180" or "[::1]:9180". Returns the descriptor, or -1 with the sentence for
 * the log in `why`. */
int admin_listen_tcp(const char *listen_at, char why[256]);
int admin_listen_unix(const char *path, char why[256]);

/* False also for what is not an address with a port. */
bool admin_listen_is_loopback(const char *listen_at);

/* Logs where this socket listens: the port may have been 0. */
void admin_listen_log(int fd, bool tls);

#endif
