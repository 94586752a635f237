/* SPDX-License-Identifier: Apache-2.0
 *
 * Addresses to listen on: which of them is a loopback's decides whether TLS is demanded,
 * and a unix socket takes the place of a dead one's only.
 */
#include "../../admin_api/http/listen.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void test_listen_is_loopback_or_not(void **state)
{
    static const struct {
        const char *listen;
        bool loopback;
    } cases[] = {
        {"127.0.0.1:9180", true},
        {"127.255.255.254:1", true},
        {"[::1]:9180", true},
        {"128.0.0.1:9180", false},
        {"0.0.0.0:9180", false},
        {"192.0.2.1:9180", false},
        {"[::]:9180", false},
        {"[2001:db8::1]:9180", false},
        {"[::ffff:192.0.2.1]:9180", false},
        {"127.0.0.1.example.com:9180", false},
        {"localhost:9180", false},
        {"[127.0.0.1]:9180", false},
        {"::1:9180", false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(admin_listen_is_loopback(cases[i].listen), cases[i].loopback);
    }
}

static void test_listen_tcp_refuses_what_is_no_address_and_port(void **state)
{
    static const char *const wrong[] = {"",
                                        ":",
                                        "127.0.0.1",
                                        "127.0.0.1:",
                                        "127.0.0.1:http",
                                        "127.0.0.1:80x",
                                        "127.0.0.1:65536",
                                        "127.0.0.1:-1",
                                        "127.0.0.1:99999999999999999999999",
                                        "[::1:9180",
                                        "[]:9180",
                                        "[::1]9180"};
    (void)state;
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char why[256] = "";
        assert_int_equal(admin_listen_tcp(wrong[i], why), -1);
        assert_non_null(strstr(why, "is not ADDRESS:PORT"));
    }
}

static void test_listen_unix_takes_a_dead_sockets_place_only(void **state)
{
    char folder[] = "/tmp/l7shield-listen-XXXXXX", path[256], why[256];
    struct stat there;
    (void)state;
    assert_non_null(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/socket", folder);
    int dead = admin_listen_unix(path, why);
    assert_true(dead >= 0);
    close(dead);
    int fd = admin_listen_unix(path, why);
    assert_true(fd >= 0);
    close(fd);
    unlink(path);

    close(open(path, O_CREAT | O_WRONLY, 0600)); /* somebody's file */
    assert_int_equal(admin_listen_unix(path, why), -1);
    assert_non_null(strstr(why, path));
    assert_int_equal(stat(path, &there), 0);
    assert_true(S_ISREG(there.st_mode));
    unlink(path);

    snprintf(path, sizeof path, "%s/%0150d", folder, 0);
    assert_int_equal(admin_listen_unix(path, why), -1);
    assert_non_null(strstr(why, "is longer than"));
    assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_listen_is_loopback_or_not),
        cmocka_unit_test(test_listen_tcp_refuses_what_is_no_address_and_port),
        cmocka_unit_test(test_listen_unix_takes_a_dead_sockets_place_only),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
