/* SPDX-License-Identifier: Apache-2.0
 *
 * Streams over libmicrohttpd (stream.h). A suspended connection does not notice that its
 * client has gone, so the hub's heartbeats do; and what the kernel cannot deliver within
 * half a minute ends the connection, too.
 */
#include "stream.h"
#include "../events/hub.h"
#include "../worker.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <sys/socket.h>

#define BLOCK (32 * 1024)
#define UNDELIVERED_MS 30000u
#define CHECK_EVERY_MS 2000
#define SOCKET_BUFFER (64 * 1024)

/* The request lives as long as its answer is being read. */
typedef struct {
    admin_subscriber_t *subscriber;
    admin_request_t *request;
    uint64_t checked_ms;
} stream_t;

static void suspend(void *connection)
{
    MHD_suspend_connection(connection);
}

static void resume(void *connection)
{
    MHD_resume_connection(connection);
}

static const admin_sleep_t sleep_by = {suspend, resume};

/* A token that was revoked must not go on reading. Heartbeats see to it that somebody
 * looks. */
static bool may_go_on(stream_t *stream)
{
    admin_call_t *call = &stream->request->call;
    uint64_t now_ms = admin_mono_ms();
    if (now_ms < stream->checked_ms + CHECK_EVERY_MS) {
        return true;
    }
    stream->checked_ms = now_ms;
    return admin_auth_still(call->daemon->auth, call->identity, call->peer,
                            stream->request->route->role, admin_wall_ms());
}

static ssize_t read_stream(void *context, uint64_t position, char *out, size_t size)
{
    (void)position;
    stream_t *stream = context;
    if (!may_go_on(stream)) {
        return MHD_CONTENT_READER_END_OF_STREAM;
    }
    int64_t count = admin_hub_read(stream->subscriber, &sleep_by,
                                   stream->request->connection, out, size);
    return count == ADMIN_HUB_END ? MHD_CONTENT_READER_END_OF_STREAM : (ssize_t)count;
}

static void end_stream(void *context)
{
    stream_t *stream = context;
    admin_hub_leave(stream->subscriber);
    free(stream);
}

/* A reader that is slow or gone must not hold megabytes in the kernel. On unix sockets
 * the first option fails, harmlessly: there a peer cannot vanish unseen. */
static void bound_socket(struct MHD_Connection *connection)
{
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
    unsigned undelivered_ms = UNDELIVERED_MS;
    int bytes = SOCKET_BUFFER;
    if (info != NULL) {
        (void)setsockopt(info->connect_fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &undelivered_ms,
                         sizeof undelivered_ms);
        (void)setsockopt(info->connect_fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes);
    }
}

struct MHD_Response *admin_stream_response(admin_request_t *request)
{
    stream_t *stream = malloc(sizeof *stream);
    if (stream == NULL) {
        return NULL;
    }
    *stream = (stream_t){request->call.subscriber, request, admin_mono_ms()};
    struct MHD_Response *response = MHD_create_response_from_callback(
        MHD_SIZE_UNKNOWN, BLOCK, read_stream, stream, end_stream);
    if (response == NULL) {
        free(stream);
        return NULL;
    }
    request->call.subscriber = NULL;
    bound_socket(request->connection);
    return response;
}

bool admin_stream_wait(admin_request_t *request)
{
    return admin_hub_sleep(request->call.subscriber, &sleep_by, request->connection,
                           request->call.wait_until_mono_ms);
}
