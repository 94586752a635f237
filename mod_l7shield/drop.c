/* SPDX-License-Identifier: Apache-2.0
 *
 * The cheapest end that a request stage has: nothing is written, the socket is reset, so
 * that neither httpd lingers nor the kernel remembers the connection. On HTTP/2 the whole
 * connection goes, not the stream: there is no answer for its other streams either on
 * HTTP/1.1, and a stream that is reset costs its client nothing.
 */
#include "drop.h"

#include "request.h"

#include "apr_portable.h"
#include "http_core.h"

#include <sys/socket.h>

static conn_rec *transport_of(const request_rec *r)
{
    return r->connection->master ? r->connection->master : r->connection;
}

bool shield_drop_may(const request_rec *r)
{
    l7s_addr_t peer;
    return shield_addr(transport_of(r)->client_addr, &peer) && !shield_is_proxy(&peer);
}

static void reset(conn_rec *c, bool at_once)
{
    static const struct linger none = {.l_onoff = 1, .l_linger = 0};
    apr_os_sock_t fd;
    if (apr_os_sock_get(&fd, ap_get_conn_socket(c)) != APR_SUCCESS) {
        return;
    }
    (void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &none, sizeof(none));
    if (at_once) { /* HTTP/2's own thread would go on reading from it */
        (void)shutdown(fd, SHUT_RDWR);
    }
}

int shield_drop(request_rec *r)
{
    conn_rec *c = r->connection;
    ap_filter_t *filter = r->proto_output_filters;
    reset(transport_of(r), c->master != NULL);
    while (filter->frec->ftype < AP_FTYPE_CONNECTION) {
        filter = filter->next;
    }
    r->output_filters = r->proto_output_filters = filter;
    r->status = SHIELD_STATUS_DROPPED;
    r->eos_sent = 1; /* there is no end to be written either */
    r->sent_bodyct = 1;
    c->keepalive = AP_CONN_CLOSE;
    c->aborted = 1;
    return DONE;
}
