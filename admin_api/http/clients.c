/* SPDX-License-Identifier: Apache-2.0
 *
 * Counting connections (clients.h). The counters stand in a table of fixed size, by a
 * keyed hash; clients that meet in one share it, which can only refuse too early, and
 * with four times as many places as connections hardly ever does.
 */
#include "clients.h"
#include "../../core/addr.h"
#include "../../core/bus/trust.h"
#include "../../core/hash.h"

#include <netinet/in.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PLACES 4096

struct admin_clients {
    l7s_hashkey_t key;
    unsigned max_each;
    atomic_uint total;
    atomic_uint counts[PLACES];
};

l7s_status_t admin_clients_create(unsigned max_each, admin_clients_t **out)
{
    admin_clients_t *clients = calloc(1, sizeof *clients);
    if (clients == NULL) {
        return L7S_NO_MEMORY;
    }
    clients->max_each = max_each;
    l7s_status_t status = l7s_random(&clients->key, sizeof clients->key);
    if (status != L7S_OK) {
        free(clients);
        return status;
    }
    *out = clients;
    return L7S_OK;
}

void admin_clients_free(admin_clients_t *clients)
{
    free(clients);
}

admin_client_t admin_client_of_address(const struct sockaddr *address)
{
    l7s_addr_t whole = {{0}};
    admin_client_t client = {.limited = true};
    if (address->sa_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)address;
        memset(whole.bytes + 10, 0xff, 2);
        memcpy(whole.bytes + 12, &v4->sin_addr, 4);
    } else if (address->sa_family == AF_INET6) {
        const struct sockaddr_in6 *v6 = (const void *)address;
        memcpy(whole.bytes, &v6->sin6_addr, 16);
    } else {
        client.limited = false; /* who is on a unix socket is asked of its peer */
    }
    l7s_cidr_t network = l7s_addr_client(&whole);
    memcpy(client.bytes, network.base.bytes, sizeof client.bytes);
    return client;
}

admin_client_t admin_client_of_user(int fd)
{
    struct ucred peer = {.uid = (uid_t)-1};
    socklen_t size = sizeof peer;
    admin_client_t client = {.limited = true};
    bool known = getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0;
    client.limited = !known || (peer.uid != 0 && peer.uid != geteuid());
    memcpy(client.bytes, &peer.uid, sizeof peer.uid);
    return client;
}

static atomic_uint *place_of(admin_clients_t *clients, const admin_client_t *client)
{
    return &clients->counts[l7s_siphash64(&clients->key, client->bytes, 16) % PLACES];
}

bool admin_clients_room(admin_clients_t *clients, const admin_client_t *client)
{
    return !client->limited || atomic_load(place_of(clients, client)) < clients->max_each;
}

bool admin_clients_add(admin_clients_t *clients, const admin_client_t *client)
{
    atomic_fetch_add(&clients->total, 1);
    return !client->limited ||
           atomic_fetch_add(place_of(clients, client), 1) < clients->max_each;
}

void admin_clients_remove(admin_clients_t *clients, const admin_client_t *client)
{
    atomic_fetch_sub(&clients->total, 1);
    if (client->limited) {
        atomic_fetch_sub(place_of(clients, client), 1);
    }
}

unsigned admin_clients_total(const admin_clients_t *clients)
{
    return atomic_load(&clients->total);
}
