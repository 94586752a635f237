/* SPDX-License-Identifier: Apache-2.0
 *
 * How long sessions live, and how many.
 */
#include "../../admin_api/http/session.h"
// clang-format off
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
// clang-format on
#include <stdio.h>
#include <string.h>

#define NOW_MS 1700000000000u

static int setup(void **state)
{
    admin_sessions_t *sessions = NULL;
    int result = admin_sessions_create(&sessions) == L7S_OK ? 0 : -1;
    *state = sessions;
    return result;
}

static int teardown(void **state)
{
    admin_sessions_free(*state);
    return 0;
}

typedef struct {
    char secret[ADMIN_SESSION_SECRET];
    admin_session_t session;
} begun_t;

static begun_t begin(admin_sessions_t *sessions, const char *token_id, uint64_t now_ms)
{
    begun_t begun;
    assert_int_equal(
        admin_session_begin(sessions, token_id, now_ms, begun.secret, &begun.session),
        L7S_OK);
    return begun;
}

static bool lives(admin_sessions_t *sessions, const begun_t *begun, uint64_t now_ms)
{
    admin_session_t found;
    return admin_session_find(sessions, begun->secret, now_ms, &found);
}

static void test_session_find_gives_what_was_begun(void **state)
{
    admin_session_t found;
    begun_t begun = begin(*state, "AbCdEfGh", NOW_MS);
    assert_int_equal(strlen(begun.secret), 43);
    assert_int_equal(strspn(begun.secret, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrst"
                                          "uvwxyz0123456789-_"),
                     43);
    assert_true(admin_session_find(*state, begun.secret, NOW_MS, &found));
    assert_string_equal(found.token_id, "AbCdEfGh");
    assert_string_equal(found.id, begun.session.id);
    assert_string_equal(found.csrf, begun.session.csrf);
    assert_string_not_equal(found.csrf, begun.secret);
    assert_int_equal(found.expires_ms, NOW_MS + ADMIN_SESSION_LIFE_MS);
    begun_t other = begin(*state, "AbCdEfGh", NOW_MS);
    assert_string_not_equal(other.secret, begun.secret);
    assert_string_not_equal(other.session.csrf, begun.session.csrf);
}

static void test_session_find_refuses_what_is_none(void **state)
{
    begun_t begun = begin(*state, "AbCdEfGh", NOW_MS), wrong = begun;
    static const char *const others[] = {"", "x", "AbCdEfGh"};
    admin_session_t found;
    wrong.secret[7] = wrong.secret[7] == 'A' ? 'B' : 'A';
    assert_false(lives(*state, &wrong, NOW_MS));
    assert_false(admin_session_find(*state, begun.session.csrf, NOW_MS, &found));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_false(admin_session_find(*state, others[i], NOW_MS, &found));
    }
    assert_true(lives(*state, &begun, NOW_MS));
}

static void test_session_end_is_final(void **state)
{
    begun_t begun = begin(*state, "AbCdEfGh", NOW_MS);
    admin_session_end(*state, begun.secret);
    assert_false(lives(*state, &begun, NOW_MS));
    admin_session_end(*state, begun.secret);
}

static void test_session_idle_for_30_minutes_is_over(void **state)
{
    begun_t begun = begin(*state, "AbCdEfGh", NOW_MS);
    uint64_t at = NOW_MS + ADMIN_SESSION_IDLE_MS - 1;
    assert_true(lives(*state, &begun, at));
    assert_true(lives(*state, &begun, at + ADMIN_SESSION_IDLE_MS - 1));
    assert_false(lives(*state, &begun, at + 2 * ADMIN_SESSION_IDLE_MS));
    /* The clock is set back: it stays over. */
    assert_false(lives(*state, &begun, at));
}

static void test_session_used_all_the_time_ends_after_12_hours(void **state)
{
    begun_t begun = begin(*state, "AbCdEfGh", NOW_MS);
    for (uint64_t at = NOW_MS; at < NOW_MS + ADMIN_SESSION_LIFE_MS; at += 600000) {
        assert_true(lives(*state, &begun, at));
    }
    assert_false(lives(*state, &begun, NOW_MS + ADMIN_SESSION_LIFE_MS));
}

static void test_session_begin_17th_of_a_token_ends_the_one_used_longest_ago(void **state)
{
    begun_t begun[17], other = begin(*state, "other", NOW_MS);
    for (uint64_t i = 0; i < 16; i++) {
        begun[i] = begin(*state, "AbCdEfGh", NOW_MS + i);
    }
    assert_true(lives(*state, &begun[0], NOW_MS + 100));
    begun[16] = begin(*state, "AbCdEfGh", NOW_MS + 101);
    for (size_t i = 0; i < 17; i++) {
        assert_int_equal(lives(*state, &begun[i], NOW_MS + 102), i != 1);
    }
    assert_true(lives(*state, &other, NOW_MS + 102));
}

static void test_session_begin_full_table_gives_way(void **state)
{
    begun_t first = begin(*state, "first", NOW_MS), last = first;
    for (unsigned i = 1; i <= ADMIN_SESSIONS_MAX; i++) {
        char token_id[ADMIN_SESSION_ID];
        snprintf(token_id, sizeof token_id, "%u", i);
        last = begin(*state, token_id, NOW_MS + i);
    }
    assert_false(lives(*state, &first, NOW_MS + 1000));
    assert_true(lives(*state, &last, NOW_MS + 1000));
}

#define session_test(function) cmocka_unit_test_setup_teardown(function, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        session_test(test_session_find_gives_what_was_begun),
        session_test(test_session_find_refuses_what_is_none),
        session_test(test_session_end_is_final),
        session_test(test_session_idle_for_30_minutes_is_over),
        session_test(test_session_used_all_the_time_ends_after_12_hours),
        session_test(test_session_begin_17th_of_a_token_ends_the_one_used_longest_ago),
        session_test(test_session_begin_full_table_gives_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
