/* SPDX-License-Identifier: Apache-2.0
 *
 * Refusals, as cheap as httpd allows: the answer goes out as one brigade from the hook
 * that decided, past ap_die and its internal redirects, and leaves the connection open.
 * Only a site's own ErrorDocument for the status takes the long way.
 *
 * The body is the policy's response if it names one, else HTML, problem+json or text by
 * what the client accepts.
 */
#include "refuse.h"

#include "shared_memory.h"

#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_core.h"
#include "util_filter.h"
#include "util_time.h"

#include <string.h>

typedef struct {
    const char *content_type;
    const char *text;
    size_t length;
} body_t;

/* A default body or a whole head; every part of them has a maximum. */
#define TEXT_MAX 1024
#define DECIMAL_MAX 11

/* Text under construction, cut at its end. Formatting functions cost more than all the
 * rest of a refusal, and refusals come in floods. */
typedef struct {
    char *at, *end;
} text_t;

static void put(text_t *text, const char *part)
{
    size_t length = strlen(part), room = (size_t)(text->end - text->at);
    length = length < room ? length : room;
    memcpy(text->at, part, length);
    text->at += length;
}

/* `value` in decimal, at the end of `out`. */
static const char *decimal(uint32_t value, char out[DECIMAL_MAX])
{
    char *at = out + DECIMAL_MAX - 1;
    *at = '\0';
    do {
        *--at = (char)('0' + value % 10);
        value /= 10;
    } while (value != 0);
    return at;
}

/* Puts the incident and the seconds to wait in the place of their names. */
static const char *fill_in(apr_pool_t *pool, const char *body,
                           const l7s_verdict_t *verdict)
{
    static const char incident[] = "{incident}", seconds[] = "{retry_after_seconds}";
    size_t room = strlen(body) * 4; /* the longest value for the shortest name */
    char number[DECIMAL_MAX], *start = apr_palloc(pool, room + 1);
    text_t text = {start, start + room};
    while (*body != '\0') {
        if (strncmp(body, incident, sizeof(incident) - 1) == 0) {
            put(&text, verdict->incident);
            body += sizeof(incident) - 1;
        } else if (strncmp(body, seconds, sizeof(seconds) - 1) == 0) {
            put(&text, decimal(verdict->retry_after_seconds, number));
            body += sizeof(seconds) - 1;
        } else {
            *text.at++ = *body++;
        }
    }
    *text.at = '\0';
    return start;
}

/* The policy's own response. It is copied, since the image may go when it is released. */
static bool custom_body(request_rec *r, const l7s_verdict_t *verdict, body_t *out)
{
    if (verdict->response[0] == '\0') {
        return false;
    }
    const l7s_image_t *image = shield_image_hold();
    if (!image) {
        return false;
    }
    const char *type, *text;
    bool found = l7s_image_response(image, verdict->response, &type, &text);
    if (found) {
        out->content_type = apr_pstrdup(r->pool, type);
        out->text = fill_in(r->pool, text, verdict);
        out->length = strlen(out->text);
    }
    shield_image_release();
    return found;
}

/* "The request was refused. Try again in 7 seconds. Reference: inc_….", what is known. */
static void put_sentences(text_t *text, const l7s_verdict_t *verdict, bool reference)
{
    char seconds[DECIMAL_MAX];
    put(text, "The request was refused.");
    if (verdict->retry_after_seconds > 0) {
        put(text, " Try again in ");
        put(text, decimal(verdict->retry_after_seconds, seconds));
        put(text, " seconds.");
    }
    if (reference && verdict->incident[0] != '\0') {
        put(text, " Reference: ");
        put(text, verdict->incident);
        put(text, ".");
    }
}

static const char *put_problem(text_t *text, const l7s_verdict_t *verdict,
                               const char *line)
{
    char number[DECIMAL_MAX];
    put(text, "{\"type\":\"about:blank\",\"title\":\"");
    put(text, line + 4);
    put(text, "\",\"status\":");
    put(text, decimal(verdict->status, number));
    put(text, ",\"code\":\"refused\",\"detail\":\"");
    put_sentences(text, verdict, false);
    put(text, "\",\"policy\":\"");
    put(text, verdict->policy);
    put(text, "\",\"incident\":\"");
    put(text, verdict->incident);
    put(text, "\",\"retry_after_seconds\":");
    put(text, decimal(verdict->retry_after_seconds, number));
    put(text, "}\n");
    return "application/problem+json";
}

static const char *put_html(text_t *text, const l7s_verdict_t *verdict, const char *line)
{
    put(text, "<!DOCTYPE html>\n<html><head><title>");
    put(text, line);
    put(text, "</title></head>\n<body><h1>");
    put(text, line + 4);
    put(text, "</h1>\n<p>");
    put_sentences(text, verdict, true);
    put(text, "</p></body></html>\n");
    return "text/html; charset=utf-8";
}

static const char *put_plain(text_t *text, const l7s_verdict_t *verdict, const char *line)
{
    put(text, line);
    put(text, "\n");
    put_sentences(text, verdict, true);
    put(text, "\n");
    return "text/plain; charset=utf-8";
}

/* Whichever of HTML and JSON the client names first; text for one that names neither. */
static body_t default_body(request_rec *r, const l7s_verdict_t *verdict)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");
    const char *html = accept ? strstr(accept, "text/html") : NULL;
    const char *json = accept ? strstr(accept, "json") : NULL;
    const char *line = ap_get_status_line(verdict->status);
    char *start = apr_palloc(r->pool, TEXT_MAX);
    text_t text = {start, start + TEXT_MAX};
    bool wants_json = json && (!html || json < html);
    const char *type = wants_json ? put_problem(&text, verdict, line)
                       : html     ? put_html(&text, verdict, line)
                                  : put_plain(&text, verdict, line);
    return (body_t){type, start, (size_t)(text.at - start)};
}

/* These survive ap_die and the internal redirect to an ErrorDocument. */
static void set_headers(request_rec *r, const l7s_verdict_t *verdict)
{
    apr_table_t *headers = r->err_headers_out;
    if (verdict->retry_after_seconds > 0) {
        char *room = apr_palloc(r->pool, DECIMAL_MAX);
        apr_table_setn(headers, "Retry-After",
                       decimal(verdict->retry_after_seconds, room));
    }
    if (verdict->policy[0] != '\0') {
        apr_table_setn(headers, "L7Shield-Policy", verdict->policy);
    }
    if (verdict->incident[0] != '\0') {
        apr_table_setn(headers, "L7Shield-Incident", verdict->incident);
    }
    apr_table_setn(headers, "Cache-Control", "no-store");
}

static int send_answer(request_rec *r, int status, const body_t *body)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, alloc);
    r->status = status;
    ap_set_content_type(r, body->content_type);
    ap_set_content_length(r, (apr_off_t)body->length);
    /* "Header always set …" holds for refusals as for any other error. */
    ap_run_insert_error_filter(r);
    APR_BRIGADE_INSERT_TAIL(
        brigade, apr_bucket_pool_create(body->text, body->length, r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(alloc));
    /* A client that has gone is not our concern; httpd logs and closes. */
    (void)ap_pass_brigade(r->output_filters, brigade);
    return DONE;
}

int shield_refuse(request_rec *r, const l7s_verdict_t *verdict)
{
    body_t body;
    set_headers(r, verdict);
    if (!custom_body(r, verdict, &body)) {
        if (ap_response_code_string(r, ap_index_of_response(verdict->status))) {
            return verdict->status;
        }
        body = default_body(r, verdict);
    }
    return send_answer(r, verdict->status, &body);
}

/* "Name: value\r\n", or nothing when there is no value. */
static void put_header(text_t *text, const char *name, const char *value)
{
    if (value[0] != '\0') {
        put(text, name);
        put(text, ": ");
        put(text, value);
        put(text, "\r\n");
    }
}

size_t shield_refuse_render(const l7s_verdict_t *verdict, char *out, size_t capacity)
{
    const char *line = ap_get_status_line(verdict->status);
    char date[APR_RFC822_DATE_LEN], number[DECIMAL_MAX];
    text_t text = {out, out + capacity};
    ap_recent_rfc822_date(date, apr_time_now());
    put(&text, "HTTP/1.1 ");
    put(&text, line);
    put(&text, "\r\n");
    put_header(&text, "Date", date);
    if (verdict->retry_after_seconds > 0) {
        put_header(&text, "Retry-After", decimal(verdict->retry_after_seconds, number));
    }
    put_header(&text, "L7Shield-Policy", verdict->policy);
    put_header(&text, "L7Shield-Incident", verdict->incident);
    put(&text, "Cache-Control: no-store\r\nConnection: close\r\n"
               "Content-Type: text/plain; charset=utf-8\r\n");
    put_header(&text, "Content-Length", decimal((uint32_t)strlen(line) + 1, number));
    put(&text, "\r\n");
    put(&text, line);
    put(&text, "\n");
    return (size_t)(text.at - out);
}
