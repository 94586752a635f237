/* SPDX-License-Identifier: Apache-2.0
 *
 * See challenge_page.h. What comes from a request is escaped where it is put in; names of
 * policies, incidents and tokens hold nothing that needs it.
 */
#include "challenge_page.h"

#include "challenge.h"

#include "apr_strings.h"

#define STYLE                                                                            \
    "body{font:1.1em/1.5 sans-serif;max-width:36em;margin:3em auto;padding:0 1em}"       \
    "progress{width:100%}"

#define HEAD_BEGIN                                                                       \
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"                \
    "<meta name=\"viewport\" content=\"width=device-width\">"                            \
    "<meta name=\"color-scheme\" content=\"light dark\">\n"
#define HEAD_END "<style>" STYLE "</style>\n"
#define END "</main></body></html>\n"

extern const char shield_proof_js_begin[], shield_proof_js_end[];

const char *shield_page_script(size_t *size)
{
    *size = (size_t)(shield_proof_js_end - shield_proof_js_begin);
    return shield_proof_js_begin;
}

static const char *reference(apr_pool_t *pool, const l7s_verdict_t *verdict)
{
    return verdict->incident[0] == '\0'
               ? ""
               : apr_pstrcat(pool, "<p>Reference: ", verdict->incident, "</p>\n", NULL);
}

const char *shield_page_cookie(apr_pool_t *pool, const l7s_verdict_t *verdict,
                               const char *target)
{
    const char *next =
        apr_pstrcat(pool, L7S_CHALLENGE_PATH "verify?policy=", verdict->policy,
                    "&amp;to=", ap_escape_urlencoded(pool, target), NULL);
    return apr_pstrcat(
        pool, HEAD_BEGIN "<meta http-equiv=\"refresh\" content=\"0;url=", next,
        "\">\n<title>One moment</title>\n" HEAD_END
        "</head>\n<body><main><h1>One moment</h1>\n"
        "<p>This site checks that its visitors use a browser that keeps cookies. The page "
        "that you asked for opens by itself; if it does not, "
        "<a href=\"",
        next, "\">open it now</a>.</p>\n", reference(pool, verdict), END, NULL);
}

const char *shield_page_proof(apr_pool_t *pool, const l7s_verdict_t *verdict,
                              const char *target)
{
    const char *escaped = ap_escape_html(pool, target);
    return apr_pstrcat(
        pool,
        HEAD_BEGIN
        "<title>One moment</title>\n" HEAD_END "<script src=\"" L7S_CHALLENGE_PATH
        "proof.js\" defer></script></head>\n<body><main><h1>One moment</h1>\n"
        "<p>This site is busy and checks that its visitors are people with a browser. "
        "Your browser solves a small task by itself, which takes a few seconds; you need "
        "not do anything. Then the page that you asked for opens.</p>\n"
        "<noscript><p><strong>The check needs JavaScript, which is turned off in your "
        "browser.</strong> Turn it on for this site and load the page again. If you "
        "cannot, tell whoever runs this site the reference below.</p></noscript>\n"
        "<div id=\"working\" hidden><progress id=\"bar\" max=\"1\" value=\"0\" "
        "aria-label=\"Progress of the check\"></progress></div>\n"
        "<p id=\"state\" role=\"status\"></p>\n"
        "<p id=\"again\" hidden><a href=\"",
        escaped, "\">Try again</a></p>\n", reference(pool, verdict),
        "<form id=\"proof\" action=\"" L7S_CHALLENGE_PATH "verify\" data-bits=\"",
        apr_itoa(pool, verdict->challenge.bits),
        "\" hidden>\n<input type=\"hidden\" name=\"policy\" value=\"", verdict->policy,
        "\"><input type=\"hidden\" name=\"seed\" value=\"", verdict->challenge.token,
        "\"><input type=\"hidden\" name=\"nonce\"><input type=\"hidden\" name=\"to\" "
        "value=\"",
        escaped, "\"></form>\n", END, NULL);
}

const char *shield_page_failed(apr_pool_t *pool, bool no_cookie, const char *target)
{
    return apr_pstrcat(
        pool, HEAD_BEGIN "<title>The check did not succeed</title>\n" HEAD_END,
        "</head>\n<body><main><h1>The check did not succeed</h1>\n<p>",
        no_cookie ? "Your browser did not keep the cookie that this site gave it. Allow "
                    "cookies for this site, then try again."
                  : "The answer came too late, or from another network or browser than "
                    "the question went to.",
        "</p>\n<p><a href=\"", ap_escape_html(pool, target), "\">Try again</a></p>\n",
        END, NULL);
}
