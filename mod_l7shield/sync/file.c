/* SPDX-License-Identifier: Apache-2.0
 *
 * See file.h. One process writes a state folder at a time (state_dir.h), so the temporary
 * file has a fixed name and a crash leaves at most one behind, which the next write
 * takes.
 */
#include "file.h"
#include "state_dir.h"
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int64_t nanoseconds(const struct timespec *time)
{
    return (int64_t)time->tv_sec * 1000000000 + time->tv_nsec;
}

sync_stamp_t sync_file_stamp(const char *path)
{
    struct stat info;

    if (stat(path, &info) != 0) {
        return (sync_stamp_t){0};
    }
    return (sync_stamp_t){.device = (uint64_t)info.st_dev,
                          .inode = (uint64_t)info.st_ino,
                          .size = (uint64_t)info.st_size,
                          .modified_ns = nanoseconds(&info.st_mtim),
                          .changed_ns = nanoseconds(&info.st_ctim)};
}

bool sync_stamp_same(const sync_stamp_t *a, const sync_stamp_t *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified_ns == b->modified_ns && a->changed_ns == b->changed_ns;
}

bool sync_stamp_exists(const sync_stamp_t *stamp)
{
    return stamp->inode != 0;
}

static l7s_status_t read_all(int fd, size_t expected, size_t limit, char **out,
                             size_t *size)
{
    size_t capacity = expected + 1, used = 0;
    char *text = malloc(capacity + 1);

    if (text == NULL) {
        return L7S_NO_MEMORY;
    }
    while (used < capacity) {
        ssize_t got = read(fd, text + used, capacity - used);
        if (got < 0) {
            free(text);
            return L7S_IO;
        }
        if (got == 0) {
            break;
        }
        used += (size_t)got;
    }
    if (used > limit || used == capacity) { /* grew while it was read: try again later */
        free(text);
        return L7S_TOO_BIG;
    }
    text[used] = '\0';
    *out = text;
    *size = used;
    return L7S_OK;
}

l7s_status_t sync_file_read(const char *path, size_t limit, char **out, size_t *size)
{
    struct stat info;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

    if (fd < 0) {
        return errno == ENOENT ? L7S_NOT_FOUND : L7S_IO;
    }
    l7s_status_t status = L7S_IO;
    if (fstat(fd, &info) != 0) {
        goto out;
    }
    if (!S_ISREG(info.st_mode)) { /* a pipe or device would hold the tick */
        errno = S_ISDIR(info.st_mode) ? EISDIR : EINVAL;
        goto out;
    }
    if ((uint64_t)info.st_size > limit) {
        status = L7S_TOO_BIG;
        goto out;
    }
    status = read_all(fd, (size_t)info.st_size, limit, out, size);
out:
    (void)close(fd);
    return status;
}

static bool write_all(int fd, const char *data, size_t size)
{
    while (size > 0) {
        ssize_t done = write(fd, data, size);
        if (done < 0) {
            return false;
        }
        data += done;
        size -= (size_t)done;
    }
    return fsync(fd) == 0;
}

/* The rename itself must survive a power cut as well. */
static void sync_folder(const char *path)
{
    char folder[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t length = slash == NULL ? 0 : (size_t)(slash - path);

    if (length == 0 || length >= sizeof folder) {
        return;
    }
    memcpy(folder, path, length);
    folder[length] = '\0';
    int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0) {
        (void)fsync(fd);
        (void)close(fd);
    }
}

l7s_status_t sync_file_write(const char *path, const void *data, size_t size)
{
    char temporary[PATH_MAX];
    int length = snprintf(temporary, sizeof temporary, "%s.new", path);

    if (!sync_state_dir_is_ours()) {
        errno = EBUSY;
        return L7S_IO;
    }
    if (length < 0 || (size_t)length >= sizeof temporary) {
        return L7S_INVALID;
    }
    int fd = open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0) {
        return L7S_IO;
    }
    bool good = write_all(fd, data, size);
    good = close(fd) == 0 && good;
    if (!good || rename(temporary, path) != 0) {
        int reason = errno;
        (void)unlink(temporary);
        errno = reason;
        return L7S_IO;
    }
    sync_folder(path);
    return L7S_OK;
}
