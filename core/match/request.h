/* SPDX-License-Identifier: Apache-2.0
 *
 * A request as the caller knows it, and what its connection remembers from one request to
 * the next. All that the engine learns of a request comes through here.
 */
#ifndef L7S_REQUEST_H
#define L7S_REQUEST_H

#include "../count/strict.h"
#include "../geo.h"
#include "../image/image.h"
#include "../image/pattern.h"
#include "../mode.h"
#include "../path.h"
#include "../segment/table.h"

/* What a connection's requests mostly have in common, kept by the caller from one to the
 * next. Zeroed before its first use; one thread at a time. Another client than before
 * clears it; each part is valid where its flag says so. */
typedef struct {
    l7s_addr_t client;
    bool has_digest, has_origin, has_index, was_seen;
    uint32_t seen_turns; /* the guard has seen the client since it turned for that time */
    l7s_hash128_t digest; /* of the client, under the image's counting key */
    l7s_geo_place_t origin;
    /* What the index said, as far as host, client and one header decide. */
    uint64_t generation; /* of the image; 0: none seen yet */
    bool has_value;
    char host[64];
    char value[192];             /* of the only header that policies test */
    uint64_t set[L7S_WORDS_MAX]; /* policies that may match, and apps of this host */
} l7s_memo_t;

/* A token that a request has taken of a limit. */
typedef struct {
    l7s_slot_t *slot;
    uint64_t key_lo; /* half of the slot's key: tells whether it is still that one */
} l7s_token_t;

/* So many may go back when a policy that counts by user refuses the request; what it took
 * of further limits is charged for good. */
#define L7S_TOKENS_PER_REQUEST 256

/* What the caller knows about the request. All strings are borrowed for the call. */
typedef struct {
    l7s_addr_t client;      /* behind trusted proxies: the real one */
    bool client_is_proxy;   /* a trusted proxy itself: never judged, never banned */
    const char *method;     /* "GET" */
    const char *host;       /* normalised, "" when there is none */
    const char *path;       /* normalised (path.h) … */
    l7s_path_shape_t shape; /* … its shape; length 0: not known */
    const char *target;     /* what was sent, with its query; NULL: it has none */
    const char *app;        /* of the directive L7ShieldApp, or NULL: the apps' mapping */
    const char *user;       /* authenticated; NULL: nobody, or not known yet */
    l7s_mode_t mode;        /* of the directive at this place */
    /* The value of a request header (name in lower case), or NULL. */
    const char *(*header)(void *context, const char *name);
    void *context;
    l7s_memo_t *memo;    /* or NULL */
    uint64_t generation; /* a number of the image's own; 0: no image is remembered */
    int32_t owner; /* the process that holds its place in flight; 0: none is taken */
    /* Asks the store about the limits of a strict policy and may wait for it until the
     * question's deadline. NULL: this node's own counters decide. */
    l7s_strict_verdict_t (*strict)(void *context, l7s_strict_question_t *question);
    /* Room for L7S_TOKENS_PER_REQUEST, where l7s_decide leaves what l7s_decide_user may
     * give back. NULL: all is charged for good at once. */
    l7s_token_t *tokens;
    /* Room for L7S_POLICIES_MAX, where these two leave the ids of policies that count by
     * the answer, for l7s_decide_answer. NULL: they are not counted. */
    uint32_t *awaiting;
    /* This thread's memory for patterns, asked for only by who needs it; NULL or an
     * answer of NULL: no pattern is ever found. */
    l7s_scratch_t *(*scratch)(void *context);
} l7s_request_t;

#endif
