/* SPDX-License-Identifier: Apache-2.0
 *
 * One delivery to a webhook: a signed POST over HTTPS. The only file that uses libcurl.
 *
 * Shield-Signature is "t=SECONDS,v1=HEX", where HEX is HMAC-SHA-256 of "SECONDS." and the
 * body under the webhook's secret. The address is checked when the socket is made, with
 * the very address that is connected to, so a name that resolves to something else a
 * moment later gains nothing; redirects are not followed, proxies not used.
 */
#ifndef ADMIN_WEBHOOK_SEND_H
#define ADMIN_WEBHOOK_SEND_H

#include "../options.h"
#include <curl/curl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct admin_delivery admin_delivery_t;

typedef struct {
    bool delivered;   /* it answered 2xx */
    long http_status; /* 0: it gave no answer */
    char error[160];  /* "" when delivered; never holds the secret or the body */
} admin_delivery_result_t;

/* Copies everything. NULL: no memory. */
admin_delivery_t *admin_delivery_create(const admin_options_t *options, const char *url,
                                        const char *secret, const char *body,
                                        uint64_t now_ms);
/* For curl_multi, or curl_easy_perform. */
CURL *admin_delivery_handle(const admin_delivery_t *delivery);
/* What came of it, by libcurl's code. */
void admin_delivery_result(const admin_delivery_t *delivery, CURLcode code,
                           admin_delivery_result_t *out);
void admin_delivery_free(admin_delivery_t *delivery);

/* "t=…,v1=…" of a body. */
#define ADMIN_SIGNATURE_MAX 112
void admin_delivery_sign(const char *secret, const char *body, uint64_t seconds,
                         char out[ADMIN_SIGNATURE_MAX]);

/* Is it a URL that may be a webhook's: https, a host, no user, no fragment, and (unless
 * private targets are allowed) no private address? `why` gets the sentence. */
bool admin_webhook_url_check(const char *url, bool allow_private, char why[160]);

#endif
