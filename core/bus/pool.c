/* SPDX-License-Identifier: Apache-2.0
 *
 * libmemcached behind a small, distrustful interface: get, set, add, delete with a known
 * outcome. Counters do not pass here (core/bus/meta.h).
 *
 * libmemcached's own failure machinery is not used: it never notices a hung server and
 * retries with a granularity of whole seconds. After anything but an expected answer the
 * handle is thrown away, connection and all, and the server is left alone until its
 * breaker lets one probe through, which then starts with a new handle.
 */
#include "pool.h"
#include "breaker.h"
#include "endpoint.h"
#include <libmemcached/memcached.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* A fleet must work together within two seconds of a return. */
#define BREAKER_MAX_MS 500
#define MGET_CHUNK 500 /* names per round; FACTS: 200 to 1000 is the cheapest range */

typedef struct {
    l7s_endpoint_t endpoint; /* canonical: all hosts must build the same ring from it */
    memcached_st *handle;    /* NULL: to be made anew */
    bool up;
    l7s_breaker_t breaker;
} server_t;

struct l7s_pool {
    size_t count;
    unsigned timeout_ms;
    memcached_st *router; /* never connects: it only knows the ring */
    memcached_result_st result;
    server_t servers[L7S_SERVERS_MAX];
};

/* ---- servers ---- */

static memcached_st *make_router(const l7s_pool_t *pool)
{
    memcached_st *router = memcached_create(NULL);
    if (!router) {
        return NULL;
    }
    bool done =
        memcached_behavior_set(router, MEMCACHED_BEHAVIOR_DISTRIBUTION,
                               MEMCACHED_DISTRIBUTION_CONSISTENT) == MEMCACHED_SUCCESS;
    for (size_t i = 0; i < pool->count && done; i++) {
        done = memcached_server_add(router, pool->servers[i].endpoint.host,
                                    pool->servers[i].endpoint.port) == MEMCACHED_SUCCESS;
    }
    if (!done) {
        memcached_free(router);
        return NULL;
    }
    return router;
}

static memcached_st *make_handle(const l7s_pool_t *pool, const server_t *server)
{
    const struct {
        memcached_behavior_t which;
        uint64_t value;
    } settings[] = {
        {MEMCACHED_BEHAVIOR_POLL_TIMEOUT, pool->timeout_ms},
        {MEMCACHED_BEHAVIOR_CONNECT_TIMEOUT, pool->timeout_ms},
        {MEMCACHED_BEHAVIOR_TCP_NODELAY, 1}, /* else 40 ms of delayed acknowledgement */
        {MEMCACHED_BEHAVIOR_VERIFY_KEY, 1},
        {MEMCACHED_BEHAVIOR_NOREPLY, 0},
        {MEMCACHED_BEHAVIOR_BUFFER_REQUESTS, 0},
        {MEMCACHED_BEHAVIOR_BINARY_PROTOCOL, 0},
        {MEMCACHED_BEHAVIOR_REMOVE_FAILED_SERVERS, 0},
    };
    memcached_st *handle = memcached_create(NULL);
    if (!handle) {
        return NULL;
    }
    bool done = memcached_server_add(handle, server->endpoint.host,
                                     server->endpoint.port) == MEMCACHED_SUCCESS;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0] && done; i++) {
        done = memcached_behavior_set(handle, settings[i].which, settings[i].value) ==
               MEMCACHED_SUCCESS;
    }
    if (!done) {
        memcached_free(handle);
        return NULL;
    }
    return handle;
}

l7s_status_t l7s_pool_create(const char *const *servers, size_t count,
                             unsigned timeout_ms, l7s_pool_t **out)
{
    *out = NULL;
    if (count == 0 || count > L7S_SERVERS_MAX || timeout_ms == 0) {
        return L7S_INVALID;
    }
    l7s_pool_t *pool = calloc(1, sizeof *pool);
    if (!pool) {
        return L7S_NO_MEMORY;
    }
    pool->timeout_ms = timeout_ms;
    for (; pool->count < count; pool->count++) {
        bool fine = l7s_endpoint_parse(servers[pool->count],
                                       &pool->servers[pool->count].endpoint);
        for (size_t i = 0; i < pool->count && fine; i++) {
            fine = strcmp(pool->servers[i].endpoint.text,
                          pool->servers[pool->count].endpoint.text) != 0;
        }
        if (!fine) {
            free(pool);
            return L7S_INVALID;
        }
    }
    pool->router = make_router(pool);
    if (!pool->router || !memcached_result_create(pool->router, &pool->result)) {
        l7s_pool_free(pool);
        return L7S_NO_MEMORY;
    }
    *out = pool;
    return L7S_OK;
}

void l7s_pool_free(l7s_pool_t *pool)
{
    if (!pool) {
        return;
    }
    if (pool->router) {
        memcached_result_free(&pool->result);
        memcached_free(pool->router);
    }
    for (size_t i = 0; i < pool->count; i++) {
        memcached_free(pool->servers[i].handle);
    }
    free(pool);
}

size_t l7s_pool_servers(const l7s_pool_t *pool)
{
    return pool->count;
}

const char *l7s_pool_server(const l7s_pool_t *pool, size_t index)
{
    return index < pool->count ? pool->servers[index].endpoint.text : NULL;
}

size_t l7s_pool_route(const l7s_pool_t *pool, const char *name)
{
    return pool->count == 1 ? 0
                            : memcached_generate_hash(pool->router, name, strlen(name));
}

bool l7s_pool_up(const l7s_pool_t *pool, size_t index)
{
    return index < pool->count && pool->servers[index].up;
}

bool l7s_pool_down(const l7s_pool_t *pool, size_t index)
{
    return index < pool->count && pool->servers[index].breaker.pause_ms > 0;
}

/* ---- the breaker ---- */

/* May this server be asked now? Makes its handle when it has none. */
static bool ready(l7s_pool_t *pool, server_t *server, uint64_t now_ms)
{
    if (l7s_breaker_is_open(&server->breaker, now_ms)) {
        return false;
    }
    if (!server->handle) {
        server->handle = make_handle(pool, server);
    }
    return server->handle != NULL;
}

static void succeeded(server_t *server)
{
    server->up = true;
    l7s_breaker_close(&server->breaker);
}

/* Throws the connection away: what it may still deliver belongs to no question of ours.
 */
static void failed(server_t *server, uint64_t now_ms)
{
    memcached_free(server->handle);
    server->handle = NULL;
    server->up = false;
    l7s_breaker_trip(&server->breaker, now_ms, BREAKER_MAX_MS);
}

static l7s_status_t failure_of(memcached_return_t result)
{
    return result == MEMCACHED_TIMEOUT ? L7S_TIMEOUT : L7S_IO;
}

/* Names are ours alone; anything else would let a name inject commands. */
static bool valid_name(const char *name)
{
    size_t size = strlen(name);
    return size > 0 && size < L7S_ITEM_NAME_MAX &&
           strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                        "0123456789-_") == size;
}

/* ---- read ---- */

/* The part of a get_many that concerns one server. */
typedef struct {
    size_t count;
    const char *names[MGET_CHUNK];
    size_t sizes[MGET_CHUNK];
    size_t index[MGET_CHUNK]; /* where the name stands in the caller's array */
} batch_t;

/* The answers come in the order of the questions, with gaps: each must be one of the
 * questions that are still open. */
static bool match(const batch_t *batch, size_t *next, const memcached_result_st *result)
{
    const char *key = memcached_result_key_value(result);
    size_t size = memcached_result_key_length(result);
    while (*next < batch->count) {
        size_t at = (*next)++;
        if (batch->sizes[at] == size && memcmp(batch->names[at], key, size) == 0) {
            return true;
        }
    }
    return false;
}

static l7s_status_t fetch(l7s_pool_t *pool, server_t *server, const batch_t *batch,
                          uint64_t now_ms, l7s_pool_found_fn found, void *context)
{
    memcached_return_t end = MEMCACHED_SUCCESS;
    size_t next = 0;
    /* With no result at all libmemcached turns every error into "not found"; it believes
     * that there was one. */
    pool->result.count = 1;
    while (memcached_fetch_result(server->handle, &pool->result, &end)) {
        size_t size = memcached_result_length(&pool->result);
        if (!match(batch, &next, &pool->result)) {
            failed(server, now_ms);
            return L7S_IO;
        }
        const char *value = memcached_result_value(&pool->result);
        /* Whatever is larger than any item was put there to be in the way: it is shown as
         * an empty value, so that it spoils its own place only and not the server. */
        bool ours = value && size <= L7S_ITEM_SIZE_MAX;
        found(context, batch->index[next - 1], ours ? value : "", ours ? size : 0);
    }
    /* "End" is also what it says after silence: the last error tells. */
    memcached_return_t error = memcached_last_error(server->handle);
    if (end != MEMCACHED_END || error != MEMCACHED_SUCCESS) {
        failed(server, now_ms);
        return failure_of(end == MEMCACHED_TIMEOUT ? end : error);
    }
    succeeded(server);
    return L7S_OK;
}

static l7s_status_t ask(l7s_pool_t *pool, server_t *server, const batch_t *batch,
                        uint64_t now_ms)
{
    if (!ready(pool, server, now_ms)) {
        return L7S_IO;
    }
    memcached_return_t result =
        memcached_mget(server->handle, batch->names, batch->sizes, batch->count);
    if (result != MEMCACHED_SUCCESS) {
        failed(server, now_ms);
        return failure_of(result);
    }
    return L7S_OK;
}

/* One round: at most MGET_CHUNK names, asked of all servers before the first is read. */
static l7s_status_t round_trip(l7s_pool_t *pool, const char *const *names, size_t base,
                               size_t count, uint64_t now_ms, l7s_pool_found_fn found,
                               void *context)
{
    batch_t *batches = calloc(pool->count, sizeof *batches);
    if (!batches) {
        return L7S_NO_MEMORY;
    }
    for (size_t i = base; i < base + count; i++) {
        batch_t *batch = &batches[l7s_pool_route(pool, names[i])];
        batch->names[batch->count] = names[i];
        batch->sizes[batch->count] = strlen(names[i]);
        batch->index[batch->count++] = i;
    }
    l7s_status_t status = L7S_OK;
    for (size_t i = 0; i < pool->count; i++) {
        if (batches[i].count == 0) {
            continue;
        }
        l7s_status_t asked = ask(pool, &pool->servers[i], &batches[i], now_ms);
        if (asked != L7S_OK) {
            batches[i].count = 0;
            status = asked;
        }
    }
    for (size_t i = 0; i < pool->count; i++) {
        if (batches[i].count == 0) {
            continue;
        }
        l7s_status_t read =
            fetch(pool, &pool->servers[i], &batches[i], now_ms, found, context);
        status = read == L7S_OK ? status : read;
    }
    free(batches);
    return status;
}

l7s_status_t l7s_pool_get_many(l7s_pool_t *pool, const char *const *names, size_t count,
                               uint64_t now_ms, l7s_pool_found_fn found, void *context)
{
    for (size_t i = 0; i < count; i++) {
        if (!valid_name(names[i])) {
            return L7S_INVALID;
        }
    }
    l7s_status_t status = L7S_OK;
    for (size_t base = 0; base < count; base += MGET_CHUNK) {
        size_t size = count - base < MGET_CHUNK ? count - base : MGET_CHUNK;
        l7s_status_t round = round_trip(pool, names, base, size, now_ms, found, context);
        status = round == L7S_OK ? status : round;
    }
    return status;
}

typedef struct {
    bool found;
    void *value;
    size_t size;
} single_t;

static void keep(void *context, size_t index, const void *value, size_t size)
{
    (void)index;
    single_t *single = context;
    if (single->found) {
        return;
    }
    single->found = true;
    single->value = malloc(size + 1);
    if (single->value) {
        memcpy(single->value, value, size);
        ((char *)single->value)[size] = '\0';
        single->size = size;
    }
}

l7s_status_t l7s_pool_get(l7s_pool_t *pool, const char *name, uint64_t now_ms,
                          void **value, size_t *size)
{
    single_t single = {false, NULL, 0};
    *value = NULL;
    *size = 0;
    l7s_status_t status = l7s_pool_get_many(pool, &name, 1, now_ms, keep, &single);
    if (status != L7S_OK) {
        free(single.value);
        return status;
    }
    if (!single.value) {
        return single.found ? L7S_NO_MEMORY : L7S_NOT_FOUND;
    }
    *value = single.value;
    *size = single.size;
    return L7S_OK;
}

/* ---- write ---- */

typedef memcached_return_t (*store_fn)(memcached_st *, const char *, size_t, const char *,
                                       size_t, time_t, uint32_t);

static l7s_status_t store(l7s_pool_t *pool, store_fn verb, const char *name,
                          const void *value, size_t size, uint32_t ttl_seconds,
                          uint64_t now_ms)
{
    if (!valid_name(name)) {
        return L7S_INVALID;
    }
    if (size > L7S_ITEM_SIZE_MAX) {
        return L7S_TOO_BIG;
    }
    server_t *server = &pool->servers[l7s_pool_route(pool, name)];
    if (!ready(pool, server, now_ms)) {
        return L7S_IO;
    }
    memcached_return_t result =
        verb(server->handle, name, strlen(name), value, size, (time_t)ttl_seconds, 0);
    if (result == MEMCACHED_SUCCESS ||
        (verb != memcached_set && result == MEMCACHED_NOTSTORED)) {
        succeeded(server);
        return result == MEMCACHED_SUCCESS ? L7S_OK : L7S_CONFLICT;
    }
    failed(server, now_ms);
    return failure_of(result);
}

l7s_status_t l7s_pool_set(l7s_pool_t *pool, const char *name, const void *value,
                          size_t size, uint32_t ttl_seconds, uint64_t now_ms)
{
    return store(pool, memcached_set, name, value, size, ttl_seconds, now_ms);
}

l7s_status_t l7s_pool_add(l7s_pool_t *pool, const char *name, const void *value,
                          size_t size, uint32_t ttl_seconds, uint64_t now_ms)
{
    return store(pool, memcached_add, name, value, size, ttl_seconds, now_ms);
}

l7s_status_t l7s_pool_append(l7s_pool_t *pool, const char *name, const void *value,
                             size_t size, uint32_t ttl_seconds, uint64_t now_ms)
{
    l7s_status_t status =
        store(pool, memcached_append, name, value, size, ttl_seconds, now_ms);
    if (status == L7S_CONFLICT) { /* nothing there to append to */
        status = l7s_pool_add(pool, name, value, size, ttl_seconds, now_ms);
    }
    if (status == L7S_CONFLICT) { /* another one has just begun it */
        status = store(pool, memcached_append, name, value, size, ttl_seconds, now_ms);
    }
    return status;
}

l7s_status_t l7s_pool_delete(l7s_pool_t *pool, const char *name, uint64_t now_ms)
{
    if (!valid_name(name)) {
        return L7S_INVALID;
    }
    server_t *server = &pool->servers[l7s_pool_route(pool, name)];
    if (!ready(pool, server, now_ms)) {
        return L7S_IO;
    }
    memcached_return_t result = memcached_delete(server->handle, name, strlen(name), 0);
    if (result == MEMCACHED_SUCCESS || result == MEMCACHED_NOTFOUND) {
        succeeded(server);
        return result == MEMCACHED_SUCCESS ? L7S_OK : L7S_NOT_FOUND;
    }
    failed(server, now_ms);
    return failure_of(result);
}
