/* SPDX-License-Identifier: Apache-2.0
 *
 * The checks of a request's head (request.h): each passes or fills in the call's problem;
 * what it is answered with is decided nowhere else.
 */
#include "../../core/schema/utf8.h"
#include "guard.h"
#include "media.h"
#include "parameter_words.h"
#include "problem.h"
#include "request.h"
#include "scope.h"
#include "spool.h"
#include "tls.h"
#include "trail.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

static enum MHD_Result check_parameter(void *context, enum MHD_ValueKind kind,
                                       const char *key, const char *value)
{
    (void)kind;
    admin_request_t *request = context;
    admin_call_t *call = &request->call;
    int known = admin_route_parameter(request->route, key);
    if (known == 0) {
        char nearest[40];
        admin_route_suggest(request->route, key, nearest);
        admin_call_problem(call, "unknown_parameter",
                           "Unknown query parameter \"%.80s\"%s%s%s", key,
                           nearest[0] == '\0' ? "." : "; did you mean \"", nearest,
                           nearest[0] == '\0' ? "" : "\"?");
        return MHD_NO;
    }
    if (known == 1 && call->query_at(call, key, 1) != NULL) {
        admin_call_problem(call, "invalid_parameter",
                           "The query parameter \"%.80s\" may come once only.", key);
        return MHD_NO;
    }
    bool good =
        admin_parameter_words(call, request->route, key, value == NULL ? "" : value);
    return good ? MHD_YES : MHD_NO;
}

static bool flag(const admin_call_t *call, const char *name)
{
    const char *value = call->query(call, name);
    return value != NULL && strcmp(value, "true") == 0;
}

static bool check_parameters(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, check_parameter,
                              request);
    if (call->status != 0) {
        return false;
    }
    call->pretty = flag(call, "pretty");
    call->dry_run = flag(call, "dry_run");
    call->force = flag(call, "force");
    call->adopt = flag(call, "adopt");
    call->verbose = flag(call, "verbose");
    const char *view = call->query(call, "view");
    call->view_spec = view != NULL && strcmp(view, "spec") == 0;
    return true;
}

/* -- media types -- */

static bool check_accept(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    unsigned produces = request->route->produces;
    const char *accept = call->accept;
    if (accept == NULL ||
        ((produces & ADMIN_PRODUCES_JSON) != 0 &&
         admin_media_accepts(accept, "application/json")) ||
        ((produces & ADMIN_PRODUCES_NDJSON) != 0 &&
         admin_media_accepts(accept, "application/x-ndjson")) ||
        ((produces & ADMIN_PRODUCES_EVENTS) != 0 &&
         admin_media_accepts(accept, "text/event-stream")) ||
        ((produces & ADMIN_PRODUCES_BYTES) != 0 &&
         admin_media_accepts(accept, "application/octet-stream")) ||
        ((produces & ADMIN_PRODUCES_TEXT) != 0 &&
         admin_media_accepts(accept, "text/plain"))) {
        return true;
    }
    admin_call_problem(
        call, "not_acceptable", "This answers %s%s%s%s.",
        (produces & ADMIN_PRODUCES_JSON) != 0    ? "application/json"
        : (produces & ADMIN_PRODUCES_BYTES) != 0 ? "application/octet-stream"
                                                 : "text/plain",
        (produces & ADMIN_PRODUCES_NDJSON) != 0 ? ", application/x-ndjson" : "",
        (produces & ADMIN_PRODUCES_EVENTS) != 0 ? ", text/event-stream" : "",
        (produces & ADMIN_PRODUCES_TEXT) != 0 && (produces & ADMIN_PRODUCES_JSON) != 0
            ? ", text/plain"
            : "");
    return false;
}

static unsigned long long declared_size(const admin_request_t *request)
{
    const char *length = admin_request_header(request, "Content-Length");
    return length == NULL ? 0 : strtoull(length, NULL, 10);
}

static bool has_body(const admin_request_t *request)
{
    const char *length = admin_request_header(request, "Content-Length");
    return admin_request_header(request, "Transfer-Encoding") != NULL ||
           (length != NULL && strspn(length, "0") != strlen(length));
}

static bool check_length(admin_request_t *request)
{
    if (declared_size(request) > request->body_max) {
        admin_call_problem(&request->call, "body_too_large",
                           "At most %zu bytes are allowed here.", request->body_max);
        return false;
    }
    return true;
}

static bool is_log(const char *type)
{
    return type != NULL && (admin_media_is(type, "text/plain") ||
                            admin_media_is(type, "application/x-ndjson"));
}

/* A log does not go through memory. */
static bool begin_upload(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    const admin_options_t *options = call->daemon->options;
    request->body_max = options->backtest_max_upload_bytes;
    if (!check_length(request)) {
        return false;
    }
    call->upload_has_head = admin_media_is(admin_request_header(request, "Content-Type"),
                                           "application/x-ndjson");
    call->upload = admin_spool_open(options->data_dir);
    if (call->upload < 0) {
        admin_call_failed(call, L7S_IO);
    }
    return call->upload >= 0;
}

static bool check_body_head(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    const admin_route_t *route = request->route;
    if (!has_body(request)) {
        return true; /* a missing one is found when it is parsed */
    }
    if (route->body_max == ADMIN_BODY_NONE) {
        admin_call_problem(call, "unexpected_body", "%s %s takes no body.", call->method,
                           call->path);
        return false;
    }
    const char *coding = admin_request_header(request, "Content-Encoding");
    if (coding != NULL && strcasecmp(coding, "identity") != 0) {
        admin_call_problem(call, "unsupported_media_type",
                           "Send the body as it is, without a Content-Encoding.");
        return false;
    }
    const char *type = admin_request_header(request, "Content-Type");
    bool patch = strcmp(route->method, "PATCH") == 0;
    request->body_max = route->body_max;
    if (route->body_max == ADMIN_BODY_LOG && is_log(type)) {
        return begin_upload(request);
    }
    if (type == NULL ||
        !(admin_media_is(type, "application/json") ||
          (patch && admin_media_is(type, "application/merge-patch+json")))) {
        admin_call_problem(call, "unsupported_media_type",
                           "Send the header \"Content-Type: application/json\"%s.",
                           patch ? " or application/merge-patch+json"
                           : route->body_max == ADMIN_BODY_LOG
                               ? ", text/plain or application/x-ndjson"
                               : "");
        return false;
    }
    return check_length(request);
}

/* -- who, and may they -- */

static admin_auth_result_t identify(admin_request_t *request, admin_identity_t *identity)
{
    admin_call_t *call = &request->call;
    const char *authorization = admin_request_header(request, "Authorization");
    if (request->listen == ADMIN_LISTEN_UNIX && authorization == NULL) {
        const union MHD_ConnectionInfo *info = MHD_get_connection_info(
            request->connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        return info == NULL ? ADMIN_AUTH_MISSING
                            : admin_auth_peer(info->connect_fd, identity);
    }
    if (authorization == NULL && call->cookie != NULL) {
        return admin_auth_session(call->daemon->auth, call->cookie, call->peer,
                                  call->now_ms, identity);
    }
    return admin_auth_token(call->daemon->auth, authorization, call->peer, call->now_ms,
                            identity);
}

static bool check_who(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    admin_role_t needed = request->route->role;
    if (needed == ADMIN_NOBODY) {
        return true;
    }
    if (!admin_auth_accept(call, identify(request, &request->identity)) ||
        !admin_auth_csrf(call)) {
        return false;
    }
    if (!admin_role_allows(call->role, needed)) {
        admin_call_problem(call, "forbidden", "This needs the role %s; %s has %s.",
                           admin_role_name(needed), call->principal,
                           admin_role_name(call->role));
        return false;
    }
    return admin_scope_route(call, request->route);
}

/* Nobody without a certificate learns more than that one is needed. */
static bool check_certificate(admin_request_t *request)
{
    if (request->listen != ADMIN_LISTEN_TLS) {
        return true;
    }
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(request->connection, MHD_CONNECTION_INFO_GNUTLS_SESSION);
    return info != NULL && admin_tls_admits(request->call.daemon->tls, info->tls_session);
}

/* Over TLS the certificate is proof enough of a name, unless names are given; the unix
 * socket has none. */
static bool check_host(admin_request_t *request, char why[ADMIN_GUARD_TEXT])
{
    const admin_options_t *options = request->call.daemon->options;
    bool any = request->listen == ADMIN_LISTEN_UNIX ||
               (request->listen == ADMIN_LISTEN_TLS && options->host_count == 0);
    return admin_guard_host(request->connection, any, options->hosts, options->host_count,
                            why);
}

static bool check_http(admin_request_t *request, const char *target, const char *version)
{
    admin_call_t *call = &request->call;
    char why[ADMIN_GUARD_TEXT];
    if (target[0] != '\0') {
        admin_call_problem(call, "malformed_request", "%s", target);
    } else if (!check_certificate(request)) {
        admin_call_problem(call, "client_certificate_required",
                           "Show a client certificate of this server's authority.");
    } else if (!admin_guard_headers(request->connection, version, why)) {
        admin_call_problem(call, "malformed_request", "%s", why);
    } else if (!check_host(request, why)) {
        admin_call_problem(call, "host_not_allowed", "%s", why);
    } else if (!admin_guard_origin(request->connection,
                                   request->listen == ADMIN_LISTEN_TLS)) {
        admin_call_problem(call, "origin_not_allowed",
                           "The Origin header must name this server.");
    }
    return call->status == 0;
}

static bool find_route(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    switch (admin_route_find(call->method, request->cut_path, &request->route,
                             call->parameters, request->allow)) {
    case ADMIN_ROUTE_NO_PATH:
        admin_call_problem(call, "not_found", "There is no such resource.");
        return false;
    case ADMIN_ROUTE_NO_METHOD:
        admin_call_problem(call, "method_not_allowed", "Allowed here: %s.",
                           request->allow);
        return false;
    default:
        call->route = request->route->pattern;
        return true;
    }
}

#define REASON_MAX 256

static bool valid_text(const char *text)
{
    size_t size;
    for (; *text != '\0'; text += size) {
        size = l7s_utf8_sequence(text);
        if (size == 0) {
            return false;
        }
    }
    return true;
}

static enum MHD_Result check_parameter_text(void *context, enum MHD_ValueKind kind,
                                            const char *key, const char *value)
{
    (void)kind;
    bool *good = context;
    *good = *good && valid_text(key) && (value == NULL || valid_text(value));
    return *good ? MHD_YES : MHD_NO;
}

/* Whatever may end up in a document must be UTF-8. Also notes the headers that handlers
 * see. */
static bool check_text(admin_request_t *request)
{
    admin_call_t *call = &request->call;
    bool good = valid_text(call->path);
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND,
                              check_parameter_text, &good);
    call->if_match = admin_request_header(request, "If-Match");
    call->if_none_match = admin_request_header(request, "If-None-Match");
    call->reason = admin_request_header(request, "Shield-Reason");
    call->accept = admin_request_header(request, "Accept");
    call->csrf = admin_request_header(request, "Shield-CSRF");
    call->cookie = MHD_lookup_connection_value(request->connection, MHD_COOKIE_KIND,
                                               admin_session_cookie(call->tls));
    call->last_event_id = admin_request_header(request, "Last-Event-ID");
    if (!good) {
        admin_call_problem(call, "malformed_request", "Path and query must be UTF-8.");
    } else if (call->reason != NULL &&
               (strlen(call->reason) > REASON_MAX || !valid_text(call->reason))) {
        admin_call_problem(call, "malformed_request",
                           "Shield-Reason is at most %d bytes of UTF-8.", REASON_MAX);
    }
    return call->status == 0;
}

/* -- what the audit is to know -- */

static enum MHD_Result add_parameter(void *context, enum MHD_ValueKind kind,
                                     const char *key, const char *value)
{
    (void)kind;
    admin_request_t *request = context;
    char *target = request->target;
    size_t used = strlen(target), room = sizeof request->target - used;
    char text[sizeof request->target];
    snprintf(text, sizeof text, "%s%s%s%s", strchr(target, '?') == NULL ? "?" : "&", key,
             value == NULL ? "" : "=", value == NULL ? "" : value);
    l7s_utf8_copy(target + used, room, text);
    return MHD_YES;
}

static void note_target(admin_request_t *request)
{
    l7s_utf8_copy(request->target, sizeof request->target, request->call.path);
    MHD_get_connection_values(request->connection, MHD_GET_ARGUMENT_KIND, add_parameter,
                              request);
    request->call.target = request->target;
}

void admin_request_check(admin_request_t *request, const char *target,
                         const char *version)
{
    bool sound = check_http(request, target, version);
    request->refused = !sound || !check_text(request) || !find_route(request) ||
                       !check_who(request) || !check_parameters(request) ||
                       !check_accept(request) || !check_body_head(request);
    /* An answer before the body ends the connection. So it is kept back, since most
     * clients look for it only after they have sent everything, unless nobody can tell
     * where this request ends, the client asked before sending, or it is far too much. */
    bool asked = has_body(request) && (admin_request_header(request, "Expect") != NULL ||
                                       declared_size(request) > ADMIN_DRAIN_MAX);
    request->closes = request->refused && (!sound || asked);
    if (admin_request_mutates(request)) {
        note_target(request);
    }
    if (request->refused && admin_request_mutates(request)) {
        admin_trail_end(&request->call);
    }
}
