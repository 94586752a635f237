/* SPDX-License-Identifier: Apache-2.0
 *
 * Counters on the wire: memcached's meta protocol, pipelined over one non-blocking socket
 * per server, because libmemcached cannot pipeline counters. A run sends a batch to all
 * servers, reads exactly the answers in their order, and ends at one deadline whatever
 * the servers do. Not thread-safe; does not know what a counter means.
 *
 * Anything unexpected closes the connection: what comes later on it would be taken for
 * the answer to another question. The server then rests (100 ms doubling to 2 s). A new
 * connection must answer a no-op before anything is entrusted to it, so a server that
 * accepts but hangs costs waiting, never counts.
 */
#ifndef L7S_META_H
#define L7S_META_H

#include "../count/fleet.h"
#include "../status.h"

typedef enum {
    L7S_META_FAILED = 0, /* it never left: certainly not applied */
    L7S_META_UNKNOWN,    /* it left and was not answered: do not send it again */
    L7S_META_OK,         /* applied; `value` is the new total */
    L7S_META_NOT_FOUND   /* of a read: the server said that there is no such number */
} l7s_meta_status_t;

typedef struct {
    char key[L7S_COUNTER_NAME]; /* visible ASCII; any other operation fails */
    uint32_t server;            /* index into the list given at creation */
    uint32_t ttl;               /* seconds, of a number that this operation creates */
    uint64_t delta;             /* 0: only read, which also guards it from eviction */
    uint64_t seed;              /* a new number begins with it if it is above delta */
    uint32_t next;              /* of a run: the server's next operation */
    l7s_meta_status_t status;   /* out */
    uint64_t value;             /* out, with L7S_META_OK */
    uint64_t left_s;            /* out, likewise: until the number expires */
} l7s_meta_op_t;

typedef struct l7s_meta l7s_meta_t;

/* `servers` are "address:port" with literal addresses (L7S_INVALID otherwise), in the
 * order that op.server counts in. Connects lazily. */
L7S_MUST_USE l7s_status_t l7s_meta_create(const char *const *servers, size_t count,
                                          l7s_meta_t **out);
void l7s_meta_free(l7s_meta_t *meta);

/* Runs all operations and fills in status and value of each. Blocks for at most
 * `budget_ms` over all servers together; `now_ms` (any steady clock) drives the breakers.
 * More operations than fit are not asked (L7S_META_FAILED) of a server that is up. */
void l7s_meta_run(l7s_meta_t *meta, l7s_meta_op_t *ops, size_t count, unsigned budget_ms,
                  uint64_t now_ms);

/* Did this server answer everything that it was asked the last time? */
bool l7s_meta_up(const l7s_meta_t *meta, size_t server);

#endif
