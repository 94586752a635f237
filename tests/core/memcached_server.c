/* SPDX-License-Identifier: Apache-2.0
 *
 * See memcached_server.h. A free port is found by binding to port 0 and letting go, so
 * another process may take it in between: starting tries a few times.
 */
#include "memcached_server.h"
#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MEMCACHED "/usr/bin/memcached"
#define START_DEADLINE_MS 5000
#define NOBODY 65534 /* memcached refuses to be root */

unsigned long steady_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (unsigned long)now.tv_sec * 1000 + (unsigned long)now.tv_nsec / 1000000;
}

static void die(const char *what)
{
    perror(what);
    abort();
}

static struct sockaddr_in loopback(int port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((unsigned short)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_somewhere(int *port)
{
    struct sockaddr_in address = loopback(0);
    socklen_t size = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&address, size) != 0 ||
        listen(fd, 16) != 0 || getsockname(fd, (struct sockaddr *)&address, &size) != 0) {
        die("listen");
    }
    *port = ntohs(address.sin_port);
    return fd;
}

static int dial(int port)
{
    struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) != 0) {
        close(fd);
        return -1;
    }
    return fd;
}

/* ---- the real one ---- */

static pid_t spawn(int port)
{
    char text[16];
    snprintf(text, sizeof text, "%d", port);
    pid_t pid = fork();
    if (pid == 0) {
        /* Before the signal is asked for: a change of user afterwards would cancel it. */
        if (geteuid() == 0 && (setgid(NOBODY) != 0 || setuid(NOBODY) != 0)) {
            _exit(126);
        }
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        execl(MEMCACHED, MEMCACHED, "-l", "127.0.0.1", "-p", text, "-m", "16", "-t", "1",
              (char *)NULL);
        _exit(127);
    }
    if (pid < 0) {
        die("fork");
    }
    return pid;
}

/* Waits until it accepts or has ended. */
static bool wait_ready(pid_t pid, int port)
{
    unsigned long end = steady_ms() + START_DEADLINE_MS;
    while (steady_ms() < end) {
        int fd = dial(port);
        if (fd >= 0) {
            close(fd);
            return true;
        }
        if (waitpid(pid, NULL, WNOHANG) == pid) {
            return false;
        }
        poll(NULL, 0, 5);
    }
    die("memcached does not start");
    return false;
}

memcached_server_t memcached_server_start(int port)
{
    for (int attempt = 0; attempt < 5; attempt++) {
        memcached_server_t server = {.port = port};
        if (port == 0) {
            close(listen_somewhere(&server.port));
        }
        server.pid = spawn(server.port);
        snprintf(server.address, sizeof server.address, "127.0.0.1:%d", server.port);
        if (wait_ready(server.pid, server.port)) {
            return server;
        }
    }
    die("no memcached");
    abort();
}

void memcached_server_pause(const memcached_server_t *server)
{
    int status;
    kill(server->pid, SIGSTOP);
    waitpid(server->pid, &status, WUNTRACED);
}

void memcached_server_resume(const memcached_server_t *server)
{
    kill(server->pid, SIGCONT);
}

void memcached_server_kill(memcached_server_t *server)
{
    if (server->pid > 0) {
        kill(server->pid, SIGKILL);
        waitpid(server->pid, NULL, 0);
        server->pid = 0;
    }
}

size_t memcached_server_ask(const memcached_server_t *server, const char *command,
                            char *answer, size_t capacity)
{
    int fd = dial(server->port);
    if (fd < 0 || write(fd, command, strlen(command)) != (ssize_t)strlen(command)) {
        die("ask");
    }
    ssize_t got = read(fd, answer, capacity - 1);
    close(fd);
    answer[got > 0 ? got : 0] = '\0';
    return got > 0 ? (size_t)got : 0;
}

/* ---- the fake one ---- */

#define FAKE_CONNECTIONS 8

struct fake_server {
    pthread_t thread;
    int listener;
    int stop[2];
    bool greets, closes;
    const char *answer;
    size_t size;
    char address[32];
};

/* Answers one piece of input. False: the connection ends. */
static bool fake_answer(const fake_server_t *server, int fd)
{
    char input[65536];
    ssize_t got = recv(fd, input, sizeof input, 0);
    if (got <= 0) {
        return false;
    }
    if (server->greets && got == 4 && memcmp(input, "mn\r\n", 4) == 0) {
        return send(fd, "MN\r\n", 4, MSG_NOSIGNAL) == 4;
    }
    bool sent =
        send(fd, server->answer, server->size, MSG_NOSIGNAL) == (ssize_t)server->size;
    return sent && !server->closes;
}

static void *fake_run(void *argument)
{
    fake_server_t *server = argument;
    struct pollfd fds[2 + FAKE_CONNECTIONS] = {{.fd = server->listener, .events = POLLIN},
                                               {.fd = server->stop[0], .events = POLLIN}};
    for (int i = 2; i < 2 + FAKE_CONNECTIONS; i++) {
        fds[i] = (struct pollfd){.fd = -1, .events = POLLIN};
    }
    while (poll(fds, 2 + FAKE_CONNECTIONS, -1) > 0 && fds[1].revents == 0) {
        for (int i = 2; i < 2 + FAKE_CONNECTIONS; i++) {
            if (fds[i].fd < 0 && (fds[0].revents & POLLIN) != 0) {
                fds[i].fd = accept(server->listener, NULL, NULL);
                fds[i].revents = 0;
                fds[0].revents = 0;
            }
            if (fds[i].fd >= 0 && fds[i].revents != 0 &&
                !fake_answer(server, fds[i].fd)) {
                close(fds[i].fd);
                fds[i].fd = -1;
            }
        }
    }
    for (int i = 2; i < 2 + FAKE_CONNECTIONS; i++) {
        if (fds[i].fd >= 0) {
            close(fds[i].fd);
        }
    }
    return NULL;
}

fake_server_t *fake_server_start(bool greets, const char *answer, size_t size,
                                 bool closes)
{
    fake_server_t *server = calloc(1, sizeof *server);
    int port = 0;
    if (!server || pipe(server->stop) != 0) {
        die("fake server");
    }
    server->listener = listen_somewhere(&port);
    server->greets = greets;
    server->closes = closes;
    server->answer = answer;
    server->size = size;
    snprintf(server->address, sizeof server->address, "127.0.0.1:%d", port);
    if (pthread_create(&server->thread, NULL, fake_run, server) != 0) {
        die("fake server");
    }
    return server;
}

const char *fake_server_address(const fake_server_t *server)
{
    return server->address;
}

void fake_server_stop(fake_server_t *server)
{
    if (write(server->stop[1], "", 1) != 1) {
        die("fake server");
    }
    pthread_join(server->thread, NULL);
    close(server->stop[0]);
    close(server->stop[1]);
    close(server->listener);
    free(server);
}
