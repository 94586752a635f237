/* SPDX-License-Identifier: Apache-2.0
 *
 * One HTTP request from its head to its answer. The order of the checks is the order of
 * what they cost and of whom they concern: HTTP itself, route, who, may they, parameters,
 * media types, size; only then is the body read, parsed, checked and given to the
 * handler.
 */
#ifndef ADMIN_REQUEST_H
#define ADMIN_REQUEST_H

#include "auth.h"
#include "route.h"
#include <microhttpd.h>
#include <stdatomic.h>

typedef enum { ADMIN_LISTEN_TCP, ADMIN_LISTEN_TLS, ADMIN_LISTEN_UNIX } admin_listen_t;

/* The handler runs in one thread at a time; `done` hands the request from its own thread
 * back to the connection's. */
typedef struct {
    admin_call_t call;                  /* call.server points back here */
    struct admin_call_threads *threads; /* that may run it */
    struct MHD_Connection *connection;
    admin_listen_t listen;
    const admin_route_t *route;
    char *path;     /* as it was asked */
    char *cut_path; /* the same, cut into parameters */
    uint8_t peer[16];
    char target[256];
    admin_identity_t identity;
    char allow[ADMIN_ROUTE_ALLOW_MAX];
    char *body;
    size_t body_size, body_capacity, body_max;
    uint64_t started_us;
    size_t answer_size;
    bool streams;     /* the answer has no end */
    bool refused;     /* before the body, which is read and dropped … */
    bool closes;      /* … or the answer goes out at once and ends the connection */
    bool too_large;   /* the body went over the limit: read on, drop, answer 413 */
    bool started;     /* the handler has been started … */
    bool threaded;    /* … in a thread of its own */
    atomic_bool done; /* … and has finished */
} admin_request_t;

/* A body that nobody wants is read to its end, but not for ever. */
#define ADMIN_DRAIN_MAX ((size_t)64 << 20)

static inline const char *admin_request_header(const admin_request_t *request,
                                               const char *name)
{
    return MHD_lookup_connection_value(request->connection, MHD_HEADER_KIND, name);
}

/* NULL: no memory. `method` and `path` are copied or live as long as the connection. */
admin_request_t *admin_request_create(admin_daemon_t *daemon,
                                      struct MHD_Connection *connection,
                                      admin_listen_t listen, const char *method,
                                      const char *path);
void admin_request_free(admin_request_t *request);

/* With the head complete. `target` is the guard's verdict on the raw target. Sets
 * `refused` and the answer when the request goes no further. */
void admin_request_check(admin_request_t *request, const char *target,
                         const char *version);
/* A piece of the body. False: far more than allowed; drop the connection. */
bool admin_request_body(admin_request_t *request, const char *data, size_t size);
/* How long, from now, the rest of the body may take: who sends a byte now and then must
 * not stay. */
unsigned admin_request_body_ms(const admin_request_t *request);
/* Is it one that the audit is to know, even when there is no such route? */
bool admin_request_mutates(const admin_request_t *request);
/* Does it change nothing? */
bool admin_request_reads(const admin_request_t *request);
/* Should the handler run in a thread of its own? */
bool admin_request_waits(const admin_request_t *request);
/* Parses and checks the body, runs the handler; after an answer with `more` the handler
 * for the next part. */
void admin_request_run(admin_request_t *request);

/* Queues the answer (reply.c). */
enum MHD_Result admin_request_send(admin_request_t *request);

#endif
