/* SPDX-License-Identifier: Apache-2.0
 *
 * Reading keys again, and counting who still works with which (keys.h).
 */
#include "keys.h"

#include "../log.h"
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* What tells one version of a file from another; all zero: there is none. */
typedef struct {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
} stamp_t;

typedef struct version {
    struct version *next; /* an older one that somebody still holds */
    l7s_trust_t *trust;
    unsigned holders;
} version_t;

struct admin_keys {
    const admin_options_t *options;
    stamp_t secret_stamp, signing_stamp; /* of the refreshing thread alone */
    pthread_mutex_t lock;                /* the versions */
    version_t *versions;                 /* the one in force first */
};

static stamp_t stamp_of(const char *path)
{
    struct stat info;
    stamp_t stamp;
    memset(&stamp, 0, sizeof(stamp));
    if (stat(path, &info) == 0) {
        stamp.device = info.st_dev;
        stamp.inode = info.st_ino;
        stamp.size = info.st_size;
        stamp.modified = info.st_mtim;
        stamp.changed = info.st_ctim;
    }
    return stamp;
}

static bool same_stamp(const stamp_t *a, const stamp_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec &&
           a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec &&
           a->changed.tv_nsec == b->changed.tv_nsec;
}

/* The stamps are taken first: a change during the reading is seen the next time. */
static l7s_status_t load(admin_keys_t *keys, char why[256])
{
    const admin_options_t *options = keys->options;
    version_t *version = calloc(1, sizeof(*version));
    if (version == NULL) {
        return L7S_NO_MEMORY;
    }
    keys->secret_stamp = stamp_of(options->secret_file);
    keys->signing_stamp = stamp_of(options->signing_key_file);
    l7s_status_t status = l7s_trust_load(options->secret_file, NULL,
                                         options->signing_key_file, why, &version->trust);
    if (status != L7S_OK) {
        free(version);
        return status;
    }
    pthread_mutex_lock(&keys->lock);
    version->next = keys->versions;
    keys->versions = version;
    pthread_mutex_unlock(&keys->lock);
    return L7S_OK;
}

/* Under the lock: frees what is neither in force nor held. */
static void sweep(admin_keys_t *keys)
{
    for (version_t **at = &keys->versions->next; *at != NULL;) {
        version_t *version = *at;
        if (version->holders > 0) {
            at = &version->next;
            continue;
        }
        *at = version->next;
        l7s_trust_free(version->trust);
        free(version);
    }
}

l7s_status_t admin_keys_open(const admin_options_t *options, char why[256],
                             admin_keys_t **out)
{
    admin_keys_t *keys = calloc(1, sizeof(*keys));
    *out = NULL;
    if (keys == NULL) {
        return L7S_NO_MEMORY;
    }
    keys->options = options;
    pthread_mutex_init(&keys->lock, NULL);
    l7s_status_t status = load(keys, why);
    if (status != L7S_OK) {
        admin_keys_close(keys);
        return status;
    }
    *out = keys;
    return L7S_OK;
}

void admin_keys_close(admin_keys_t *keys)
{
    if (keys == NULL) {
        return;
    }
    while (keys->versions != NULL) {
        version_t *version = keys->versions;
        keys->versions = version->next;
        l7s_trust_free(version->trust);
        free(version);
    }
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

static void log_ids(admin_keys_t *keys)
{
    json_t *ids = admin_keys_ids(keys);
    char text[256] = "";
    size_t index, used = 0;
    json_t *id;
    json_array_foreach(ids, index, id)
    {
        int size = snprintf(text + used, sizeof(text) - used, "%s%s",
                            index == 0 ? "" : ", ", json_string_value(id));
        used += size > 0 && used + (size_t)size < sizeof(text) ? (size_t)size : 0;
    }
    json_decref(ids);
    admin_log(ADMIN_INFO, "L7S3507",
              "The keys were read again: secrets %s; the first one signs and counts.",
              text);
}

bool admin_keys_refresh(admin_keys_t *keys)
{
    stamp_t secret = stamp_of(keys->options->secret_file);
    stamp_t signing = stamp_of(keys->options->signing_key_file);
    char why[256] = "";
    if (same_stamp(&secret, &keys->secret_stamp) &&
        same_stamp(&signing, &keys->signing_stamp)) {
        return false;
    }
    l7s_status_t status = load(keys, why);
    if (status != L7S_OK) {
        admin_log(ADMIN_ERROR, "L7S3508",
                  "The changed keys cannot be used: %s. Those read before stay in force.",
                  why[0] == '\0' ? l7s_status_name(status) : why);
        return false;
    }
    pthread_mutex_lock(&keys->lock);
    sweep(keys);
    pthread_mutex_unlock(&keys->lock);
    log_ids(keys);
    return true;
}

const l7s_trust_t *admin_keys_hold(admin_keys_t *keys)
{
    pthread_mutex_lock(&keys->lock);
    version_t *version = keys->versions;
    version->holders++;
    pthread_mutex_unlock(&keys->lock);
    return version->trust;
}

void admin_keys_let_go(admin_keys_t *keys, const l7s_trust_t *trust)
{
    pthread_mutex_lock(&keys->lock);
    for (version_t *version = keys->versions; version != NULL; version = version->next) {
        if (version->trust == trust) {
            version->holders--;
            break;
        }
    }
    sweep(keys);
    pthread_mutex_unlock(&keys->lock);
}

json_t *admin_keys_ids(admin_keys_t *keys)
{
    const l7s_trust_t *trust = admin_keys_hold(keys);
    json_t *ids = json_array();
    for (size_t i = 0; i < l7s_trust_secrets(trust); i++) {
        json_array_append_new(ids, json_string(l7s_trust_secret_at(trust, i)));
    }
    admin_keys_let_go(keys, trust);
    return ids;
}
