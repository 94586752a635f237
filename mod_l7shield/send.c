/* SPDX-License-Identifier: Apache-2.0
 *
 * See send.h.
 */
#include "send.h"

#include "http_protocol.h"
#include "http_request.h"
#include "util_filter.h"

int shield_send_body(request_rec *r, const char *type, const char *text, size_t length)
{
    apr_bucket_alloc_t *alloc = r->connection->bucket_alloc;
    apr_bucket_brigade *brigade = apr_brigade_create(r->pool, alloc);

    ap_set_content_type(r, type);
    ap_set_content_length(r, (apr_off_t)length);
    APR_BRIGADE_INSERT_TAIL(brigade,
                            apr_bucket_pool_create(text, length, r->pool, alloc));
    APR_BRIGADE_INSERT_TAIL(brigade, apr_bucket_eos_create(alloc));
    /* A client that has gone is not our concern; httpd logs and closes. */
    (void)ap_pass_brigade(r->output_filters, brigade);
    return DONE;
}

int shield_send(request_rec *r, int status, const char *type, const char *text,
                size_t length)
{
    r->status = status;
    /* "Header always set …" holds for our answers, too. */
    ap_run_insert_error_filter(r);
    return shield_send_body(r, type, text, length);
}
