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

#include <stdio.h>

typedef struct {
    const char *content_type;
    const char *text; /* NULL: nothing to send, the ErrorDocument answers */
} body_t;

/* Puts the incident and the seconds to wait in the place of their names. */
static const char *fill_in(apr_pool_t *pool, const char *body,
                           const l7s_verdict_t *verdict)
{
    static const char incident[] = "{incident}", seconds[] = "{retry_after_seconds}";
    size_t room = strlen(body) * 4 + 1; /* the longest value for the shortest name */
    char *out = apr_palloc(pool, room), *at = out, *end = out + room;
    while (*body != '\0') {
        if (strncmp(body, incident, sizeof(incident) - 1) == 0) {
            at = apr_cpystrn(at, verdict->incident, (size_t)(end - at));
            body += sizeof(incident) - 1;
        } else if (strncmp(body, seconds, sizeof(seconds) - 1) == 0) {
            at +=
                apr_snprintf(at, (size_t)(end - at), "%u", verdict->retry_after_seconds);
            body += sizeof(seconds) - 1;
        } else {
            *at++ = *body++;
        }
    }
    *at = '\0';
    return out;
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
    }
    shield_image_release();
    return found;
}

static const char *when(apr_pool_t *pool, const l7s_verdict_t *verdict)
{
    if (verdict->retry_after_seconds == 0) {
        return "";
    }
    return apr_psprintf(pool, " Try again in %u seconds.", verdict->retry_after_seconds);
}

static const char *reference(apr_pool_t *pool, const l7s_verdict_t *verdict)
{
    if (verdict->incident[0] == '\0') {
        return "";
    }
    return apr_pstrcat(pool, " Reference: ", verdict->incident, ".", NULL);
}

/* Whichever of HTML and JSON the client names first; text for one that names neither. */
static body_t default_body(request_rec *r, const l7s_verdict_t *verdict)
{
    const char *accept = apr_table_get(r->headers_in, "Accept");
    const char *html = accept ? strstr(accept, "text/html") : NULL;
    const char *json = accept ? strstr(accept, "json") : NULL;
    const char *line = ap_get_status_line(verdict->status);
    apr_pool_t *pool = r->pool;
    if (json && (!html || json < html)) {
        return (body_t){
            "application/problem+json",
            apr_psprintf(pool,
                         "{\"type\":\"about:blank\",\"title\":\"%s\",\"status\":%u,"
                         "\"code\":\"refused\",\"detail\":\"The request was refused.%s\","
                         "\"policy\":\"%s\",\"incident\":\"%s\","
                         "\"retry_after_seconds\":%u}\n",
                         line + 4, verdict->status, when(pool, verdict), verdict->policy,
                         verdict->incident, verdict->retry_after_seconds)};
    }
    if (html) {
        return (body_t){"text/html; charset=utf-8",
                        apr_pstrcat(pool, "<!DOCTYPE html>\n<html><head><title>", line,
                                    "</title></head>\n<body><h1>", line + 4,
                                    "</h1>\n<p>The request was refused.",
                                    when(pool, verdict), reference(pool, verdict),
                                    "</p></body></html>\n", NULL)};
    }
    return (body_t){"text/plain; charset=utf-8",
                    apr_pstrcat(pool, line, "\nThe request was refused.",
                                when(pool, verdict), reference(pool, verdict), "\n",
                                NULL)};
}

/* These survive ap_die and the internal redirect to an ErrorDocument. */
static void set_headers(request_rec *r, const l7s_verdict_t *verdict)
{
    apr_table_t *headers = r->err_headers_out;
    if (verdict->retry_after_seconds > 0) {
        apr_table_setn(headers, "Retry-After",
                       apr_psprintf(r->pool, "%u", verdict->retry_after_seconds));
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
    size_t length = strlen(body->text);
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, alloc);
    r->status = status;
    ap_set_content_type(r, body->content_type);
    ap_set_content_length(r, (apr_off_t)length);
    /* "Header always set …" holds for refusals as for any other error. */
    ap_run_insert_error_filter(r);
    APR_BRIGADE_INSERT_TAIL(brigade,
                            apr_bucket_pool_create(body->text, length, r->pool, alloc));
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
static size_t header(char *out, size_t capacity, const char *name, const char *value)
{
    return value[0] == '\0'
               ? 0
               : (size_t)apr_snprintf(out, capacity, "%s: %s\r\n", name, value);
}

size_t shield_refuse_render(const l7s_verdict_t *verdict, char *out, size_t capacity)
{
    const char *line = ap_get_status_line(verdict->status);
    char date[APR_RFC822_DATE_LEN], seconds[12] = "";
    size_t at = 0;
    ap_recent_rfc822_date(date, apr_time_now());
    if (verdict->retry_after_seconds > 0) {
        apr_snprintf(seconds, sizeof(seconds), "%u", verdict->retry_after_seconds);
    }
    at += (size_t)apr_snprintf(out, capacity, "HTTP/1.1 %s\r\nDate: %s\r\n", line, date);
    at += header(out + at, capacity - at, "Retry-After", seconds);
    at += header(out + at, capacity - at, "L7Shield-Policy", verdict->policy);
    at += header(out + at, capacity - at, "L7Shield-Incident", verdict->incident);
    at += (size_t)apr_snprintf(out + at, capacity - at,
                               "Cache-Control: no-store\r\nConnection: close\r\n"
                               "Content-Type: text/plain; charset=utf-8\r\n"
                               "Content-Length: %" APR_SIZE_T_FMT "\r\n\r\n%s\n",
                               strlen(line) + 1, line);
    return at;
}
