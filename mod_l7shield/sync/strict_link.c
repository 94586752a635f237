/* SPDX-License-Identifier: Apache-2.0
 *
 * See strict_link.h. A ring remembers what was asked; every answer belongs to its oldest
 * entry. After anything unexpected the connection is closed, and what was on the way is
 * reported as lost.
 */
#include "strict_link.h"
#include "../../core/bus/breaker.h"
#include "../../core/bus/endpoint.h"
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define OUT_SIZE (64 * 1024)
#define IN_SIZE (16 * 1024)
#define IN_TIME_US 5000
#define LATE_MAX 3
#define PAUSE_MAX_MS 2000
#define CONNECT_US 20000 /* for a connection and its greeting */
#define CHECK_US 50000   /* how often an idle connection is looked at */

static const char GREETING[] = "mn\r\n";

typedef enum { CLOSED, CONNECTING, GREETING_SENT, READY } state_t;

typedef struct {
    uint32_t tag;
    uint64_t asked_us;
} asked_t;

struct sync_link {
    l7s_endpoint_t endpoint;
    sync_link_answer_fn answer;
    void *context;
    int fd;
    state_t state;
    uint64_t since_us;     /* of the state */
    uint64_t checked_us;   /* the last look at an idle connection */
    l7s_breaker_t breaker; /* closed: the last answer came in time */
    unsigned late;
    bool receiving;        /* answers are being handed out */
    uint32_t first, count; /* of `asked` */
    size_t out_at, out_size, in_size;
    asked_t asked[SYNC_LINK_ASKED];
    char out[OUT_SIZE];
    char in[IN_SIZE];
};

/* ---- life ---- */

l7s_status_t sync_link_create(const char *server, sync_link_answer_fn answer,
                              void *context, sync_link_t **out)
{
    sync_link_t *link = calloc(1, sizeof *link);

    *out = NULL;
    if (link == NULL) {
        return L7S_NO_MEMORY;
    }
    if (!l7s_endpoint_parse(server, &link->endpoint)) {
        free(link);
        return L7S_INVALID;
    }
    link->fd = -1;
    link->answer = answer;
    link->context = context;
    *out = link;
    return L7S_OK;
}

void sync_link_free(sync_link_t *link)
{
    if (link != NULL) {
        if (link->fd >= 0) {
            close(link->fd);
        }
        free(link);
    }
}

/* ---- the connection ---- */

static void enter(sync_link_t *link, state_t state, uint64_t now_us)
{
    link->state = state;
    link->since_us = link->checked_us = now_us;
}

static void disconnect(sync_link_t *link, uint64_t now_us)
{
    if (link->fd >= 0) {
        close(link->fd);
    }
    link->fd = -1;
    link->out_at = link->out_size = link->in_size = 0;
    link->late = 0;
    enter(link, CLOSED, now_us);
}

/* Closes, rests, and says of everything on the way that it is lost. */
static void lose(sync_link_t *link, uint64_t now_us)
{
    disconnect(link, now_us);
    l7s_breaker_trip(&link->breaker, now_us / 1000, PAUSE_MAX_MS);
    while (link->count > 0) {
        uint32_t tag = link->asked[link->first].tag;
        link->first = (link->first + 1) % SYNC_LINK_ASKED;
        link->count--;
        if (tag != SYNC_LINK_NOBODY) {
            link->answer(link->context, tag, NULL);
        }
    }
}

/* The no-op stands before everything that is asked on the connection. */
static void dial(sync_link_t *link, uint64_t now_us)
{
    link->fd = l7s_endpoint_dial(&link->endpoint);
    if (link->fd < 0) {
        lose(link, now_us);
        return;
    }
    memcpy(link->out, GREETING, sizeof GREETING - 1);
    link->out_size = sizeof GREETING - 1;
    enter(link, CONNECTING, now_us);
}

/* The server closed it while nobody asked, most likely by a restart: connect anew. */
static void check_idle(sync_link_t *link, uint64_t now_us)
{
    if (link->state == READY && link->count == 0 && !l7s_endpoint_is_silent(link->fd)) {
        disconnect(link, now_us);
        dial(link, now_us);
    }
    link->checked_us = now_us;
}

static bool send_some(sync_link_t *link)
{
    while (link->state != CONNECTING && link->out_at < link->out_size) {
        ssize_t sent = send(link->fd, link->out + link->out_at,
                            link->out_size - link->out_at, MSG_NOSIGNAL);
        if (sent < 0) {
            return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
        }
        link->out_at += (size_t)sent;
    }
    if (link->out_at == link->out_size) {
        link->out_at = link->out_size = 0;
    }
    return true;
}

void sync_link_tend(sync_link_t *link, uint64_t now_us)
{
    if (link->state == CLOSED && !l7s_breaker_is_open(&link->breaker, now_us / 1000)) {
        dial(link, now_us);
    } else if ((link->state == CONNECTING || link->state == GREETING_SENT) &&
               now_us - link->since_us > CONNECT_US) {
        lose(link, now_us);
    } else if (link->state == READY && now_us - link->checked_us >= CHECK_US) {
        check_idle(link, now_us);
    }
    if (link->fd >= 0 && !send_some(link)) {
        lose(link, now_us);
    }
}

/* ---- questions ---- */

bool sync_link_ask(sync_link_t *link, uint32_t tag, const char *command, size_t size,
                   uint64_t now_us)
{
    if (link->state == READY && link->count == 0 && !link->receiving) {
        check_idle(link, now_us);
    } else if (link->state == CLOSED && link->breaker.pause_ms == 0) {
        dial(link, now_us); /* the very first question */
    }
    /* A healthy server's new connection is waited for, a resting one's is not. */
    if (link->state == CLOSED || (link->state != READY && link->breaker.pause_ms != 0) ||
        link->count == SYNC_LINK_ASKED || size > OUT_SIZE - link->out_size) {
        return false;
    }
    memcpy(link->out + link->out_size, command, size);
    link->out_size += size;
    link->asked[(link->first + link->count) % SYNC_LINK_ASKED] =
        (asked_t){.tag = tag, .asked_us = now_us};
    link->count++;
    return true;
}

void sync_link_late(sync_link_t *link, uint64_t now_us)
{
    if (link->state != CLOSED && ++link->late >= LATE_MAX) {
        lose(link, now_us);
    }
}

/* ---- answers ---- */

static bool take_reply(sync_link_t *link, const sync_strict_reply_t *reply,
                       uint64_t now_us)
{
    if (link->state == GREETING_SENT) {
        enter(link, READY, now_us);
        return reply->kind == SYNC_STRICT_NOOP;
    }
    if (link->count == 0 || reply->kind == SYNC_STRICT_NOOP) {
        return false; /* an answer to nothing */
    }
    asked_t asked = link->asked[link->first];
    link->first = (link->first + 1) % SYNC_LINK_ASKED;
    link->count--;
    if (now_us - asked.asked_us <= IN_TIME_US) {
        link->late = 0;
        l7s_breaker_close(&link->breaker);
    }
    if (asked.tag != SYNC_LINK_NOBODY) {
        link->answer(link->context, asked.tag, reply);
    }
    return true;
}

/* Hands out all whole answers. False: one was not expected. */
static bool hand_out(sync_link_t *link, uint64_t now_us)
{
    size_t at = 0;

    while (at < link->in_size) {
        sync_strict_reply_t reply;
        size_t used = sync_strict_reply_parse(link->in + at, link->in_size - at, &reply);
        if (reply.kind == SYNC_STRICT_MORE) {
            break;
        }
        if (reply.kind == SYNC_STRICT_BAD || !take_reply(link, &reply, now_us)) {
            return false;
        }
        at += used;
    }
    memmove(link->in, link->in + at, link->in_size - at);
    link->in_size -= at;
    return true;
}

static bool receive(sync_link_t *link, uint64_t now_us)
{
    ssize_t got = recv(link->fd, link->in + link->in_size, IN_SIZE - link->in_size, 0);

    if (got < 0) {
        return errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR;
    }
    if (got == 0) {
        return false;
    }
    link->in_size += (size_t)got;
    link->receiving = true;
    bool fine = hand_out(link, now_us);
    link->receiving = false;
    return fine;
}

struct pollfd sync_link_pollfd(const sync_link_t *link)
{
    bool writes = link->state == CONNECTING || link->out_at < link->out_size;

    return (struct pollfd){.fd = link->fd,
                           .events = (short)(POLLIN | (writes ? POLLOUT : 0))};
}

void sync_link_advance(sync_link_t *link, short events, uint64_t now_us)
{
    bool fine = true;

    if (events == 0 || link->fd < 0) {
        return;
    }
    if (link->state == CONNECTING) {
        fine = l7s_endpoint_reached(link->fd);
        enter(link, GREETING_SENT, link->since_us);
    } else if ((events & (POLLIN | POLLHUP | POLLERR)) != 0) {
        fine = receive(link, now_us);
    }
    if (!fine || !send_some(link)) {
        lose(link, now_us);
    }
}

bool sync_link_busy(const sync_link_t *link)
{
    return link->count > 0 || link->state == CONNECTING || link->state == GREETING_SENT;
}
