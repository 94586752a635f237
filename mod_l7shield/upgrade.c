/* SPDX-License-Identifier: Apache-2.0
 *
 * See upgrade.h. Only the server can open stream 1 of such a connection, so no stream of
 * the client's passes for it.
 */
#include "upgrade.h"

#include "peer.h"
#include "verdict.h"

#include "apr_optional.h"
#include "mod_http2.h"

#include <string.h>

/* Run when the request has been judged by every stage; it goes on as a stream in another
 * thread and may end before that. */
int shield_upgrade(conn_rec *c, request_rec *r, server_rec *server, const char *protocol)
{
    (void)server;
    (void)protocol;
    shield_peer_t *peer = r ? shield_peer(c) : NULL;
    if (peer) {
        peer->upgraded = shield_verdict_move(r, c->pool);
    }
    return DECLINED;
}

static bool is_first_stream(request_rec *r)
{
    APR_OPTIONAL_FN_TYPE(http2_var_lookup) *lookup =
        APR_RETRIEVE_OPTIONAL_FN(http2_var_lookup);
    const char *stream =
        lookup ? lookup(r->pool, r->server, r->connection, r, (char *)"H2_STREAM_ID")
               : NULL;
    return stream && !strcmp(stream, "1");
}

bool shield_upgrade_judged(request_rec *r)
{
    const conn_rec *master = r->connection->master;
    const shield_peer_t *peer = master ? shield_peer(master) : NULL;
    if (!peer || !peer->upgraded || !is_first_stream(r)) {
        return false;
    }
    shield_verdict_keep(r, peer->upgraded);
    return true;
}
