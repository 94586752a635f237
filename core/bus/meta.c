/* SPDX-License-Identifier: Apache-2.0
 *
 * The pipeliner behind meta.h. Each server is a little machine (resting, connecting,
 * greeting, ready) that one poll loop drives until every question is answered or the
 * deadline has come.
 *
 * Nothing is allocated in a run: the operations of each server are chained through the
 * caller's array and written through a bounded buffer, and two cursors per server (asked,
 * answered) walk that chain. It reads whenever it can while it writes; otherwise both
 * ends would stand still with full buffers.
 */
#include "meta.h"
#include "breaker.h"
#include "endpoint.h"
#include "meta_reply.h"
#include "pool.h"
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define OUT_SIZE (64 * 1024)
#define IN_SIZE (64 * 1024)
#define COMMAND_MAX 96 /* "ma KEY N… J… D… t v\r\n" with numbers of 10 and 20 digits */
/* Questions of one server that may be without an answer: few enough to be answered in the
 * time that is kept for it, enough to keep the server busy. */
#define FLYING_MAX 8192
#define ASKING_SHARE 2 / 3 /* of the time: later nothing more is asked */
/* It is not woken for fewer bytes than this, or than all that can still come. */
#define WAKE_BYTES 8192
#define ANSWER_MIN 4    /* "EN\r\n" */
#define NONE UINT32_MAX /* the end of a chain */
/* A fleet must count together within two seconds of the store's return. */
#define BREAKER_MAX_MS 500

static const char GREETING[] = "mn\r\n";

typedef enum {
    STATE_CLOSED, /* no socket */
    STATE_CONNECTING,
    STATE_GREETING, /* the no-op is out, its answer is not here yet */
    STATE_READY
} state_t;

/* Invariant: of the operations between the cursors those that are L7S_META_UNKNOWN are
 * `flying`: in the buffer or on the wire. */
typedef struct {
    l7s_endpoint_t endpoint;
    int fd;
    state_t state;
    bool up;
    l7s_breaker_t breaker;
    uint32_t first;           /* of its chain in the run's ops */
    uint32_t asked, answered; /* cursors in it: the next one to ask, to be answered */
    size_t flying;
    size_t out_at, out_size, in_size;
    int wake_bytes; /* as set on the socket */
    char out[OUT_SIZE];
    char in[IN_SIZE];
} server_t;

struct l7s_meta {
    size_t count;
    server_t *servers;
};

/* One call of l7s_meta_run. */
typedef struct {
    l7s_meta_op_t *ops;
    uint64_t now_ms;
    bool late; /* what was not asked yet stays unasked */
} run_t;

/* ---- life cycle ---- */

l7s_status_t l7s_meta_create(const char *const *servers, size_t count, l7s_meta_t **out)
{
    *out = NULL;
    if (count == 0 || count > L7S_SERVERS_MAX) {
        return L7S_INVALID;
    }
    l7s_meta_t *meta = calloc(1, sizeof *meta);
    server_t *array = calloc(count, sizeof *array);
    if (!meta || !array) {
        free(meta);
        free(array);
        return L7S_NO_MEMORY;
    }
    meta->servers = array;
    meta->count = count;
    bool fine = true;
    for (size_t i = 0; i < count; i++) {
        array[i].fd = -1;
        fine = fine && l7s_endpoint_parse(servers[i], &array[i].endpoint);
    }
    if (!fine) {
        l7s_meta_free(meta);
        return L7S_INVALID;
    }
    *out = meta;
    return L7S_OK;
}

void l7s_meta_free(l7s_meta_t *meta)
{
    if (!meta) {
        return;
    }
    for (size_t i = 0; i < meta->count; i++) {
        if (meta->servers[i].fd >= 0) {
            close(meta->servers[i].fd);
        }
    }
    free(meta->servers);
    free(meta);
}

bool l7s_meta_up(const l7s_meta_t *meta, size_t server)
{
    return server < meta->count && meta->servers[server].up;
}

/* ---- one server ---- */

static void disconnect(server_t *server)
{
    if (server->fd >= 0) {
        close(server->fd);
    }
    server->fd = -1;
    server->state = STATE_CLOSED;
    server->out_at = server->out_size = server->in_size = 0;
}

/* Questions whose last byte did not leave were certainly not understood. */
static void take_back(const server_t *server, const run_t *run)
{
    size_t sent = server->flying;
    for (size_t i = server->out_at; i < server->out_size; i++) {
        sent -= server->out[i] == '\n';
    }
    for (uint32_t i = server->answered; i != server->asked; i = run->ops[i].next) {
        if (run->ops[i].status == L7S_META_UNKNOWN && sent > 0) {
            sent--;
        } else {
            run->ops[i].status = L7S_META_FAILED;
        }
    }
}

static void fail(server_t *server, const run_t *run)
{
    if (server->state == STATE_READY) {
        take_back(server, run);
    }
    disconnect(server);
    server->up = false;
    l7s_breaker_trip(&server->breaker, run->now_ms, BREAKER_MAX_MS);
}

/* Starts a connection. False: it failed at once. */
static bool dial(server_t *server)
{
    server->fd = l7s_endpoint_dial(&server->endpoint);
    server->state = server->fd >= 0 ? STATE_CONNECTING : STATE_CLOSED;
    server->wake_bytes = 1;
    return server->fd >= 0;
}

/* ---- questions ---- */

/* Nothing that could end a name or begin another command. */
static bool valid_key(const char key[L7S_COUNTER_NAME])
{
    for (size_t i = 0; i < L7S_COUNTER_NAME; i++) {
        if (key[i] <= ' ' || key[i] > '~') {
            return key[i] == '\0' && i > 0;
        }
    }
    return false; /* not terminated */
}

/* Chains the operations of each server in their order. */
static void chain(l7s_meta_t *meta, l7s_meta_op_t *ops, size_t count)
{
    for (size_t i = 0; i < meta->count; i++) {
        meta->servers[i].first = NONE;
    }
    for (size_t i = count; i-- > 0;) {
        l7s_meta_op_t *op = &ops[i];
        op->status = L7S_META_FAILED;
        op->value = op->left_s = 0;
        if (op->server < meta->count) {
            op->next = meta->servers[op->server].first;
            meta->servers[op->server].first = (uint32_t)i;
        }
    }
}

/* Appends decimal digits; returns the new end. */
static char *put_number(char *at, uint64_t number)
{
    char digits[20];
    size_t count = 0;
    do {
        digits[count++] = (char)('0' + number % 10);
        number /= 10;
    } while (number > 0);
    while (count > 0) {
        *at++ = digits[--count];
    }
    return at;
}

/* Returns the size. By hand: printf took more time than all the rest of a run. */
static size_t write_command(const l7s_meta_op_t *op, char *out)
{
    char *at = stpcpy(out, op->delta == 0 ? "mg " : "ma ");
    at = stpcpy(at, op->key);
    if (op->delta != 0) {
        at = put_number(stpcpy(at, " N"), op->ttl);
        at = put_number(stpcpy(at, " J"), op->seed > op->delta ? op->seed : op->delta);
        at = put_number(stpcpy(at, " D"), op->delta);
    }
    at = stpcpy(at, " t v\r\n");
    return (size_t)(at - out);
}

static void fill(server_t *server, const run_t *run)
{
    if (server->out_at < server->out_size) {
        return;
    }
    server->out_at = server->out_size = 0;
    while (server->asked != NONE && server->out_size + COMMAND_MAX <= OUT_SIZE &&
           server->flying < FLYING_MAX && !run->late) {
        l7s_meta_op_t *op = &run->ops[server->asked];
        server->asked = op->next;
        if (valid_key(op->key)) { /* else it stays failed */
            server->out_size += write_command(op, server->out + server->out_size);
            op->status = L7S_META_UNKNOWN;
            server->flying++;
        }
    }
}

/* Sends what the socket takes. False: the connection is lost. */
static bool send_some(server_t *server, const run_t *run)
{
    for (;;) {
        if (server->state == STATE_READY) {
            fill(server, run);
        }
        if (server->out_at == server->out_size) {
            return true;
        }
        ssize_t sent = send(server->fd, server->out + server->out_at,
                            server->out_size - server->out_at, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        server->out_at += (size_t)sent;
    }
}

/* The connection stands: greet before anything is entrusted to it. */
static bool greet(server_t *server)
{
    if (!l7s_endpoint_reached(server->fd)) {
        return false;
    }
    server->state = STATE_GREETING;
    memcpy(server->out, GREETING, sizeof GREETING - 1);
    server->out_at = 0;
    server->out_size = sizeof GREETING - 1;
    return true;
}

/* ---- answers ---- */

static bool take_reply(server_t *server, const run_t *run, sync_reply_t reply,
                       const sync_value_t *value)
{
    if (server->state == STATE_GREETING) {
        server->state = STATE_READY;
        return reply == SYNC_REPLY_NOOP;
    }
    if (server->flying == 0) {
        return false; /* an answer to nothing */
    }
    l7s_meta_op_t *op = &run->ops[server->answered];
    while (op->status != L7S_META_UNKNOWN) { /* it was not sent */
        op = &run->ops[op->next];
    }
    if (reply == SYNC_REPLY_VALUE) {
        op->status = L7S_META_OK;
        op->value = value->number;
        op->left_s = value->left_s;
    } else if (reply == SYNC_REPLY_MISS && op->delta == 0) {
        op->status = L7S_META_NOT_FOUND;
    } else {
        return false;
    }
    server->answered = op->next;
    server->flying--;
    return true;
}

static bool parse_replies(server_t *server, const run_t *run)
{
    size_t at = 0;
    while (at < server->in_size) {
        size_t used = 0;
        sync_value_t value = {0, 0};
        sync_reply_t reply =
            sync_reply_parse(server->in + at, server->in_size - at, &used, &value);
        if (reply == SYNC_REPLY_MORE && server->in_size - at < SYNC_REPLY_MAX) {
            break;
        }
        if (reply == SYNC_REPLY_MORE || reply == SYNC_REPLY_BAD ||
            !take_reply(server, run, reply, &value)) {
            return false;
        }
        at += used;
    }
    memmove(server->in, server->in + at, server->in_size - at);
    server->in_size -= at;
    return true;
}

static bool receive(server_t *server, const run_t *run)
{
    ssize_t got =
        recv(server->fd, server->in + server->in_size, IN_SIZE - server->in_size, 0);
    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    if (got == 0) {
        return false;
    }
    server->in_size += (size_t)got;
    return parse_replies(server, run);
}

/* ---- the run ---- */

static bool done(const server_t *server, const run_t *run)
{
    return server->flying == 0 &&
           (server->asked == NONE || (run->late && server->state == STATE_READY));
}

/* Lets one server do what poll says that it can. */
static void advance(server_t *server, const run_t *run, short events)
{
    bool fine = true;
    if (server->state == STATE_CONNECTING && events != 0) {
        fine = greet(server);
    } else if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        fine = receive(server, run);
    }
    fine = fine && send_some(server, run);
    /* Bytes behind the last answer belong to no question. */
    fine = fine && !(done(server, run) && server->in_size > 0);
    if (!fine) {
        fail(server, run);
    } else if (done(server, run)) {
        server->up = true;
        l7s_breaker_close(&server->breaker);
    }
}

/* Prepares the cursors and the connection; a server that cannot take part has no socket.
 */
static void begin(server_t *server, const run_t *run)
{
    server->asked = server->answered = server->first;
    server->flying = 0;
    if (done(server, run)) {
        return;
    }
    if (server->state == STATE_READY && !l7s_endpoint_is_silent(server->fd)) {
        disconnect(server);
    }
    if (server->state == STATE_READY) {
        advance(server, run, 0);
    } else if (!l7s_breaker_is_open(&server->breaker, run->now_ms) && !dial(server)) {
        fail(server, run);
    }
}

static uint64_t steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* Lets poll sleep until there is something to do: memcached sends its answers in small
 * pieces, and to wake for each costs more than all the rest. */
static void set_wake_bytes(server_t *server)
{
    size_t coming = server->flying * ANSWER_MIN;
    int bytes = 1;
    while (bytes < WAKE_BYTES && 2 * (size_t)bytes + server->in_size <= coming) {
        bytes *= 2;
    }
    if (bytes != server->wake_bytes &&
        setsockopt(server->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes) == 0) {
        server->wake_bytes = bytes;
    }
}

/* Whom to wait for. Returns how many. */
static nfds_t collect(const l7s_meta_t *meta, const run_t *run,
                      struct pollfd fds[L7S_SERVERS_MAX], server_t *who[L7S_SERVERS_MAX])
{
    nfds_t count = 0;
    for (size_t i = 0; i < meta->count; i++) {
        server_t *server = &meta->servers[i];
        if (server->state == STATE_CLOSED || done(server, run)) {
            continue;
        }
        bool writes =
            server->state == STATE_CONNECTING || server->out_at < server->out_size;
        set_wake_bytes(server);
        fds[count] = (struct pollfd){.fd = server->fd,
                                     .events = (short)(POLLIN | (writes ? POLLOUT : 0))};
        who[count++] = server;
    }
    return count;
}

void l7s_meta_run(l7s_meta_t *meta, l7s_meta_op_t *ops, size_t count, unsigned budget_ms,
                  uint64_t now_ms)
{
    run_t run = {.ops = ops, .now_ms = now_ms};
    const uint64_t begin_ms = steady_ms(), end_ms = begin_ms + budget_ms;
    const uint64_t asking_ms = begin_ms + (uint64_t)budget_ms * ASKING_SHARE;
    chain(meta, ops, count);
    for (size_t i = 0; i < meta->count; i++) {
        begin(&meta->servers[i], &run);
    }
    struct pollfd fds[L7S_SERVERS_MAX];
    server_t *who[L7S_SERVERS_MAX];
    nfds_t waiting = collect(meta, &run, fds, who);
    while (waiting > 0) {
        uint64_t now = steady_ms();
        run.late = now >= asking_ms;
        if (now >= end_ms) {
            break;
        }
        if (poll(fds, waiting, (int)(end_ms - now)) > 0) {
            for (nfds_t i = 0; i < waiting; i++) {
                if (fds[i].revents != 0) {
                    advance(who[i], &run, fds[i].revents);
                }
            }
        }
        waiting = collect(meta, &run, fds, who);
    }
    for (nfds_t i = 0; i < waiting; i++) {
        fail(who[i], &run);
    }
}
