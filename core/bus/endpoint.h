/* SPDX-License-Identifier: Apache-2.0
 *
 * Where a memcached server is, and a socket on the way to it: numeric addresses only,
 * since a look-up of a name could block for ever. Never waits; who owns the socket polls.
 */
#ifndef L7S_ENDPOINT_H
#define L7S_ENDPOINT_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

#define L7S_ENDPOINT_TEXT 64

typedef struct {
    char host[INET6_ADDRSTRLEN];  /* in canonical form … */
    in_port_t port;               /* in host order */
    char text[L7S_ENDPOINT_TEXT]; /* … as both together are */
    struct sockaddr_storage address;
    socklen_t size;
} l7s_endpoint_t;

/* "127.0.0.1:11211" or "[::1]:11211". False: it is neither. */
bool l7s_endpoint_parse(const char *text, l7s_endpoint_t *out);

/* A connection without Nagle's delay, not established yet; -1: it failed at once. */
int l7s_endpoint_dial(const l7s_endpoint_t *endpoint);

/* Of a socket that has become writable: is it connected? */
bool l7s_endpoint_reached(int fd);
/* Of one on which nothing was asked: is it open, and is nothing said on it? One that the
 * server has closed (a restart) is replaced before anything is lost on it. */
bool l7s_endpoint_is_silent(int fd);

#endif
