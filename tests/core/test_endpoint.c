/* SPDX-License-Identifier: Apache-2.0
 *
 * Which texts name a server, and what a socket to one on loopback says of it.
 */
#include "../../core/bus/endpoint.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <arpa/inet.h>
#include <poll.h>
#include <stdio.h>
#include <unistd.h>

static void test_endpoint_parse_writes_the_canonical_form(void **state)
{
    static const struct {
        const char *text, *host, *canonical;
        int family, port;
    } cases[] = {
        {"127.0.0.1:11211", "127.0.0.1", "127.0.0.1:11211", AF_INET, 11211},
        {"127.0.0.1:00080", "127.0.0.1", "127.0.0.1:80", AF_INET, 80},
        {"[::1]:1", "::1", "[::1]:1", AF_INET6, 1},
        {"[2001:DB8:0::7]:65535", "2001:db8::7", "[2001:db8::7]:65535", AF_INET6, 65535},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_endpoint_t endpoint;
        assert_true(l7s_endpoint_parse(cases[i].text, &endpoint));
        assert_string_equal(endpoint.host, cases[i].host);
        assert_string_equal(endpoint.text, cases[i].canonical);
        assert_int_equal(endpoint.port, cases[i].port);
        assert_int_equal(endpoint.address.ss_family, cases[i].family);
    }
}

static void test_endpoint_parse_refuses_names_and_halves(void **state)
{
    static const char *const cases[] = {
        "",
        ":",
        ":11211",
        "127.0.0.1",
        "127.0.0.1:",
        "127.0.0.1:0",
        "127.0.0.1:65536",
        "127.0.0.1:000080",
        "127.0.0.1:+80",
        "127.0.0.1:80 ",
        "127.0.0.1:http",
        "127.1:80",
        "localhost:80",
        "::1:80",
        "[::1:80",
        "[::1]80",
        "[]:80",
        "[:80",
        "[127.0.0.1]:80",
        "[fe80::1%lo]:80",
        "[2001:db8:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff]:80",
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_endpoint_t endpoint;
        if (l7s_endpoint_parse(cases[i], &endpoint)) {
            fail_msg("\"%s\" was taken", cases[i]);
        }
    }
}

/* Listens on a free port and says where. */
static int listen_somewhere(l7s_endpoint_t *endpoint)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    char text[L7S_ENDPOINT_TEXT];
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_int_equal(bind(fd, (struct sockaddr *)&address, size), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &size), 0);
    snprintf(text, sizeof text, "127.0.0.1:%u", (unsigned)ntohs(address.sin_port));
    assert_true(l7s_endpoint_parse(text, endpoint));
    return fd;
}

static void wait_for(int fd, short events)
{
    struct pollfd one = {.fd = fd, .events = events};

    assert_int_equal(poll(&one, 1, 5000), 1);
}

static void test_endpoint_tells_a_silent_peer_from_one_that_spoke_or_left(void **state)
{
    l7s_endpoint_t endpoint;
    int server = listen_somewhere(&endpoint);
    int fd = l7s_endpoint_dial(&endpoint);

    (void)state;
    assert_true(fd >= 0);
    wait_for(fd, POLLOUT);
    assert_true(l7s_endpoint_reached(fd));
    int peer = accept(server, NULL, NULL);
    assert_true(l7s_endpoint_is_silent(fd));
    assert_int_equal(write(peer, "x", 1), 1);
    wait_for(fd, POLLIN);
    assert_false(l7s_endpoint_is_silent(fd));
    char byte;
    assert_int_equal(read(fd, &byte, 1), 1); /* it was only looked at */
    assert_true(l7s_endpoint_is_silent(fd));
    close(peer);
    wait_for(fd, POLLIN);
    assert_false(l7s_endpoint_is_silent(fd));
    close(fd);
    close(server);
}

static void test_endpoint_nobody_listens_is_not_reached(void **state)
{
    l7s_endpoint_t endpoint;

    (void)state;
    close(listen_somewhere(&endpoint));
    int fd = l7s_endpoint_dial(&endpoint);
    if (fd >= 0) { /* loopback may say so at once */
        wait_for(fd, POLLOUT);
        assert_false(l7s_endpoint_reached(fd));
        close(fd);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_endpoint_parse_writes_the_canonical_form),
        cmocka_unit_test(test_endpoint_parse_refuses_names_and_halves),
        cmocka_unit_test(test_endpoint_tells_a_silent_peer_from_one_that_spoke_or_left),
        cmocka_unit_test(test_endpoint_nobody_listens_is_not_reached),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
