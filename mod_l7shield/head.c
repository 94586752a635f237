/* SPDX-License-Identifier: Apache-2.0
 *
 * From the request's head to its verdict. A host without L7Shield or L7ShieldApp in a
 * section is judged completely in the quick handler, before mod_cache and before httpd
 * walks directories. In other hosts only bans and address lists act there, under the
 * host's own mode, and the policies wait for the access checker, which knows the section.
 *
 * Policies that count by user wait for fixups, in all hosts.
 * Our own addresses are served from here, too, once nobody objects.
 *
 * Subrequests and internal redirects are part of a request that has been judged.
 */
#include "head.h"

#include "challenge.h"
#include "peer.h"
#include "refuse.h"
#include "upgrade.h"
#include "verdict.h"

#include "http_core.h"
#include "http_request.h"

#include <stdatomic.h>

/* mod_remoteip has found nobody else behind it. */
static bool speaks_for_itself(const request_rec *r)
{
    return r->useragent_addr == r->connection->client_addr;
}

/* A proxy that nobody named is one client, and its ban is that of all behind it. Anybody
 * can send the header, so it is only said; once a minute and child. */
static void warn_of_proxy(const request_rec *r)
{
    static _Atomic apr_time_t next;
    apr_time_t now = r->request_time, due = atomic_load(&next);
    if (speaks_for_itself(r) && now >= due &&
        apr_table_get(r->headers_in, "X-Forwarded-For") &&
        atomic_compare_exchange_strong(&next, &due, now + apr_time_from_sec(60))) {
        ap_log_rerror(APLOG_MARK, APLOG_WARNING, 0, r,
                      "L7S1020: %s is banned and says in X-Forwarded-For that it speaks "
                      "for others: if it is a proxy of yours, name it in "
                      "L7ShieldTrustedProxy, let mod_remoteip tell the client, and lift "
                      "the ban",
                      r->useragent_ip);
    }
}

static __attribute__((noinline)) int refuse(request_rec *r, const l7s_verdict_t *verdict)
{
    if (verdict->outcome == L7S_OUTCOME_BANNED) {
        warn_of_proxy(r);
    }
    shield_peer_t *peer = shield_peer(r->connection);
    if (peer && (verdict->outcome == L7S_OUTCOME_BANNED ||
                 verdict->outcome == L7S_OUTCOME_LISTED)) {
        peer->distrusted = true; /* before its next request the connection stage looks */
        /* … which the MPM asks for once only where a worker waits for the next request.
         */
        if (!shield_process.is_async && speaks_for_itself(r)) {
            r->connection->keepalive = AP_CONN_CLOSE;
        }
    }
    return shield_refuse(r, verdict);
}

/* NULL: admitted as far as this stage can tell. */
static const l7s_verdict_t *judge_head(request_rec *r, const shield_section_t *own,
                                       bool sections)
{
    l7s_mode_t mode = shield_section_mode(own);
    return mode == L7S_MODE_OFF ? NULL
           : sections           ? shield_verdict_make_address(r, mode)
                                : shield_verdict_make(r, own);
}

int shield_head(request_rec *r, int lookup)
{
    if (lookup || !ap_is_initial_req(r)) {
        return DECLINED;
    }
    const shield_section_t *own = shield_section(r->server->lookup_defaults);
    bool sections = shield_host(r->server)->sections;
    if (!sections && shield_section_mode(own) == L7S_MODE_OFF) {
        return DECLINED;
    }
    if (shield_upgrade_judged(r)) {
        return DECLINED;
    }
    const l7s_verdict_t *verdict = judge_head(r, own, sections);
    if (!verdict || !l7s_outcome_refuses(verdict->outcome)) {
        /* In a host that is off, too: a section may challenge. */
        return shield_challenge_may_serve(r) ? shield_challenge_serve(r, own) : DECLINED;
    }
    return refuse(r, verdict);
}

/* Where sections decide how a request is judged. */
static __attribute__((noinline)) int judge_in_section(request_rec *r)
{
    if (!ap_is_initial_req(r) || shield_judged(r)) {
        return DECLINED; /* judged already: the first stream after an upgrade */
    }
    const shield_section_t *section = shield_section(r->per_dir_config);
    if (shield_section_mode(section) == L7S_MODE_OFF) {
        return DECLINED;
    }
    const l7s_verdict_t *verdict = shield_verdict_make(r, section);
    if (!verdict || !l7s_outcome_refuses(verdict->outcome)) {
        return DECLINED;
    }
    if (ap_satisfies(r) == SATISFY_ANY) {
        return verdict->status; /* authentication may yet discard it: see fixups */
    }
    return refuse(r, verdict);
}

int shield_access(request_rec *r)
{
    return shield_host(r->server)->sections ? judge_in_section(r) : DECLINED;
}

int shield_insist(request_rec *r)
{
    if (r->main) {
        return DECLINED;
    }
    if (r->prev) {
        shield_verdict_hand_on(r->prev, r);
        return DECLINED;
    }
    const l7s_verdict_t *verdict = shield_verdict_kept(r);
    if (!verdict || !l7s_outcome_refuses(verdict->outcome)) {
        return DECLINED;
    }
    return refuse(r, verdict);
}

static __attribute__((noinline)) int ask_user(request_rec *r)
{
    const shield_section_t *section =
        shield_section(shield_host(r->server)->sections ? r->per_dir_config
                                                        : r->server->lookup_defaults);
    const l7s_verdict_t *verdict = shield_verdict_make_user(r, section);
    return verdict && l7s_outcome_refuses(verdict->outcome) ? refuse(r, verdict)
                                                            : DECLINED;
}

int shield_fixups(request_rec *r)
{
    const shield_judged_t *judged = shield_judged(r);
    if (judged == &shield_judged_admitted) {
        return DECLINED;
    }
    int answer = shield_insist(r);
    judged = shield_judged(r);
    if (answer != DECLINED || r->main || r->prev || !judged ||
        (judged->awaits & L7S_AWAITS_USER) == 0) {
        return answer;
    }
    return ask_user(r);
}
