/* SPDX-License-Identifier: Apache-2.0
 *
 * Who is calling: a bearer token, or the peer of the unix socket (root and the daemon's
 * own user are admins). A valid token is always let in; what is rate-limited per address
 * (IPv6: per /64) are the failures, so that nobody can lock out others behind the same
 * address.
 */
#ifndef ADMIN_AUTH_H
#define ADMIN_AUTH_H

#include "session.h"

struct admin_identity {
    admin_role_t role;
    char principal[80];      /* "token:ci", "unix:root" */
    char token_id[9];        /* of the secret that was shown; "" = none */
    json_t *bounds;          /* owned: the token's document when it is bound (scope.h) */
    admin_session_t session; /* id "": it is none */
};

typedef enum {
    ADMIN_AUTH_OK,
    ADMIN_AUTH_MISSING,  /* no credentials */
    ADMIN_AUTH_WRONG,    /* unknown, expired or mistyped */
    ADMIN_AUTH_LIMITED,  /* wrong, and too often lately */
    ADMIN_AUTH_UNKNOWN,  /* the store of tokens cannot be read */
    ADMIN_AUTH_ELSEWHERE /* valid, but not from this address */
} admin_auth_result_t;

L7S_MUST_USE l7s_status_t admin_auth_create(admin_store_t *store,
                                            admin_sessions_t *sessions,
                                            admin_auth_t **out);
void admin_auth_free(admin_auth_t *auth);

/* `authorization` is the header's value or NULL; `peer` 16 bytes or NULL (unix socket).
 * Clear `out` in every case. */
admin_auth_result_t admin_auth_token(admin_auth_t *auth, const char *authorization,
                                     const uint8_t *peer, uint64_t now_ms,
                                     admin_identity_t *out);
/* The same with the text of a token by itself. */
admin_auth_result_t admin_auth_text(admin_auth_t *auth, const char *text,
                                    const uint8_t *peer, uint64_t now_ms,
                                    admin_identity_t *out);
/* The same with the cookie of a session, which is worth what its token is worth now. */
admin_auth_result_t admin_auth_session(admin_auth_t *auth, const char *cookie,
                                       const uint8_t *peer, uint64_t now_ms,
                                       admin_identity_t *out);
/* The peer of a unix socket. ADMIN_AUTH_MISSING: it is neither root nor our own user. */
admin_auth_result_t admin_auth_peer(int fd, admin_identity_t *out);

/* May who was admitted as `identity` still do what needs `needed`? For answers that take
 * long: tokens end, and sessions, and roles change. */
bool admin_auth_still(admin_auth_t *auth, const admin_identity_t *identity,
                      const uint8_t *peer, admin_role_t needed, uint64_t now_ms);
/* Enters into the call who call->identity is. False: nobody; the call has its problem. */
bool admin_auth_accept(admin_call_t *call, admin_auth_result_t result);
/* Does a call with a session show its csrf token, where it has to? False: the call has
 * its problem. */
bool admin_auth_csrf(admin_call_t *call);
void admin_identity_clear(admin_identity_t *identity);

/* May `role` do what needs `needed`? metrics and auditor stand beside the ladder; whoever
 * is on it may read the metrics, and an admin the audit, too. */
bool admin_role_allows(admin_role_t role, admin_role_t needed);
const char *admin_role_name(admin_role_t role);
bool admin_role_parse(const char *name, admin_role_t *out);

#endif
