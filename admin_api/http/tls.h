/* SPDX-License-Identifier: Apache-2.0
 *
 * The certificate of the HTTPS listener, and the authority whose client certificates it
 * demands, if any. The files are read again when they have changed, and on SIGHUP: new
 * connections get the new certificate, old ones live on. Files that do not fit together
 * change nothing but the log. There is one of these in the process, since GnuTLS asks for
 * a certificate without saying whom.
 */
#ifndef ADMIN_TLS_H
#define ADMIN_TLS_H

#include "../daemon.h"
#include <gnutls/abstract.h>

/* *out NULL: the options name no certificate. `why` gets the sentence for the log. */
L7S_MUST_USE l7s_status_t admin_tls_open(const admin_options_t *options, char why[256],
                                         admin_tls_t **out);
/* After the last connection. */
void admin_tls_close(admin_tls_t *tls);

/* Reads the files again, if they have changed and stayed so since the last look, or in
 * any case when `asked`. One thread only; `tls` may be NULL. */
void admin_tls_refresh(admin_tls_t *tls, bool asked, uint64_t now_ms);
/* When the certificate in use ends, in seconds since 1970. */
int64_t admin_tls_not_after(const admin_tls_t *tls);

/* What GnuTLS calls for a certificate (gnutls_certificate_retrieve_function2). */
int admin_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names,
                       int name_count, const gnutls_pk_algorithm_t *algorithms,
                       int algorithm_count, gnutls_pcert_st **certificates,
                       unsigned *certificate_count, gnutls_privkey_t *key);
/* A connection began, and its handshake has not: asks for a client certificate when one
 * will be demanded. */
void admin_tls_prepare(const admin_tls_t *tls, gnutls_session_t session);
/* Has the client shown what it must? */
bool admin_tls_admits(const admin_tls_t *tls, gnutls_session_t session);

#endif
