/* SPDX-License-Identifier: Apache-2.0
 *
 * Authentication (auth.h). Failures are counted in a table of fixed size by a keyed hash
 * of the address; addresses that meet in one slot share its budget.
 */
#include "auth.h"
#include "../../core/addr.h"
#include "../../core/bus/trust.h"
#include "../store/store_objects.h"
#include "problem.h"
#include "scope.h"
#include "token_text.h"

#include <gnutls/gnutls.h>
#include <pthread.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

/* Ten failures at once, then one each six seconds. */
#define FAILURE_INTERVAL_MS 6000
#define FAILURE_BURST 10
#define FAILURE_SLOTS 1024
/* The last use of a token is written at most this often. */
#define USED_INTERVAL_MS 60000

struct admin_auth {
    admin_store_t *store;
    admin_sessions_t *sessions;
    l7s_hashkey_t key;
    pthread_mutex_t lock;                   /* for the next line */
    uint64_t failures_until[FAILURE_SLOTS]; /* theoretical arrival time, wall ms */
};

static const char *const role_names[] = {"nobody", "metrics", "viewer", "operator",
                                         "editor", "admin",   "auditor"};

const char *admin_role_name(admin_role_t role)
{
    return role <= ADMIN_AUDITOR ? role_names[role] : "nobody";
}

bool admin_role_parse(const char *name, admin_role_t *out)
{
    for (int role = ADMIN_METRICS; role <= ADMIN_AUDITOR; role++) {
        if (strcmp(role_names[role], name) == 0) {
            *out = (admin_role_t)role;
            return true;
        }
    }
    return false;
}

bool admin_role_allows(admin_role_t role, admin_role_t needed)
{
    if (role == ADMIN_AUDITOR || needed == ADMIN_AUDITOR) {
        return role == needed || (role == ADMIN_ADMIN && needed == ADMIN_AUDITOR);
    }
    return role >= needed;
}

l7s_status_t admin_auth_create(admin_store_t *store, admin_sessions_t *sessions,
                               admin_auth_t **out)
{
    admin_auth_t *auth = calloc(1, sizeof *auth);
    if (auth == NULL) {
        return L7S_NO_MEMORY;
    }
    auth->store = store;
    auth->sessions = sessions;
    l7s_status_t status = l7s_random(&auth->key, sizeof auth->key);
    if (status != L7S_OK) {
        free(auth);
        return status;
    }
    pthread_mutex_init(&auth->lock, NULL);
    *out = auth;
    return L7S_OK;
}

void admin_auth_free(admin_auth_t *auth)
{
    if (auth != NULL) {
        pthread_mutex_destroy(&auth->lock);
        free(auth);
    }
}

/* Counts one failure. False: there were too many. */
static bool count_failure(admin_auth_t *auth, const uint8_t *peer, uint64_t now_ms)
{
    if (peer == NULL) {
        return true;
    }
    l7s_addr_t address;
    memcpy(address.bytes, peer, sizeof address.bytes);
    l7s_cidr_t client = l7s_addr_client(&address);
    size_t slot =
        l7s_siphash64(&auth->key, &client.base, sizeof client.base) % FAILURE_SLOTS;
    pthread_mutex_lock(&auth->lock);
    uint64_t *until = &auth->failures_until[slot];
    /* A clock that was set back must not lock anybody out for long. */
    if (*until < now_ms || *until > now_ms + FAILURE_BURST * FAILURE_INTERVAL_MS) {
        *until = now_ms;
    }
    bool within = *until + FAILURE_INTERVAL_MS <=
                  now_ms + (uint64_t)FAILURE_BURST * FAILURE_INTERVAL_MS;
    if (within) {
        *until += FAILURE_INTERVAL_MS;
    }
    pthread_mutex_unlock(&auth->lock);
    return within;
}

/* The hash of the secret with this id, the token's or the one before it, while it is in
 * force; else NULL. */
static const uint8_t *hash_in_force(const admin_token_t *token, const char *id,
                                    uint64_t now_ms)
{
    bool current = strcmp(token->id, id) == 0;
    if ((token->expires_ms != 0 && token->expires_ms <= now_ms) ||
        (!current && token->old_until_ms <= now_ms)) {
        return NULL;
    }
    return current ? token->hash : token->old_hash;
}

static admin_auth_result_t admit(admin_auth_t *auth, const admin_token_t *token,
                                 const char *id, const uint8_t *peer, uint64_t now_ms,
                                 admin_identity_t *out)
{
    bool current = strcmp(token->id, id) == 0;
    snprintf(out->principal, sizeof out->principal, "token:%s", token->name);
    snprintf(out->token_id, sizeof out->token_id, "%s", id);
    if (!admin_scope_address(token->spec, peer)) {
        return ADMIN_AUTH_ELSEWHERE;
    }
    out->role = token->role;
    out->bounds = admin_scope_is_bound(token->spec) ? json_incref(token->spec) : NULL;
    uint64_t used_ms = current ? token->last_used_ms : token->old_used_ms;
    if (now_ms > used_ms + USED_INTERVAL_MS) {
        admin_token_used(auth->store, id, now_ms);
    }
    return ADMIN_AUTH_OK;
}

/* `hash` NULL: the secret was shown before. */
static admin_auth_result_t check_token(admin_auth_t *auth, const char *id,
                                       const uint8_t *hash, const uint8_t *peer,
                                       uint64_t now_ms, admin_identity_t *out)
{
    admin_token_t token;
    l7s_status_t status = admin_token_by_id(auth->store, id, &token);
    if (status != L7S_OK) {
        return status == L7S_NOT_FOUND ? ADMIN_AUTH_WRONG : ADMIN_AUTH_UNKNOWN;
    }
    const uint8_t *known = hash_in_force(&token, id, now_ms);
    bool good = known != NULL && (hash == NULL || gnutls_memcmp(known, hash, 32) == 0);
    admin_auth_result_t result =
        good ? admit(auth, &token, id, peer, now_ms, out) : ADMIN_AUTH_WRONG;
    json_decref(token.spec);
    return result;
}

static admin_auth_result_t limited(admin_auth_t *auth, admin_auth_result_t result,
                                   const uint8_t *peer, uint64_t now_ms)
{
    return result == ADMIN_AUTH_WRONG && !count_failure(auth, peer, now_ms)
               ? ADMIN_AUTH_LIMITED
               : result;
}

admin_auth_result_t admin_auth_text(admin_auth_t *auth, const char *text,
                                    const uint8_t *peer, uint64_t now_ms,
                                    admin_identity_t *out)
{
    char id[ADMIN_TOKEN_ID];
    uint8_t hash[32];
    *out = (admin_identity_t){.role = ADMIN_NOBODY};
    admin_auth_result_t result = admin_token_read(text, id, hash)
                                     ? check_token(auth, id, hash, peer, now_ms, out)
                                     : ADMIN_AUTH_WRONG;
    return limited(auth, result, peer, now_ms);
}

admin_auth_result_t admin_auth_token(admin_auth_t *auth, const char *authorization,
                                     const uint8_t *peer, uint64_t now_ms,
                                     admin_identity_t *out)
{
    if (authorization == NULL) {
        *out = (admin_identity_t){.role = ADMIN_NOBODY};
        return ADMIN_AUTH_MISSING;
    }
    bool bearer = strncasecmp(authorization, "Bearer ", 7) == 0;
    return admin_auth_text(auth, bearer ? authorization + 7 : "", peer, now_ms, out);
}

admin_auth_result_t admin_auth_session(admin_auth_t *auth, const char *cookie,
                                       const uint8_t *peer, uint64_t now_ms,
                                       admin_identity_t *out)
{
    admin_session_t session;
    *out = (admin_identity_t){.role = ADMIN_NOBODY};
    admin_auth_result_t result = ADMIN_AUTH_WRONG;
    if (admin_session_find(auth->sessions, cookie, now_ms, &session)) {
        result = check_token(auth, session.token_id, NULL, peer, now_ms, out);
        out->session = session;
    }
    if (result == ADMIN_AUTH_WRONG) {
        admin_session_end(auth->sessions, cookie);
    }
    return limited(auth, result, peer, now_ms);
}

bool admin_auth_still(admin_auth_t *auth, const admin_identity_t *identity,
                      const uint8_t *peer, admin_role_t needed, uint64_t now_ms)
{
    admin_identity_t present = {.role = ADMIN_NOBODY};
    if (identity->token_id[0] == '\0') {
        return true; /* a user of the unix socket stays who they are */
    }
    if (identity->session.id[0] != '\0' &&
        !admin_session_lives(auth->sessions, identity->session.id, now_ms)) {
        return false;
    }
    bool good = check_token(auth, identity->token_id, NULL, peer, now_ms, &present) ==
                    ADMIN_AUTH_OK &&
                admin_role_allows(present.role, needed);
    admin_identity_clear(&present);
    return good;
}

bool admin_auth_accept(admin_call_t *call, admin_auth_result_t result)
{
    const admin_identity_t *identity = call->identity;
    if (identity->principal[0] != '\0') {
        call->principal = identity->principal;
        call->token_id = identity->token_id;
        call->session = identity->session.id;
    }
    call->role = identity->role;
    call->bounds = identity->bounds;
    switch (result) {
    case ADMIN_AUTH_OK:
        return true;
    case ADMIN_AUTH_MISSING:
        admin_call_problem(call, "unauthenticated",
                           "Send the header \"Authorization: Bearer TOKEN\".");
        break;
    case ADMIN_AUTH_WRONG:
        admin_call_problem(call, "unauthenticated",
                           "This token or session is not valid (any more).");
        break;
    case ADMIN_AUTH_LIMITED:
        admin_call_problem(call, "too_many_failures",
                           "Too many tokens from this address were not valid: this one "
                           "is not either. Valid ones are still taken.");
        call->retry_after_seconds = FAILURE_INTERVAL_MS / 1000;
        break;
    case ADMIN_AUTH_UNKNOWN:
        admin_call_failed(call, L7S_IO);
        break;
    case ADMIN_AUTH_ELSEWHERE:
        admin_call_problem(call, "forbidden", "%s may not be used from this address.",
                           call->principal);
        break;
    }
    return false;
}

bool admin_auth_csrf(admin_call_t *call)
{
    const char *wanted = call->identity->session.csrf, *shown = call->csrf;
    bool reads = strcmp(call->method, "GET") == 0 || strcmp(call->method, "HEAD") == 0;
    if (reads || call->identity->session.id[0] == '\0' ||
        (shown != NULL && strlen(shown) == strlen(wanted) &&
         gnutls_memcmp(shown, wanted, strlen(wanted)) == 0)) {
        return true;
    }
    admin_call_problem(call, "csrf_token_required",
                       "With a session this needs the header Shield-CSRF with its csrf"
                       " token; GET /v1 tells it.");
    return false;
}

void admin_identity_clear(admin_identity_t *identity)
{
    json_decref(identity->bounds);
    *identity = (admin_identity_t){.role = ADMIN_NOBODY};
}

admin_auth_result_t admin_auth_peer(int fd, admin_identity_t *out)
{
    struct ucred peer;
    socklen_t size = sizeof peer;
    *out = (admin_identity_t){.role = ADMIN_NOBODY};
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != 0 && peer.uid != geteuid())) {
        return ADMIN_AUTH_MISSING;
    }
    out->role = ADMIN_ADMIN;
    struct passwd entry, *found = NULL;
    char names[1024];
    if (getpwuid_r(peer.uid, &entry, names, sizeof names, &found) == 0 && found != NULL) {
        snprintf(out->principal, sizeof out->principal, "unix:%.60s", entry.pw_name);
    } else {
        snprintf(out->principal, sizeof out->principal, "unix:%u", (unsigned)peer.uid);
    }
    return ADMIN_AUTH_OK;
}
