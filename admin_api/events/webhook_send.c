/* SPDX-License-Identifier: Apache-2.0
 *
 * Deliveries (webhook_send.h).
 */
#include "webhook_send.h"

#include "../../core/addr.h"
#include "public_address.h"
#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define TIMEOUT_MS 10000L
#define CONNECT_MS 5000L
/* The answer's body is of no interest, and not endless. */
#define ANSWER_MAX ((size_t)64 << 10)

struct admin_delivery {
    CURL *handle;
    struct curl_slist *headers;
    char *body;
    bool allow_private, refused; /* refused: its address is a private one */
    size_t received;
    char error[CURL_ERROR_SIZE];
};

/* ---- addresses ---- */

static bool read_address(const struct sockaddr *from, l7s_addr_t *out)
{
    if (from->sa_family == AF_INET6) {
        memcpy(out->bytes, &((const struct sockaddr_in6 *)from)->sin6_addr, 16);
        return true;
    }
    memset(out->bytes, 0, 10);
    memset(out->bytes + 10, 0xff, 2);
    memcpy(out->bytes + 12, &((const struct sockaddr_in *)from)->sin_addr, 4);
    return from->sa_family == AF_INET;
}

/* The address is the one that libcurl connects this socket to. */
static curl_socket_t open_socket(void *context, curlsocktype purpose,
                                 struct curl_sockaddr *to)
{
    admin_delivery_t *delivery = context;
    l7s_addr_t address;
    bool good = purpose == CURLSOCKTYPE_IPCXN && read_address(&to->addr, &address) &&
                (delivery->allow_private || admin_address_is_public(&address));
    if (!good) {
        delivery->refused = true;
        return CURL_SOCKET_BAD;
    }
    return socket(to->family, to->socktype | SOCK_CLOEXEC, to->protocol);
}

/* ---- the request ---- */

static size_t drop_answer(char *data, size_t size, size_t count, void *context)
{
    admin_delivery_t *delivery = context;
    (void)data;
    delivery->received += size * count;
    return delivery->received <= ANSWER_MAX ? size * count : 0;
}

void admin_delivery_sign(const char *secret, const char *body, uint64_t seconds,
                         char out[ADMIN_SIGNATURE_MAX])
{
    gnutls_hmac_hd_t hmac;
    unsigned char digest[32] = {0};
    char time_text[24];
    int size =
        snprintf(time_text, sizeof time_text, "%llu.", (unsigned long long)seconds);
    if (gnutls_hmac_init(&hmac, GNUTLS_MAC_SHA256, secret, strlen(secret)) != 0) {
        out[0] = '\0'; /* the receiver refuses it */
        return;
    }
    gnutls_hmac(hmac, time_text, (size_t)size);
    gnutls_hmac(hmac, body, strlen(body));
    gnutls_hmac_deinit(hmac, digest);
    size = snprintf(out, ADMIN_SIGNATURE_MAX, "t=%llu,v1=", (unsigned long long)seconds);
    for (size_t i = 0; i < sizeof digest; i++) {
        size +=
            snprintf(out + size, ADMIN_SIGNATURE_MAX - (size_t)size, "%02x", digest[i]);
    }
}

static bool add_header(admin_delivery_t *delivery, const char *line)
{
    struct curl_slist *longer = curl_slist_append(delivery->headers, line);
    delivery->headers = longer != NULL ? longer : delivery->headers;
    return longer != NULL;
}

static bool set_headers(admin_delivery_t *delivery, const char *secret, uint64_t now_ms)
{
    char signature[ADMIN_SIGNATURE_MAX], line[ADMIN_SIGNATURE_MAX + 32];
    admin_delivery_sign(secret, delivery->body, now_ms / 1000, signature);
    snprintf(line, sizeof line, "Shield-Signature: %s", signature);
    return add_header(delivery, line) &&
           add_header(delivery, "Content-Type: application/json") &&
           add_header(delivery, "Expect:"); /* no 100-continue */
}

static bool set_options(admin_delivery_t *delivery, const admin_options_t *options,
                        const char *url)
{
    CURL *curl = delivery->handle;
    bool good =
        curl_easy_setopt(curl, CURLOPT_URL, url) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "https") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_PROXY, "") == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_SSLVERSION, CURL_SSLVERSION_TLSv1_2) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETFUNCTION, open_socket) == CURLE_OK &&
        curl_easy_setopt(curl, CURLOPT_OPENSOCKETDATA, delivery) == CURLE_OK;
    if (options->webhook_ca != NULL) {
        good = good &&
               curl_easy_setopt(curl, CURLOPT_CAINFO, options->webhook_ca) == CURLE_OK;
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_QUICK_EXIT, 1L); /* not for a name server that hangs */
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, TIMEOUT_MS);
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    curl_easy_setopt(curl, CURLOPT_FORBID_REUSE, 1L);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "l7shieldd");
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, drop_answer);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, delivery);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, delivery->error);
    curl_easy_setopt(curl, CURLOPT_POSTFIELDS, delivery->body);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, delivery->headers);
    return good;
}

admin_delivery_t *admin_delivery_create(const admin_options_t *options, const char *url,
                                        const char *secret, const char *body,
                                        uint64_t now_ms)
{
    admin_delivery_t *delivery = calloc(1, sizeof *delivery);
    if (delivery == NULL) {
        return NULL;
    }
    delivery->allow_private = options->webhook_private;
    delivery->handle = curl_easy_init();
    delivery->body = strdup(body);
    if (delivery->handle == NULL || delivery->body == NULL ||
        !set_headers(delivery, secret, now_ms) || !set_options(delivery, options, url)) {
        admin_delivery_free(delivery);
        return NULL;
    }
    return delivery;
}

CURL *admin_delivery_handle(const admin_delivery_t *delivery)
{
    return delivery->handle;
}

void admin_delivery_free(admin_delivery_t *delivery)
{
    if (delivery != NULL) {
        curl_easy_cleanup(delivery->handle);
        curl_slist_free_all(delivery->headers);
        free(delivery->body);
        free(delivery);
    }
}

void admin_delivery_result(const admin_delivery_t *delivery, CURLcode code,
                           admin_delivery_result_t *out)
{
    *out = (admin_delivery_result_t){.delivered = false};
    curl_easy_getinfo(delivery->handle, CURLINFO_RESPONSE_CODE, &out->http_status);
    bool answered = code == CURLE_OK || code == CURLE_WRITE_ERROR;
    out->delivered = answered && out->http_status >= 200 && out->http_status < 300;
    if (delivery->refused && out->http_status == 0) {
        snprintf(out->error, sizeof out->error,
                 "its address is a private one; webhooks.private_targets would allow"
                 " it");
    } else if (answered && !out->delivered) {
        snprintf(out->error, sizeof out->error, "it answered %ld%s", out->http_status,
                 out->http_status / 100 == 3 ? "; redirects are not followed" : "");
    } else if (!out->delivered) {
        snprintf(out->error, sizeof out->error, "%.150s",
                 delivery->error[0] != '\0' ? delivery->error : curl_easy_strerror(code));
    }
}

/* ---- URLs ---- */

static bool check_host(const char *host, bool allow_private, char why[160])
{
    l7s_addr_t address;
    char text[64];
    bool bracketed = host[0] == '[';
    snprintf(text, sizeof text, "%.*s", (int)strcspn(host + bracketed, "]%"),
             host + bracketed);
    if (!allow_private && l7s_addr_parse(text, &address) &&
        !admin_address_is_public(&address)) {
        snprintf(why, 160,
                 "its address is a private one; webhooks.private_targets"
                 " would allow it");
        return false;
    }
    return true;
}

static bool has(CURLU *parts, CURLUPart part)
{
    char *text = NULL;
    bool there = curl_url_get(parts, part, &text, 0) == CURLUE_OK;
    curl_free(text);
    return there;
}

bool admin_webhook_url_check(const char *url, bool allow_private, char why[160])
{
    CURLU *parts = curl_url();
    char *scheme = NULL, *host = NULL;
    bool good = false;
    snprintf(why, 160, "must be like https://host/path, without user and fragment");
    if (parts != NULL && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
        curl_url_get(parts, CURLUPART_SCHEME, &scheme, 0) == CURLUE_OK &&
        strcmp(scheme, "https") == 0 &&
        curl_url_get(parts, CURLUPART_HOST, &host, 0) == CURLUE_OK && host[0] != '\0') {
        good = !has(parts, CURLUPART_USER) && !has(parts, CURLUPART_PASSWORD) &&
               !has(parts, CURLUPART_FRAGMENT) && check_host(host, allow_private, why);
    }
    curl_free(scheme);
    curl_free(host);
    curl_url_cleanup(parts);
    return good;
}
