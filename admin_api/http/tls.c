/* SPDX-License-Identifier: Apache-2.0
 *
 * Certificates and their renewal (tls.h). What is in use is one immutable object behind
 * an atomic pointer. A replaced one is kept for a minute: a handshake, which ends within
 * ten seconds, may still be using it.
 */
#include "tls.h"
#include "../log.h"

#include <gnutls/gnutls.h>
#include <gnutls/x509.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define CHAIN_MAX 16
#define REPLACED_KEPT_MS 60000
#define FILES 3

typedef struct material {
    gnutls_pcert_st chain[CHAIN_MAX];
    unsigned chain_count;
    gnutls_privkey_t key;
    gnutls_x509_trust_list_t authority; /* NULL: no client certificates */
    int64_t not_after;
    uint64_t replaced_ms;
    struct material *next; /* replaced before it */
} material_t;

/* What changes when a file does. */
typedef struct {
    struct {
        ino_t inode;
        off_t size;
        struct timespec modified;
    } files[FILES];
} mark_t;

struct admin_tls {
    const char *paths[FILES]; /* certificate, key, client authority or NULL */
    material_t *replaced;     /* newest first */
    mark_t read, seen;        /* when they were read, and at the last look */
};

static _Atomic(material_t *) current;

/* -- reading -- */

static void free_material(material_t *material)
{
    if (material == NULL) {
        return;
    }
    for (unsigned i = 0; i < material->chain_count; i++) {
        gnutls_pcert_deinit(&material->chain[i]);
    }
    if (material->key != NULL) {
        gnutls_privkey_deinit(material->key);
    }
    if (material->authority != NULL) {
        gnutls_x509_trust_list_deinit(material->authority, 1);
    }
    free(material);
}

/* Do they fit together? */
static int check_pair(const gnutls_datum_t *certificate, const gnutls_datum_t *key)
{
    gnutls_certificate_credentials_t credentials;
    int code = gnutls_certificate_allocate_credentials(&credentials);
    if (code == 0) {
        code = gnutls_certificate_set_x509_key_mem(credentials, certificate, key,
                                                   GNUTLS_X509_FMT_PEM);
        gnutls_certificate_free_credentials(credentials);
    }
    return code;
}

static int read_chain(material_t *material, const gnutls_datum_t *text)
{
    gnutls_x509_crt_t first;
    unsigned count = CHAIN_MAX;
    int code = gnutls_pcert_list_import_x509_raw(material->chain, &count, text,
                                                 GNUTLS_X509_FMT_PEM, 0);
    if (code < 0) {
        return code;
    }
    material->chain_count = count;
    code = gnutls_x509_crt_init(&first);
    if (code == 0) {
        code =
            gnutls_x509_crt_import(first, &material->chain[0].cert, GNUTLS_X509_FMT_DER);
        material->not_after = (int64_t)gnutls_x509_crt_get_expiration_time(first);
        gnutls_x509_crt_deinit(first);
    }
    return code;
}

static int read_key(material_t *material, const gnutls_datum_t *text)
{
    int code = gnutls_privkey_init(&material->key);
    return code != 0 ? code
                     : gnutls_privkey_import_x509_raw(material->key, text,
                                                      GNUTLS_X509_FMT_PEM, NULL, 0);
}

static int read_authority(material_t *material, const gnutls_datum_t *text)
{
    int code = gnutls_x509_trust_list_init(&material->authority, 0);
    if (code == 0) {
        code = gnutls_x509_trust_list_add_trust_mem(material->authority, text, NULL,
                                                    GNUTLS_X509_FMT_PEM, 0, 0);
    }
    return code == 0 ? GNUTLS_E_NO_CERTIFICATE_FOUND : code; /* else their number */
}

static int read_texts(material_t *material, const gnutls_datum_t texts[FILES],
                      size_t *which)
{
    *which = 0;
    int code = read_chain(material, &texts[0]);
    if (code >= 0) {
        *which = 1;
        code = read_key(material, &texts[1]);
    }
    if (code >= 0) {
        code = check_pair(&texts[0], &texts[1]);
    }
    if (code >= 0 && texts[2].data != NULL) {
        *which = 2;
        code = read_authority(material, &texts[2]);
    }
    return code;
}

/* NULL: `why` says what is wrong. */
static material_t *read_files(const admin_tls_t *tls, char why[256])
{
    material_t *material = calloc(1, sizeof *material);
    gnutls_datum_t texts[FILES] = {{NULL, 0}};
    size_t which = 0;
    int code = material == NULL ? GNUTLS_E_MEMORY_ERROR : 0;
    for (size_t i = 0; i < FILES && code >= 0 && tls->paths[i] != NULL; i++) {
        which = i;
        code = gnutls_load_file(tls->paths[i], &texts[i]);
    }
    if (code >= 0) {
        code = read_texts(material, texts, &which);
    }
    for (size_t i = 0; i < FILES; i++) {
        if (texts[i].data != NULL) {
            gnutls_memset(texts[i].data, 0, texts[i].size);
            gnutls_free(texts[i].data);
        }
    }
    if (code < 0) {
        snprintf(why, 256, "%.160s: %s", tls->paths[which], gnutls_strerror(code));
        free_material(material);
        return NULL;
    }
    return material;
}

static mark_t look_at_files(const admin_tls_t *tls)
{
    mark_t mark;
    memset(&mark, 0, sizeof mark);
    for (size_t i = 0; i < FILES && tls->paths[i] != NULL; i++) {
        struct stat info;
        if (stat(tls->paths[i], &info) == 0) {
            mark.files[i].inode = info.st_ino;
            mark.files[i].size = info.st_size;
            mark.files[i].modified = info.st_mtim;
        }
    }
    return mark;
}

/* -- life -- */

l7s_status_t admin_tls_open(const admin_options_t *options, char why[256],
                            admin_tls_t **out)
{
    *out = NULL;
    if (options->tls_cert == NULL) {
        return L7S_OK;
    }
    admin_tls_t *tls = calloc(1, sizeof *tls);
    if (tls == NULL) {
        return L7S_NO_MEMORY;
    }
    tls->paths[0] = options->tls_cert;
    tls->paths[1] = options->tls_key;
    tls->paths[2] = options->tls_client_ca;
    tls->read = tls->seen = look_at_files(tls);
    material_t *material = read_files(tls, why);
    if (material == NULL) {
        free(tls);
        return L7S_INVALID;
    }
    atomic_store(&current, material);
    *out = tls;
    return L7S_OK;
}

void admin_tls_close(admin_tls_t *tls)
{
    if (tls == NULL) {
        return;
    }
    while (tls->replaced != NULL) {
        material_t *next = tls->replaced->next;
        free_material(tls->replaced);
        tls->replaced = next;
    }
    free_material(atomic_exchange(&current, NULL));
    free(tls);
}

/* The list is in the order of time: what is too old ends it. */
static void drop_old(admin_tls_t *tls, uint64_t now_ms)
{
    material_t **link = &tls->replaced;
    while (*link != NULL && (*link)->replaced_ms + REPLACED_KEPT_MS > now_ms) {
        link = &(*link)->next;
    }
    while (*link != NULL) {
        material_t *old = *link;
        *link = old->next;
        free_material(old);
    }
}

static void replace(admin_tls_t *tls, uint64_t now_ms)
{
    char why[256];
    material_t *material = read_files(tls, why);
    if (material == NULL) {
        admin_log(ADMIN_ERROR, "L7S3120",
                  "the TLS files cannot be used, what was read before stays in use: %s",
                  why);
        return;
    }
    material_t *old = atomic_exchange(&current, material);
    old->replaced_ms = now_ms;
    old->next = tls->replaced;
    tls->replaced = old;
    admin_log(ADMIN_INFO, "L7S3121", "read the TLS files again");
}

void admin_tls_refresh(admin_tls_t *tls, bool asked, uint64_t now_ms)
{
    if (tls == NULL) {
        return;
    }
    mark_t now = look_at_files(tls);
    bool settled = memcmp(&now, &tls->seen, sizeof now) == 0;
    bool changed = memcmp(&now, &tls->read, sizeof now) != 0;
    tls->seen = now;
    drop_old(tls, now_ms);
    /* Certificate and key are written one after the other. */
    if (asked || (changed && settled)) {
        tls->read = now;
        replace(tls, now_ms);
    }
}

int64_t admin_tls_not_after(const admin_tls_t *tls)
{
    return tls == NULL ? 0 : atomic_load(&current)->not_after;
}

/* -- handshakes -- */

int admin_tls_retrieve(gnutls_session_t session, const gnutls_datum_t *names,
                       int name_count, const gnutls_pk_algorithm_t *algorithms,
                       int algorithm_count, gnutls_pcert_st **certificates,
                       unsigned *certificate_count, gnutls_privkey_t *key)
{
    (void)session;
    (void)names;
    (void)name_count;
    (void)algorithms;
    (void)algorithm_count;
    material_t *material = atomic_load(&current);
    *certificates = material->chain;
    *certificate_count = material->chain_count;
    *key = material->key;
    return 0;
}

/* Without the names of authorities: those of this connection's beginning may not be those
 * of its end. */
void admin_tls_prepare(const admin_tls_t *tls, gnutls_session_t session)
{
    if (tls != NULL && tls->paths[2] != NULL) {
        gnutls_certificate_server_set_request(session, GNUTLS_CERT_REQUEST);
        gnutls_certificate_send_x509_rdn_sequence(session, 1);
    }
}

static bool verify(gnutls_x509_trust_list_t authority, const gnutls_datum_t *shown,
                   unsigned count)
{
    gnutls_x509_crt_t chain[CHAIN_MAX];
    gnutls_typed_vdata_st purpose = {.type = GNUTLS_DT_KEY_PURPOSE_OID,
                                     .data = (void *)(uintptr_t)GNUTLS_KP_TLS_WWW_CLIENT};
    unsigned made = 0, trouble = 0;
    bool good = count > 0 && count <= CHAIN_MAX;
    while (good && made < count) {
        good = gnutls_x509_crt_init(&chain[made]) == 0;
        made += good ? 1 : 0;
        good = good && gnutls_x509_crt_import(chain[made - 1], &shown[made - 1],
                                              GNUTLS_X509_FMT_DER) == 0;
    }
    good = good &&
           gnutls_x509_trust_list_verify_crt2(authority, chain, count, &purpose, 1, 0,
                                              &trouble, NULL) >= 0 &&
           trouble == 0;
    while (made > 0) {
        gnutls_x509_crt_deinit(chain[--made]);
    }
    return good;
}

bool admin_tls_admits(const admin_tls_t *tls, gnutls_session_t session)
{
    const material_t *material = atomic_load(&current);
    if (tls == NULL || tls->paths[2] == NULL) {
        return true;
    }
    unsigned count = 0;
    const gnutls_datum_t *shown = gnutls_certificate_get_peers(session, &count);
    return shown != NULL && verify(material->authority, shown, count);
}
