/* SPDX-License-Identifier: Apache-2.0
 *
 * Refusals, as cheap as httpd allows: the answer goes out from the hook that decided,
 * past ap_die and its internal redirects, and leaves the connection open.
 *
 * Three ways, the first that will do. Mostly the answer is written as a whole, head and
 * body, and handed to the connection's filters, as httpd does with the output of an
 * "nph-" script: its own filters for headers cost more than all the rest of a refusal.
 * What other modules want to see or add to goes through these filters. Only a site's own
 * ErrorDocument for the status takes the long way through ap_die.
 */
#include "refuse.h"

#include "challenge.h"
#include "cors.h"
#include "drop.h"
#include "refusal_body.h"
#include "send.h"
#include "text.h"

#include "apr_strings.h"
#include "http_core.h"
#include "http_protocol.h"
#include "http_request.h"
#include "mod_core.h"
#include "util_filter.h"
#include "util_time.h"

/* Room for a head without the server's banner and the body's type: our own headers and
 * what httpd says about the connection. */
#define HEAD_MAX 768

/* So much of a body that nobody wants is read at most, to keep its connection. */
#define SKIPPED_MAX 65536

/* These survive ap_die and the internal redirect to an ErrorDocument. */
static void set_headers(request_rec *r, const l7s_verdict_t *verdict)
{
    apr_table_t *headers = r->err_headers_out;
    if (verdict->retry_after_seconds > 0) {
        char *room = apr_palloc(r->pool, SHIELD_DECIMAL_MAX);
        apr_table_setn(headers, "Retry-After",
                       shield_decimal(verdict->retry_after_seconds, room));
    }
    if (verdict->policy[0] != '\0') {
        apr_table_setn(headers, "L7Shield-Policy", verdict->policy);
    }
    if (verdict->incident[0] != '\0') {
        apr_table_setn(headers, "L7Shield-Incident", verdict->incident);
    }
    apr_table_setn(headers, "Cache-Control", "no-store");
}

/* "Name: value\r\n". */
static inline void put_header(shield_text_t *text, const char *name, const char *value)
{
    shield_put(text, name);
    shield_put(text, ": ");
    shield_put(text, value);
    shield_put(text, "\r\n");
}

/* The same headers, behind status line and date. */
static void put_head(shield_text_t *text, const l7s_verdict_t *verdict, apr_time_t when)
{
    char date[APR_RFC822_DATE_LEN], seconds[SHIELD_DECIMAL_MAX];
    char number[SHIELD_STATUS_LINE_MAX];
    ap_recent_rfc822_date(date, when);
    shield_put(text, "HTTP/1.1 ");
    shield_put(text, shield_status_line(verdict->status, number));
    shield_put(text, "\r\nDate: ");
    shield_put_bytes(text, date, APR_RFC822_DATE_LEN - 1);
    shield_put(text, "\r\n");
    if (verdict->retry_after_seconds > 0) {
        put_header(text, "Retry-After",
                   shield_decimal(verdict->retry_after_seconds, seconds));
    }
    if (verdict->policy[0] != '\0') {
        put_header(text, "L7Shield-Policy", verdict->policy);
    }
    if (verdict->incident[0] != '\0') {
        put_header(text, "L7Shield-Incident", verdict->incident);
    }
    shield_put(text, "Cache-Control: no-store\r\n");
}

static void put_length(shield_text_t *text, size_t length)
{
    shield_put(text, "Content-Length: ");
    shield_put_decimal(text, (uint32_t)length);
    shield_put(text, "\r\n\r\n");
}

/* Head and body in one piece of the request's memory. */
static shield_text_t put_answer(request_rec *r, const l7s_verdict_t *verdict,
                                const shield_body_t *body, char **start)
{
    const char *server = ap_get_server_banner();
    size_t server_length = strlen(server), type_length = strlen(body->content_type);
    size_t room = HEAD_MAX + server_length + type_length + body->length;
    *start = apr_palloc(r->pool, room);
    shield_text_t text = {*start, *start + room};

    put_head(&text, verdict, r->request_time);
    shield_put(&text, "Server: ");
    shield_put_bytes(&text, server, server_length);
    shield_put(&text, "\r\nContent-Type: ");
    shield_put_bytes(&text, body->content_type, type_length);
    shield_put(&text, "\r\n");
    if (body->negotiated) {
        shield_put(&text, "Vary: Accept\r\n");
    }
    const apr_array_header_t *headers = apr_table_elts(r->headers_out);
    const apr_table_entry_t *entries = (const apr_table_entry_t *)headers->elts;
    for (int i = 0; i < headers->nelts; i++) { /* of ap_set_keepalive */
        put_header(&text, entries[i].key, entries[i].val);
    }
    put_length(&text, body->length);
    if (!r->header_only) {
        shield_put_bytes(&text, body->text, body->length);
    }
    return text;
}

static ap_filter_t *connection_filter(const request_rec *r)
{
    ap_filter_t *filter = r->proto_output_filters;
    while (filter->frec->ftype < AP_FTYPE_CONNECTION) {
        filter = filter->next;
    }
    return filter;
}

/* Is there nothing that an answer written by hand would miss: another protocol, a filter
 * for errors (mod_headers), headers that are set already? */
static bool is_plain(const request_rec *r)
{
    return r->proto_num == HTTP_VERSION(1, 1) && !r->connection->master &&
           r->output_filters == r->proto_output_filters &&
           apr_is_empty_table(r->headers_out) && apr_is_empty_table(r->err_headers_out);
}

static int send_plain(request_rec *r, const l7s_verdict_t *verdict,
                      const shield_body_t *body)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, alloc);
    char *start;

    ap_set_keepalive(r);
    r->chunked = 0; /* which it assumes of a body of unknown length */
    shield_text_t text = put_answer(r, verdict, body, &start);
    r->output_filters = r->proto_output_filters = connection_filter(r);
    r->eos_sent = 1;
    r->sent_bodyct = 1;
    r->bytes_sent = r->header_only ? 0 : (apr_off_t)body->length;
    APR_BRIGADE_INSERT_TAIL(
        brigade,
        apr_bucket_pool_create(start, (apr_size_t)(text.at - start), r->pool, alloc));
    /* A client that has gone is not our concern; httpd logs and closes. */
    (void)ap_pass_brigade(r->output_filters, brigade);
    return DONE;
}

static int send_filtered(request_rec *r, const l7s_verdict_t *verdict,
                         const shield_body_t *body)
{
    set_headers(r, verdict);
    if (body->negotiated) {
        apr_table_mergen(r->err_headers_out, "Vary", "Accept");
    }
    r->status_line =
        shield_status_line(verdict->status, apr_palloc(r->pool, SHIELD_STATUS_LINE_MAX));
    return shield_send_body(r, body->content_type, body->text, body->length);
}

static bool has_body(const request_rec *r)
{
    return apr_table_get(r->headers_in, "Content-Length") ||
           apr_table_get(r->headers_in, "Transfer-Encoding");
}

/* Throws away what has come of the body. True: that was all of it. */
static bool skip_body(request_rec *r)
{
    apr_bucket_brigade *brigade =
        apr_brigade_create(r->pool, r->connection->bucket_alloc);
    apr_off_t length = 0;
    bool ended = false;
    for (apr_off_t skipped = 0; !ended && skipped < SKIPPED_MAX; skipped += length) {
        if (ap_get_brigade(r->input_filters, brigade, AP_MODE_READBYTES,
                           APR_NONBLOCK_READ, AP_IOBUFSIZE) != APR_SUCCESS ||
            APR_BRIGADE_EMPTY(brigade) ||
            apr_brigade_length(brigade, 0, &length) != APR_SUCCESS) {
            return false;
        }
        ended = APR_BUCKET_IS_EOS(APR_BRIGADE_LAST(brigade));
        apr_brigade_cleanup(brigade);
    }
    return ended;
}

/* httpd would read all of a body before it takes the next request, and until then not
 * even send the answer: whoever sends it slowly would hold a worker by being refused. The
 * rest of such a one is left to the end of the connection, which needs no worker. Who
 * waits for "100 Continue" has sent none, and is not asked for it. */
static void leave_body(request_rec *r)
{
    if (!r->connection->master && has_body(r) && (r->expecting_100 || !skip_body(r))) {
        r->connection->keepalive = AP_CONN_CLOSE;
    }
}

/* ErrorDocument knows httpd's statuses only, and would say 500 for any other. */
static bool has_error_document(request_rec *r, unsigned status)
{
    char room[SHIELD_STATUS_LINE_MAX];
    return ap_response_code_string(r, ap_index_of_response((int)status)) != NULL &&
           shield_status_line(status, room) != room;
}

int shield_refuse(request_rec *r, const l7s_verdict_t *verdict)
{
    shield_body_t body;
    if (verdict->outcome == L7S_OUTCOME_DROPPED && shield_drop_may(r)) {
        return shield_drop(r);
    }
    leave_body(r);
    if (verdict->challenge.token[0] != '\0') {
        set_headers(r, verdict);
        return shield_challenge_ask(r, verdict);
    }
    if (!shield_body_custom(r, verdict, &body)) {
        if (has_error_document(r, verdict->status)) {
            set_headers(r, verdict);
            return verdict->status;
        }
        body = shield_body_default(r, verdict);
    }
    r->status = verdict->status;
    /* "Header always set …" holds for refusals as for any other error. */
    ap_run_insert_error_filter(r);
    shield_cors_follow(r);
    return is_plain(r) ? send_plain(r, verdict, &body) : send_filtered(r, verdict, &body);
}

size_t shield_refuse_render(const l7s_verdict_t *verdict, char *out, size_t capacity)
{
    char number[SHIELD_STATUS_LINE_MAX];
    const char *line = shield_status_line(verdict->status, number);
    shield_text_t text = {out, out + capacity};
    put_head(&text, verdict, apr_time_now());
    shield_put(&text, "Connection: close\r\nContent-Type: text/plain; charset=utf-8\r\n");
    put_length(&text, strlen(line) + 1);
    shield_put(&text, line);
    shield_put(&text, "\n");
    return (size_t)(text.at - out);
}
