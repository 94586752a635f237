/* SPDX-License-Identifier: Apache-2.0
 *
 * Sessions of the dashboard: a cookie that stands for a token, so that the token itself
 * stays out of the browser. They live in this process only, as hashes, and end with it;
 * with their token (auth.c looks at each use); after 30 minutes without use, after 12
 * hours in any case. Their number is bounded, for each token and in all: the one that
 * was used longest ago gives way.
 */
#ifndef ADMIN_SESSION_H
#define ADMIN_SESSION_H

#include "../daemon.h"

#define ADMIN_SESSION_SECRET 44 /* base64url of 32 bytes, and a NUL */
#define ADMIN_SESSION_ID 9
#define ADMIN_SESSION_IDLE_MS ((uint64_t)30 * 60 * 1000)
#define ADMIN_SESSION_LIFE_MS ((uint64_t)12 * 3600 * 1000)
#define ADMIN_SESSIONS_PER_TOKEN 16
#define ADMIN_SESSIONS_MAX 512

/* The cookie's name. The prefix makes a browser insist on what only TLS can give. */
static inline const char *admin_session_cookie(bool tls)
{
    return tls ? "__Host-l7shield" : "l7shield";
}

typedef struct {
    char id[ADMIN_SESSION_ID];       /* public, for the audit */
    char token_id[ADMIN_SESSION_ID]; /* of the token that it stands for */
    /* What a request that is no GET shows beside the cookie, derived from it. */
    char csrf[ADMIN_SESSION_SECRET];
    uint64_t expires_ms;
} admin_session_t;

L7S_MUST_USE l7s_status_t admin_sessions_create(admin_sessions_t **out);
void admin_sessions_free(admin_sessions_t *sessions);

/* `secret` gets what belongs into the cookie and is shown this once. Any thread, as all
 * below. */
L7S_MUST_USE l7s_status_t admin_session_begin(admin_sessions_t *sessions,
                                              const char *token_id, uint64_t now_ms,
                                              char secret[ADMIN_SESSION_SECRET],
                                              admin_session_t *out);
/* False: there is none (any more). Else it counts as used. */
bool admin_session_find(admin_sessions_t *sessions, const char *secret, uint64_t now_ms,
                        admin_session_t *out);
/* Is the one with this public id still there? It does not count as used. */
bool admin_session_lives(admin_sessions_t *sessions, const char *id, uint64_t now_ms);
/* Ends it; what is not there stays so. */
void admin_session_end(admin_sessions_t *sessions, const char *secret);

#endif
