/* SPDX-License-Identifier: Apache-2.0
 *
 * The headers of a refusal are complete only behind mod_headers' filter, so this is an
 * output filter behind it. A refusal that no filter touches has no
 * Access-Control-Allow-Origin either.
 */
#include "cors.h"

#include "util_filter.h"

#define ALLOW "Access-Control-Allow-Origin"
#define EXPOSE "Access-Control-Expose-Headers"

static ap_filter_rec_t *filter;

static apr_status_t expose(ap_filter_t *f, apr_bucket_brigade *brigade)
{
    request_rec *r = f->r;
    if (apr_table_get(r->err_headers_out, ALLOW) ||
        apr_table_get(r->headers_out, ALLOW)) {
        apr_table_mergen(r->err_headers_out, EXPOSE,
                         "Retry-After, L7Shield-Policy, L7Shield-Incident");
    }
    ap_filter_t *next = f->next;
    ap_remove_output_filter(f);
    return ap_pass_brigade(next, brigade);
}

void shield_cors_register(void)
{
    /* Behind those that set headers. */
    filter = ap_register_output_filter("L7SHIELD_CORS", expose, NULL,
                                       AP_FTYPE_CONTENT_SET + 1);
}

void shield_cors_follow(request_rec *r)
{
    if (r->output_filters != r->proto_output_filters &&
        apr_table_get(r->headers_in, "Origin")) {
        ap_add_output_filter_handle(filter, NULL, r, r->connection);
    }
}
