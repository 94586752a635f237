/* SPDX-License-Identifier: Apache-2.0
 *
 * /v1/session: log-in of the dashboard by token, and log-out. The cookie cannot be read
 * by scripts and is sent by pages of this site only; over TLS its name binds it to this
 * very host. A request that is no GET must show the csrf token as well, which only a page
 * that may read our answers knows.
 */
#include "../../core/clock.h"
#include "../http/auth.h"
#include "../http/problem.h"
#include "resources.h"

#include <stdio.h>

static void set_cookie(admin_call_t *call, const char *secret, uint64_t ms)
{
    snprintf(call->set_cookie, sizeof call->set_cookie,
             "%s=%s; Path=/; Max-Age=%u; HttpOnly; SameSite=Strict%s",
             admin_session_cookie(call->tls), secret, (unsigned)(ms / 1000),
             call->tls ? "; Secure" : "");
}

static json_t *document_of(const admin_call_t *call, const admin_session_t *session)
{
    char expires[L7S_TIME_TEXT];
    l7s_time_text(session->expires_ms, expires);
    return json_pack("{s:s, s:s, s:s, s:s, s:s, s:i}", "id", session->id, "principal",
                     call->principal, "role", admin_role_name(call->role), "csrf_token",
                     session->csrf, "expires_at", expires, "idle_seconds",
                     (int)(ADMIN_SESSION_IDLE_MS / 1000));
}

void admin_session_post(admin_call_t *call)
{
    const char *token = json_string_value(json_object_get(call->body, "token"));
    char secret[ADMIN_SESSION_SECRET];
    admin_session_t session;
    admin_auth_result_t result = admin_auth_text(call->daemon->auth, token, call->peer,
                                                 call->now_ms, call->identity);
    if (!admin_auth_accept(call, result)) {
        return;
    }
    l7s_status_t status = admin_session_begin(call->daemon->sessions, call->token_id,
                                              call->now_ms, secret, &session);
    if (status != L7S_OK) {
        admin_call_failed(call, status);
        return;
    }
    snprintf(call->object, sizeof call->object, "%s", session.id);
    if (call->dry_run) {
        admin_session_end(call->daemon->sessions, secret);
    } else {
        set_cookie(call, secret, ADMIN_SESSION_LIFE_MS);
    }
    admin_call_reply(call, 201, document_of(call, &session));
}

void admin_session_delete(admin_call_t *call)
{
    if (call->cookie == NULL) {
        admin_call_problem(call, "not_found", "You have no session.");
        return;
    }
    admin_auth_result_t result = admin_auth_session(
        call->daemon->auth, call->cookie, call->peer, call->now_ms, call->identity);
    if (!admin_auth_accept(call, result) || !admin_auth_csrf(call)) {
        return;
    }
    if (!call->dry_run) {
        admin_session_end(call->daemon->sessions, call->cookie);
        set_cookie(call, "", 0);
    }
    admin_call_reply(call, 204, NULL);
}
