/* SPDX-License-Identifier: Apache-2.0
 *
 * Sinks (sink.h). Every descriptor is used as if it could block: asked with poll first,
 * and pipes get no more at once than they take without waiting (PIPE_BUF).
 */
#include "sink.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define WAIT_MS 250
#define SYSLOG_SOCKET "/dev/log"
#define SYSLOG_PRIORITY 29 /* daemon.notice */
#define SYSLOG_HEAD_MAX 64

struct admin_sink {
    char *path; /* NULL: standard output */
    bool syslog;
    const atomic_bool *stopping;
    int fd;
    bool regular;
    size_t written; /* of the line that is under way */
    atomic_bool reopen;
};

admin_sink_t *admin_sink_create(const char *target, const atomic_bool *stopping)
{
    admin_sink_t *sink = calloc(1, sizeof(*sink));
    if (sink == NULL) {
        return NULL;
    }
    sink->fd = -1;
    sink->stopping = stopping;
    sink->syslog = strcmp(target, "syslog") == 0 || strncmp(target, "syslog:", 7) == 0;
    const char *path = !sink->syslog       ? target
                       : target[6] == '\0' ? SYSLOG_SOCKET
                                           : target + 7;
    if (strcmp(target, "-") != 0) {
        sink->path = strdup(path);
    }
    if (sink->path == NULL && strcmp(target, "-") != 0) {
        free(sink);
        return NULL;
    }
    return sink;
}

static void close_sink(admin_sink_t *sink)
{
    if (sink->fd >= 0) {
        close(sink->fd);
    }
    sink->fd = -1;
    sink->written = 0;
}

void admin_sink_free(admin_sink_t *sink)
{
    if (sink != NULL) {
        close_sink(sink);
        free(sink->path);
        free(sink);
    }
}

void admin_sink_reopen(admin_sink_t *sink)
{
    atomic_store(&sink->reopen, true);
}

static l7s_status_t fail(const admin_sink_t *sink, char why[256])
{
    snprintf(why, 256, "%.180s: %s", sink->path == NULL ? "standard output" : sink->path,
             strerror(errno));
    return L7S_IO;
}

static int open_syslog(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        errno = ENAMETOOLONG;
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (const struct sockaddr *)&address, sizeof(address)) != 0) {
        int error = errno;
        close(fd);
        errno = error;
        return -1;
    }
    return fd;
}

static int open_target(const admin_sink_t *sink)
{
    if (sink->path == NULL) {
        return fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 0);
    }
    return sink->syslog
               ? open_syslog(sink->path)
               : open(sink->path,
                      O_WRONLY | O_APPEND | O_CREAT | O_NONBLOCK | O_CLOEXEC | O_NOCTTY,
                      0640);
}

static l7s_status_t make_ready(admin_sink_t *sink, char why[256])
{
    struct stat info;
    bool midway = sink->written > 0;
    if (!midway && atomic_exchange(&sink->reopen, false)) {
        close_sink(sink);
    }
    if (sink->fd < 0) {
        sink->fd = open_target(sink);
        if (sink->fd < 0) {
            return fail(sink, why);
        }
        sink->regular = fstat(sink->fd, &info) == 0 && S_ISREG(info.st_mode);
    }
    return L7S_OK;
}

/* Until it takes something, or the time is over. */
static bool is_writable(const admin_sink_t *sink)
{
    struct pollfd one = {.fd = sink->fd, .events = POLLOUT};
    return poll(&one, 1, atomic_load(sink->stopping) ? 0 : WAIT_MS) == 1;
}

/* A torn line would spoil the file: what was written of it is taken back. */
static l7s_status_t write_regular(admin_sink_t *sink, const char *line, size_t size,
                                  char why[256])
{
    ssize_t count = write(sink->fd, line, size);
    if (count == (ssize_t)size) {
        return L7S_OK;
    }
    int error = count < 0 ? errno : ENOSPC;
    off_t end = lseek(sink->fd, 0, SEEK_END);
    if (count > 0 && (end < count || ftruncate(sink->fd, end - count) != 0)) {
        count = -1; /* it stays torn; the next look at the disk says why */
    }
    errno = error;
    l7s_status_t status = fail(sink, why);
    close_sink(sink);
    return status;
}

static l7s_status_t write_pipe(admin_sink_t *sink, const char *line, size_t size,
                               char why[256])
{
    while (sink->written < size) {
        if (!is_writable(sink)) {
            return L7S_TIMEOUT;
        }
        size_t rest = size - sink->written;
        ssize_t count =
            write(sink->fd, line + sink->written, rest < PIPE_BUF ? rest : PIPE_BUF);
        if (count < 0 && (errno == EAGAIN || errno == EINTR)) {
            return L7S_TIMEOUT;
        }
        if (count < 0) {
            l7s_status_t status = fail(sink, why);
            close_sink(sink);
            return status;
        }
        sink->written += (size_t)count;
    }
    sink->written = 0;
    return L7S_OK;
}

/* The form that /dev/log has always had (RFC 3164), without the newline. */
static l7s_status_t write_syslog(admin_sink_t *sink, const char *line, size_t size,
                                 char why[256])
{
    char head[SYSLOG_HEAD_MAX], at[32];
    time_t now = time(NULL);
    struct tm local;
    localtime_r(&now, &local);
    strftime(at, sizeof(at), "%b %e %H:%M:%S", &local);
    int length = snprintf(head, sizeof(head), "<%d>%s l7shieldd[%d]: ", SYSLOG_PRIORITY,
                          at, (int)getpid());
    struct iovec parts[] = {{head, (size_t)length}, {(void *)(uintptr_t)line, size - 1}};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};
    if (!is_writable(sink)) {
        return L7S_TIMEOUT;
    }
    if (sendmsg(sink->fd, &message, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0) {
        return L7S_OK;
    }
    if (errno == EAGAIN || errno == ENOBUFS || errno == EINTR) {
        return L7S_TIMEOUT;
    }
    if (errno == EMSGSIZE) {
        return L7S_TOO_BIG;
    }
    l7s_status_t status = fail(sink, why);
    close_sink(sink);
    return status;
}

l7s_status_t admin_sink_write(admin_sink_t *sink, const char *line, size_t size,
                              char why[256])
{
    l7s_status_t status = make_ready(sink, why);
    if (status != L7S_OK) {
        return status;
    }
    return sink->syslog    ? write_syslog(sink, line, size, why)
           : sink->regular ? write_regular(sink, line, size, why)
                           : write_pipe(sink, line, size, why);
}
