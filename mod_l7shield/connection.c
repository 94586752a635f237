/* SPDX-License-Identifier: Apache-2.0
 *
 * The connection stage. It looks at the peer's address only: bans and deny lists, under
 * the mode of the server that the connection came in on. Trusted proxies pass, their
 * clients are judged by the head stage.
 *
 * On a plain port the peer gets one small answer, sent without waiting; before a TLS
 * handshake it gets nothing, since nothing could be said at a reasonable price. After a
 * handshake the price is paid: then the head stage answers, within the protocol spoken.
 */
#include "connection.h"

#include "refuse.h"
#include "request.h"
#include "shared_memory.h"

#include "apr_portable.h"
#include "http_connection.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_ssl.h"

#include <sys/socket.h>

#define ANSWER_MAX 1024

/* True only before the first byte of a connection: the hook is run again whenever a
 * kept-alive connection has something to read. */
static bool is_first_sight(conn_rec *c)
{
    static char seen;
    if (ap_get_module_config(c->conn_config, &l7shield_module)) {
        return false;
    }
    ap_set_module_config(c->conn_config, &l7shield_module, &seen);
    return true;
}

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
    const l7s_image_t *image = shield_image_hold();
    if (!image) {
        return false;
    }
    bool refused = l7s_decide_address(&shield_process.shared, image, &peer, mode,
                                      shield_now(), verdict);
    shield_image_release();
    return refused;
}

/* One try, never waiting: a peer whose socket takes no 500 bytes does not get them. */
static void send_answer(conn_rec *c, const l7s_verdict_t *verdict)
{
    char answer[ANSWER_MAX];
    apr_os_sock_t fd;
    if (apr_os_sock_get(&fd, ap_get_conn_socket(c)) == APR_SUCCESS) {
        size_t length = shield_refuse_render(verdict, answer, sizeof(answer));
        (void)send(fd, answer, length, MSG_DONTWAIT | MSG_NOSIGNAL);
    }
}

int shield_connection(conn_rec *c)
{
    l7s_verdict_t verdict;
    if (c->master || c->outgoing || !shield_process.attached) {
        return DECLINED;
    }
    bool first = is_first_sight(c);
    if (!is_refused(c, &verdict)) {
        return DECLINED;
    }
    if (ap_ssl_conn_is_ssl(c)) {
        if (!first) {
            return DECLINED;
        }
        c->aborted = 1;
    } else if (first || !strcmp(ap_get_protocol(c), "http/1.1")) {
        send_answer(c, &verdict);
        /* Two seconds are enough to read this; thirty would be the peer's weapon. */
        apr_table_setn(c->notes, "short-lingering-close", "1");
    } else {
        return DECLINED; /* in the middle of another protocol */
    }
    if (c->cs) {
        c->cs->state = CONN_STATE_LINGER;
    }
    return OK;
}
