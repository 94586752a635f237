/* SPDX-License-Identifier: Apache-2.0
 *
 * How many connections each client has: an IPv4 address, an IPv6 /64, or a user of this
 * host on the unix socket. A client at its limit gets no more, so that one alone never
 * takes them all. Root and the daemon's own user are not limited.
 */
#ifndef ADMIN_CLIENTS_H
#define ADMIN_CLIENTS_H

#include "../../core/status.h"
#include <stdint.h>
#include <sys/socket.h>

typedef struct admin_clients admin_clients_t;

typedef struct {
    uint8_t bytes[16];
    bool limited; /* false: as many as it likes */
} admin_client_t;

L7S_MUST_USE l7s_status_t admin_clients_create(unsigned max_each, admin_clients_t **out);
void admin_clients_free(admin_clients_t *clients);

admin_client_t admin_client_of_address(const struct sockaddr *address);
/* The peer of a unix socket. */
admin_client_t admin_client_of_user(int fd);

/* May this client have one more? */
bool admin_clients_room(admin_clients_t *clients, const admin_client_t *client);
/* One more; false: that is beyond its limit (and counted all the same). */
bool admin_clients_add(admin_clients_t *clients, const admin_client_t *client);
void admin_clients_remove(admin_clients_t *clients, const admin_client_t *client);
/* Of all clients together. */
unsigned admin_clients_total(const admin_clients_t *clients);

#endif
