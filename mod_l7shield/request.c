/* SPDX-License-Identifier: Apache-2.0
 *
 * From request_rec to l7s_request_t. It always reads the request line as the client sent
 * it: r->uri is decoded in place and rewritten by other modules along the way, and every
 * stage must see the same path. The host is httpd's: it has stripped port and root dot
 * and made it lower case before any stage runs.
 */
#include "request.h"

#include "peer.h"
#include "scratch.h"
#include "strict_wait.h"

#include "apr_network_io.h"
#include "apr_strings.h"

#include <string.h>

bool shield_addr(const apr_sockaddr_t *from, l7s_addr_t *out)
{
    if (from->family == APR_INET) {
        static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
        memcpy(out->bytes, mapped, sizeof(mapped));
        memcpy(out->bytes + 12, &from->sa.sin.sin_addr, 4);
        return true;
    }
#if APR_HAVE_IPV6
    if (from->family == APR_INET6) {
        memcpy(out->bytes, &from->sa.sin6.sin6_addr, sizeof(out->bytes));
        return true;
    }
#endif
    return false;
}

/* Path and query in the request's target: origin form ("/a?b") as it is, absolute form
 * ("http://host/a?b") from behind the authority, "*" and CONNECT's authority as "/". A
 * fragment, which only `HttpProtocolOptions Unsafe` lets in, is cut as httpd cuts it. */
static const char *target_of(request_rec *r)
{
    const char *path = r->unparsed_uri;
    if (!path) {
        return "/";
    }
    if (path[0] != '/') {
        const char *authority = strstr(path, "://");
        path = authority ? authority + 3 + strcspn(authority + 3, "/?#") : "";
    }
    if (r->parsed_uri.fragment) {
        path = apr_pstrmemdup(r->pool, path, strcspn(path, "#"));
    }
    return *path == '/' || *path == '?' ? path : "/";
}

static const char *header_value(void *context, const char *name)
{
    const request_rec *r = context;
    return apr_table_get(r->headers_in, name);
}

bool shield_request_read(request_rec *r, const shield_section_t *section,
                         shield_request_t *out)
{
    l7s_request_t *facts = &out->facts;
    shield_peer_t *peer = shield_peer(r->connection);
    if (!shield_addr(r->useragent_addr, &facts->client)) {
        return false;
    }
    facts->client_is_proxy = shield_is_proxy(&facts->client);
    facts->method = r->method ? r->method : "";
    facts->host = r->hostname ? r->hostname : "";
    facts->target = target_of(r);
    facts->path = l7s_path_read(*facts->target == '/' ? facts->target : "/", out->path,
                                sizeof(out->path), &facts->shape);
    facts->app = section->app;
    facts->user = NULL; /* nobody, before authentication is over */
    facts->mode = shield_section_mode(section);
    facts->header = header_value;
    facts->context = r;
    facts->memo = peer ? &peer->memo : NULL;
    facts->generation = 0;
    facts->owner = 0;
    facts->strict = shield_strict_ask;
    facts->tokens = NULL;
    facts->awaiting = NULL;
    facts->scratch = shield_scratch;
    return true;
}
