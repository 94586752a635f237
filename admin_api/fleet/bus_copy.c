/* SPDX-License-Identifier: Apache-2.0
 *
 * Writing and watching what is published (bus_copy.h).
 */
#include "bus_copy.h"

#include "../worker.h"
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOOK_CHUNKS 64
#define SWEEP_CHUNKS 64
#define LOOK_BYTES (512 * 1024)

static admin_place_t place(l7s_item_kind_t kind)
{
    return (admin_place_t){kind, "", 0};
}

void admin_bus_copy_clear(admin_bus_copy_t *copy)
{
    free(copy->head);
    free(copy->manifest);
    copy->head = copy->manifest = NULL;
}

void admin_bus_copy_forget(admin_bus_copy_t *copy)
{
    admin_snapshot_lost(copy->snapshot);
    copy->mode[0] = '\0';
    copy->complete = false;
}

/* ---- writing ---- */

typedef struct {
    admin_bus_t *bus;
    uint64_t now_ms;
} writer_t;

static l7s_status_t write_chunk(void *context, const l7s_chunk_t *chunk)
{
    const writer_t *writer = context;
    return admin_bus_put_chunk(writer->bus, chunk, writer->now_ms);
}

/* Does ours belong there? L7S_CONFLICT: a later one stands there, which is ours now. */
static l7s_status_t judge_mode(admin_bus_copy_t *copy, uint64_t now_ms)
{
    char *payload;
    l7s_mode_item_t there;
    l7s_status_t status =
        admin_bus_get(copy->bus, place(L7S_ITEM_MODE), now_ms, &payload);
    if (status == L7S_OK) {
        status = !l7s_mode_item_read(payload, strlen(payload), &there) ? L7S_UNTRUSTED
                 : admin_snapshot_adopt_mode(copy->snapshot, &there)   ? L7S_CONFLICT
                                                                       : L7S_OK;
    }
    if (status == L7S_OK || status == L7S_CONFLICT) {
        bool ours = strcmp(payload, admin_snapshot_mode(copy->snapshot)) == 0;
        status = status == L7S_OK && !ours ? L7S_STALE : status;
    }
    free(payload);
    return status;
}

/* Only when the kill switch moved or the item is lost. What stands there is looked at
 * first: an emergency must not be lifted by a daemon that does not know of it. */
l7s_status_t admin_bus_copy_write_mode(admin_bus_copy_t *copy, uint64_t now_ms)
{
    const char *mode = admin_snapshot_mode(copy->snapshot);
    if (strcmp(mode, copy->mode) == 0) {
        return L7S_OK;
    }
    l7s_status_t status = judge_mode(copy, now_ms);
    mode = admin_snapshot_mode(copy->snapshot);
    if (status != L7S_IO && status != L7S_TIMEOUT) {
        status = admin_bus_put_mode(copy->bus, mode, now_ms);
    }
    if (status == L7S_OK) {
        snprintf(copy->mode, sizeof(copy->mode), "%s", mode);
    }
    return status;
}

/* Writes `text` (stolen; NULL is no memory) and keeps it in *written. */
static l7s_status_t write_text(admin_bus_copy_t *copy, l7s_item_kind_t kind, char *text,
                               char **written, uint64_t now_ms)
{
    free(*written);
    *written = text;
    return text == NULL ? L7S_NO_MEMORY
                        : admin_bus_put(copy->bus, place(kind), text, now_ms);
}

l7s_status_t admin_bus_copy_write(admin_bus_copy_t *copy, uint64_t now_ms)
{
    writer_t writer = {copy->bus, now_ms};
    const admin_snapshot_t *snapshot = copy->snapshot;
    l7s_status_t mode_status = admin_bus_copy_write_mode(copy, now_ms);
    l7s_status_t status = admin_snapshot_store(copy->snapshot, write_chunk, &writer);
    if (status == L7S_OK) {
        status = write_text(
            copy, L7S_ITEM_MANIFEST,
            admin_snapshot_manifest(snapshot, admin_bus_secret_id(copy->bus), now_ms),
            &copy->manifest, now_ms);
    }
    if (status == L7S_OK) {
        status = write_text(copy, L7S_ITEM_HEAD,
                            admin_snapshot_head(snapshot, admin_bus_epoch(copy->bus)),
                            &copy->head, now_ms);
    }
    status = status == L7S_OK ? mode_status : status;
    copy->complete = status == L7S_OK;
    return status;
}

void admin_bus_copy_sweep(admin_bus_copy_t *copy, uint64_t now_ms)
{
    char hash[L7S_SHA256_TEXT];
    for (unsigned i = 0; i < SWEEP_CHUNKS &&
                         admin_snapshot_retired(copy->snapshot, admin_mono_ms(), hash);
         i++) {
        /* One that cannot be deleted is left to memcached's eviction. */
        (void)!admin_bus_delete(copy->bus, (admin_place_t){L7S_ITEM_CHUNK, hash, 0},
                                now_ms);
    }
}

/* ---- looking ---- */

/* Is the item there and does it say what we wrote? */
static l7s_status_t check_text(admin_bus_copy_t *copy, l7s_item_kind_t kind,
                               const char *written, uint64_t now_ms)
{
    char *payload;
    l7s_status_t status = admin_bus_get(copy->bus, place(kind), now_ms, &payload);
    if (status == L7S_OK && (written == NULL || strcmp(payload, written) != 0)) {
        status = L7S_UNTRUSTED;
    }
    free(payload);
    return status;
}

/* A later mode item than ours is somebody's emergency, and stays. */
static l7s_status_t check_mode(admin_bus_copy_t *copy, uint64_t now_ms)
{
    l7s_status_t status = judge_mode(copy, now_ms);
    if (status == L7S_CONFLICT) {
        snprintf(copy->mode, sizeof(copy->mode), "%s",
                 admin_snapshot_mode(copy->snapshot));
        return L7S_OK;
    }
    return status == L7S_STALE ? L7S_UNTRUSTED : status;
}

/* Goes on in the round of chunks, as far as a second's share of the network reaches: a
 * small snapshot is seen whole each time. Reading a chunk also keeps memcached from
 * evicting what only new nodes read. */
static l7s_status_t check_chunks(admin_bus_copy_t *copy, uint64_t now_ms)
{
    l7s_status_t status = L7S_OK;
    size_t total = admin_snapshot_chunks(copy->snapshot), read = 0;
    for (size_t i = 0; i < total && i < LOOK_CHUNKS && read < LOOK_BYTES; i++) {
        const l7s_chunk_t *chunk = admin_snapshot_next_chunk(copy->snapshot);
        status = admin_bus_check_chunk(copy->bus, chunk->hash, now_ms);
        if (status != L7S_OK) {
            break;
        }
        read += chunk->size;
    }
    return status;
}

l7s_status_t admin_bus_copy_look(admin_bus_copy_t *copy, uint64_t now_ms,
                                 const char **what)
{
    *what = "head";
    l7s_status_t status = check_text(copy, L7S_ITEM_HEAD, copy->head, now_ms);
    if (status == L7S_OK) {
        *what = "mode item";
        status = check_mode(copy, now_ms);
    }
    if (status == L7S_OK) {
        *what = "manifest";
        status = check_text(copy, L7S_ITEM_MANIFEST, copy->manifest, now_ms);
    }
    if (status == L7S_OK) {
        *what = "chunks";
        status = check_chunks(copy, now_ms);
    }
    return status;
}
