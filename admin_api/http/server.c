/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd (server.h). Quick reads run in its own threads; whatever writes or waits
 * runs in one of call_threads.c.
 */
#include "server.h"
#include "../events/hub.h"
#include "../log.h"
#include "call_threads.h"
#include "clients.h"
#include "deadline.h"
#include "guard.h"
#include "listen.h"
#include "request.h"
#include "stream.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_THREADS 4
#define TCP_CONNECTIONS 1024
#define TCP_CONNECTIONS_EACH 256
#define UNIX_CONNECTIONS 64
#define UNIX_CONNECTIONS_EACH 16 /* of users that are neither root nor our own */
#define CONNECTION_MEMORY (64 * 1024)
#define IDLE_SECONDS 30
#define HEAD_MS 10000
#define NEXT_HEAD_MS ((IDLE_SECONDS + 10) * 1000)
/* With more than half of the connections in use, who has nothing to say goes soon. */
#define PRESSED_HEAD_MS 2000
#define PRESSED_NEXT_HEAD_MS 5000
#define ANSWER_MS 60000
#define ANSWER_BYTES_PER_MS 32
#define MHD_LINES_A_MINUTE 10

typedef struct {
    admin_server_t *server;
    admin_listen_t listen;
    struct MHD_Daemon *mhd;
    int fd;               /* libmicrohttpd's once it runs */
    unsigned connections; /* at most */
    admin_clients_t *clients;
    atomic_uint_least64_t log_minute; /* in which … */
    atomic_uint log_lines;            /* … libmicrohttpd said so many things */
} listener_t;

struct admin_server {
    admin_daemon_t *daemon;
    admin_deadlines_t *deadlines;
    listener_t tcp, local;
    admin_call_threads_t *threads;
};

/* -- libmicrohttpd's callbacks -- */

static admin_deadline_t *deadline_of(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info == NULL ? NULL : info->socket_context;
}

static void *on_target(void *context, const char *target,
                       struct MHD_Connection *connection)
{
    (void)context;
    (void)connection;
    return (void *)(uintptr_t)admin_guard_target(target);
}

/* Who takes an answer byte by byte must not stay for ever either. */
static enum MHD_Result send_answer(admin_request_t *request)
{
    enum MHD_Result result = admin_request_send(request);
    uint64_t ms = ANSWER_MS + (uint64_t)request->answer_size / ANSWER_BYTES_PER_MS;
    admin_deadline_set(deadline_of(request->connection),
                       request->streams ? 0 : (unsigned)ms);
    return result;
}

static enum MHD_Result refuse_busy(admin_request_t *request)
{
    admin_call_problem(&request->call, "busy", "Too many calls wait here; try again.");
    request->call.retry_after_seconds = 1;
    return send_answer(request);
}

/* A call that waits for an event is run again after each that may be its own. */
static enum MHD_Result answer(admin_request_t *request)
{
    do {
        admin_request_run(request);
        if (!request->call.waits) {
            return send_answer(request);
        }
    } while (!admin_stream_wait(request));
    return MHD_YES;
}

static enum MHD_Result finish(admin_request_t *request)
{
    admin_deadline_set(deadline_of(request->connection), 0);
    if (request->refused) {
        return request->closes ? MHD_YES : send_answer(request);
    }
    if (atomic_load(&request->done)) {
        return send_answer(request);
    }
    if (request->started && !request->call.waits) {
        return MHD_YES; /* woken for nothing */
    }
    request->started = true;
    if (!admin_request_waits(request)) {
        return answer(request);
    }
    return admin_call_threads_start(request) ? MHD_YES : refuse_busy(request);
}

static enum MHD_Result begin(listener_t *listener, struct MHD_Connection *connection,
                             const char *url, const char *method, const char *version,
                             void **state)
{
    const char *target = *state == NULL ? "" : *state;
    *state = NULL;
    admin_request_t *request = admin_request_create(listener->server->daemon, connection,
                                                    listener->listen, method, url);
    if (request == NULL) {
        return MHD_NO;
    }
    request->threads = listener->server->threads;
    *state = request;
    admin_deadline_set(deadline_of(connection), admin_request_body_ms(request));
    admin_request_check(request, target, version);
    return request->closes ? send_answer(request) : MHD_YES;
}

static enum MHD_Result on_request(void *context, struct MHD_Connection *connection,
                                  const char *url, const char *method,
                                  const char *version, const char *upload,
                                  size_t *upload_size, void **state)
{
    listener_t *listener = context;
    if (*state == NULL || admin_guard_is_verdict(*state)) {
        return begin(listener, connection, url, method, version, state);
    }
    admin_request_t *request = *state;
    if (*upload_size > 0) {
        bool more = admin_request_body(request, upload, *upload_size);
        *upload_size = 0;
        admin_deadline_set(deadline_of(connection), admin_request_body_ms(request));
        return more ? MHD_YES : MHD_NO;
    }
    return finish(request);
}

static unsigned patience(const listener_t *listener, unsigned calm_ms,
                         unsigned pressed_ms)
{
    unsigned half = listener->connections / 2;
    return admin_clients_total(listener->clients) > half ? pressed_ms : calm_ms;
}

static void on_completed(void *context, struct MHD_Connection *connection, void **state,
                         enum MHD_RequestTerminationCode code)
{
    (void)code;
    listener_t *listener = context;
    if (*state != NULL && !admin_guard_is_verdict(*state)) {
        admin_call_threads_answered(*state);
        admin_request_free(*state);
    }
    *state = NULL;
    admin_deadline_set(deadline_of(connection),
                       patience(listener, NEXT_HEAD_MS, PRESSED_NEXT_HEAD_MS));
}

static void prepare_tls(const listener_t *listener, struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        listener->listen == ADMIN_LISTEN_TLS
            ? MHD_get_connection_info(connection, MHD_CONNECTION_INFO_GNUTLS_SESSION)
            : NULL;
    if (info != NULL) {
        admin_tls_prepare(listener->server->daemon->tls, info->tls_session);
    }
}

static enum MHD_Result on_accept(void *context, const struct sockaddr *address,
                                 socklen_t size)
{
    (void)size;
    const listener_t *listener = context;
    admin_client_t client = admin_client_of_address(address);
    return admin_clients_room(listener->clients, &client) ? MHD_YES : MHD_NO;
}

static admin_client_t client_of(const listener_t *listener,
                                struct MHD_Connection *connection)
{
    bool local = listener->listen == ADMIN_LISTEN_UNIX;
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, local ? MHD_CONNECTION_INFO_CONNECTION_FD
                                                  : MHD_CONNECTION_INFO_CLIENT_ADDRESS);
    if (info == NULL || (!local && info->client_addr == NULL)) {
        return (admin_client_t){.limited = false};
    }
    return local ? admin_client_of_user(info->connect_fd)
                 : admin_client_of_address(info->client_addr);
}

/* Returns the deadline of its first head; NULL: none could be had. */
static admin_deadline_t *begin_connection(listener_t *listener,
                                          struct MHD_Connection *connection)
{
    admin_client_t client = client_of(listener, connection);
    bool within = admin_clients_add(listener->clients, &client);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    if (info == NULL) {
        return NULL;
    }
    if (!within) {
        shutdown(info->connect_fd, SHUT_RDWR);
    }
    prepare_tls(listener, connection);
    return admin_deadline_begin(listener->server->deadlines, info->connect_fd,
                                patience(listener, HEAD_MS, PRESSED_HEAD_MS));
}

static void on_connection(void *context, struct MHD_Connection *connection,
                          void **socket_context, enum MHD_ConnectionNotificationCode code)
{
    listener_t *listener = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        *socket_context = begin_connection(listener, connection);
    } else {
        admin_client_t client = client_of(listener, connection);
        admin_clients_remove(listener->clients, &client);
        admin_deadline_end(*socket_context);
        *socket_context = NULL;
    }
}

/* Whoever connects can cause these lines, as often as they like. */
static bool may_log(listener_t *listener)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    uint64_t minute = (uint64_t)now.tv_sec / 60 + 1;
    if (atomic_exchange(&listener->log_minute, minute) != minute) {
        atomic_store(&listener->log_lines, 0);
    }
    return atomic_fetch_add(&listener->log_lines, 1) < MHD_LINES_A_MINUTE;
}

static void on_mhd_error(void *context, const char *format, va_list arguments)
{
    char text[256];
    if (!may_log(context)) {
        return;
    }
    vsnprintf(text, sizeof text, format, arguments);
    size_t size = strlen(text);
    while (size > 0 && text[size - 1] == '\n') {
        text[--size] = '\0';
    }
    admin_log(ADMIN_DEBUG, "L7S3020", "libmicrohttpd: %s", text);
}

/* -- listening -- */

static bool run(listener_t *listener, unsigned threads, unsigned connections,
                unsigned connections_each)
{
    listener->connections = connections;
    if (admin_clients_create(connections_each, &listener->clients) != L7S_OK) {
        return false;
    }
    bool tls = listener->listen == ADMIN_LISTEN_TLS;
    struct MHD_OptionItem options[] = {
        {MHD_OPTION_HTTPS_CERT_CALLBACK, 0, (void *)(uintptr_t)admin_tls_retrieve},
        {MHD_OPTION_HTTPS_PRIORITIES, 0,
         (void *)(uintptr_t) "SECURE192:SECURE128:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2"},
        {MHD_OPTION_END, 0, NULL}};
    listener->mhd = MHD_start_daemon(
        MHD_USE_EPOLL_INTERNAL_THREAD | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG |
            (tls ? MHD_USE_TLS : 0),
        0, on_accept, listener, on_request, listener, MHD_OPTION_EXTERNAL_LOGGER,
        on_mhd_error, listener, MHD_OPTION_LISTEN_SOCKET, listener->fd,
        MHD_OPTION_CONNECTION_LIMIT, connections, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned)IDLE_SECONDS, MHD_OPTION_CONNECTION_MEMORY_LIMIT,
        (size_t)CONNECTION_MEMORY, MHD_OPTION_STRICT_FOR_CLIENT, 0,
        MHD_OPTION_URI_LOG_CALLBACK, on_target, NULL, MHD_OPTION_NOTIFY_COMPLETED,
        on_completed, listener, MHD_OPTION_NOTIFY_CONNECTION, on_connection, listener,
        MHD_OPTION_ARRAY, tls ? options : options + 2,
        threads > 1 ? MHD_OPTION_THREAD_POOL_SIZE : MHD_OPTION_END, threads,
        MHD_OPTION_END);
    return listener->mhd != NULL;
}

static bool start_tcp(admin_server_t *server, char why[256])
{
    const admin_options_t *options = server->daemon->options;
    listener_t *tcp = &server->tcp;
    tcp->listen = options->tls_cert != NULL ? ADMIN_LISTEN_TLS : ADMIN_LISTEN_TCP;
    tcp->fd = admin_listen_tcp(options->listen, why);
    if (tcp->fd < 0) {
        return false;
    }
    if (!run(tcp, TCP_THREADS, TCP_CONNECTIONS, TCP_CONNECTIONS_EACH)) {
        snprintf(why, 256, "the HTTP server cannot start");
        return false;
    }
    admin_listen_log(tcp->fd, tcp->listen == ADMIN_LISTEN_TLS);
    return true;
}

static bool start_local(admin_server_t *server, char why[256])
{
    const char *path = server->daemon->options->unix_socket;
    if (path == NULL) {
        return true;
    }
    server->local.listen = ADMIN_LISTEN_UNIX;
    server->local.fd = admin_listen_unix(path, why);
    if (server->local.fd < 0) {
        return false;
    }
    if (!run(&server->local, 1, UNIX_CONNECTIONS, UNIX_CONNECTIONS_EACH)) {
        snprintf(why, 256, "the unix socket's server cannot start");
        return false;
    }
    admin_log(ADMIN_INFO, "L7S3002", "listening on unix socket %s", path);
    return true;
}

l7s_status_t admin_server_start(admin_daemon_t *daemon, char why[256],
                                admin_server_t **out)
{
    admin_server_t *server = calloc(1, sizeof *server);
    if (server == NULL) {
        return L7S_NO_MEMORY;
    }
    server->daemon = daemon;
    server->tcp = (listener_t){.server = server, .fd = -1};
    server->local = (listener_t){.server = server, .fd = -1};
    l7s_status_t status = admin_deadlines_create(&server->deadlines);
    if (status == L7S_OK) {
        status = admin_call_threads_create(&server->threads);
    }
    if (status == L7S_OK && (!start_local(server, why) || !start_tcp(server, why))) {
        status = L7S_IO;
    }
    if (status != L7S_OK) {
        admin_server_stop(server);
        return status;
    }
    *out = server;
    return L7S_OK;
}

static void stop_listener(listener_t *listener)
{
    if (listener->mhd != NULL) {
        MHD_stop_daemon(listener->mhd); /* closes the socket */
    } else if (listener->fd >= 0) {
        close(listener->fd);
    }
    admin_clients_free(listener->clients);
}

void admin_server_stop(admin_server_t *server)
{
    if (server == NULL) {
        return;
    }
    /* libmicrohttpd must not stop while connections are suspended. */
    admin_call_threads_drain(server->threads);
    admin_hub_close(server->daemon->hub);
    stop_listener(&server->local);
    stop_listener(&server->tcp);
    if (server->local.fd >= 0) {
        unlink(server->daemon->options->unix_socket);
    }
    admin_deadlines_free(server->deadlines);
    admin_call_threads_free(server->threads);
    free(server);
}
