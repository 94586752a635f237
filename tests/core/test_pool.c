/* SPDX-License-Identifier: Apache-2.0
 *
 * The pool against a real memcached that is also stopped, killed and restarted, and
 * against a server that answers nonsense to reads. (Nonsense as the answer to a write
 * ends in an assertion of libmemcached itself, which is why the pool lives in processes
 * that may die.)
 */
#include "../../core/bus/pool.h"
#include "memcached_server.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define TIMEOUT_MS 2000 /* ample: only tests of silence use it up */
#define SHORT_MS 60

static l7s_pool_t *make_pool(const char *first, const char *second, unsigned timeout_ms)
{
    const char *servers[2] = {first, second};
    l7s_pool_t *pool = NULL;
    assert_int_equal(l7s_pool_create(servers, second ? 2 : 1, timeout_ms, &pool), L7S_OK);
    return pool;
}

/* A name that `pool` routes to server `index`. */
static const char *name_on(const l7s_pool_t *pool, size_t index, char out[32])
{
    for (unsigned i = 0;; i++) {
        snprintf(out, 32, "name_%u", i);
        if (l7s_pool_route(pool, out) == index) {
            return out;
        }
    }
}

static void test_pool_create_checks_servers(void **state)
{
    (void)state;
    static const struct {
        const char *server, *text; /* text NULL: refused */
    } cases[] = {
        {"127.0.0.1:11211", "127.0.0.1:11211"},
        {"[::1]:11211", "[::1]:11211"},
        {"[0:0:0:0:0:0:0:1]:1", "[::1]:1"},
        {"127.0.0.1:011211", NULL},
        {"localhost:11211", NULL},
        {"127.0.0.1", NULL},
        {"127.0.0.1:", NULL},
        {"127.0.0.1:0", NULL},
        {"127.0.0.1:65536", NULL},
        {"127.0.0.1:11211x", NULL},
        {"127.0.0.1:-1", NULL},
        {"::1:11211", NULL},
        {"[::1]", NULL},
        {"[]:1", NULL},
        {"[:1", NULL},
        {":11211", NULL},
        {"/run/memcached.sock", NULL},
        {"", NULL},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        l7s_pool_t *pool = NULL;
        l7s_status_t status = l7s_pool_create(&cases[i].server, 1, 50, &pool);
        assert_int_equal(status, cases[i].text ? L7S_OK : L7S_INVALID);
        if (pool) {
            assert_string_equal(l7s_pool_server(pool, 0), cases[i].text);
            assert_int_equal(l7s_pool_servers(pool), 1);
            assert_null(l7s_pool_server(pool, 1));
            assert_false(l7s_pool_up(pool, 0));
        }
        l7s_pool_free(pool);
    }
    const char *twice[] = {"[::1]:1", "[0::1]:1"};
    l7s_pool_t *pool = NULL;
    assert_int_equal(l7s_pool_create(twice, 2, 50, &pool), L7S_INVALID);
    assert_int_equal(l7s_pool_create(twice, 0, 50, &pool), L7S_INVALID);
}

static void test_pool_route_is_consistent(void **state)
{
    (void)state;
    const char *three[] = {"10.0.0.1:11211", "10.0.0.2:11211", "10.0.0.3:11211"};
    const char *turned[] = {"10.0.0.3:11211", "10.0.0.1:11211", "10.0.0.2:11211"};
    l7s_pool_t *a = NULL, *b = NULL, *two = NULL;
    assert_int_equal(l7s_pool_create(three, 3, 50, &a), L7S_OK);
    assert_int_equal(l7s_pool_create(turned, 3, 50, &b), L7S_OK);
    assert_int_equal(l7s_pool_create(three, 2, 50, &two), L7S_OK);
    unsigned used[3] = {0}, moved = 0;
    for (unsigned i = 0; i < 3000; i++) {
        char name[32];
        snprintf(name, sizeof name, "l7s1%018u", i);
        size_t at = l7s_pool_route(a, name);
        assert_in_range(at, 0, 2);
        used[at]++;
        /* The order in the directive does not matter, only the addresses do. */
        assert_string_equal(l7s_pool_server(a, at),
                            l7s_pool_server(b, l7s_pool_route(b, name)));
        /* A server that goes takes only its own names along. */
        moved += at != 2 && l7s_pool_route(two, name) != at;
    }
    assert_int_equal(moved, 0);
    for (size_t i = 0; i < 3; i++) {
        assert_in_range(used[i], 600, 1400);
    }
    l7s_pool_free(a);
    l7s_pool_free(b);
    l7s_pool_free(two);
}

static void test_pool_values_come_back(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_pool_t *pool = make_pool(server.address, NULL, TIMEOUT_MS);
    char *big = malloc(L7S_ITEM_SIZE_MAX + 1);
    for (size_t i = 0; i <= L7S_ITEM_SIZE_MAX; i++) {
        big[i] = (char)(i * 7);
    }
    static const size_t sizes[] = {0, 1, 1000, L7S_ITEM_SIZE_MAX};
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(l7s_pool_get(pool, "x", 0, &value, &size), L7S_NOT_FOUND);
    assert_true(l7s_pool_up(pool, 0));
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        assert_int_equal(l7s_pool_set(pool, "x", big, sizes[i], 60, 0), L7S_OK);
        assert_int_equal(l7s_pool_get(pool, "x", 0, &value, &size), L7S_OK);
        assert_int_equal(size, sizes[i]);
        assert_memory_equal(value, big, size);
        free(value);
    }
    assert_int_equal(l7s_pool_set(pool, "x", big, L7S_ITEM_SIZE_MAX + 1, 60, 0),
                     L7S_TOO_BIG);
    free(big);
    l7s_pool_free(pool);
    memcached_server_kill(&server);
}

static void test_pool_add_and_delete_tell_what_was_there(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_pool_t *pool = make_pool(server.address, NULL, TIMEOUT_MS);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(l7s_pool_add(pool, "x", "1", 1, 60, 0), L7S_OK);
    assert_int_equal(l7s_pool_add(pool, "x", "2", 1, 60, 0), L7S_CONFLICT);
    assert_true(l7s_pool_up(pool, 0));
    assert_int_equal(l7s_pool_get(pool, "x", 0, &value, &size), L7S_OK);
    assert_memory_equal(value, "1", 1);
    free(value);
    assert_int_equal(l7s_pool_delete(pool, "x", 0), L7S_OK);
    assert_int_equal(l7s_pool_delete(pool, "x", 0), L7S_NOT_FOUND);
    assert_int_equal(l7s_pool_get(pool, "x", 0, &value, &size), L7S_NOT_FOUND);
    assert_null(value);
    l7s_pool_free(pool);
    memcached_server_kill(&server);
}

static void test_pool_append_begins_and_continues(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_pool_t *pool = make_pool(server.address, NULL, TIMEOUT_MS);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(l7s_pool_append(pool, "log", "one", 3, 60, 0), L7S_OK);
    assert_int_equal(l7s_pool_append(pool, "log", "", 0, 60, 0), L7S_OK);
    assert_int_equal(l7s_pool_append(pool, "log", " two", 4, 60, 0), L7S_OK);
    assert_int_equal(l7s_pool_get(pool, "log", 0, &value, &size), L7S_OK);
    assert_int_equal(size, 7);
    assert_memory_equal(value, "one two", 7);
    free(value);
    assert_int_equal(l7s_pool_append(pool, "a b", "x", 1, 60, 0), L7S_INVALID);
    memcached_server_kill(&server);
    assert_int_equal(l7s_pool_append(pool, "log", "three", 5, 60, 0), L7S_IO);
    l7s_pool_free(pool);
}

static void test_pool_strange_names_are_refused(void **state)
{
    (void)state;
    l7s_pool_t *pool = make_pool("127.0.0.1:1", NULL, SHORT_MS);
    static const char *const names[] = {
        "",  "a b", "a\r\nflush_all",
        "ä", "a/b", "0123456789012345678901234567890123456789012345678901234567890123"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        void *value = NULL;
        size_t size = 0;
        assert_int_equal(l7s_pool_get(pool, names[i], 0, &value, &size), L7S_INVALID);
        assert_int_equal(l7s_pool_set(pool, names[i], "", 0, 0, 0), L7S_INVALID);
        assert_int_equal(l7s_pool_add(pool, names[i], "", 0, 0, 0), L7S_INVALID);
        assert_int_equal(l7s_pool_delete(pool, names[i], 0), L7S_INVALID);
    }
    l7s_pool_free(pool);
}

typedef struct {
    unsigned count;
    unsigned seen[1200];
} seen_t;

static void see(void *context, size_t index, const void *value, size_t size)
{
    seen_t *seen = context;
    char text[16], want[16];
    snprintf(text, sizeof text, "%.*s", (int)size, (const char *)value);
    snprintf(want, sizeof want, "%zu", index);
    assert_string_equal(text, want);
    seen->count++;
    seen->seen[index]++;
}

static void test_pool_get_many_finds_each_once_over_several_servers(void **state)
{
    (void)state;
    enum { COUNT = 1200 };
    memcached_server_t one = memcached_server_start(0), two = memcached_server_start(0);
    l7s_pool_t *pool = make_pool(one.address, two.address, TIMEOUT_MS);
    static char names[COUNT][16];
    const char *pointers[COUNT];
    for (unsigned i = 0; i < COUNT; i++) {
        char text[16];
        int size = snprintf(text, sizeof text, "%u", i);
        snprintf(names[i], sizeof names[i], "k%u", i);
        pointers[i] = names[i];
        if (i % 3 != 0) {
            assert_int_equal(l7s_pool_set(pool, names[i], text, (size_t)size, 60, 0),
                             L7S_OK);
        }
    }
    seen_t seen = {0};
    assert_int_equal(l7s_pool_get_many(pool, pointers, COUNT, 0, see, &seen), L7S_OK);
    assert_int_equal(seen.count, COUNT - COUNT / 3);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(seen.seen[i], i % 3 != 0);
    }
    assert_int_equal(l7s_pool_get_many(pool, pointers, 0, 0, see, &seen), L7S_OK);

    /* One dies: its names are unknown, not absent, the others still come. */
    memcached_server_kill(&two);
    seen = (seen_t){0};
    assert_int_equal(l7s_pool_get_many(pool, pointers, COUNT, 0, see, &seen), L7S_IO);
    assert_in_range(seen.count, 100, 700);
    assert_true(l7s_pool_up(pool, 0));
    assert_false(l7s_pool_up(pool, 1));
    l7s_pool_free(pool);
    memcached_server_kill(&one);
}

static void test_pool_restarted_server_is_found_again_by_the_probe(void **state)
{
    (void)state;
    memcached_server_t server = memcached_server_start(0);
    l7s_pool_t *pool = make_pool(server.address, NULL, TIMEOUT_MS);
    assert_int_equal(l7s_pool_set(pool, "x", "1", 1, 60, 0), L7S_OK);
    memcached_server_kill(&server);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(l7s_pool_get(pool, "x", 1000, &value, &size), L7S_IO);
    assert_false(l7s_pool_up(pool, 0));
    assert_int_equal(l7s_pool_get(pool, "x", 1100, &value, &size), L7S_IO); /* a probe */
    server = memcached_server_start(server.port);
    assert_int_equal(l7s_pool_get(pool, "x", 1299, &value, &size), L7S_IO); /* resting */
    assert_int_equal(l7s_pool_get(pool, "x", 1300, &value, &size), L7S_NOT_FOUND);
    assert_int_equal(l7s_pool_add(pool, "x", "2", 1, 60, 1300), L7S_OK);
    assert_true(l7s_pool_up(pool, 0));
    l7s_pool_free(pool);
    memcached_server_kill(&server);
}

static void test_pool_hung_server_costs_one_timeout_then_nothing(void **state)
{
    (void)state;
    memcached_server_t hung = memcached_server_start(0), live = memcached_server_start(0);
    l7s_pool_t *pool = make_pool(hung.address, live.address, SHORT_MS);
    char slow[32], quick[32];
    name_on(pool, 0, slow);
    name_on(pool, 1, quick);
    void *value = NULL;
    size_t size = 0;
    assert_int_equal(l7s_pool_set(pool, slow, "1", 1, 60, 0), L7S_OK);
    memcached_server_pause(&hung);
    uint64_t now = 0;
    for (unsigned verb = 0; verb < 4; verb++) {
        now += 10000; /* past any pause */
        unsigned long began = steady_ms();
        l7s_status_t status = verb == 0   ? l7s_pool_get(pool, slow, now, &value, &size)
                              : verb == 1 ? l7s_pool_set(pool, slow, "2", 1, 60, now)
                              : verb == 2 ? l7s_pool_add(pool, slow, "2", 1, 60, now)
                                          : l7s_pool_delete(pool, slow, now);
        assert_int_equal(status, L7S_TIMEOUT);
        assert_in_range(steady_ms() - began, SHORT_MS - 10, SHORT_MS + 1000);
        assert_int_equal(l7s_pool_get(pool, slow, now, &value, &size),
                         L7S_IO); /* resting */
        assert_int_equal(l7s_pool_set(pool, quick, "1", 1, 60, now), L7S_OK);
    }
    memcached_server_resume(&hung);
    l7s_pool_free(pool);
    memcached_server_kill(&hung);
    memcached_server_kill(&live);
}

static void test_pool_get_garbage_is_no_answer(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "OK\r\n",
        "ERROR\r\n",
        "SERVER_ERROR busy\r\n",
        "CLIENT_ERROR no\r\n",
        "STORED\r\n",
        "5\r\n",
        "\r\n",
        "xyz\r\n",
        "VALUE other 0 1\r\n5\r\nEND\r\n",
        "VALUE x 0 1\r\n5\r\n",
        "VALUE x 0 1\r\n5\r\nVALUE x 0 1\r\n6\r\nEND\r\n",
        "VALUE x 0 x\r\n5\r\nEND\r\n",
    };
    for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
        fake_server_t *fake =
            fake_server_start(false, answers[i], strlen(answers[i]), false);
        l7s_pool_t *pool = make_pool(fake_server_address(fake), NULL, SHORT_MS);
        void *value = NULL;
        size_t size = 0;
        l7s_status_t status = l7s_pool_get(pool, "x", 0, &value, &size);
        assert_true(status == L7S_IO || status == L7S_TIMEOUT);
        assert_null(value);
        assert_false(l7s_pool_up(pool, 0));
        l7s_pool_free(pool);
        fake_server_stop(fake);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_pool_create_checks_servers),
        cmocka_unit_test(test_pool_route_is_consistent),
        cmocka_unit_test(test_pool_values_come_back),
        cmocka_unit_test(test_pool_add_and_delete_tell_what_was_there),
        cmocka_unit_test(test_pool_append_begins_and_continues),
        cmocka_unit_test(test_pool_strange_names_are_refused),
        cmocka_unit_test(test_pool_get_many_finds_each_once_over_several_servers),
        cmocka_unit_test(test_pool_restarted_server_is_found_again_by_the_probe),
        cmocka_unit_test(test_pool_hung_server_costs_one_timeout_then_nothing),
        cmocka_unit_test(test_pool_get_garbage_is_no_answer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
