/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection stage. It looks at the peer's address only: bans and deny lists, under
 * the mode of the server that the connection came in on. Trusted proxies pass, their
 * clients are judged by the head stage. So is, request by request, a peer that was let
 * in: here it is looked at again only after the head stage refused it.
 *
 * On a plain port the peer gets one small answer, sent without waiting; before a TLS
 * handshake it gets nothing, since nothing could be said at a reasonable price. After a
 * handshake the price is paid: then the head stage answers, within the protocol spoken.
 */
#include "connection.h"

#include "peer.h"
#include "refuse.h"
#include "request.h"
#include "shared_memory.h"

#include "apr_portable.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_ssl.h"

#include <limits.h>
#include <sys/socket.h>

#define ANSWER_MAX 1024

static bool is_refused(conn_rec *c, l7s_verdict_t *verdict)
{
    const shield_section_t *section = shield_section(c->base_server->lookup_defaults);
    l7s_mode_t mode = shield_section_mode(section);
    l7s_addr_t peer;
    if (mode == L7S_MODE_OFF || !shield_addr(c->client_addr, &peer)) {
        return false;
    }
    if (shield_is_proxy(&peer)) {
        return false;
    }
    l7s_pin_t *pin;
    const l7s_image_t *image = shield_image_hold(&pin);
    if (!image) {
        return false;
    }
    bool refused = l7s_addresses_matter(&shield_process.shared, image) &&
                   l7s_decide_address(&shield_process.shared, image, &peer, mode,
                                      shield_now(apr_time_now()), verdict);
    l7s_segment_unpin(pin);
    return refused;
}

/* One try, never waiting: a peer whose socket takes no 500 bytes does not get them. What
 * it has sent is thrown away, or closing would reset the connection under the answer. So
 * nobody lingers: waiting for the peer's end would be the peer's weapon. */
static void send_answer(conn_rec *c, const l7s_verdict_t *verdict)
{
    char answer[ANSWER_MAX];
    apr_os_sock_t fd;
    if (apr_os_sock_get(&fd, ap_get_conn_socket(c)) == APR_SUCCESS) {
        size_t length = shield_refuse_render(verdict, answer, sizeof(answer));
        (void)send(fd, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
        (void)recv(fd, NULL, INT_MAX, MSG_DONTWAIT | MSG_TRUNC);
    }
}

static void let_in(conn_rec *c)
{
    shield_peer_t *peer = shield_peer(c);
    if (!peer) {
        peer = apr_pcalloc(c->pool, sizeof(*peer));
        ap_set_module_config(c->conn_config, &l7shield_module, peer);
    }
    peer->distrusted = false;
}

/* Whether a connection that was refused before brings another request that this stage can
 * answer. Its end does not count as one, neither does what the head stage will judge. */
static bool asks_again(conn_rec *c)
{
    char byte;
    apr_os_sock_t fd;
    return !ap_ssl_conn_is_ssl(c) && !strcmp(ap_get_protocol(c), "http/1.1") &&
           apr_os_sock_get(&fd, ap_get_conn_socket(c)) == APR_SUCCESS &&
           recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

/* Apart, so that the many requests of a connection that was let in do not pay for the
 * verdict's room on the stack. */
static __attribute__((noinline)) int judge(conn_rec *c, bool first)
{
    l7s_verdict_t verdict;
    if (!first && !asks_again(c)) {
        return DECLINED;
    }
    if (!is_refused(c, &verdict)) {
        let_in(c);
        return DECLINED;
    }
    if (!ap_ssl_conn_is_ssl(c)) {
        send_answer(c, &verdict);
    }
    c->aborted = 1; /* close at once */
    if (c->cs) {
        c->cs->state = CONN_STATE_LINGER;
    }
    return OK;
}

/* Run again whenever a kept-alive connection has something to read. */
int shield_connection(conn_rec *c)
{
    const shield_peer_t *peer = shield_peer(c);
    if (peer && !peer->distrusted) {
        return DECLINED;
    }
    if (c->master || c->outgoing || !shield_process.attached) {
        return DECLINED;
    }
    return judge(c, !peer);
}
