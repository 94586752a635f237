/* SPDX-License-Identifier: Apache-2.0
 *
 * Bodies of refusals. Sends nothing (refuse.c).
 */
#include "refusal_body.h"

#include "../core/accept.h"
#include "shared_memory.h"
#include "text.h"

#include "apr_strings.h"
#include "http_protocol.h"

/* A default body: every part of it has a maximum. */
#define TEXT_MAX 1536

/* httpd has no words for every number that a policy may choose, and would say 500. */
const char *shield_status_line(unsigned status, char room[SHIELD_STATUS_LINE_MAX])
{
    const char *line = ap_get_status_line((int)status);
    const char digits[3] = {(char)('0' + status / 100 % 10),
                            (char)('0' + status / 10 % 10), (char)('0' + status % 10)};
    if (memcmp(line, digits, sizeof(digits)) == 0) {
        return line;
    }
    memcpy(room, digits, sizeof(digits));
    memcpy(room + sizeof(digits), " Refused", sizeof(" Refused"));
    return room;
}

/* Puts the incident and the seconds to wait in the place of their names. */
static const char *fill_in(apr_pool_t *pool, const char *body,
                           const l7s_verdict_t *verdict)
{
    static const char incident[] = "{incident}", seconds[] = "{retry_after_seconds}";
    size_t room = strlen(body) * 4; /* the longest value for the shortest name */
    char *start = apr_palloc(pool, room + 1);
    shield_text_t text = {start, start + room};
    while (*body != '\0') {
        if (strncmp(body, incident, sizeof(incident) - 1) == 0) {
            shield_put(&text, verdict->incident);
            body += sizeof(incident) - 1;
        } else if (strncmp(body, seconds, sizeof(seconds) - 1) == 0) {
            shield_put_decimal(&text, verdict->retry_after_seconds);
            body += sizeof(seconds) - 1;
        } else {
            *text.at++ = *body++;
        }
    }
    *text.at = '\0';
    return start;
}

/* The policy's own response. It is copied, since the image may go when it is released. */
bool shield_body_custom(request_rec *r, const l7s_verdict_t *verdict, shield_body_t *out)
{
    if (verdict->response[0] == '\0') {
        return false;
    }
    l7s_pin_t *pin;
    const l7s_image_t *image = shield_image_hold(&pin);
    if (!image) {
        return false;
    }
    const char *type, *text;
    bool found = l7s_image_response(image, verdict->response, &type, &text);
    if (found) {
        out->content_type = apr_pstrdup(r->pool, type);
        out->text = fill_in(r->pool, text, verdict);
        out->length = strlen(out->text);
        out->negotiated = false;
    }
    l7s_segment_unpin(pin);
    return found;
}

/* "The request was refused. Try again in 7 seconds. Reference: inc_….", what is known. */
static void put_sentences(shield_text_t *text, const l7s_verdict_t *verdict,
                          bool reference)
{
    shield_put(text, "The request was refused.");
    if (verdict->outcome == L7S_OUTCOME_CHALLENGED) {
        shield_put(text, " It needs a browser that has passed this site's check: open a "
                         "page of it there first.");
    }
    if (verdict->retry_after_seconds > 0) {
        shield_put(text, " Try again in ");
        shield_put_decimal(text, verdict->retry_after_seconds);
        shield_put(text, " seconds.");
    }
    if (reference && verdict->incident[0] != '\0') {
        shield_put(text, " Reference: ");
        shield_put(text, verdict->incident);
        shield_put(text, ".");
    }
}

static const char *put_problem(shield_text_t *text, const l7s_verdict_t *verdict,
                               const char *line)
{
    shield_put(text, "{\"type\":\"about:blank\",\"title\":\"");
    shield_put(text, line + 4);
    shield_put(text, "\",\"status\":");
    shield_put_decimal(text, verdict->status);
    shield_put(text, ",\"code\":\"refused\",\"detail\":\"");
    put_sentences(text, verdict, false);
    shield_put(text, "\",\"policy\":\"");
    shield_put(text, verdict->policy);
    shield_put(text, "\",\"incident\":\"");
    shield_put(text, verdict->incident);
    shield_put(text, "\",\"retry_after_seconds\":");
    shield_put_decimal(text, verdict->retry_after_seconds);
    shield_put(text, "}\n");
    return "application/problem+json";
}

/* Readable by everybody, and complete in itself: no script, nothing to be fetched. */
static const char page_head[] =
    "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">\n"
    "<meta name=\"viewport\" content=\"width=device-width\">"
    "<meta name=\"color-scheme\" content=\"light dark\">\n<title>";
static const char page_style[] =
    "</title>\n<style>body{font:1.1em/1.5 sans-serif;max-width:36em;margin:3em auto;"
    "padding:0 1em}</style></head>\n<body><main><h1>";

static const char *put_html(shield_text_t *text, const l7s_verdict_t *verdict,
                            const char *line)
{
    shield_put(text, page_head);
    shield_put(text, line);
    shield_put(text, page_style);
    shield_put(text, line + 4);
    shield_put(text, "</h1>\n<p>");
    put_sentences(text, verdict, true);
    shield_put(text, "</p></main></body></html>\n");
    return "text/html; charset=utf-8";
}

static const char *put_plain(shield_text_t *text, const l7s_verdict_t *verdict,
                             const char *line)
{
    shield_put(text, line);
    shield_put(text, "\n");
    put_sentences(text, verdict, true);
    shield_put(text, "\n");
    return "text/plain; charset=utf-8";
}

shield_body_t shield_body_default(request_rec *r, const l7s_verdict_t *verdict)
{
    static const char *(*const writers[])(shield_text_t *, const l7s_verdict_t *,
                                          const char *) = {
        [L7S_FORM_TEXT] = put_plain,
        [L7S_FORM_HTML] = put_html,
        [L7S_FORM_PROBLEM] = put_problem,
    };
    l7s_form_t form = l7s_accept_form(apr_table_get(r->headers_in, "Accept"));
    char *start = apr_palloc(r->pool, TEXT_MAX), number[SHIELD_STATUS_LINE_MAX];
    shield_text_t text = {start, start + TEXT_MAX};
    const char *type =
        writers[form](&text, verdict, shield_status_line(verdict->status, number));
    return (shield_body_t){type, start, (size_t)(text.at - start), true};
}
