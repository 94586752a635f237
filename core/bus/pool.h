/* SPDX-License-Identifier: Apache-2.0
 *
 * The memcached pool through libmemcached: one handle per server (a multi-server handle
 * hides dead servers), one unconnected handle as router. Text protocol, no buffering, no
 * ejection, short deadlines, keys of a fixed alphabet only. A server that fails is left
 * alone for a while (breaker: 100 ms doubling to half a second). Not thread-safe: one
 * pool per thread; never across fork. The caller must have all signals blocked in this
 * thread (libmemcached loses its deadline on two signals during one wait).
 */
#ifndef L7S_BUS_POOL_H
#define L7S_BUS_POOL_H

#include "../status.h"
#include <stdint.h>

#define L7S_ITEM_NAME_MAX 64
#define L7S_ITEM_SIZE_MAX (256 * 1024)
#define L7S_SERVERS_MAX 16

typedef struct l7s_pool l7s_pool_t;

/* `servers` are "address:port" with literal addresses; anything else is L7S_INVALID.
 * `timeout_ms` bounds each call per server. Does not connect yet. */
L7S_MUST_USE l7s_status_t l7s_pool_create(const char *const *servers, size_t count,
                                          unsigned timeout_ms, l7s_pool_t **out);
void l7s_pool_free(l7s_pool_t *pool);

size_t l7s_pool_servers(const l7s_pool_t *pool);
const char *l7s_pool_server(const l7s_pool_t *pool, size_t index); /* "127.0.0.1:11211" */
/* The server that holds `name`: the same on every host with the same server list. */
size_t l7s_pool_route(const l7s_pool_t *pool, const char *name);
/* Did the last exchange with this server succeed? */
bool l7s_pool_up(const l7s_pool_t *pool, size_t index);
/* Did it fail? Of a server that was never asked both are false. */
bool l7s_pool_down(const l7s_pool_t *pool, size_t index);

/* The value is malloc'ed and owned by the caller. L7S_NOT_FOUND: the server said that it
 * is not there. L7S_TIMEOUT, L7S_IO: nobody knows. */
L7S_MUST_USE l7s_status_t l7s_pool_get(l7s_pool_t *pool, const char *name,
                                       uint64_t now_ms, void **value, size_t *size);
/* Several at once, in one round trip per server. `found` is called for each that exists,
 * with a borrowed value; one of more than L7S_ITEM_SIZE_MAX is shown as an empty one.
 * Returns L7S_OK only when every server concerned answered. */
typedef void (*l7s_pool_found_fn)(void *context, size_t index, const void *value,
                                  size_t size);
L7S_MUST_USE l7s_status_t l7s_pool_get_many(l7s_pool_t *pool, const char *const *names,
                                            size_t count, uint64_t now_ms,
                                            l7s_pool_found_fn found, void *context);
L7S_MUST_USE l7s_status_t l7s_pool_set(l7s_pool_t *pool, const char *name,
                                       const void *value, size_t size,
                                       uint32_t ttl_seconds, uint64_t now_ms);
/* L7S_CONFLICT: it exists already. */
L7S_MUST_USE l7s_status_t l7s_pool_add(l7s_pool_t *pool, const char *name,
                                       const void *value, size_t size,
                                       uint32_t ttl_seconds, uint64_t now_ms);
/* Puts the value behind what `name` holds already; begins it when there is nothing. The
 * time to live is that of the first. */
L7S_MUST_USE l7s_status_t l7s_pool_append(l7s_pool_t *pool, const char *name,
                                          const void *value, size_t size,
                                          uint32_t ttl_seconds, uint64_t now_ms);
L7S_MUST_USE l7s_status_t l7s_pool_delete(l7s_pool_t *pool, const char *name,
                                          uint64_t now_ms);

#endif
