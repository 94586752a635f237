/* SPDX-License-Identifier: Apache-2.0
 *
 * Sockets that listen (listen.h).
 */
#include "listen.h"
#include "../log.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* "127.0.0.1:9180" or "[::1]:9180". */
static bool parse_listen(const char *listen, struct sockaddr_storage *out,
                         socklen_t *size)
{
    char host[64];
    const char *colon = strrchr(listen, ':');
    if (colon == NULL || (size_t)(colon - listen) >= sizeof host) {
        return false;
    }
    char *end;
    unsigned long port = strtoul(colon + 1, &end, 10);
    if (colon[1] == '\0' || *end != '\0' || port > 65535) {
        return false;
    }
    bool bracketed = listen[0] == '[' && colon > listen + 1 && colon[-1] == ']';
    snprintf(host, sizeof host, "%.*s", (int)(colon - listen) - (bracketed ? 2 : 0),
             listen + bracketed);
    memset(out, 0, sizeof *out);
    struct sockaddr_in *v4 = (void *)out;
    struct sockaddr_in6 *v6 = (void *)out;
    if (bracketed && inet_pton(AF_INET6, host, &v6->sin6_addr) == 1) {
        v6->sin6_family = AF_INET6;
        v6->sin6_port = htons((uint16_t)port);
        *size = sizeof *v6;
        return true;
    }
    v4->sin_family = AF_INET;
    v4->sin_port = htons((uint16_t)port);
    *size = sizeof *v4;
    return !bracketed && inet_pton(AF_INET, host, &v4->sin_addr) == 1;
}

bool admin_listen_is_loopback(const char *listen)
{
    struct sockaddr_storage address;
    socklen_t size;
    if (!parse_listen(listen, &address, &size)) {
        return false;
    }
    if (address.ss_family == AF_INET) {
        const struct sockaddr_in *v4 = (const void *)&address;
        return ntohl(v4->sin_addr.s_addr) >> 24 == 127;
    }
    const struct sockaddr_in6 *v6 = (const void *)&address;
    return IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr) != 0;
}

int admin_listen_tcp(const char *listen_at, char why[256])
{
    struct sockaddr_storage address;
    socklen_t size;
    if (!parse_listen(listen_at, &address, &size)) {
        snprintf(why, 256, "listen: \"%.100s\" is not ADDRESS:PORT", listen_at);
        return -1;
    }
    int on = 1;
    int fd = socket(address.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (address.ss_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, (struct sockaddr *)&address, size) != 0 || listen(fd, 256) != 0) {
        snprintf(why, 256, "listen %.100s: %s", listen_at, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

/* Anybody may connect; who they are is asked of the kernel. A socket that a dead daemon
 * left behind is removed: the data directory's lock says that no other one runs. */
int admin_listen_unix(const char *path, char why[256])
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        snprintf(why, 256, "unix_socket: the path is longer than %zu bytes",
                 sizeof address.sun_path - 1);
        return -1;
    }
    strcpy(address.sun_path, path);
    struct stat there;
    if (lstat(path, &there) == 0 && S_ISSOCK(there.st_mode)) {
        unlink(path);
    }
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof address) != 0 ||
        chmod(path, 0666) != 0 || listen(fd, 64) != 0) {
        snprintf(why, 256, "unix_socket %.150s: %s", path, strerror(errno));
        if (fd >= 0) {
            close(fd);
        }
        return -1;
    }
    return fd;
}

void admin_listen_log(int fd, bool tls)
{
    struct sockaddr_storage address;
    socklen_t size = sizeof address;
    char text[64] = "";
    if (getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        return;
    }
    const struct sockaddr_in *v4 = (const void *)&address;
    const struct sockaddr_in6 *v6 = (const void *)&address;
    bool is_v4 = address.ss_family == AF_INET;
    inet_ntop(address.ss_family, is_v4 ? (const void *)&v4->sin_addr : &v6->sin6_addr,
              text, sizeof text);
    admin_log(ADMIN_INFO, "L7S3001", "listening on %s://%s%s%s:%u",
              tls ? "https" : "http", is_v4 ? "" : "[", text, is_v4 ? "" : "]",
              ntohs(is_v4 ? v4->sin_port : v6->sin6_port));
}
