/* SPDX-License-Identifier: Apache-2.0
 *
 * The decision about one request: lists, bans, policies, in this order (API.md, "What it
 * means, exactly"). No I/O, no lock, no allocation; it reads the image and moves counters
 * of the shared segment. Strict policies wait through a function of the caller's. Two
 * steps, so that observing costs exactly what enforcing costs: first every matching
 * policy is asked whether the request conforms, then, only when it is admitted, all of
 * them are charged.
 */
#ifndef L7S_DECIDE_H
#define L7S_DECIDE_H

#include "challenge.h"
#include "image.h"
#include "path.h"
#include "pattern.h"
#include "segment.h"

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
    /* This thread's memory for patterns, asked for only by who needs it; NULL or an
     * answer of NULL: no pattern is ever found. */
    l7s_scratch_t *(*scratch)(void *context);
} l7s_request_t;

typedef enum {
    L7S_OUTCOME_ADMITTED = 0,
    L7S_OUTCOME_ALLOW_LISTED, /* by an allow list or an allow policy */
    L7S_OUTCOME_LOGGED,       /* admitted; a log policy tripped */
    L7S_OUTCOME_OBSERVED,     /* admitted; a policy would have refused it */
    L7S_OUTCOME_DENIED,
    L7S_OUTCOME_THROTTLED,
    L7S_OUTCOME_BANNED, /* by a ban in force, or one that begins now */
    L7S_OUTCOME_LISTED, /* by a deny list */
    L7S_OUTCOME_DROPPED,
    L7S_OUTCOME_CHALLENGED,
    L7S_OUTCOMES
} l7s_outcome_t;

static inline bool l7s_outcome_refuses(l7s_outcome_t outcome)
{
    return outcome >= L7S_OUTCOME_DENIED;
}

/* A request takes its place in flight for so many policies at most; for further ones it
 * goes uncounted. */
#define L7S_FLIGHTS_PER_REQUEST 4
typedef struct {
    uint32_t count;
    int32_t owner;
    uint32_t places[L7S_FLIGHTS_PER_REQUEST];
} l7s_held_t;

/* For ADMITTED only `outcome` is set (and awaits,
 * held); for the others the strings are
 * too ("" where there is nothing to say). */
typedef struct {
    l7s_outcome_t outcome;
    l7s_held_t held; /* set by l7s_decide: places in flight */
    uint8_t awaits;  /* set by l7s_decide: what policies have still to learn */
    uint16_t status; /* of the refusal; DROPPED: of one where dropping will not do */
    uint32_t retry_after_seconds; /* 0: not known (a ban without an end) */
    char action[16];              /* "deny", "would_ban", "log", … for the access log */
    char policy[L7S_POLICY_NAME_MAX]; /* or the list's name */
    char incident[L7S_INCIDENT_ID_MAX];
    char key[160]; /* "client=203.0.113.7", secrets as h:… */
    char response[L7S_POLICY_NAME_MAX];
    /* CHALLENGED only. token "": the client cannot be asked, and is refused. */
    struct {
        l7s_challenge_t kind;
        uint8_t bits;
        uint32_t seconds;          /* of the pass */
        char token[L7S_TOKEN_MAX]; /* the pass (cookie) or the seed (proof of work) */
    } challenge;
} l7s_verdict_t;

/* `image` is pinned by the caller. Counts the verdict in the segment's header, too. */
void l7s_decide(const l7s_shared_t *shared, const l7s_image_t *image,
                const l7s_request_t *request, l7s_now_t now, l7s_verdict_t *verdict);

/* Asks the policies that count by user, after l7s_decide and once authentication is over;
 * request->user is NULL for who has none. `verdict` holds what was said before; what is
 * stronger takes its place. `answered`: it has passed, so it is only counted. */
void l7s_decide_user(const l7s_shared_t *shared, const l7s_image_t *image,
                     const l7s_request_t *request, bool answered, l7s_now_t now,
                     l7s_verdict_t *verdict);

/* The request is over: gives back its places in flight. More than once is harmless. */
void l7s_decide_over(const l7s_shared_t *shared, l7s_held_t *held);

/* Could an address alone be refused? Mostly not: two compares. */
bool l7s_addresses_matter(const l7s_shared_t *shared, const l7s_image_t *image);

/* The connection stage: is this peer refused by address alone (ban or deny list without
 * apps, and no allow list)? `image` may be NULL. */
bool l7s_decide_address(const l7s_shared_t *shared, const l7s_image_t *image,
                        const l7s_addr_t *peer, l7s_mode_t mode, l7s_now_t now,
                        l7s_verdict_t *verdict);

#endif
