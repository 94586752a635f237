/* SPDX-License-Identifier: Apache-2.0
 *
 * The files of a node: read whole and bounded, written so that a reader (and a crash)
 * sees the old or the new one and nothing between, and watched by a stamp instead of
 * inotify, which would miss files on network mounts and replaced folders.
 */
#ifndef SYNC_FILE_H
#define SYNC_FILE_H

#include "../../core/status.h"
#include <stdint.h>

/* What tells one version of a file from another. All zero: there is no such file. */
typedef struct {
    uint64_t device, inode, size;
    int64_t modified_ns, changed_ns;
} sync_stamp_t;

sync_stamp_t sync_file_stamp(const char *path);
bool sync_stamp_same(const sync_stamp_t *a, const sync_stamp_t *b);
bool sync_stamp_exists(const sync_stamp_t *stamp);

/* *out is malloc'ed, NUL-terminated and owned by the caller. L7S_NOT_FOUND: no such file;
 * L7S_TOO_BIG: more than `limit` bytes; L7S_IO: errno tells. */
L7S_MUST_USE l7s_status_t sync_file_read(const char *path, size_t limit, char **out,
                                         size_t *size);

/* Temporary file beside it, fsync, rename, fsync of the folder; mode 0600. */
L7S_MUST_USE l7s_status_t sync_file_write(const char *path, const void *data,
                                          size_t size);

#endif
