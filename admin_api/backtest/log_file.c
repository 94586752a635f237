/* SPDX-License-Identifier: Apache-2.0
 *
 * See log_file.h. One step after the other, none of which follows a link: whoever may
 * write into the folder cannot lead anywhere else, not even between two steps.
 */
#include "log_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NAME_BYTES 256

/* Is this part of a path the name of something below? */
static int is_name(const char *part, size_t size)
{
    return size > 0 && size < NAME_BYTES && !(size == 1 && part[0] == '.') &&
           !(size == 2 && memcmp(part, "..", 2) == 0);
}

/* `at` is closed. */
static int step(int at, const char *part, size_t size, int flags)
{
    char name[NAME_BYTES];
    int fd = -1;

    if (is_name(part, size)) {
        snprintf(name, sizeof name, "%.*s", (int)size, part);
        fd = openat(at, name, flags | O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
        errno = fd < 0 && errno == ELOOP ? EACCES : errno;
    } else {
        errno = EACCES;
    }
    int why = errno;
    close(at);
    errno = why;
    return fd;
}

static int check_regular(int fd)
{
    struct stat about;

    if (fd < 0 || (fstat(fd, &about) == 0 && S_ISREG(about.st_mode))) {
        return fd;
    }
    close(fd);
    errno = EACCES;
    return -1;
}

int admin_log_file_open(const char *folder, const char *path)
{
    int at = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    while (at >= 0) {
        size_t size = strcspn(path, "/");
        if (path[size] == '\0') { /* a pipe must not make it wait */
            return check_regular(step(at, path, size, O_NONBLOCK));
        }
        at = step(at, path, size, O_DIRECTORY);
        path += size + 1;
    }
    return -1;
}
