/* SPDX-License-Identifier: Apache-2.0
 *
 * Who counts as one client, and how many connections it gets.
 */
#include "../../admin_api/http/clients.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <arpa/inet.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

static admin_client_t client_of(const char *text)
{
    struct sockaddr_in v4 = {.sin_family = AF_INET};
    struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
    if (inet_pton(AF_INET, text, &v4.sin_addr) == 1) {
        return admin_client_of_address((const struct sockaddr *)&v4);
    }
    assert_int_equal(inet_pton(AF_INET6, text, &v6.sin6_addr), 1);
    return admin_client_of_address((const struct sockaddr *)&v6);
}

static void test_client_of_address_is_an_ipv4_or_a_64(void **state)
{
    (void)state;
    static const struct {
        const char *a, *b;
        bool same;
    } cases[] = {
        {"203.0.113.1", "203.0.113.1", true},
        {"203.0.113.1", "203.0.113.2", false},
        {"203.0.113.1", "::ffff:203.0.113.1", true},
        {"2001:db8::1", "2001:db8::ffff:2", true},
        {"2001:db8:0:1::1", "2001:db8:0:2::1", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        admin_client_t a = client_of(cases[i].a), b = client_of(cases[i].b);
        assert_true(a.limited && b.limited);
        assert_int_equal(memcmp(a.bytes, b.bytes, sizeof a.bytes) == 0, cases[i].same);
    }
}

static void test_client_of_user_ourselves_are_not_limited(void **state)
{
    (void)state;
    int pair[2];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    assert_false(admin_client_of_user(pair[0]).limited);
    assert_false(admin_client_of_address((const struct sockaddr *)&address).limited);
    close(pair[0]);
    close(pair[1]);
    assert_true(admin_client_of_user(-1).limited);
}

static void test_clients_add_up_to_the_limit_of_each(void **state)
{
    (void)state;
    admin_clients_t *clients = NULL;
    admin_client_t one = client_of("203.0.113.1"), other = client_of("2001:db8::1");
    admin_client_t root = {.limited = false};
    assert_int_equal(admin_clients_create(3, &clients), L7S_OK);
    for (int i = 0; i < 3; i++) {
        assert_true(admin_clients_room(clients, &one));
        assert_true(admin_clients_add(clients, &one));
    }
    assert_false(admin_clients_room(clients, &one));
    assert_false(admin_clients_add(clients, &one));
    admin_clients_remove(clients, &one);
    assert_true(admin_clients_add(clients, &other));
    for (int i = 0; i < 10; i++) {
        assert_true(admin_clients_room(clients, &root));
        assert_true(admin_clients_add(clients, &root));
    }
    assert_int_equal(admin_clients_total(clients), 14);
    admin_clients_remove(clients, &one);
    assert_true(admin_clients_room(clients, &one));
    admin_clients_free(clients);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_client_of_address_is_an_ipv4_or_a_64),
        cmocka_unit_test(test_client_of_user_ourselves_are_not_limited),
        cmocka_unit_test(test_clients_add_up_to_the_limit_of_each),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
