/* SPDX-License-Identifier: Apache-2.0
 *
 * See challenge.h. Both pages are complete for people who cannot run scripts or do not
 * see: text says what happens, nothing moves, nothing comes from another site. A strict
 * Content-Security-Policy holds for each; a site that always sets its own replaces it,
 * which is why script and worker come from an address ('self') and not from the page.
 *
 * The way back is a path of this site only (l7s_challenge_target). What a client sent
 * with another method than GET is never repeated for it.
 */
#include "challenge.h"

#include "../core/decide/examine.h"
#include "challenge_page.h"
#include "request.h"
#include "send.h"
#include "shared_memory.h"

#include "apr_strings.h"
#include "http_protocol.h"

#define SCRIPT_SECONDS "3600"

/* The path and query that was asked for, to be asked for again. */
static const char *target_of(const request_rec *r)
{
    const char *target = r->unparsed_uri ? r->unparsed_uri : "/";
    const char *authority = target[0] == '/' ? NULL : strstr(target, "://");
    if (authority) {
        target = strchr(authority + 3, '/');
    }
    return target && l7s_challenge_target(target) ? target : "/";
}

static void set_pass(request_rec *r, const char *policy, const char *pass,
                     uint32_t seconds)
{
    const char *secure = !strcmp(ap_http_scheme(r), "https") ? "; Secure" : "";
    apr_table_addn(r->err_headers_out, "Set-Cookie",
                   apr_psprintf(r->pool,
                                L7S_PASS_COOKIE
                                "%s=%s; Path=/; Max-Age=%u; HttpOnly; SameSite=Lax%s",
                                policy, pass, seconds, secure));
}

static void set_page_headers(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Content-Security-Policy", SHIELD_PAGE_POLICY);
    apr_table_setn(r->err_headers_out, "X-Robots-Tag", "noindex");
    apr_table_setn(r->err_headers_out, "Cache-Control", "no-store");
}

int shield_challenge_ask(request_rec *r, const l7s_verdict_t *verdict)
{
    const char *target = target_of(r);
    set_page_headers(r);
    if (verdict->challenge.kind == L7S_CHALLENGE_COOKIE) {
        set_pass(r, verdict->policy, verdict->challenge.token,
                 verdict->challenge.seconds);
    }
    const char *page = verdict->challenge.kind == L7S_CHALLENGE_COOKIE
                           ? shield_page_cookie(r->pool, verdict, target)
                           : shield_page_proof(r->pool, verdict, target);
    return shield_send(r, verdict->status, "text/html; charset=utf-8", page,
                       strlen(page));
}

/* --- our own addresses --- */

static int send_script(request_rec *r)
{
    apr_table_setn(r->err_headers_out, "Cache-Control", "max-age=" SCRIPT_SECONDS);
    apr_table_setn(r->err_headers_out, "X-Content-Type-Options", "nosniff");
    size_t size;
    const char *script = shield_page_script(&size);
    return shield_send(r, HTTP_OK, "text/javascript; charset=utf-8", script, size);
}

/* The value of a parameter of the query, decoded; "" if it is not there. */
static const char *parameter(request_rec *r, const char *name)
{
    size_t length = strlen(name);
    const char *at = r->args;
    while (at) {
        if (strncmp(at, name, length) == 0 && at[length] == '=') {
            char *value =
                apr_pstrmemdup(r->pool, at + length + 1, strcspn(at + length + 1, "&"));
            return ap_unescape_urlencoded(value) == OK ? value : "";
        }
        at = strchr(at, '&');
        if (at) {
            at++;
        }
    }
    return "";
}

/* Apart, so that other requests do not pay for the room of a path. */
static __attribute__((noinline)) l7s_proof_result_t
redeem(request_rec *r, const shield_section_t *section, const l7s_proof_t *proof,
       l7s_ticket_t *ticket)
{
    shield_request_t request;
    l7s_pin_t *pin;
    const l7s_image_t *image =
        shield_request_read(r, section, &request) ? shield_image_hold(&pin) : NULL;
    if (!image) {
        return L7S_PROOF_WRONG;
    }
    l7s_proof_result_t result = l7s_challenge_redeem(image, &request.facts, proof,
                                                     shield_now(r->request_time), ticket);
    l7s_segment_unpin(pin);
    return result;
}

static int verify(request_rec *r, const shield_section_t *section)
{
    const l7s_proof_t proof = {parameter(r, "policy"), parameter(r, "seed"),
                               parameter(r, "nonce")};
    const char *asked = parameter(r, "to");
    const char *target = l7s_challenge_target(asked) ? asked : "/";
    l7s_ticket_t ticket = {.seconds = 0};
    l7s_proof_result_t result = redeem(r, section, &proof, &ticket);

    set_page_headers(r);
    if (result != L7S_PROOF_HOLDS) {
        const char *page =
            shield_page_failed(r->pool, result == L7S_PROOF_NO_COOKIE, target);
        return shield_send(r, HTTP_FORBIDDEN, "text/html; charset=utf-8", page,
                           strlen(page));
    }
    if (ticket.pass[0] != '\0') {
        set_pass(r, proof.policy, ticket.pass, ticket.seconds);
    }
    apr_table_setn(r->err_headers_out, "Location", target);
    return shield_send(r, HTTP_SEE_OTHER, "text/plain; charset=utf-8", "Passed.\n", 8);
}

int shield_challenge_serve(request_rec *r, const shield_section_t *section)
{
    static const char folder[] = L7S_CHALLENGE_PATH;
    if (strncmp(r->uri, folder, sizeof(folder) - 1) != 0 || r->method_number != M_GET ||
        !shield_process.attached) {
        return DECLINED;
    }
    const char *name = r->uri + sizeof(folder) - 1;
    return strcmp(name, "proof.js") == 0 ? send_script(r)
           : strcmp(name, "verify") == 0 ? verify(r, section)
                                         : DECLINED;
}
