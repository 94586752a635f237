/* SPDX-License-Identifier: Apache-2.0
 *
 * The table of sessions (session.h).
 */
#include "session.h"
#include "../../core/bus/trust.h"

#include <gnutls/crypto.h>
#include <gnutls/gnutls.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct {
    bool used;
    uint8_t hash[32]; /* of the secret */
    char id[ADMIN_SESSION_ID], token_id[ADMIN_SESSION_ID];
    uint64_t begun_ms, seen_ms;
} entry_t;

struct admin_sessions {
    pthread_mutex_t lock; /* for the rest */
    entry_t entries[ADMIN_SESSIONS_MAX];
};

l7s_status_t admin_sessions_create(admin_sessions_t **out)
{
    admin_sessions_t *sessions = calloc(1, sizeof *sessions);
    if (sessions == NULL) {
        return L7S_NO_MEMORY;
    }
    pthread_mutex_init(&sessions->lock, NULL);
    *out = sessions;
    return L7S_OK;
}

void admin_sessions_free(admin_sessions_t *sessions)
{
    if (sessions != NULL) {
        pthread_mutex_destroy(&sessions->lock);
        free(sessions);
    }
}

/* 32 bytes as base64url (RFC 4648, 5) without padding. */
static void encode(const uint8_t bytes[32], char out[ADMIN_SESSION_SECRET])
{
    static const char digits[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    uint32_t bits = 0;
    unsigned count = 0;
    size_t used = 0;
    for (size_t i = 0; i < 32; i++) {
        bits = bits << 8 | bytes[i];
        for (count += 8; count >= 6; count -= 6) {
            out[used++] = digits[bits >> (count - 6) & 63];
        }
    }
    out[used++] = digits[bits << (6 - count) & 63];
    out[used] = '\0';
}

static l7s_status_t hash_of(const char *purpose, const char *secret, uint8_t hash[32])
{
    char text[64];
    int size = snprintf(text, sizeof text, "%s:%.43s", purpose, secret);
    return gnutls_hash_fast(GNUTLS_DIG_SHA256, text, (size_t)size, hash) == 0 ? L7S_OK
                                                                              : L7S_IO;
}

static l7s_status_t describe(const entry_t *entry, const char *secret,
                             admin_session_t *out)
{
    uint8_t hash[32];
    *out = (admin_session_t){.expires_ms = entry->begun_ms + ADMIN_SESSION_LIFE_MS};
    memcpy(out->id, entry->id, sizeof out->id);
    memcpy(out->token_id, entry->token_id, sizeof out->token_id);
    l7s_status_t status = hash_of("csrf", secret, hash);
    encode(hash, out->csrf);
    return status;
}

/* A clock that was set back ends no session, and lengthens none beyond its idle time. */
static bool is_alive(const entry_t *entry, uint64_t now_ms)
{
    return entry->used && now_ms < entry->seen_ms + ADMIN_SESSION_IDLE_MS &&
           now_ms < entry->begun_ms + ADMIN_SESSION_LIFE_MS;
}

/* With the lock held. A free place; else that of the session used longest ago, among
 * those of this token when it has as many as it may have. */
static entry_t *place_for(admin_sessions_t *sessions, const char *token_id,
                          uint64_t now_ms)
{
    entry_t *vacant = NULL, *oldest = NULL, *own = NULL;
    size_t count = 0;
    for (size_t i = 0; i < ADMIN_SESSIONS_MAX; i++) {
        entry_t *entry = &sessions->entries[i];
        if (!is_alive(entry, now_ms)) {
            vacant = vacant == NULL ? entry : vacant;
            continue;
        }
        oldest = oldest == NULL || entry->seen_ms < oldest->seen_ms ? entry : oldest;
        if (strcmp(entry->token_id, token_id) == 0) {
            own = own == NULL || entry->seen_ms < own->seen_ms ? entry : own;
            count++;
        }
    }
    if (count >= ADMIN_SESSIONS_PER_TOKEN) {
        return own;
    }
    return vacant == NULL ? oldest : vacant;
}

l7s_status_t admin_session_begin(admin_sessions_t *sessions, const char *token_id,
                                 uint64_t now_ms, char secret[ADMIN_SESSION_SECRET],
                                 admin_session_t *out)
{
    entry_t entry = {.used = true, .begun_ms = now_ms, .seen_ms = now_ms};
    uint8_t random[32];
    uint32_t id;
    l7s_status_t status = l7s_random(random, sizeof random);
    if (status == L7S_OK) {
        status = l7s_random(&id, sizeof id);
    }
    if (status != L7S_OK) {
        return status;
    }
    encode(random, secret);
    snprintf(entry.id, sizeof entry.id, "%08x", id);
    snprintf(entry.token_id, sizeof entry.token_id, "%s", token_id);
    status = hash_of("session", secret, entry.hash);
    if (status == L7S_OK) {
        status = describe(&entry, secret, out);
    }
    if (status == L7S_OK) {
        pthread_mutex_lock(&sessions->lock);
        *place_for(sessions, token_id, now_ms) = entry;
        pthread_mutex_unlock(&sessions->lock);
    }
    return status;
}

/* With the lock held; NULL: there is none. */
static entry_t *entry_of(admin_sessions_t *sessions, const char *secret)
{
    uint8_t hash[32];
    if (strlen(secret) != ADMIN_SESSION_SECRET - 1 ||
        hash_of("session", secret, hash) != L7S_OK) {
        return NULL;
    }
    for (size_t i = 0; i < ADMIN_SESSIONS_MAX; i++) {
        entry_t *entry = &sessions->entries[i];
        if (entry->used && gnutls_memcmp(entry->hash, hash, sizeof hash) == 0) {
            return entry;
        }
    }
    return NULL;
}

bool admin_session_find(admin_sessions_t *sessions, const char *secret, uint64_t now_ms,
                        admin_session_t *out)
{
    pthread_mutex_lock(&sessions->lock);
    entry_t *entry = entry_of(sessions, secret);
    bool found = entry != NULL && is_alive(entry, now_ms) &&
                 describe(entry, secret, out) == L7S_OK;
    if (found) {
        entry->seen_ms = now_ms;
    } else if (entry != NULL) {
        *entry = (entry_t){0};
    }
    pthread_mutex_unlock(&sessions->lock);
    return found;
}

bool admin_session_lives(admin_sessions_t *sessions, const char *id, uint64_t now_ms)
{
    bool lives = false;
    pthread_mutex_lock(&sessions->lock);
    for (size_t i = 0; i < ADMIN_SESSIONS_MAX && !lives; i++) {
        const entry_t *entry = &sessions->entries[i];
        lives = is_alive(entry, now_ms) && strcmp(entry->id, id) == 0;
    }
    pthread_mutex_unlock(&sessions->lock);
    return lives;
}

void admin_session_end(admin_sessions_t *sessions, const char *secret)
{
    pthread_mutex_lock(&sessions->lock);
    entry_t *entry = entry_of(sessions, secret);
    if (entry != NULL) {
        *entry = (entry_t){0};
    }
    pthread_mutex_unlock(&sessions->lock);
}
