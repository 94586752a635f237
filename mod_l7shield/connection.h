/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection stage: who is banned by address is refused before a byte is parsed.
 */
#ifndef SHIELD_CONNECTION_H
#define SHIELD_CONNECTION_H

#include "process.h"

#include "../core/decide/decide.h"

/* What is remembered of a connection that was let in. */
typedef struct {
    bool distrusted; /* a request was refused because of its client */
    const struct shield_judged *upgraded; /* what its first stream was judged, or NULL */
    l7s_memo_t memo;
} shield_peer_t;

/* NULL: none, as of HTTP/2's secondary connections. */
static inline shield_peer_t *shield_peer(const conn_rec *c)
{
    return ap_get_module_config(c->conn_config, &l7shield_module);
}

/* A process_connection hook, to be run before all others. OK: refused, the connection
 * ends. DECLINED: go on. */
int shield_connection(conn_rec *c);

#endif
