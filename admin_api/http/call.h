/* SPDX-License-Identifier: Apache-2.0
 *
 * One API call as a resource handler sees it: what was asked, by whom, and the answer it
 * fills in. Handlers know neither libmicrohttpd nor the socket; server.c owns both and
 * frees everything in the completion callback, reply.c writes the envelope of errors.
 */
#ifndef ADMIN_CALL_H
#define ADMIN_CALL_H

#include "../../core/status.h"
#include <jansson.h>
#include <stdint.h>

typedef struct admin_daemon admin_daemon_t;     /* daemon.h */
typedef struct admin_identity admin_identity_t; /* auth.h */

typedef enum {
    ADMIN_NOBODY = 0,
    ADMIN_METRICS = 1, /* beside the ladder: /metrics only */
    ADMIN_VIEWER = 2,
    ADMIN_OPERATOR = 3,
    ADMIN_EDITOR = 4,
    ADMIN_ADMIN = 5,
    ADMIN_AUDITOR = 6 /* beside the ladder: /v1/audit only */
} admin_role_t;

#define ADMIN_PARAMETERS_MAX 3
#define ADMIN_CURSOR_KEY_MAX 192

typedef struct admin_call {
    admin_daemon_t *daemon;
    /* request, borrowed for the call */
    const char *method, *path;
    const char
        *parameters[ADMIN_PARAMETERS_MAX]; /* {name} parts of the route, in order */
    admin_role_t role;
    const char *principal;          /* token name, "unix:root" */
    const char *token_id, *session; /* NULL without one */
    admin_identity_t *identity;     /* whoever it turns out to be */
    const char *cookie, *csrf;      /* of a session; NULL: not sent */
    bool tls;
    const json_t *bounds; /* document of a token bound to sets or apps; else NULL */
    const char *if_match, *if_none_match, *reason, *accept;
    bool dry_run, pretty, view_spec, force, adopt, verbose;
    const char *set;      /* on whose behalf a set's handler changes objects; else NULL */
    json_t *body;         /* parsed and schema-checked; NULL without one */
    int upload;           /* of a log: the body as a file, -1 when it is none … */
    bool upload_has_head; /* … whose first line is the request */
    uint64_t now_ms;
    /* query parameters that the route declares; NULL when absent */
    const char *(*query)(const struct admin_call *call, const char *name);
    /* of a parameter that may repeat: the value number `index`, NULL after the last */
    const char *(*query_at)(const struct admin_call *call, const char *name,
                            size_t index);
    const char *route;   /* its pattern; NULL: there is none */
    const char *target;  /* path and parameters, decoded and cut; NULL: not yet known */
    void *server;        /* the request (request.h) */
    const uint8_t *peer; /* 16 bytes, v4-mapped; NULL over the unix socket */

    const char *last_event_id; /* the header */
    char object[96];           /* what it was about, for the audit; "" = the path tells */
    bool audited;              /* its row was written with its change (trail.h) */

    /* answer */
    unsigned status;
    json_t *reply; /* owned; NULL with `text` or for 204 */
    char *text;    /* owned; with `content_type`, instead of reply */
    int file;      /* the same as a file; -1: none. Owned */
    const char *content_type;
    bool more; /* `text` is a part (page.h): run the handler again for the next one … */
    char resume[ADMIN_CURSOR_KEY_MAX]; /* … which goes on behind this key */
    char etag[72];                     /* with quotes; "" = none */
    int changed;                       /* Shield-Changed: -1 = no header, 0, 1 */
    int64_t revision;                  /* Shield-Revision: < 0 = no header */
    char location[160];
    char set_cookie[160];
    uint32_t retry_after_seconds;
    /* of /v1/events: who reads a stream or waits, owned; `waits`: instead of an answer,
     * run the handler again after an event or at wait_until_mono_ms */
    struct admin_subscriber *subscriber;
    bool waits;
    uint64_t wait_until_mono_ms;
    /* written while it is sent (report.h): the reader's share, instead of reply */
    struct admin_report *report;
    const char *code; /* of a problem, with status >= 400 */
    char detail[256];
    l7s_problems_t problems;
} admin_call_t;

/* The one way to answer with an error: sets status from the code's row (problem.c). */
void admin_call_problem(admin_call_t *call, const char *code, const char *format, ...)
    L7S_PRINTF(3, 4);
/* With a JSON body; steals `reply`. */
void admin_call_reply(admin_call_t *call, unsigned status, json_t *reply);
/* The same with an ETag, and with its path as Location when it is new (201). */
void admin_call_reply_tagged(admin_call_t *call, unsigned status, const char *etag,
                             json_t *reply);

typedef void (*admin_handler_fn)(admin_call_t *call);

#endif
