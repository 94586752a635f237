/* SPDX-License-Identifier: Apache-2.0
 *
 * Servers to test against: a real memcached on a free loopback port, which dies with the
 * test, and a fake one that answers whatever it is told. Failures end the test program.
 */
#ifndef TEST_MEMCACHED_SERVER_H
#define TEST_MEMCACHED_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

typedef struct {
    pid_t pid;
    int port;
    char address[32]; /* "127.0.0.1:PORT" */
} memcached_server_t;

/* Starts one and waits until it accepts. port 0: any free one. */
memcached_server_t memcached_server_start(int port);
void memcached_server_pause(const memcached_server_t *server);  /* SIGSTOP */
void memcached_server_resume(const memcached_server_t *server); /* SIGCONT */
void memcached_server_kill(memcached_server_t *server);         /* SIGKILL, waits */
/* One raw exchange on a connection of its own; the answer is cut at `capacity`. */
size_t memcached_server_ask(const memcached_server_t *server, const char *command,
                            char *answer, size_t capacity);

typedef struct fake_server fake_server_t;

/* Answers "MN\r\n" to a no-op when `greets`, `answer` (`size` bytes) to anything else,
 * and then closes when `closes`. */
fake_server_t *fake_server_start(bool greets, const char *answer, size_t size,
                                 bool closes);
const char *fake_server_address(const fake_server_t *server);
void fake_server_stop(fake_server_t *server);

/* Milliseconds of the steady clock. */
unsigned long steady_ms(void);

#endif
