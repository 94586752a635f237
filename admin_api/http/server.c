/* SPDX-License-Identifier: Apache-2.0
 *
 * libmicrohttpd (server.h). Quick reads run in its own threads; whatever writes or waits
 * is suspended and runs in a thread of its own, so that a slow commit or a rollout that
 * somebody waits for never holds up the others.
 */
#include "server.h"
#include "../events/hub.h"
#include "../log.h"
#include "clients.h"
#include "deadline.h"
#include "guard.h"
#include "listen.h"
#include "request.h"
#include "stream.h"
#include "tls.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define TCP_THREADS 4
#define TCP_CONNECTIONS 1024
#define TCP_CONNECTIONS_EACH 256
#define UNIX_CONNECTIONS 64
#define UNIX_CONNECTIONS_EACH 16 /* of users that are neither root nor our own */
#define CALL_THREADS_MAX 64
#define READ_THREADS_MAX                                                                 \
    48 /* who waits for a rollout leaves room for the kill switch                        \
        */
/* The unix socket's calls have more threads, which nobody on the network can take. */
#define UNIX_THREADS_MORE 16
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
#define LAST_ANSWERS_SECONDS 2

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
    pthread_mutex_t lock; /* for the rest */
    pthread_cond_t idle;
    unsigned calls;   /* threads that run a handler */
    unsigned answers; /* requests of such threads that are not completely answered */
    bool closing;     /* no new ones */
};

/* -- calls in threads of their own -- */

typedef struct {
    admin_server_t *server;
    admin_request_t *request;
} errand_t;

static void release_thread(admin_server_t *server)
{
    pthread_mutex_lock(&server->lock);
    server->calls--;
    pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

static void *run_call(void *context)
{
    errand_t *errand = context;
    admin_server_t *server = errand->server;
    admin_request_t *request = errand->request;
    free(errand);
    admin_request_run(request);
    struct MHD_Connection *connection = request->connection;
    atomic_store(&request->done, true);
    MHD_resume_connection(connection);
    release_thread(server);
    return NULL;
}

static bool reserve_thread(admin_server_t *server, unsigned max)
{
    pthread_mutex_lock(&server->lock);
    bool free_one = server->calls < max && !server->closing;
    server->calls += free_one;
    pthread_mutex_unlock(&server->lock);
    return free_one;
}

static void note_answers(admin_server_t *server, int change)
{
    pthread_mutex_lock(&server->lock);
    server->answers += (unsigned)change;
    pthread_cond_signal(&server->idle);
    pthread_mutex_unlock(&server->lock);
}

/* False: no thread to be had; the connection is not suspended. */
static bool start_call(admin_server_t *server, admin_request_t *request)
{
    errand_t *errand = malloc(sizeof *errand);
    unsigned max = admin_request_reads(request) ? READ_THREADS_MAX : CALL_THREADS_MAX;
    max += request->listen == ADMIN_LISTEN_UNIX ? UNIX_THREADS_MORE : 0;
    if (errand == NULL || !reserve_thread(server, max)) {
        free(errand);
        return false;
    }
    *errand = (errand_t){server, request};
    pthread_attr_t detached;
    pthread_t thread;
    pthread_attr_init(&detached);
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&detached, 1024 * 1024);
    /* Suspended first: the thread may finish and resume before this function returns. */
    atomic_store(&request->done, false);
    MHD_suspend_connection(request->connection);
    bool started = pthread_create(&thread, &detached, run_call, errand) == 0;
    pthread_attr_destroy(&detached);
    if (!started) {
        MHD_resume_connection(request->connection);
        release_thread(server);
        free(errand);
    }
    return started;
}

bool admin_server_next_part(admin_request_t *request)
{
    return start_call(request->owner, request);
}

/* The answer is counted first: its thread may be done with it at once. */
static bool start_first_call(admin_server_t *server, admin_request_t *request)
{
    note_answers(server, 1);
    request->threaded = true;
    if (!start_call(server, request)) {
        request->threaded = false;
        note_answers(server, -1);
        return false;
    }
    return true;
}

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

static enum MHD_Result finish(admin_server_t *server, admin_request_t *request)
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
    return start_first_call(server, request) ? MHD_YES : refuse_busy(request);
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
    request->owner = listener->server;
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
    return finish(listener->server, request);
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
        if (((admin_request_t *)*state)->threaded) {
            note_answers(listener->server, -1);
        }
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
    pthread_mutex_init(&server->lock, NULL);
    pthread_cond_init(&server->idle, NULL);
    l7s_status_t status = admin_deadlines_create(&server->deadlines);
    if (status == L7S_OK && (!start_tcp(server, why) || !start_local(server, why))) {
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

/* libmicrohttpd must not stop while connections are suspended; and who waited for an
 * answer gets it, unless it takes it too slowly. */
static void wait_until_idle(admin_server_t *server)
{
    struct timespec until;
    pthread_mutex_lock(&server->lock);
    server->closing = true;
    while (server->calls > 0) {
        pthread_cond_wait(&server->idle, &server->lock);
    }
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += LAST_ANSWERS_SECONDS;
    int waited = 0;
    while (server->answers > 0 && waited == 0) {
        waited = pthread_cond_timedwait(&server->idle, &server->lock, &until);
    }
    pthread_mutex_unlock(&server->lock);
}

void admin_server_stop(admin_server_t *server)
{
    if (server == NULL) {
        return;
    }
    wait_until_idle(server);
    admin_hub_close(server->daemon->hub);
    stop_listener(&server->local);
    stop_listener(&server->tcp);
    if (server->local.fd >= 0) {
        unlink(server->daemon->options->unix_socket);
    }
    admin_deadlines_free(server->deadlines);
    pthread_mutex_destroy(&server->lock);
    pthread_cond_destroy(&server->idle);
    free(server);
}
