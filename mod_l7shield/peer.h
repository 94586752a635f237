/* SPDX-License-Identifier: Apache-2.0
 *
 * What a connection remembers from one of its requests to the next.
 */
#ifndef SHIELD_PEER_H
#define SHIELD_PEER_H

#include "process.h"

#include "../core/match/request.h"

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

#endif
