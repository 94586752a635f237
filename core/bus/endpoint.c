/* SPDX-License-Identifier: Apache-2.0
 *
 * See endpoint.h.
 */
#include "endpoint.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static bool parse_port(const char *text, in_port_t *out)
{
    size_t digits = strspn(text, "0123456789");
    unsigned long port = strtoul(text, NULL, 10);

    *out = (in_port_t)port;
    return digits >= 1 && digits <= 5 && text[digits] == '\0' && port >= 1 &&
           port <= 65535;
}

static bool set_address(l7s_endpoint_t *out, bool six, const char *host)
{
    struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)&out->address;
    struct sockaddr_in *v4 = (struct sockaddr_in *)&out->address;
    int family = six ? AF_INET6 : AF_INET;
    void *address = six ? (void *)&v6->sin6_addr : (void *)&v4->sin_addr;

    out->address.ss_family = (sa_family_t)family;
    out->size = six ? sizeof *v6 : sizeof *v4;
    if (six) {
        v6->sin6_port = htons(out->port);
    } else {
        v4->sin_port = htons(out->port);
    }
    return inet_pton(family, host, address) == 1 &&
           inet_ntop(family, address, out->host, sizeof out->host) != NULL;
}

bool l7s_endpoint_parse(const char *text, l7s_endpoint_t *out)
{
    char host[L7S_ENDPOINT_TEXT];
    const char *colon = strrchr(text, ':');
    bool six = text[0] == '[';

    memset(out, 0, sizeof *out);
    if (colon == NULL || strlen(text) >= sizeof host ||
        (six && (colon < text + 2 || colon[-1] != ']')) ||
        !parse_port(colon + 1, &out->port)) {
        return false;
    }
    snprintf(host, sizeof host, "%.*s", (int)(colon - text) - (six ? 2 : 0),
             text + (six ? 1 : 0));
    if (!set_address(out, six, host)) {
        return false;
    }
    snprintf(out->text, sizeof out->text, six ? "[%s]:%u" : "%s:%u", out->host,
             (unsigned)out->port);
    return true;
}

int l7s_endpoint_dial(const l7s_endpoint_t *endpoint)
{
    int one = 1;
    int fd = socket(endpoint->address.ss_family,
                    SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, IPPROTO_TCP);

    if (fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one) == 0 &&
        (connect(fd, (const struct sockaddr *)&endpoint->address, endpoint->size) == 0 ||
         errno == EINPROGRESS)) {
        return fd;
    }
    if (fd >= 0) {
        close(fd);
    }
    return -1;
}

bool l7s_endpoint_reached(int fd)
{
    int error = 0;
    socklen_t size = sizeof error;

    return getsockopt(fd, SOL_SOCKET, SO_ERROR, &error, &size) == 0 && error == 0;
}

bool l7s_endpoint_is_silent(int fd)
{
    char byte;

    return recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) < 0 &&
           (errno == EAGAIN || errno == EWOULDBLOCK);
}
